//! Error analysis: statistics, scale invariance, defects 8, 9 and 10, all schemes.

use proptest::prelude::*;
use quantpress::Code;
use quantpress::affine::{
    QuantGranularity, QuantMode, QuantRange, QuantScheme, SymmetricRule, calibrate_per_channel, calibrate_per_group,
    calibrate_per_tensor, dequantize_tensor, quantize_tensor_with,
};
use quantpress::analysis::*;
use quantpress::bench::{generate_gaussian_weights, generate_multi_channel_weights, generate_weights_with_outliers};
use quantpress::container::gguf::TensorType;
use quantpress::nf4::Quantize4BitOptions;
use quantpress::recipe::{Tile, analyze_rows, compare_rows};
use quantpress::{dequantize, quantize};

fn gaussian(n: usize) -> Vec<f32> {
    generate_gaussian_weights(n, 0.0, 1.0, Some(7)).unwrap()
}

#[test]
fn statistics_equal_their_definitions() {
    let (x, y) = ([1.0, -2.0, 3.0, 0.0], [1.5, -2.0, 2.0, 0.25]);
    let stats = compare(&x, &y, 0.4).unwrap();
    assert_eq!((stats.mse, stats.mae, stats.max_error), (1.3125 / 4.0, 1.75 / 4.0, 1.0));
    assert_eq!((stats.outlier_rate, stats.num_samples, stats.mean_error), (0.5, 4, -0.25 / 4.0));
    assert_eq!(stats.rmse(), (1.3125f64 / 4.0).sqrt());
    assert_eq!(stats.relative_rmse, (1.3125f64 / 14.0).sqrt());
    assert!((stats.sqnr_db - 10.0 * (14.0f64 / 1.3125).log10()).abs() < 1e-12);
    assert!((stats.cosine_similarity - 11.5 / (14.0f64 * 10.3125).sqrt()).abs() < 1e-15);
}

#[test]
fn a_signal_or_an_error_of_zero_has_defined_statistics() {
    let of = |x: &[f32], y: &[f32]| {
        let stats = compare(x, y, 0.0).unwrap();
        (stats.sqnr_db, stats.relative_rmse, stats.cosine_similarity)
    };
    assert_eq!(of(&[0.0; 3], &[0.0; 3]), (f64::INFINITY, 0.0, 1.0));
    assert_eq!(of(&[0.0; 3], &[1.0; 3]), (f64::NEG_INFINITY, f64::INFINITY, 0.0));
    assert_eq!(of(&[2.0; 3], &[0.0; 3]), (0.0, 1.0, 0.0));
    let parallel = compare(&[1.0, 2.0, -3.0], &[1e-17, 2e-17, -3e-17], 0.0).unwrap();
    assert!((parallel.cosine_similarity - 1.0).abs() < 1e-6, "the cosine does not depend on the scale");
    assert_eq!(compare(&[], &[], 0.0).unwrap_err().code(), Code::NO_DATA);
    assert_eq!(compare(&[1.0], &[], 0.0).unwrap_err().code(), Code::LENGTH);
    assert_eq!(compare(&[1.0], &[1.0], f64::NAN).unwrap_err().code(), Code::RANGE);
    for bad in [f32::NAN, f32::INFINITY] {
        let error = compare(&[1.0, bad], &[1.0, 1.0], 0.0).unwrap_err();
        assert!(error.code() == Code::NON_FINITE && error.details().contains(&("index", 1usize.into())));
        assert_eq!(compare(&[1.0, 1.0], &[bad, 1.0], 0.0).unwrap_err().code(), Code::NON_FINITE);
    }
}

#[test]
fn defect_8_clipping_is_measured_against_the_original_values() {
    // Two outliers of 100 carry almost all of the signal: clipping them is much worse than coarse steps.
    let mut values: Vec<f32> = (0..100).map(|i| (i as f32 * 0.01).sin()).collect();
    values.extend([100.0, -100.0]);
    let impact = analyze_outlier_impact(&values, 98.0, 8, QuantMode::Symmetric).unwrap();
    assert!(impact.num_clipped >= 2 && impact.threshold < 1.0, "{impact:?}");
    assert!(impact.clipped_mse > 100.0 * impact.original_mse && impact.improvement < 0.01, "{impact:?}");
    // A case in which clipping helps: with 3 bits, one value of 10 among 10,000 small ones ruins the precision of the
    // rest.
    let mut values = gaussian(10_000);
    values[5] = 10.0;
    let impact = analyze_outlier_impact(&values, 99.9, 3, QuantMode::Symmetric).unwrap();
    assert!(impact.improvement > 2.0, "{impact:?}");
    for percent in [0.0, 100.0, -1.0, f64::NAN] {
        let refused = analyze_outlier_impact(&values, percent, 8, QuantMode::Symmetric).unwrap_err();
        assert_eq!(refused.code(), Code::RANGE, "{percent}");
    }
}

