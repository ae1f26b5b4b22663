//! Properties of every format for any weights: mathematical invariants, and no panics.

use crate::support::weights::Rng;
use proptest::prelude::*;
use quantpress::{Code, Codec, Detail, dequantize, formats, quantize, validate};

/// Block formats that can be written.
fn block_encoders() -> impl Iterator<Item = &'static Codec> {
    formats().iter().filter(|codec| codec.can_encode() && codec.weights > 1)
}

fn gaussian(seed: u64, n: usize, amplitude: f64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..n).map(|_| (rng.gauss() * amplitude) as f32).collect()
}

/// Importance, if the format requires it.
fn importance(codec: &Codec, seed: u64, n: usize) -> Option<Vec<f32>> {
    codec.needs_importance.then(|| gaussian(!seed, n, 1.0).into_iter().map(|x| x * x + 0.1).collect())
}

fn encode(codec: &Codec, row: &[f32], importance: Option<&[f32]>) -> Vec<u8> {
    quantize(row, codec.name, row.len(), importance).unwrap_or_else(|error| panic!("{}: {error}", codec.name))
}

fn round_trip(codec: &Codec, row: &[f32]) -> Vec<f32> {
    dequantize(&encode(codec, row, None), codec.name).unwrap()
}

/// An amplitude of weights for which the scales are normal numbers, also for weights sixteen times larger or smaller.
fn comfortable(codec: &Codec) -> f64 {
    if codec.name == "NVFP4" { 8.0 } else { 256.0 }
}

