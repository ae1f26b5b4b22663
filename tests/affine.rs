//! Affine quantization: regressions, error bounds, invalid bytes.

use proptest::prelude::*;
use quantpress::Code;
use quantpress::affine::*;

fn symmetric(values: &[f32], shape: &[usize], granularity: QuantGranularity, bits: u8) -> QuantizedTensor {
    quantize_tensor(values, shape, granularity, QuantMode::Symmetric, bits).unwrap()
}

/// Defect 5: asymmetric mode destroyed data on one side of 0.
#[test]
fn data_on_one_side_of_zero_survives_asymmetric_mode() {
    for values in [[10.0, 11.0], [-11.0, -10.0], [1e-20, 2e-20], [1e30, 3e30]] {
        for bits in 2..=8 {
            let tensor =
                quantize_tensor(&values, &[2], QuantGranularity::PerTensor, QuantMode::Asymmetric, bits).unwrap();
            let scale = tensor.params.scales[0];
            for (x, y) in values.iter().zip(dequantize_tensor(&tensor).unwrap()) {
                assert!((x - y).abs() <= scale * 0.5001, "{bits} bits: {x} became {y}, scale {scale}");
            }
        }
    }
    let tensor = quantize_tensor(&[10.0, 11.0], &[2], QuantGranularity::PerTensor, QuantMode::Asymmetric, 8).unwrap();
    assert_eq!(dequantize_tensor(&tensor).unwrap(), [232.0 * (11.0f32 / 255.0), 11.0]);
}

/// Defect 11: other bit widths wrapped around, divided by zero or panicked.
#[test]
fn rejects_bit_widths_outside_two_to_eight() {
    for bits in [0, 1, 9, 12, 16, 33, 255] {
        for mode in [QuantMode::Symmetric, QuantMode::Asymmetric] {
            let code = |result: quantpress::Result<QuantParams>| result.unwrap_err().code();
            assert_eq!(code(calibrate_per_tensor(&[1.0], bits, mode)), Code::RANGE);
            assert_eq!(code(calibrate_per_channel(&[1.0], &[1], 0, bits, mode)), Code::RANGE);
            assert_eq!(code(calibrate_per_group(&[1.0], &[1], 1, bits, mode)), Code::RANGE);
        }
        let mut params = calibrate_per_tensor(&[1.0], 8, QuantMode::Symmetric).unwrap();
        params.bits = bits;
        assert_eq!(quantize_with_params(&[1.0], &[1], &params).unwrap_err().code(), Code::RANGE);
    }
}

/// Defect 12: a length that is not a multiple of the number of channels left a remainder with scale 1.0.
#[test]
fn rejects_a_length_that_does_not_fit_the_shape() {
    let values = [100.0; 7];
    let code = calibrate_per_channel(&values, &[2, 3], 0, 8, QuantMode::Symmetric).unwrap_err().code();
    assert_eq!(code, Code::LENGTH);
    let params = calibrate_per_channel(&values[..6], &[2, 3], 0, 8, QuantMode::Symmetric).unwrap();
    assert_eq!(quantize_with_params(&values, &[7], &params).unwrap_err().code(), Code::LENGTH);
    assert_eq!(quantize_with_params(&values, &[2, 3], &params).unwrap_err().code(), Code::LENGTH);
    assert_eq!(quantize_with_params(&values[..6], &[3, 2], &params).unwrap_err().code(), Code::LENGTH);
    assert_eq!(dequantize_with_params(&[0; 7], &[2, 3], &params).unwrap_err().code(), Code::LENGTH);
}

/// Defect 13: groups crossed the ends of rows.
#[test]
fn groups_end_where_rows_end() {
    // Rows of 5 in groups of 4, so the last value of each row has its own scale.
    let values = [1.0, 1.0, 1.0, 1.0, 100.0, 3.0, 3.0, 3.0, 3.0, 0.01];
    let params = calibrate_per_group(&values, &[2, 5], 4, 8, QuantMode::Symmetric).unwrap();
    let magnitudes: Vec<f32> = params.scales.iter().map(|s| s * 127.0).collect();
    assert_eq!(magnitudes.len(), 4);
    for (got, want) in magnitudes.iter().zip([1.0, 100.0, 3.0, 0.01]) {
        assert!((got / want - 1.0f32).abs() < 1e-6, "{got} {want}");
    }
    let codes = quantize_with_params(&values, &[2, 5], &params).unwrap();
    assert_eq!(codes, [127; 10]);
}