#[test]
fn defect_9_tiny_weights_are_not_perfect() {
    let sqnr = |unit: f32| {
        let values: Vec<f32> = gaussian(4096).iter().map(|x| x * unit).collect();
        let params = calibrate_per_tensor(&values, 4, QuantMode::Symmetric).unwrap();
        analyze_error(&values, &[4096], &params, 0.0).unwrap()
    };
    let usual = sqnr(1.0);
    assert!(usual.sqnr_db > 10.0 && usual.sqnr_db < 30.0);
    for power in [-80, -40, 40, 80] {
        let stats = sqnr(2.0f32.powi(power));
        assert_eq!(stats.sqnr_db, usual.sqnr_db, "2^{power}");
        assert_eq!(stats.relative_rmse, usual.relative_rmse);
        assert!((stats.cosine_similarity - usual.cosine_similarity).abs() < 1e-15);
    }
}

#[test]
fn defect_10_sums_of_millions_are_exact_to_fifteen_digits() {
    // 16 M errors of 0.1 (as f32): a sequential f32 sum of their squares is off by 14%.
    let n = 16 << 20;
    let (x, y) = (vec![1.0f32; n], vec![1.1f32; n]);
    let stats = compare(&x, &y, 0.0).unwrap();
    let e = f64::from(1.1f32) - 1.0;
    assert!((stats.mse / (e * e) - 1.0).abs() < 1e-14, "{}", stats.mse / (e * e) - 1.0);
    assert!((stats.mean_error / e - 1.0).abs() < 1e-14);
}

