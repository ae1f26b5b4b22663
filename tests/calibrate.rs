//! Calibration compared with NumPy, PyTorch, ONNX Runtime and modelopt; properties of the observers; defects 5, 7, 11
//! and 14.

use crate::support::golden::{floats, list, load, number};
use proptest::prelude::*;
use quantpress::Code;
use quantpress::affine::{QuantMode, QuantRange, QuantScheme};
use quantpress::calibrate::*;

fn calibrator(method: CalibrationMethod, scheme: QuantScheme) -> Calibrator {
    Calibrator::new(method, CalibratorOptions::new(scheme)).unwrap()
}

fn scheme(qmin: i32, qmax: i32, symmetric: bool) -> QuantScheme {
    let mode = if symmetric { QuantMode::Symmetric } else { QuantMode::Asymmetric };
    QuantScheme::new(8, mode).unwrap().with_range(QuantRange { qmin, qmax }).unwrap()
}

/// PyTorch's qint8, affine.
fn int8() -> QuantScheme {
    scheme(-128, 127, false)
}

fn observed(mut calibrator: Calibrator, batches: &[Vec<f32>]) -> Calibrator {
    batches.iter().for_each(|batch| calibrator.observe(batch).unwrap());
    calibrator
}

#[test]
fn percentiles_equal_numpys() {
    let file = load("calibration/numpy-percentile.json");
    for case in list(&file["cases"]) {
        let mut values = floats(&case["input"]);
        for (percent, want) in list(&case["percentiles"]).iter().zip(list(&case["linear"])) {
            let got = percentile(&mut values, number(percent)).unwrap();
            assert_eq!(got, number(want), "{} at {percent}", case["data"]);
        }
    }
}

#[test]
fn a_percentile_calibrator_is_exact_while_its_data_fits() {
    let file = load("calibration/numpy-percentile.json");
    for case in list(&file["cases"]) {
        let (values, linear) = (floats(&case["input"]), list(&case["linear"]));
        // Percentiles 1 and 99.9, from several batches.
        let mut calibrator = Calibrator::percentile(8, QuantMode::Asymmetric, 1.0, 99.9, values.len()).unwrap();
        values.chunks(1000).for_each(|batch| calibrator.observe(batch).unwrap());
        let result = calibrator.compute().unwrap();
        assert_eq!(result.observed_min, number(&linear[3]) as f32, "{}", case["data"]);
        assert_eq!(result.observed_max, number(&linear[10]) as f32, "{}", case["data"]);
    }
}

#[test]
fn entropy_ranges_equal_onnx_runtimes() {
    let file = load("calibration/onnxruntime.json");
    let mut seen = 0;
    for (cases, apart) in [(&file["cases"], false), (&file["batch_by_batch"]["cases"], true)] {
        for case in list(cases) {
            let options = &case["options"];
            let method = match case["method"].as_str().unwrap() {
                // Within one collection ONNX Runtime's moving average is the plain mean of the batches' extremes. Ours
                // is tested against PyTorch.
                "MinMax" if options["moving_average"] != true => CalibrationMethod::MinMax,
                "Entropy" => CalibrationMethod::Entropy {
                    variant: EntropyVariant::OnnxRuntime,
                    bins: number(&options["num_bins"]) as usize,
                    levels: number(&options["num_quantized_bins"]) as usize,
                },
                // ONNX Runtime's percentiles are histogram edges; ours are percentiles of the values (NumPy's).
                _ => continue,
            };
            let mut batches: Vec<_> = list(&file["data"][case["data"].as_str().unwrap()]).iter().map(floats).collect();
            if !apart {
                batches = vec![batches.concat()];
            }
            let result = observed(calibrator(method, int8()), &batches).compute().unwrap();
            let want = [&case["range"][0], &case["range"][1]].map(|x| number(x) as f32);
            let place = format!("{} {} {options}, batches apart: {apart}", case["method"], case["data"]);
            assert_eq!([result.observed_min, result.observed_max], want, "{place}");
            seen += 1;
        }
    }
    assert_eq!(seen, 15);
}