/// The maximum error of a block with these weights.
type Bound<'a> = &'a dyn Fn(&[f32]) -> f32;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// The arithmetic of all encoders is homogeneous in the weights, so a power of two passes through to the scales.
    /// This does not hold where a scale is not a normal number or magnitudes count as zero; float formats have no
    /// scale.
    #[test]
    fn scaling_by_a_power_of_two_scales_the_decoded_weights(seed: u64, k in -4i32..=4) {
        let factor = 2f32.powi(k);
        for codec in block_encoders() {
            let row = gaussian(seed, 512, comfortable(codec));
            let importance = importance(codec, seed, 512);
            let scaled: Vec<f32> = row.iter().map(|x| x * factor).collect();
            let plain = dequantize(&encode(codec, &row, importance.as_deref()), codec.name).unwrap();
            let expected: Vec<f32> = plain.iter().map(|x| x * factor).collect();
            let ours = dequantize(&encode(codec, &scaled, importance.as_deref()), codec.name).unwrap();
            prop_assert!(ours == expected, "{} times {factor}", codec.name);
        }
    }

    /// Without importance blocks are independent of each other. With importance this holds for super-blocks, while
    /// small formats use the mean square of the whole row.
    #[test]
    fn permuted_blocks_encode_to_permuted_bytes(seed: u64) {
        for codec in block_encoders() {
            let n = codec.weights * 5;
            let (row, importance) = (gaussian(seed, n, 0.1), importance(codec, seed, n));
            let turn = |values: &[f32]| { let mut values = values.to_vec(); values.rotate_left(codec.weights * 2); values };
            let mut expected = encode(codec, &row, importance.as_deref());
            expected.rotate_left(codec.bytes * 2);
            let turned = importance.map(|importance| turn(&importance));
            prop_assert!(encode(codec, &turn(&row), turned.as_deref()) == expected, "{}", codec.name);
        }
    }

    #[test]
    fn rows_are_encoded_independently(seed: u64, rows in 2usize..5, blocks in 1usize..6) {
        for codec in block_encoders() {
            let row = codec.weights * blocks;
            let (weights, chi) = (gaussian(seed, row * rows, 0.1), gaussian(!seed, row, 1.0));
            let chi: Vec<f32> = chi.into_iter().map(|x| x * x).collect();
            for importance in [None, Some(chi.as_slice())] {
                if importance.is_none() && codec.needs_importance { continue }
                let together = quantize(&weights, codec.name, row, importance).unwrap();
                let apart: Vec<u8> = weights.chunks(row).flat_map(|row| encode(codec, row, importance)).collect();
                prop_assert!(together == apart, "{}", codec.name);
            }
        }
    }

    /// Values that a format can represent are encoded exactly. Excludes formats with a searched scale or a minimum, for
    /// which the second search starts from different weights than the first.
    #[test]
    fn decoded_weights_encode_to_the_same_bytes(seed: u64, exponent in 0i32..6) {
        for name in ["F32", "F16", "BF16", "Q4_0", "Q5_0", "Q8_0", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q1_0", "Q2_0"] {
            let codec = Codec::by_name(name).unwrap();
            let once = round_trip(codec, &gaussian(seed, 512, 2f64.powi(exponent)));
            let twice = round_trip(codec, &once);
            prop_assert!(once == twice, "{name}");
        }
    }

    /// The maximum error of a weight, in units of what determines its block's scale.
    #[test]
    fn errors_stay_within_the_bound_of_the_format(seed: u64, exponent in 0i32..6) {
        const HALF: f32 = 1.0 / 2048.0; // relative rounding error of an F16, for example a scale
        let largest = |block: &[f32]| block.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let range = |block: &[f32]| {
            let (low, high) = block.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
            high - low
        };
        // Rounding loses up to half a step; the value opposite to the largest weight is clipped by up to a whole step.
        let signed = |codes: f32| move |block: &[f32]| largest(block) / codes * (1.0 + codes * HALF);
        // Half a step, plus the errors of the scale and the minimum in F16.
        let shifted = |codes: f32| move |block: &[f32]| range(block) / codes * (0.5 + codes * HALF) + largest(block) * HALF;
        let bounds: [(&str, Bound); 13] = [
            ("F32", &|_| 0.0),
            ("F16", &|x| largest(x) * HALF + 2f32.powi(-25)),
            ("BF16", &|x| largest(x) / 256.0),
            ("Q4_0", &signed(8.0)),
            ("Q5_0", &signed(16.0)),
            ("Q4_1", &shifted(15.0)),
            ("Q5_1", &shifted(31.0)),
            ("Q8_0", &|x| largest(x) / 127.0 * (0.5 + 127.0 * HALF)),
            ("TQ1_0", &|x| largest(x) * (0.5 + HALF)),
            ("TQ2_0", &|x| largest(x) * (0.5 + HALF)),
            ("Q2_0", &|x| largest(x) * (0.5 + HALF)),
            // A largest weight between 4 and 8 times the scale is clipped to 6: by at most 2, which is half of 4.
            ("MXFP4", &|x| largest(x) / 2.0),
            // Levels 4 and 6 are two scales apart; the scale is a sixth of the largest weight, accurate to one
            // sixteenth.
            ("NVFP4", &|x| largest(x) / 6.0 * (1.0 + 1.0 / 16.0)),
        ];
        let slack = 1.0 + 1e-5; // for rounding in the bound itself
        for (name, bound) in bounds {
            let codec = Codec::by_name(name).unwrap();
            let weights = gaussian(seed, 512, 2f64.powi(exponent));
            // NVFP4 has one scale per 16 weights.
            let block = if name == "NVFP4" { 16 } else { codec.weights };
            let decoded = round_trip(codec, &weights);
            for (x, y) in weights.chunks(block).zip(decoded.chunks(block)) {
                let bound = bound(x) * slack;
                for (x, y) in x.iter().zip(y) {
                    prop_assert!((x - y).abs() <= bound, "{name}: {x} became {y}, off by more than {bound}");
                }
            }
        }
    }

    /// A search must not end with more squared error than writing zeros.
    #[test]
    fn searched_scales_have_a_lower_error_than_zeros(seed: u64) {
        for codec in block_encoders() {
            let row = gaussian(seed, 512, 0.05);
            let ones = vec![1.0; 512];
            let decoded = dequantize(&encode(codec, &row, codec.needs_importance.then_some(&ones)), codec.name).unwrap();
            let square = |x: f32| f64::from(x) * f64::from(x);
            let error: f64 = row.iter().zip(&decoded).map(|(x, y)| square(x - y)).sum();
            let zeros: f64 = row.iter().map(|&x| square(x)).sum();
            // Ternary codes follow the largest weight: for gaussian weights they keep the sign of only a few.
            let ternary = ["TQ1_0", "TQ2_0", "Q2_0"].contains(&codec.name);
            prop_assert!(ternary || error < zeros, "{}: {error} against {zeros}", codec.name);
        }
    }

    #[test]
    fn any_bytes_decode(seed: u64, blocks in 0usize..5, fill in prop::option::of(any::<u8>())) {
        for codec in formats() {
            let random = Rng::new(seed).bytes(codec.bytes * blocks);
            let bytes = fill.map_or(random, |fill| vec![fill; codec.bytes * blocks]);
            let weights = dequantize(&bytes, codec.name).unwrap();
            prop_assert_eq!(weights.len(), codec.weights * blocks);
            if let Err(error) = validate(&bytes, codec.name) {
                let index = error.details().iter().find(|(name, _)| *name == "index").map(|(_, index)| index.clone());
                prop_assert!(matches!(index, Some(Detail::Number(at)) if at < weights.len() as f64), "{error}");
            }
        }
    }

    #[test]
    fn rejects_wrong_lengths(blocks in 1usize..4, extra in 1usize..1000) {
        for codec in formats() {
            let code = |result: quantpress::Result<()>| result.map_err(|error| error.code());
            if !extra.is_multiple_of(codec.bytes) {
                let bytes = vec![0; codec.bytes * blocks + extra];
                prop_assert_eq!(code(dequantize(&bytes, codec.name).map(drop)), Err(Code::LENGTH));
                prop_assert_eq!(code(validate(&bytes, codec.name)), Err(Code::LENGTH));
            }
            let bytes = vec![0; codec.bytes * blocks];
            let mut out = vec![0.0; codec.weights * blocks + extra];
            prop_assert_eq!(code(codec.decode(&bytes, &mut out)), Err(Code::LENGTH));
            if !codec.can_encode() { continue }
            let row = codec.weights * blocks;
            let weights = vec![0.5; row];
            let mut out = vec![0; codec.bytes * blocks + extra];
            prop_assert_eq!(code(codec.encode_rows(&weights, row, None, &mut out)), Err(Code::LENGTH));
            prop_assert_eq!(code(quantize(&weights, codec.name, 0, None).map(drop)), Err(Code::LENGTH));
            prop_assert_eq!(code(quantize(&weights, codec.name, row + extra, None).map(drop)), Err(Code::LENGTH));
            if !extra.is_multiple_of(codec.weights) {
                let weights = vec![0.5; row + extra];
                prop_assert_eq!(code(quantize(&weights, codec.name, row + extra, None).map(drop)), Err(Code::LENGTH));
            }
            if codec.weights > 1 {
                let importance = vec![1.0; row + extra];
                prop_assert_eq!(code(quantize(&weights, codec.name, row, Some(&importance)).map(drop)), Err(Code::LENGTH));
            }
        }
    }

    #[test]
    fn reports_the_index_of_the_first_nan_or_infinity(seed: u64, at in 0usize..1024, kind in 0usize..3) {
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][kind];
        for codec in formats().iter().filter(|codec| codec.can_encode()) {
            let mut weights = gaussian(seed, 1024, 1.0);
            weights[at] = bad;
            weights[(at + 700).min(1023).max(at)] = bad; // a later one is not the first
            let importance = importance(codec, seed, 512);
            let result = quantize(&weights, codec.name, 512, importance.as_deref());
            if codec.weights == 1 {
                let decoded = dequantize(&result.unwrap(), codec.name).unwrap();
                prop_assert!(decoded[at] == bad || decoded[at].is_nan() && bad.is_nan(), "{} carries", codec.name);
            } else {
                let error = result.unwrap_err();
                prop_assert_eq!(error.code(), Code::NON_FINITE);
                prop_assert!(error.details().contains(&("index", Detail::from(at))), "{}: {error}", codec.name);
            }
        }
    }
}