/// Defect 15: incomplete bytes, here at every length.
#[test]
fn serialized_tensors_truncated_at_any_length_are_errors() {
    let values: Vec<f32> = (0..30).map(|i| (i as f32 * 0.7).sin()).collect();
    let granularity = QuantGranularity::PerGroup { size: 4 };
    let tensor = quantize_tensor(&values, &[3, 10], granularity, QuantMode::Asymmetric, 3).unwrap();
    let bytes = tensor.to_bytes();
    assert_eq!(QuantizedTensor::from_bytes(&bytes).unwrap(), tensor);
    for len in 0..bytes.len() {
        assert_eq!(QuantizedTensor::from_bytes(&bytes[..len]).unwrap_err().code(), Code::TRUNCATED, "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(QuantizedTensor::from_bytes(&longer).unwrap_err().code(), Code::MALFORMED);
    assert_eq!(QuantizedTensor::from_bytes(b"GGUF\x01").unwrap_err().code(), Code::MAGIC);

    let params = tensor.params.to_bytes();
    assert_eq!(QuantParams::from_bytes(&params).unwrap(), tensor.params);
    for len in 0..params.len() {
        assert_eq!(QuantParams::from_bytes(&params[..len]).unwrap_err().code(), Code::TRUNCATED, "{len}");
    }
}

#[test]
fn reports_the_index_of_a_non_finite_value() {
    for (granularity, shape) in [
        (QuantGranularity::PerTensor, [100, 100]),
        (QuantGranularity::PerChannel { axis: 0 }, [100, 100]),
        (QuantGranularity::PerChannel { axis: 1 }, [100, 100]),
        (QuantGranularity::PerGroup { size: 32 }, [100, 100]),
    ] {
        for bits in [3, 8] {
            for (bad, at) in [(f32::NAN, 0), (f32::INFINITY, 4097), (f32::NEG_INFINITY, 9999)] {
                let mut values = vec![0.5; 10_000];
                let params =
                    calibrate(&values, &shape, granularity, &QuantScheme::new(bits, QuantMode::Symmetric).unwrap());
                values[at] = bad;
                let errors = [
                    quantize_tensor(&values, &shape, granularity, QuantMode::Symmetric, bits).unwrap_err(),
                    quantize_with_params(&values, &shape, &params.unwrap()).unwrap_err(),
                ];
                for error in errors {
                    assert_eq!(error.code(), Code::NON_FINITE);
                    assert_eq!(error.details()[0], ("index", quantpress::Detail::Number(at as f64)));
                }
            }
        }
    }
}

#[test]
fn finer_granularity_takes_more_memory_and_reduces_the_error() {
    // Rows whose magnitudes differ by orders of magnitude, as those of channels do.
    let values: Vec<f32> = (0..64 * 256).map(|i| (i as f32 * 0.37).sin() * 10f32.powi(i / 256 % 5 - 2)).collect();
    let granularities = [
        QuantGranularity::PerTensor,
        QuantGranularity::PerChannel { axis: 0 },
        QuantGranularity::PerGroup { size: 32 },
    ];
    for bits in 2..=8 {
        let report = compare_granularities(&values, &[64, 256], bits, QuantMode::Symmetric, &granularities).unwrap();
        assert!(report[0].mse > report[1].mse && report[1].mse >= report[2].mse * 0.99, "{report:?}");
        let codes: usize = 64 * 256 * usize::from(bits) / 8;
        let bytes: Vec<usize> = report.iter().map(|r| r.memory_bytes).collect();
        assert_eq!(bytes, [codes + 4, codes + 64 * 4, codes + 64 * 8 * 4]);
    }
}

#[test]
fn rejects_means_of_empty_and_of_unequal_slices() {
    assert_eq!(quantization_mse(&[], &[]).unwrap_err().code(), Code::NO_DATA);
    assert_eq!(quantization_mse(&[1.0], &[1.0, 2.0]).unwrap_err().code(), Code::LENGTH);
    assert_eq!(calibrate_per_tensor(&[], 8, QuantMode::Symmetric).unwrap_err().code(), Code::NO_DATA);
    let huge = calibrate_per_channel(&[], &[1 << 40, 0], 0, 8, QuantMode::Symmetric);
    assert_eq!(huge.unwrap_err().code(), Code::NO_DATA);
    // The mean must not drift (see defect 10): 0.1 is not exactly representable, and a single-precision sum of it
    // stalls. Half a million additions in double precision have an error of at most 6e-11.
    let (a, b) = (vec![0.1f32; 1 << 22], vec![0.0f32; 1 << 22]);
    let exact = f64::from(0.1f32) * f64::from(0.1f32);
    assert!((quantization_mse(&a, &b).unwrap() / exact - 1.0).abs() < 6e-11);
}

#[test]
fn rounding_is_half_to_even_before_the_zero_point() {
    let scheme = QuantScheme::new(8, QuantMode::Asymmetric).unwrap();
    let mut params = calibrate(&[-1.0, 1.0], &[2], QuantGranularity::PerTensor, &scheme).unwrap();
    (params.scales, params.zero_points) = (vec![1.0], vec![3]);
    let codes = quantize_with_params(&[0.5, 1.5, 2.5, -0.5, -1.5, -9.0, 999.0], &[7], &params).unwrap();
    assert_eq!(codes, [3, 5, 5, 3, 1, 0, 255]);
}

#[test]
fn rejects_invalid_scales_and_zero_points() {
    let good = calibrate_per_tensor(&[1.0, -2.0], 8, QuantMode::Asymmetric).unwrap();
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE / 2.0] {
        let params = QuantParams { scales: vec![scale], ..good.clone() };
        assert_eq!(quantize_with_params(&[1.0], &[1], &params).unwrap_err().code(), Code::RANGE, "{scale}");
    }
    for zero_points in [vec![256], vec![-1], vec![i32::MIN]] {
        let params = QuantParams { zero_points, ..good.clone() };
        assert_eq!(quantize_with_params(&[1.0], &[1], &params).unwrap_err().code(), Code::RANGE);
    }
    let params = QuantParams { zero_points: vec![1, 2], ..good };
    assert_eq!(quantize_with_params(&[1.0], &[1], &params).unwrap_err().code(), Code::LENGTH);
}

/// A tensor with up to three axes and magnitudes from subnormal to huge.
fn tensors() -> impl Strategy<Value = (Vec<f32>, Vec<usize>)> {
    (prop::collection::vec(1usize..7, 1..4), -38i32..37).prop_flat_map(|(shape, exponent)| {
        let len: usize = shape.iter().product();
        let value = (-1.0f32..1.0).prop_map(move |x| x * 10f32.powi(exponent));
        (prop::collection::vec(value, len), Just(shape))
    })
}

fn granularities() -> impl Strategy<Value = QuantGranularity> {
    prop_oneof![
        Just(QuantGranularity::PerTensor),
        (0usize..3).prop_map(|axis| QuantGranularity::PerChannel { axis }),
        (1usize..9).prop_map(|size| QuantGranularity::PerGroup { size }),
    ]
}

fn modes() -> impl Strategy<Value = QuantMode> {
    prop_oneof![Just(QuantMode::Symmetric), Just(QuantMode::Asymmetric)]
}

proptest! {
    /// No value moves by more than half a step of its own group (plus single-precision rounding).
    #[test]
    fn the_error_is_at_most_half_a_step((values, shape) in tensors(), granularity in granularities(), mode in modes(), bits in 2u8..=8) {
        if let QuantGranularity::PerChannel { axis } = granularity {
            prop_assume!(axis < shape.len());
        }
        let tensor = quantize_tensor(&values, &shape, granularity, mode, bits).unwrap();
        let decoded = dequantize_tensor(&tensor).unwrap();
        let layout = granularity.layout(&shape).unwrap();
        for run in layout.runs(0..layout.len()) {
            for i in run.range.clone() {
                let scale = tensor.params.scales[run.group + if run.stepped { i - run.range.start } else { 0 }];
                let bound = f64::from(scale) * 0.5001 + f64::from(values[i].abs()) * 4.0 * f64::from(f32::EPSILON);
                // The zero point is rounded too: in asymmetric mode an end of the range may be clipped by half a step.
                let bound = if mode == QuantMode::Asymmetric { 2.0 * bound } else { bound };
                prop_assert!((f64::from(values[i]) - f64::from(decoded[i])).abs() <= bound, "{} {} {}", values[i], decoded[i], scale);
            }
        }
    }

    /// Multiplying by a power of two multiplies the scales and does not change any code.
    #[test]
    fn codes_do_not_depend_on_the_scale_of_the_weights((values, shape) in tensors(), bits in 2u8..=8) {
        prop_assume!(values.iter().any(|x| x.abs() > 1e-30) && values.iter().all(|x| x.abs() < 1e30));
        let doubled: Vec<f32> = values.iter().map(|x| x * 16.0).collect();
        let (a, b) = (symmetric(&values, &shape, QuantGranularity::PerTensor, bits), symmetric(&doubled, &shape, QuantGranularity::PerTensor, bits));
        prop_assert_eq!(a.data, b.data);
        prop_assert_eq!(a.params.scales[0] * 16.0, b.params.scales[0]);
    }

    /// Quantizing dequantized values changes nothing: representable values are fixed points.
    #[test]
    fn decoded_values_are_fixed_points((values, shape) in tensors(), mode in modes(), bits in 2u8..=8) {
        let tensor = quantize_tensor(&values, &shape, QuantGranularity::PerTensor, mode, bits).unwrap();
        let decoded = dequantize_tensor(&tensor).unwrap();
        let codes = quantize_with_params(&decoded, &shape, &tensor.params).unwrap();
        prop_assert_eq!(pack_codes(&codes, bits).unwrap(), tensor.data);
    }

    /// Any bytes give a structure or an error, and a structure can be dequantized.
    #[test]
    fn hostile_bytes_parse_or_are_errors(mut bytes in prop::collection::vec(any::<u8>(), 0..200), tagged in any::<bool>()) {
        if tagged && bytes.len() > 5 {
            bytes[..5].copy_from_slice(b"QPat\x01");
        }
        if let Ok(tensor) = QuantizedTensor::from_bytes(&bytes) {
            prop_assert!(dequantize_tensor(&tensor).is_ok());
        }
        let _ = QuantParams::from_bytes(&bytes);
    }

    /// A valid structure with one byte changed gives an error or a structure that can be dequantized.
    #[test]
    fn a_changed_byte_parses_or_is_an_error(at in 0usize..1000, to in any::<u8>()) {
        let values: Vec<f32> = (0..40).map(|i| i as f32 - 20.0).collect();
        let mut bytes = quantize_tensor(&values, &[4, 10], QuantGranularity::PerChannel { axis: 0 }, QuantMode::Asymmetric, 4).unwrap().to_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(tensor) = QuantizedTensor::from_bytes(&bytes) {
            prop_assert!(dequantize_tensor(&tensor).is_ok());
        }
    }
}

#[test]
fn reports_the_index_of_a_code_out_of_range() {
    let params = |qmin, qmax| QuantParams {
        scales: vec![0.5],
        zero_points: vec![],
        granularity: QuantGranularity::PerTensor,
        mode: QuantMode::Symmetric,
        bits: 4,
        range: QuantRange { qmin, qmax },
    };
    let fails = |codes: &[u8], qmin, qmax| {
        let error = dequantize_with_params(codes, &[codes.len()], &params(qmin, qmax)).unwrap_err();
        (error.code(), error.message().to_owned())
    };
    assert_eq!(fails(&[1, 7, 100], -7, 7), (Code::RANGE, "code 2 is 100, and must be from -7 to 7".to_owned()));
    assert_eq!(fails(&[0xf8, 0xf9], -7, 7), (Code::RANGE, "code 0 is -8, and must be from -7 to 7".to_owned()));
    assert_eq!(fails(&[15, 16], 0, 15), (Code::RANGE, "code 1 is 16, and must be from 0 to 15".to_owned()));
    assert_eq!(dequantize_with_params(&[0xf9, 7], &[2], &params(-7, 7)).unwrap(), [-3.5, 3.5]);
    // Also for packed codes: a narrow range does not use one of them.
    let tensor = QuantizedTensor { data: vec![0x80], params: params(-7, 7), shape: vec![2] };
    assert_eq!(dequantize_tensor(&tensor).unwrap_err().code(), Code::RANGE);
}

#[test]
fn the_largest_floats_decode_to_finite_values() {
    for bits in 2..=8 {
        for mode in [QuantMode::Symmetric, QuantMode::Asymmetric] {
            for values in [[f32::MAX, 1.0], [f32::MIN, f32::MAX], [f32::MIN, 0.0]] {
                let tensor = quantize_tensor(&values, &[2], QuantGranularity::PerTensor, mode, bits).unwrap();
                let decoded = dequantize_tensor(&tensor).unwrap();
                assert!(decoded.iter().all(|x| x.is_finite()), "{bits} {mode:?} {values:?}: {decoded:?}");
                assert!((decoded[0] / values[0] - 1.0).abs() < 1e-6 || mode == QuantMode::Asymmetric);
            }
        }
    }
    let scales = vec![f32::MAX];
    let (granularity, mode) = (QuantGranularity::PerTensor, QuantMode::Symmetric);
    let range = QuantRange::narrow(8).unwrap();
    let params = QuantParams { scales, zero_points: vec![], granularity, mode, bits: 8, range };
    assert_eq!(params.check().unwrap_err().code(), Code::RANGE);
}