#[test]
fn entropy_ranges_equal_modelopts() {
    let (file, data) = (load("calibration/modelopt.json"), load("calibration/onnxruntime.json"));
    for case in list(&file["cases"]) {
        let unsigned = case["unsigned"] == true;
        let mut batches: Vec<_> = list(&data["data"][case["data"].as_str().unwrap()]).iter().map(floats).collect();
        if unsigned {
            batches.iter_mut().flatten().for_each(|x| *x = x.abs());
        }
        let mode = if unsigned { QuantMode::Asymmetric } else { QuantMode::Symmetric };
        let codes = QuantScheme::new(number(&case["bits"]) as u8, mode).unwrap();
        let calibrator = observed(calibrator(CalibrationMethod::ENTROPY_TENSORRT, codes), &batches);
        let (all, result) = (calibrator.observed().unwrap(), calibrator.compute().unwrap());
        let want = (number(&case["amax"]) as f32).min(all.max);
        // modelopt's edges are single-precision sums of bin widths, ours are products: they differ by a thousandth of a
        // bin.
        let bins = (result.observed_max - want).abs() / number(&case["width"]) as f32;
        assert!(bins < 0.05, "{case}: {} is {bins} bins off", result.observed_max);
    }
}

#[test]
fn histogram_ranges_equal_pytorchs() {
    let file = load("calibration/torch-observers.json");
    let mut worst = [0.0f64; 2];
    for case in list(&file["cases"]) {
        let symmetric = case["qscheme"] == "per_tensor_symmetric";
        let codes = scheme(number(&case["quant_min"]) as i32, number(&case["quant_max"]) as i32, symmetric);
        let kind = case["observer"].as_str().unwrap();
        let method = match kind {
            "min_max" => CalibrationMethod::MinMax,
            "moving_average" => CalibrationMethod::MovingAverage { momentum: number(&case["averaging_constant"]) },
            _ => CalibrationMethod::MSE,
        };
        let batches: Vec<_> = list(&case["batches"]).iter().map(floats).collect();
        let calibrator = observed(calibrator(method, codes), &batches);
        let result = calibrator.compute().unwrap();
        let (scale, zero) = (number(&case["scale"]), number(&case["zero_point"]));
        if kind == "histogram_mse" {
            let off = (f64::from(result.scale) / scale - 1.0).abs();
            println!("{} {} {}: scale off by {:.2e}", case["data"], case["dtype"], case["qscheme"], off);
            worst[0] = worst[0].max(off);
            worst[1] = worst[1].max((f64::from(result.zero_point) - zero).abs());
            continue;
        }
        let want = (number(&case["min_val"]) as f32, number(&case["max_val"]) as f32);
        assert_eq!((result.observed_min, result.observed_max), want, "{kind} {}", case["data"]);
        assert_eq!((result.scale, f64::from(result.zero_point)), (scale as f32, zero), "{kind} {}", case["data"]);
    }
    println!("histogram observer: scales within {:.2e}, zero points within {}", worst[0], worst[1]);
    // PyTorch sums in single precision, so a search that ends in the same bin may differ by units in the last place.
    assert!(worst[0] < 5e-7 && worst[1] == 0.0, "{worst:?}");
}

/// A reproducible stream of well-distributed values.
fn stream(n: usize, seed: u64) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2) + 1;
    let mut next = move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..n).map(|_| (next() + next() + next() - 1.5) * 4.0).collect()
}

fn every_method() -> Vec<CalibrationMethod> {
    vec![
        CalibrationMethod::MinMax,
        CalibrationMethod::Percentile { lower: 0.5, upper: 99.5 },
        CalibrationMethod::MovingAverage { momentum: 0.1 },
        CalibrationMethod::ENTROPY_TENSORRT,
        CalibrationMethod::ENTROPY_ONNX,
        CalibrationMethod::MSE,
    ]
}