#[test]
fn read_only_formats_reject_encoding() {
    for codec in formats().iter().filter(|codec| !codec.can_encode()) {
        let error = quantize(&[0.0; 256], codec.name, 256, None).unwrap_err();
        assert_eq!(error.code(), Code::UNSUPPORTED);
        assert!(error.details().contains(&("format", Detail::from(codec.name))));
    }
}

#[test]
fn integers_and_doubles_read_as_numbers() {
    let decode = |format: &str, bytes: &[u8]| dequantize(bytes, format).unwrap();
    assert_eq!(decode("I8", &[0x80, 0xff, 0x7f]), [-128.0, -1.0, 127.0]);
    assert_eq!(decode("I16", &i16::MIN.to_le_bytes()), [-32768.0]);
    // Above 2^24: to the nearest float, ties to even.
    assert_eq!(decode("I32", &16_777_217i32.to_le_bytes()), [16_777_216.0]);
    assert_eq!(decode("I64", &i64::MIN.to_le_bytes()), [-9.223_372e18]);
    assert_eq!(decode("F64", &[0.1f64.to_le_bytes(), 1e300f64.to_le_bytes()].concat()), [0.1, f32::INFINITY]);
    assert_eq!(validate(&1e300f64.to_le_bytes(), "F64").unwrap_err().code(), Code::NON_FINITE);
    assert!(validate(&[0xff; 8], "I64").is_ok());
}
