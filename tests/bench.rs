//! Generators and the benchmark suite; defects 16 and 17.

use quantpress::Code;
use quantpress::affine::{QuantGranularity, QuantMode};
use quantpress::analysis::Scheme;
use quantpress::bench::*;

fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    (mean, (values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n).sqrt())
}

#[test]
fn gaussian_weights_are_gaussian() {
    let n = 200_000;
    let (mean, deviation) = moments(&generate_gaussian_weights(n, 3.0, 2.0, Some(5)).unwrap());
    // Six standard errors.
    assert!(
        (mean - 3.0).abs() < 6.0 * 2.0 / (n as f64).sqrt()
            && (deviation - 2.0).abs() < 6.0 * 2.0 / (2.0 * n as f64).sqrt()
    );
    // The seed's Box-Muller with a linear congruential generator had no tails; 0.27% of a normal distribution is beyond
    // three standard deviations.
    let weights = generate_gaussian_weights(n, 0.0, 1.0, Some(6)).unwrap();
    let tail = weights.iter().filter(|x| x.abs() > 3.0).count() as f64;
    assert!((tail / (0.0027 * n as f64) - 1.0).abs() < 0.25, "{tail}");
    assert!(weights.iter().any(|x| x.abs() > 4.0));
}

#[test]
fn uniform_weights_fill_their_range() {
    let weights = generate_uniform_weights(100_000, -2.0, 6.0, Some(5)).unwrap();
    assert!(weights.iter().all(|x| (-2.0..=6.0).contains(x)));
    let mut bins = [0u32; 8];
    weights.iter().for_each(|x| bins[((x + 2.0) as usize).min(7)] += 1);
    assert!(bins.iter().all(|n| n.abs_diff(12_500) < 700), "{bins:?}");
    assert!(generate_uniform_weights(10, f32::MIN, f32::MAX, Some(1)).unwrap().iter().all(|x| x.is_finite()));
}

#[test]
fn the_same_seed_repeats_and_no_seed_does_not() {
    let with = |seed| generate_gaussian_weights(64, 0.0, 1.0, seed).unwrap();
    assert_eq!(with(Some(42)), with(Some(42)));
    assert_ne!(with(Some(42)), with(Some(43)));
    assert_ne!(with(None), with(None), "the system's entropy");
    // The first numbers for seed 42, the same on every machine and in wasm (also in tests/js/bench.test.ts).
    let first: Vec<u32> = with(Some(42))[..4].iter().map(|x| x.to_bits()).collect();
    assert_eq!(first, [0x3f55_9b14, 0xbf03_d49c, 0x3fb4_306b, 0x3eed_cd07]);
    let mut buffer = [0.0; 64];
    generate_gaussian_weights_into(&mut buffer, 0.0, 1.0, Some(42)).unwrap();
    assert_eq!(buffer.as_slice(), with(Some(42)));
}

#[test]
fn defect_17_outliers_have_both_signs_and_the_requested_count() {
    let weights = generate_weights_with_outliers(10_000, 0.02, 50.0, Some(9)).unwrap();
    let (up, down) = (weights.iter().filter(|x| **x == 50.0).count(), weights.iter().filter(|x| **x == -50.0).count());
    assert_eq!(up + down, 200);
    assert!(up.abs_diff(down) < 85, "{up} and {down}: six deviations of a fair coin");
    let halves = weights[..5000].iter().filter(|x| x.abs() == 50.0).count();
    assert!(halves.abs_diff(100) < 45, "{halves} of 200 in the first half");
}

#[test]
fn defect_17_outlier_channels_are_reported_correctly() {
    let weights = generate_multi_channel_weights(16, 1000, 5.0, Some(9)).unwrap();
    for (channel, row) in weights.chunks(1000).enumerate() {
        let want = 1.0 + 5.0 * channel as f64 / 16.0;
        assert!((moments(row).1 / want - 1.0).abs() < 0.14, "channel {channel}");
    }
    let mut clock = || 0.0;
    let per_channel = Scheme::affine(8, QuantMode::Symmetric, QuantGranularity::PerChannel { axis: 0 }).unwrap();
    let result = run_benchmark("channels", &weights, &[16, 1000], &per_channel, &mut clock).unwrap();
    assert_eq!(result.memory_bytes, 16_000 + 16 * 4, "one scale per channel, sixteen channels");
    let per_tensor = Scheme::per_tensor(8, QuantMode::Symmetric).unwrap();
    let whole = run_benchmark("tensor", &weights, &[16, 1000], &per_tensor, &mut clock).unwrap();
    assert!(result.sqnr_db > whole.sqnr_db + 1.0);
}

#[test]
fn defect_16_retention_is_the_ratio_of_the_metrics() {
    assert_eq!(accuracy_retention(0.8, 0.6).unwrap(), 0.6 / 0.8);
    assert!(accuracy_retention(0.8, 0.84).unwrap() > 1.0, "a better metric is no loss");
    assert_eq!(accuracy_retention(0.5, 0.0).unwrap(), 0.0);
    for (original, quantized) in
        [(0.0, 0.5), (-1.0, 0.5), (f64::NAN, 0.5), (0.5, -0.1), (0.5, f64::NAN), (f64::INFINITY, 1.0)]
    {
        assert_eq!(accuracy_retention(original, quantized).unwrap_err().code(), Code::RANGE);
    }
}