#[test]
fn defect_5_a_range_that_excludes_zero_is_kept() {
    // The seed decoded [10, 11] at 8 bits to 1.0.
    for (data, at) in [([10.0f32, 11.0], 0), ([-11.0, -10.0], 255)] {
        let result = calibrate_min_max(&data, 8, QuantMode::Asymmetric).unwrap();
        assert_eq!(result.zero_point, at);
        for x in data {
            let code = (x / result.scale).round_ties_even() as i32 + result.zero_point;
            let back = (code.clamp(0, 255) - result.zero_point) as f32 * result.scale;
            assert!((back - x).abs() <= result.scale / 2.0, "{x} became {back}");
        }
    }
}

#[test]
fn defect_7_the_percentile_covers_the_whole_stream() {
    // A hundred batches with increasing values: the seed only kept the first one.
    let mut calibrator = Calibrator::percentile(8, QuantMode::Asymmetric, 0.0, 50.0, 1000).unwrap();
    for batch in 0..100 {
        calibrator.observe(&vec![batch as f32; 1000]).unwrap();
    }
    let result = calibrator.compute().unwrap();
    // The median of 0..100 from a sample of 1000: 8 standard deviations of its rank are 13 batches.
    assert!((result.observed_max - 50.0).abs() < 13.0, "{}", result.observed_max);
}

#[test]
fn a_sample_is_uniform_over_the_stream() {
    // 64 positions, 16 kept, 4000 seeds: every position is kept 1000 times, plus or minus 27 (one standard deviation).
    let stream: Vec<f32> = (0..64).map(|i| i as f32).collect();
    let mut counts = [0u32; 64];
    for seed in 0..4000 {
        let mut sample = Reservoir::new(16, seed).unwrap();
        stream.chunks(10).for_each(|chunk| sample.extend(chunk));
        assert_eq!((sample.values().len(), sample.seen()), (16, 64));
        sample.values().iter().for_each(|x| counts[*x as usize] += 1);
    }
    assert!(counts.iter().all(|n| n.abs_diff(1000) < 6 * 27), "{counts:?}");
}

#[test]
fn defect_11_bits_and_parameters_out_of_range_are_errors() {
    for bits in [0, 1, 9, 16, 32, 33, u8::MAX] {
        assert_eq!(Calibrator::min_max(bits, QuantMode::Symmetric).unwrap_err().code(), Code::RANGE, "{bits} bits");
        assert_eq!(
            calibrate_percentile(&[1.0], bits, QuantMode::Asymmetric, 1.0, 99.0).unwrap_err().code(),
            Code::RANGE
        );
    }
    for (lower, upper) in [(-1.0, 99.0), (0.0, 100.1), (50.0, 50.0), (60.0, 40.0), (f64::NAN, 99.0), (1.0, f64::NAN)] {
        assert_eq!(
            Calibrator::percentile(8, QuantMode::Symmetric, lower, upper, 10).unwrap_err().code(),
            Code::RANGE,
            "{lower} {upper}"
        );
    }
    for momentum in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(
            Calibrator::moving_average(8, QuantMode::Symmetric, momentum).unwrap_err().code(),
            Code::RANGE,
            "{momentum}"
        );
    }
    assert_eq!(Calibrator::percentile(8, QuantMode::Symmetric, 1.0, 99.0, 0).unwrap_err().code(), Code::RANGE);
    for bins in [0, 1, 1 << 20, usize::MAX] {
        let refused = Calibrator::new(CalibrationMethod::Mse { bins }, CalibratorOptions::new(int8())).unwrap_err();
        assert_eq!(refused.code(), Code::RANGE, "{bins} bins");
    }
    assert_eq!(Calibrator::min_max(8, QuantMode::Symmetric).unwrap().compute().unwrap_err().code(), Code::NO_DATA);
}