#[test]
fn an_affine_scheme_has_every_option_of_the_function() {
    let values = gaussian(16 * 64);
    let shape = [16, 64];
    let granularity = QuantGranularity::PerChannel { axis: 0 };
    let mut names = std::collections::HashSet::new();
    for range in [QuantRange::signed(4), QuantRange::narrow(4), QuantRange::unsigned(4)].map(Result::unwrap) {
        for rule in [SymmetricRule::Span, SymmetricRule::Positive, SymmetricRule::NoClipping] {
            let affine = QuantScheme::new(4, QuantMode::Symmetric).unwrap().with_range(range).unwrap().with_rule(rule);
            let scheme = Scheme::Affine { scheme: affine, granularity };
            let tensor = quantize_tensor_with(&values, &shape, granularity, &affine).unwrap();
            let (decoded, bytes) = scheme.round_trip(&values, &shape, None).unwrap();
            assert_eq!((decoded, bytes), (dequantize_tensor(&tensor).unwrap(), tensor.memory_bytes()), "{scheme:?}");
            assert!(names.insert(scheme.name()), "{} names two schemes", scheme.name());
            let json = serde_json::to_value(&scheme).unwrap();
            assert_eq!(json["range"], serde_json::json!({ "qmin": range.qmin, "qmax": range.qmax }));
            assert_eq!(serde_json::from_value::<Scheme>(json).unwrap(), scheme);
        }
    }
    let plain: Scheme = serde_json::from_str(r#"{ "kind": "affine", "bits": 4 }"#).unwrap();
    assert_eq!(plain, Scheme::per_tensor(4, QuantMode::Symmetric).unwrap());
    assert_eq!(plain.name(), "int4 symmetric, per tensor");
    let wrong = r#"{ "kind": "affine", "bits": 4, "range": { "qmin": -9, "qmax": 7 } }"#;
    let error = serde_json::from_str::<Scheme>(wrong).unwrap_err().to_string();
    assert!(error.contains("the codes -9 to 7 are invalid for 4 bits"), "{error}");
}

#[test]
fn every_scheme_is_measured_by_the_same_definitions() {
    let values = gaussian(32 * 256);
    let shape = [32, 256];
    let sqnr = |scheme: Scheme| analyze_error_scheme(&values, &shape, &scheme, 0.0).unwrap().sqnr_db;
    let int8 = sqnr(Scheme::per_tensor(8, QuantMode::Symmetric).unwrap());
    let int4 = sqnr(Scheme::per_tensor(4, QuantMode::Symmetric).unwrap());
    let group = QuantGranularity::PerGroup { size: 32 };
    let grouped = sqnr(Scheme::affine(4, QuantMode::Symmetric, group).unwrap());
    let options = Quantize4BitOptions::default();
    let nf4 = analyze_error_4bit(&values, &options, 0.0).unwrap().sqnr_db;
    let [q8, q4] =
        ["Q8_0", "q4_0"].map(|format| analyze_error_format(&values, format, 256, None, 0.0).unwrap().sqnr_db);
    assert!(int8 > int4 && grouped > int4 && q8 > q4 && q4 > int4 && nf4 > int4);
    // The tiled computation and the whole tensor agree.
    assert_eq!(q4, sqnr(Scheme::block("Q4_0")));
    let double = Scheme::FourBit { data_type: options.data_type, block_size: 64, double_quant: true };
    assert!((sqnr(double) - nf4).abs() < 0.5);
    // All formats that can be written without importance. TQ1_0 and TQ2_0, scaled by the largest weight, have 1.8 dB.
    for codec in quantpress::formats().iter().filter(|codec| codec.can_encode() && !codec.needs_importance) {
        let stats = analyze_error_format(&values, codec.name, 256, None, 0.0).unwrap();
        let bits = codec.bits_per_weight();
        assert!(stats.sqnr_db > if bits < 4.0 { 1.5 } else { 3.0 * bits.min(20.0) }, "{}: {stats:?}", codec.name);
    }
    assert_eq!(analyze_error_format(&values, "Q9_9", 256, None, 0.0).unwrap_err().code(), Code::UNKNOWN_NAME);
    assert_eq!(analyze_error_format(&values, "Q4_K", 32, None, 0.0).unwrap_err().code(), Code::LENGTH);
}

#[test]
fn analyzing_a_format_in_tiles_gives_the_same_result() {
    // More than one tile, with rows that do not divide it.
    let values = gaussian(3 * 100 * 1024);
    let tiled = analyze_error_format(&values, "Q4_0", 96 * 32, None, 0.01).unwrap();
    let bytes = quantpress::quantize(&values, "Q4_0", 96 * 32, None).unwrap();
    let whole = compare(&values, &quantpress::dequantize(&bytes, "Q4_0").unwrap(), 0.01).unwrap();
    assert_eq!(
        (tiled.max_error, tiled.outlier_rate, tiled.num_samples),
        (whole.max_error, whole.outlier_rate, whole.num_samples)
    );
    assert!((tiled.mse / whole.mse - 1.0).abs() < 1e-14);
}

#[test]
fn theoretical_sqnr_matches_uniform_codes() {
    assert!((theoretical_sqnr(8, Signal::Uniform).unwrap() - 48.16).abs() < 0.01);
    assert!((theoretical_sqnr(8, Signal::Sine).unwrap() - 49.92).abs() < 0.01);
    for bits in [0, 33, 255] {
        assert_eq!(theoretical_sqnr(bits, Signal::Sine).unwrap_err().code(), Code::RANGE);
    }
    // Measured: a full-scale ramp and a full-scale sine at 8 bits.
    let n = 100_000;
    let ramp: Vec<f32> = (0..n).map(|i| (i as f32 + 0.5) / n as f32 * 2.0 - 1.0).collect();
    let sine: Vec<f32> = (0..n).map(|i| (i as f32 * 0.123_456).sin()).collect();
    for (values, signal) in [(ramp, Signal::Uniform), (sine, Signal::Sine)] {
        let params = calibrate_per_tensor(&values, 8, QuantMode::Symmetric).unwrap();
        let measured = analyze_error(&values, &[n], &params, 0.0).unwrap().sqnr_db;
        // 255 codes over 254 steps instead of 256: 0.07 dB.
        let off = measured - theoretical_sqnr(8, signal).unwrap();
        assert!(off.abs() < 0.15, "{signal:?}: {measured} dB, {off} from theory");
    }
}

#[test]
fn bounds_hold_and_violations_are_detected() {
    let values = generate_multi_channel_weights(8, 64, 100.0, Some(3)).unwrap();
    let mut params = calibrate_per_channel(&values, &[8, 64], 0, 4, QuantMode::Symmetric).unwrap();
    let stats = analyze_error(&values, &[8, 64], &params, 0.0).unwrap();
    assert!(error_within_bounds(&stats, &params, 1e-5).unwrap());
    assert!(worst_error_in_steps(&values, &[8, 64], &params).unwrap() <= 0.5 + 1e-5);
    // The channel with the smallest steps, clipped to half its range: within the bound of the largest step, but not of
    // its own.
    params.scales[0] /= 2.0;
    let stats = analyze_error(&values, &[8, 64], &params, 0.0).unwrap();
    assert!(error_within_bounds(&stats, &params, 1e-5).unwrap());
    assert!(worst_error_in_steps(&values, &[8, 64], &params).unwrap() > 2.0);
}

#[test]
fn calibration_finds_the_best_scale() {
    let values: Vec<f32> = (0..1000).map(|i| (i as f32 / 999.0) * 2.0 - 1.0).collect();
    let params = calibrate_per_tensor(&values, 4, QuantMode::Symmetric).unwrap();
    let sweep = scale_sweep(&values, &[1000], &params, &[0.5, 0.8, 1.0, 1.5, 3.0]).unwrap();
    let mse: Vec<f64> = sweep.iter().map(|point| point.stats.mse).collect();
    assert!(mse[0] > mse[1] && mse[1] > mse[2] && mse[2] < mse[3] && mse[3] < mse[4], "{mse:?}");
    let sensitivity = scale_sensitivity(&values, &[1000], &params, 0.5).unwrap();
    assert_eq!((sensitivity.original_mse, sensitivity.perturbed_mse), (mse[2], mse[3]));
    assert!((sensitivity.sensitivity - (mse[3] - mse[2]) / (0.5 * mse[2])).abs() < 1e-9);
    assert_eq!(scale_sensitivity(&values, &[1000], &params, 0.0).unwrap().sensitivity, 0.0);
    for bad in [-1.0, -2.0, f64::NAN, f64::INFINITY] {
        assert_eq!(scale_sensitivity(&values, &[1000], &params, bad).unwrap_err().code(), Code::RANGE);
    }
}

#[test]
fn each_bit_adds_six_decibels() {
    let widths = compare_bit_widths(&gaussian(20_000), QuantMode::Asymmetric).unwrap();
    assert_eq!(widths.iter().map(|width| width.bits).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8]);
    for pair in widths.windows(2) {
        let gained = pair[1].stats.sqnr_db - pair[0].stats.sqnr_db;
        // Two bits with four codes including zero are worse than the theory.
        assert!((5.0..10.0).contains(&gained), "{} bits: {gained} dB more", pair[1].bits);
        assert!(pair[1].compression_ratio < pair[0].compression_ratio);
    }
    assert_eq!(widths[2].memory_bytes, 10_000 + 8, "packed nibbles, a scale, a zero point");
}