#[test]
fn rejects_arguments_out_of_range() {
    let codes = [
        generate_gaussian_weights(1, f32::NAN, 1.0, Some(1)).unwrap_err().code(),
        generate_gaussian_weights(1, 0.0, -1.0, Some(1)).unwrap_err().code(),
        generate_uniform_weights(1, 1.0, 0.0, Some(1)).unwrap_err().code(),
        generate_uniform_weights(1, 0.0, f32::INFINITY, Some(1)).unwrap_err().code(),
        generate_weights_with_outliers(1, 1.5, 1.0, Some(1)).unwrap_err().code(),
        generate_weights_with_outliers(1, 0.5, f32::NAN, Some(1)).unwrap_err().code(),
        generate_multi_channel_weights(1, 1, -1.0, Some(1)).unwrap_err().code(),
    ];
    assert!(codes.iter().all(|code| *code == Code::RANGE), "{codes:?}");
    assert_eq!(generate_multi_channel_weights(usize::MAX, 2, 1.0, Some(1)).unwrap_err().code(), Code::TOO_LARGE);
    assert_eq!(generate_multi_channel_weights_into(&mut [0.0; 5], 2, 1.0, Some(1)).unwrap_err().code(), Code::LENGTH);
    assert!(generate_multi_channel_weights(0, 5, 1.0, Some(1)).unwrap().is_empty());
    assert_eq!(run_full_benchmark_suite(usize::MAX, Some(1), &mut || 0.0).unwrap_err().code(), Code::TOO_LARGE);
}

#[test]
fn the_suite_covers_every_scheme_and_ranks_them() {
    // A clock that advances one millisecond per call, so times count the calls.
    let mut now = 0.0;
    let mut clock = || {
        now += 1.0;
        now
    };
    let suite = run_full_benchmark_suite(4096, Some(11), &mut clock).unwrap();
    let names: Vec<&str> = suite.results.iter().map(|result| result.name.as_str()).collect();
    for part in [
        "gaussian: ",
        "uniform: ",
        "outliers: ",
        "channels: ",
        "int2 ",
        "int8 asymmetric, groups of 32",
        "NF4 double",
        "FP4",
        "INT4",
        "Q4_0",
        "Q6_K",
    ] {
        assert!(names.iter().any(|name| name.contains(part)), "{part} in {names:?}");
    }
    assert_eq!(suite.results.len() % 4, 0);
    assert!(suite.results.iter().all(|r| r.num_elements == 4096 && r.encode_ms == 1.0 && r.decode_ms == 1.0));
    assert!(suite.results.iter().all(|r| r.mse >= 0.0 && r.compression_ratio > 1.0 && r.sqnr_db > 0.0), "{suite:?}");

    let (best, lowest) = (suite.best_by_sqnr().unwrap(), suite.best_by_mse().unwrap());
    assert!(suite.results.iter().all(|r| r.sqnr_db <= best.sqnr_db && r.mse >= lowest.mse));
    let sorted = suite.sorted_by_quality();
    assert_eq!(sorted.len(), suite.results.len());
    assert!(sorted.windows(2).all(|pair| pair[0].quality_score() >= pair[1].quality_score()));
    // The same seed gives the same data and, except for times, the same results.
    assert_eq!(run_full_benchmark_suite(4096, Some(11), &mut || 0.0).unwrap().results[7].mse, suite.results[7].mse);
    assert!(BenchmarkSuite::default().best_by_sqnr().is_none());
}

#[test]
fn quality_rewards_fidelity_and_compression() {
    let values = generate_gaussian_weights(4096, 0.0, 1.0, Some(2)).unwrap();
    let of = |scheme: &Scheme| run_benchmark("", &values, &[16, 256], scheme, &mut || 0.0).unwrap();
    let base = of(&Scheme::per_tensor(4, QuantMode::Symmetric).unwrap());
    // Less error at the same size and less size at the same error are both better.
    let closer = QuantBenchmarkResult { sqnr_db: base.sqnr_db + 1.0, ..base.clone() };
    let smaller = QuantBenchmarkResult { bits_per_weight: base.bits_per_weight - 0.5, ..base.clone() };
    assert!(closer.quality_score() > base.quality_score() && smaller.quality_score() > base.quality_score());
}

#[test]
fn fewer_bits_degrade_and_compress_more() {
    let values = generate_gaussian_weights(8192, 0.0, 1.0, Some(2)).unwrap();
    let widths = compare_bit_width_degradation(&values).unwrap();
    assert_eq!(widths.iter().map(|w| w.bits).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8]);
    assert!(widths.windows(2).all(|pair| pair[0].degradation > pair[1].degradation));
    assert_eq!(widths[6].degradation, 1.0);
    // 3 bits are stored in 3 bits: 8192 * 3 / 8 bytes and a scale.
    assert_eq!(widths[1].compression_ratio, 8192.0 * 4.0 / (3072.0 + 4.0));
}