#[test]
fn defect_14_a_non_finite_value_is_rejected_or_skipped_and_keeps_the_state() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for method in every_method() {
            let before = observed(calibrator(method, int8()), &[vec![-3.0, 1.0, 7.0]]);
            let mut refusing = before.clone();
            let mut batch = stream(1000, 1);
            batch[777] = bad;
            let error = refusing.observe(&batch).unwrap_err();
            assert_eq!(error.code(), Code::NON_FINITE, "{}", method.name());
            assert!(error.details().contains(&("index", 777usize.into())));
            assert_eq!(refusing, before, "a refused batch leaves no trace");

            let options = CalibratorOptions::new(int8()).with_non_finite(NonFinite::Skip);
            let mut skipping = Calibrator::new(method, options).unwrap();
            skipping.observe(&batch).unwrap();
            skipping.observe(&[bad; 3]).unwrap();
            assert_eq!((skipping.num_batches(), skipping.num_skipped()), (1, 4));
            batch.remove(777);
            let clean = observed(calibrator(method, int8()), &[batch]);
            assert_eq!(skipping.compute().unwrap(), clean.compute().unwrap(), "{}", method.name());
        }
    }
}

#[test]
fn merged_calibrators_equal_one_over_both_streams() {
    let batches: Vec<_> =
        (0..8).map(|i| stream(500, i)).map(|b| b.iter().map(|x| x * 0.7).collect::<Vec<_>>()).collect();
    for method in every_method() {
        let whole = observed(calibrator(method, int8()), &batches).compute().unwrap();
        let mut first = observed(calibrator(method, int8()), &batches[..3]);
        let second = observed(calibrator(method, int8()), &batches[3..]);
        first.merge(&second).unwrap();
        assert_eq!(first.num_batches(), 8);
        let joined = first.compute().unwrap();
        let off = |a: f32, b: f32| (a - b).abs() / whole.scale;
        // In steps of the quantizer. Histograms with different ranges are merged bin by bin.
        let allowed = match method {
            CalibrationMethod::MinMax | CalibrationMethod::Percentile { .. } => 0.0,
            CalibrationMethod::MovingAverage { .. } => 1e-4,
            _ => 12.0,
        };
        let steps = off(joined.observed_min, whole.observed_min).max(off(joined.observed_max, whole.observed_max));
        assert!(steps <= allowed, "{}: {steps} steps off", method.name());

        let mut empty = calibrator(method, int8());
        empty.merge(&first).unwrap();
        assert_eq!(empty.compute().unwrap(), joined, "merging into an empty one is a copy");
        first.merge(&calibrator(method, int8())).unwrap();
        assert_eq!(first.compute().unwrap(), joined, "merging an empty one changes nothing");
    }
    let refused = Calibrator::min_max(8, QuantMode::Symmetric)
        .unwrap()
        .merge(&Calibrator::mse(8, QuantMode::Symmetric).unwrap())
        .unwrap_err();
    assert_eq!(refused.code(), Code::ARGUMENT);
}

#[test]
fn memory_stays_bounded_when_the_range_explodes() {
    for method in every_method() {
        let mut calibrator = calibrator(method, int8());
        for power in [-149, -100, -40, 0, 40, 100, 125] {
            let scale = 2.0f32.powi(power);
            calibrator.observe(&stream(300, 5).iter().map(|x| x / 8.0 * scale).collect::<Vec<_>>()).unwrap();
            let result = calibrator.compute().unwrap();
            assert!(result.scale.is_finite() && result.scale > 0.0, "{} {result:?}", method.name());
            assert!(result.observed_min <= result.observed_max);
        }
        let bytes = calibrator.to_bytes().len();
        assert!(bytes < 200_000, "{}: {bytes} bytes", method.name());
    }
}

/// The entropy methods, whose histograms grow.
const ENTROPY: [CalibrationMethod; 2] = [CalibrationMethod::ENTROPY_ONNX, CalibrationMethod::ENTROPY_TENSORRT];

/// Bell-shaped values with a few distant outliers, which entropy calibration clips.
fn with_outliers(n: usize, seed: u64) -> Vec<f32> {
    let mut values = stream(n, seed);
    values.iter_mut().step_by(997).for_each(|x| *x *= 5.0);
    values
}