#[test]
fn outliers_are_found_in_order() {
    let mut values = gaussian(5000);
    (values[17], values[400], values[4999]) = (-50.0, 70.0, 60.0);
    let found = find_outliers(&values, 10.0, 10).unwrap();
    assert_eq!(found.iter().map(|o| o.index).collect::<Vec<_>>(), [400, 4999, 17]);
    assert_eq!(find_outliers(&values, 10.0, 2).unwrap(), found[..2]);
    assert!(found.iter().all(|o| o.score > 10.0 && values[o.index] == o.value));
    assert!(find_outliers(&[3.0; 10], 0.0, 5).unwrap().is_empty() && find_outliers(&[], 1.0, 5).unwrap().is_empty());

    let worst = worst_errors(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.5, 1.0, 4.5], 2).unwrap();
    assert_eq!(worst.iter().map(|o| (o.index, o.score)).collect::<Vec<_>>(), [(2, 2.0), (1, 0.5)]);
}

#[test]
fn histograms_count_everything_once() {
    let values = generate_weights_with_outliers(10_000, 0.01, 9.0, Some(1)).unwrap();
    let histogram = Histogram::of(&values, 64).unwrap();
    assert_eq!((histogram.counts.iter().sum::<u64>(), histogram.below, histogram.above), (10_000, 0, 0));
    assert_eq!((histogram.min, histogram.max, histogram.edges().len()), (-9.0, 9.0, 65));
    assert_eq!(histogram.counts[0] + histogram.counts[63], 100, "the outliers");
    let mut narrow = Histogram::new(-1.0, 1.0, 4).unwrap();
    narrow.add(&[-2.0, -1.0, -0.5, 0.0, 0.4, 0.5, 1.0, 1.5]).unwrap();
    assert_eq!((narrow.counts.as_slice(), narrow.below, narrow.above), ([1, 1, 2, 2].as_slice(), 1, 1));
    assert_eq!(Histogram::of(&[5.0; 3], 2).unwrap().counts, [0, 3]);

    let errors = error_histogram(&[1.0, 2.0, 3.0], &[1.5, 1.75, 3.0], 4).unwrap();
    assert_eq!((errors.min, errors.max, errors.counts.as_slice()), (-0.5, 0.5, [0, 1, 1, 1].as_slice()));
    for (min, max, bins) in [(1.0, 1.0, 4), (0.0, f64::NAN, 4), (0.0, 1.0, 0), (0.0, 1.0, usize::MAX)] {
        assert_eq!(Histogram::new(min, max, bins).unwrap_err().code(), Code::RANGE);
    }
}

proptest! {
    #[test]
    fn tiles_and_shards_add_up(
        pairs in proptest::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 1..3000), cut in any::<proptest::sample::Index>(),
    ) {
        let (x, y): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        let at = cut.index(x.len() + 1);
        let whole = compare(&x, &y, 100.0).unwrap();
        let mut first = ErrorAccumulator::new(100.0).unwrap();
        let mut second = first;
        first.add(&x[..at], &y[..at]).unwrap();
        second.add(&x[at..], &y[at..]).unwrap();
        first.merge(&second).unwrap();
        let joined = first.stats().unwrap();
        prop_assert_eq!((joined.num_samples, joined.max_error, joined.outlier_rate), (whole.num_samples, whole.max_error, whole.outlier_rate));
        prop_assert!((joined.mse / whole.mse - 1.0).abs() < 1e-13);
        prop_assert!((joined.sqnr_db - whole.sqnr_db).abs() < 1e-10);
    }

    #[test]
    fn no_error_exceeds_half_a_step(
        values in proptest::collection::vec(-1e4f32..1e4, 1..300), bits in 2u8..=8, symmetric in any::<bool>(), size in 1usize..40,
    ) {
        let mode = if symmetric { QuantMode::Symmetric } else { QuantMode::Asymmetric };
        let shape = [values.len()];
        for params in [calibrate_per_tensor(&values, bits, mode).unwrap(), calibrate_per_group(&values, &shape, size, bits, mode).unwrap()] {
            let stats = analyze_error(&values, &shape, &params, 0.0).unwrap();
            prop_assert!(error_within_bounds(&stats, &params, 1e-4).unwrap(), "{:?}", stats);
            prop_assert!(worst_error_in_steps(&values, &shape, &params).unwrap() <= 0.5 + 1e-4);
            prop_assert!(stats.mse <= stats.max_error * stats.max_error * (1.0 + 1e-12) && stats.mae <= stats.max_error * (1.0 + 1e-12));
            prop_assert!((0.0..=1.0).contains(&stats.outlier_rate) && stats.cosine_similarity.abs() <= 1.0);
        }
    }
}