/// Issue 14, D4: a first batch 4096 times smaller than the second collapsed ONNX Runtime's histogram into two bins.
#[test]
fn a_range_that_grows_keeps_the_clip_of_one_batch() {
    let large = with_outliers(50_000, 1);
    for method in ENTROPY {
        for divisor in [0.5f32, 1.0, 2.0, 2.5, 4.0, 50.0, 1000.0, 4096.0, 1e5, 1e6] {
            let small: Vec<f32> = stream(5_000, 2).iter().map(|x| x / divisor).collect();
            let batches = [small.clone(), large.clone()];
            let [first, second] = batches.clone().map(|batch| observed(calibrator(method, int8()), &[batch]));
            let growth = second.observed().unwrap().magnitude() / first.observed().unwrap().magnitude();
            let whole = observed(calibrator(method, int8()), &[batches.concat()]);
            let (all, one) = (whole.observed().unwrap(), whole.compute().unwrap().observed_max);
            assert!(one < 0.9 * all.magnitude(), "this data is meant to be clipped, and is not at {one}");

            let mut merged = first.clone();
            merged.merge(&second).unwrap();
            let mut reversed = second.clone();
            reversed.merge(&first).unwrap();
            // The width of a bin for a single batch.
            let bin = 2.0 * all.magnitude() / 2048.0;
            for (way, calibrator) in [
                ("one after the other", observed(calibrator(method, int8()), &batches)),
                ("in the other order", observed(calibrator(method, int8()), &[large.clone(), small.clone()])),
                ("merged", merged),
                ("merged in the other order", reversed),
            ] {
                let clip = calibrator.compute().unwrap().observed_max;
                let place = format!("{} growing {growth} times, {way}: {clip}, in one batch {one}", method.name());
                if way != "in the other order" && growth <= 8.0 {
                    // As in the references, bins keep their width, and a histogram with more bins has a different clip.
                    // Merged values are off by up to half of one of their bins.
                    assert!((0.5..2.0).contains(&(clip / one)), "{place}");
                } else {
                    assert!((clip - one).abs() <= bin, "{place}");
                }
            }
        }
    }
}

#[test]
fn a_range_that_doubles_twenty_times_is_still_clipped() {
    for method in ENTROPY {
        let grown = |i: u64| with_outliers(5_000, i).iter().map(|x| x * 2.0f32.powi(i as i32 - 20)).collect();
        let batches: Vec<Vec<f32>> = (0..21).map(grown).collect();
        let one = observed(calibrator(method, int8()), &[batches.concat()]).compute().unwrap().observed_max;
        let apart = observed(calibrator(method, int8()), &batches).compute().unwrap().observed_max;
        assert!((0.5..2.0).contains(&(apart / one)), "{}: {apart}, in one batch {one}", method.name());
    }
}

#[test]
fn merging_leaves_no_gaps_between_bins_of_different_widths() {
    // The first has narrow bins and a large range; the second has bins ten times as wide and a smaller range.
    let scaled = |factor: f32| stream(20_000, 7).iter().map(|x| x * factor).collect::<Vec<_>>();
    for method in ENTROPY {
        let narrow = observed(calibrator(method, int8()), &[scaled(0.1), scaled(0.7)]);
        let wide = observed(calibrator(method, int8()), &[scaled(0.6)]);
        let whole = observed(calibrator(method, int8()), &[[scaled(0.1), scaled(0.7), scaled(0.6)].concat()]);
        let one = whole.compute().unwrap().observed_max;
        for (mut a, b) in [(narrow.clone(), wide.clone()), (wide, narrow)] {
            a.merge(&b).unwrap();
            let merged = a.compute().unwrap().observed_max;
            assert!((merged / one - 1.0).abs() < 0.1, "{}: {merged}, in one batch {one}", method.name());
        }
    }
}