fn little_endian(weights: &[f32]) -> Vec<u8> {
    weights.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn sums_of_tiles_are_those_of_the_decoded_weights_and_come_with_the_encoded_bytes() {
    // Rows longer than the pieces in which they are decoded, and not a multiple of them.
    let (row, weights) = (4096 + 256, gaussian(3 * (4096 + 256)));
    let importance: Vec<f32> = (0..row).map(|column| (column % 17) as f32).collect();
    let bytes = little_endian(&weights);
    for importance in [None, Some(&importance[..])] {
        for format in ["Q4_K", "Q8_0", "IQ4_NL", "Q1_0", "F16"] {
            let encoded = quantize(&weights, format, row, importance).unwrap();
            let decoded = dequantize(&encoded, format).unwrap();
            let error = |i: usize| f64::from(decoded[i]) - f64::from(weights[i]);
            let sum = |term: &dyn Fn(usize) -> f64| (0..weights.len()).map(term).sum::<f64>();
            let weight = |i: usize| importance.map_or(0.0, |columns| f64::from(columns[i % row]));
            let expected = [
                weights.len() as f64,
                sum(&|i| error(i) * error(i)),
                sum(&|i| f64::from(weights[i]) * f64::from(weights[i])),
                sum(&|i| f64::from(decoded[i]) * f64::from(decoded[i])),
                sum(&|i| f64::from(weights[i]) * f64::from(decoded[i])),
                (0..weights.len()).map(|i| error(i).abs()).fold(0.0, f64::max),
                sum(&|i| weight(i) * (error(i) * error(i))),
                sum(&|i| weight(i) * f64::from(weights[i]) * f64::from(weights[i])),
            ];
            let mut sums = DistortionSums::default();
            let (from, to) = (TensorType::F32, TensorType::by_name(format).unwrap());
            let tile =
                Tile { bytes: &bytes, from, to, columns: row, importance, mean_square: None, permuted_head_rows: 0 };
            assert_eq!(tile.encode(Some(&mut sums)).unwrap(), encoded, "{format}");
            for (sum, expected) in sums.to_array().into_iter().zip(expected) {
                assert!((sum - expected).abs() <= 1e-12 * expected, "{format}: {sum} is not {expected}");
            }
            let rows = analyze_rows(&bytes, "F32", row, &[format.to_owned()], importance, None).unwrap();
            assert_eq!(rows[0], Ok(sums), "{format}");
        }
    }
}

#[test]
fn each_format_refuses_rows_for_itself() {
    let formats = ["Q4_0", "Q4_K", "IQ2_XS", "Q8_1", "F32"].map(str::to_owned);
    let codes = |weights: &[f32], row| {
        let results = analyze_rows(&little_endian(weights), "F32", row, &formats, None, None).unwrap();
        results.into_iter().map(|result| result.err().map(|error| error.code())).collect::<Vec<_>>()
    };
    let (length, read_only) = (Some(Code::LENGTH), Some(Code::UNSUPPORTED));
    assert_eq!(codes(&[1.0; 96], 96), [None, length, length, read_only, None]);
    let large = Some(Code::UNREPRESENTABLE);
    assert_eq!(codes(&[1e30; 256], 256), [large, large, Some(Code::NEEDS_IMPORTANCE), read_only, None]);
    assert_eq!(codes(&[f32::NAN; 256], 256), [Some(Code::NON_FINITE); 5]);
    let of =
        |bytes: &[u8], from, importance| analyze_rows(bytes, from, 32, &formats, importance, None).unwrap_err().code();
    assert_eq!(of(&[0; 7], "F32", None), Code::LENGTH);
    assert_eq!(of(&[0; 128], "F32", Some(&[1.0; 31][..])), Code::LENGTH);
    assert_eq!(of(&[0; 128], "Q5", None), Code::UNKNOWN_NAME);
    assert_eq!(of(&[0; 128], "U32", None), Code::UNSUPPORTED);
}

#[test]
fn two_tensors_of_any_types_are_compared_weight_by_weight() {
    let weights = gaussian(2 * 256);
    let bytes = little_endian(&weights);
    let encoded = quantize(&weights, "Q4_K", 256, None).unwrap();
    let expected = analyze_rows(&bytes, "F32", 512, &["Q4_K".to_owned()], None, None).unwrap()[0].clone().unwrap();
    assert_eq!(compare_rows(&bytes, "F32", &encoded, "Q4_K").unwrap(), expected);
    let back = compare_rows(&encoded, "Q4_K", &bytes, "F32").unwrap();
    assert_eq!((back.error, back.original, back.decoded), (expected.error, expected.decoded, expected.original));
    let code = |a: &[u8], of_a, b: &[u8], of_b| compare_rows(a, of_a, b, of_b).unwrap_err().code();
    assert_eq!(code(&bytes, "F32", &encoded[..144], "Q4_K"), Code::LENGTH);
    assert_eq!(code(&bytes, "F32", &encoded[1..], "Q4_K"), Code::LENGTH);
    assert_eq!(code(&little_endian(&[f32::NAN]), "F32", &[0; 4], "F32"), Code::NON_FINITE);
    assert_eq!(code(&[0; 8], "U64", &[0; 8], "F64"), Code::UNSUPPORTED);
}