#[test]
fn the_result_scales_with_the_data() {
    // A tensor in other units has the same codes: nothing depends on an absolute epsilon.
    for method in every_method() {
        let results = [1.0f32, 2.0f32.powi(-90), 2.0f32.powi(90)].map(|unit| {
            let batches: Vec<Vec<f32>> = (0..3).map(|i| stream(2000, i).iter().map(|x| x * unit).collect()).collect();
            let result = observed(calibrator(method, int8()), &batches).compute().unwrap();
            (result.scale / unit, result.zero_point)
        });
        assert_eq!(results[0], results[1], "{}", method.name());
        assert_eq!(results[0], results[2], "{}", method.name());
    }
}

#[test]
fn reset_clears_the_state() {
    for method in every_method() {
        let mut used = observed(calibrator(method, int8()), &[stream(100, 3)]);
        assert!(used.has_data());
        used.reset();
        assert_eq!(used, calibrator(method, int8()));
        assert!(!used.has_data() && used.num_batches() == 0);
    }
}

proptest! {
    #[test]
    fn a_restored_calibrator_continues_identically(
        which in 0usize..6, seed in 0u64..1000, lengths in proptest::collection::vec(0usize..400, 2..6),
    ) {
        let method = every_method()[which];
        let options = CalibratorOptions::new(int8()).with_max_samples(100).with_seed(seed);
        let mut straight = Calibrator::new(method, options).unwrap();
        let mut stopped = straight.clone();
        for (i, n) in lengths.into_iter().enumerate() {
            let batch = stream(n, seed + i as u64);
            straight.observe(&batch).unwrap();
            stopped.observe(&batch).unwrap();
            stopped = Calibrator::from_bytes(&stopped.to_bytes()).unwrap();
        }
        prop_assert_eq!(straight.compute().ok(), stopped.compute().ok());
        prop_assert_eq!(straight.to_bytes(), stopped.to_bytes());
    }

    #[test]
    fn broken_state_is_an_error_and_never_a_panic(
        which in 0usize..6, cut in any::<proptest::sample::Index>(), at in any::<proptest::sample::Index>(), bits in 1u8..=255,
    ) {
        let bytes = observed(calibrator(every_method()[which], int8()), &[stream(200, 9), stream(50, 2)]).to_bytes();
        let short = cut.index(bytes.len());
        prop_assert!(Calibrator::from_bytes(&bytes[..short]).is_err(), "cut at {short}");
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert_eq!(Calibrator::from_bytes(&longer).unwrap_err().code(), Code::MALFORMED);
        // A flipped byte may give another calibrator, which must be usable.
        let mut flipped = bytes;
        *at.get_mut(&mut flipped) ^= bits;
        if let Ok(mut calibrator) = Calibrator::from_bytes(&flipped) {
            let _ = calibrator.observe(&[1.0, -2.0]);
            if let Ok(result) = calibrator.compute() {
                prop_assert!(result.scale > 0.0 && result.scale.is_finite(), "{:?}", result);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_calibrator(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Calibrator::from_bytes(&bytes).is_err());
        let with_magic = [b"QPca\x01".as_slice(), &bytes].concat();
        let _ = Calibrator::from_bytes(&with_magic);
    }

    #[test]
    fn min_max_keeps_every_value_within_half_a_step(
        values in proptest::collection::vec(-1e6f32..1e6, 1..200), bits in 2u8..=8, symmetric in any::<bool>(),
    ) {
        let mode = if symmetric { QuantMode::Symmetric } else { QuantMode::Asymmetric };
        let result = calibrate_min_max(&values, bits, mode).unwrap();
        let (scale, zero) = (f64::from(result.scale), f64::from(result.zero_point));
        for x in values.iter().copied().chain([0.0]).map(f64::from) {
            let code = ((x / scale).round_ties_even() + zero).clamp(result.range.qmin.into(), result.range.qmax.into());
            // Asymmetric codes also round the zero point: the ends may be off by another half step.
            let allowed = if symmetric { 0.5 } else { 1.0 };
            prop_assert!(((code - zero) * scale - x).abs() <= allowed * scale * (1.0 + 1e-5));
        }
    }
}
