//! Arrays longer than a tile give the same results as their parts, whose boundaries are elsewhere.

use crate::support::weights::Rng;
use quantpress::affine::{
    QuantGranularity, QuantMode, QuantParams, dequantize_tensor, dequantize_with_params, pack_codes, quantize_tensor,
    quantize_with_params,
};
use quantpress::analysis::{analyze_error, compare, compare_bit_widths};
use quantpress::calibrate::{Calibrator, calibrate_min_max};
use quantpress::nf4::{
    DataType4Bit, Quantize4BitOptions, dequantize_4bit, dequantize_4bit_double, quantize_4bit, quantize_4bit_double,
};
use quantpress::qat::{FakeQuantConfig, FakeQuantize, fake_quantize};
use quantpress::{Code, dequantize_into, quantize, quantize_into};

/// Rows and their length: more than two tiles, and no boundary of one is at the end of a row.
const SHAPE: [usize; 2] = [110, 672];

fn values() -> Vec<f32> {
    let mut rng = Rng::new(5);
    (0..SHAPE[0] * SHAPE[1]).map(|_| rng.gauss() as f32).collect()
}

#[test]
fn integer_codes_do_not_depend_on_tiles() {
    let (values, [_, row]) = (values(), SHAPE);
    for (granularity, bits) in [
        (QuantGranularity::PerTensor, 8),
        (QuantGranularity::PerChannel { axis: 0 }, 3),
        (QuantGranularity::PerGroup { size: 96 }, 5),
        (QuantGranularity::PerChannel { axis: 1 }, 4),
    ] {
        let tensor = quantize_tensor(&values, &SHAPE, granularity, QuantMode::Asymmetric, bits).unwrap();
        let params = &tensor.params;
        // Row by row, with the scales of the row alone.
        let groups = params.scales.len() / if granularity == QuantGranularity::PerTensor { 1 } else { SHAPE[0] };
        let of_row = |index: usize| match granularity {
            QuantGranularity::PerTensor | QuantGranularity::PerChannel { axis: 1 } => params.clone(),
            _ => QuantParams {
                scales: params.scales[index * groups..][..groups].to_vec(),
                zero_points: params.zero_points[index * groups..][..groups].to_vec(),
                ..params.clone()
            },
        };
        let (mut codes, mut decoded) = (Vec::new(), Vec::new());
        for (index, values) in values.chunks(row).enumerate() {
            let of_row = of_row(index);
            let found = quantize_with_params(values, &[1, row], &of_row).unwrap();
            decoded.extend(dequantize_with_params(&found, &[1, row], &of_row).unwrap());
            codes.extend(found);
        }
        assert_eq!(quantize_with_params(&values, &SHAPE, params).unwrap(), codes, "{granularity:?}");
        assert_eq!(dequantize_with_params(&codes, &SHAPE, params).unwrap(), decoded, "{granularity:?}");
        assert_eq!(tensor.data, pack_codes(&codes, bits).unwrap(), "{granularity:?}");
        assert_eq!(dequantize_tensor(&tensor).unwrap(), decoded, "{granularity:?}");
        assert_eq!(
            analyze_error(&values, &SHAPE, params, 0.1).unwrap(),
            compare(&values, &decoded, 0.1).unwrap(),
            "{granularity:?}"
        );
        if granularity == QuantGranularity::PerTensor {
            assert_eq!(fake_quantize(&values, bits, QuantMode::Asymmetric).unwrap(), decoded);
            let widths = compare_bit_widths(&values, QuantMode::Asymmetric).unwrap();
            assert_eq!(widths.last().unwrap().stats, compare(&values, &decoded, 0.0).unwrap());
        }
    }
}

#[test]
fn an_error_names_the_value_whatever_tile_it_is_in() {
    let (mut values, at) = (values(), 40_001);
    let params = quantize_tensor(&values, &SHAPE, QuantGranularity::PerTensor, QuantMode::Symmetric, 8).unwrap().params;
    let mut codes = quantize_with_params(&values, &SHAPE, &params).unwrap();
    codes[at] = 0x80; // -128 is not a symmetric code
    values[at] = f32::NAN;
    let options = Quantize4BitOptions::default();
    let rows = SHAPE[1];
    for (error, code) in [
        (quantize_with_params(&values, &SHAPE, &params).unwrap_err(), Code::NON_FINITE),
        (dequantize_with_params(&codes, &SHAPE, &params).unwrap_err(), Code::RANGE),
        (calibrate_min_max(&values, 8, QuantMode::Symmetric).unwrap_err(), Code::NON_FINITE),
        (analyze_error(&values, &SHAPE, &params, 0.0).unwrap_err(), Code::NON_FINITE),
        (quantize_4bit(&values, &options).unwrap_err(), Code::NON_FINITE),
        (fake_quantize(&values, 8, QuantMode::Symmetric).unwrap_err(), Code::NON_FINITE),
        (
            quantize_into(&values, "Q4_0", rows, None, &mut vec![0; rows * SHAPE[0] / 32 * 18]).unwrap_err(),
            Code::NON_FINITE,
        ),
    ] {
        assert_eq!((error.code(), error.index()), (code, Some(at as u64)), "{error}");
    }
}

#[test]
fn blocks_do_not_depend_on_tiles() {
    let (values, [count, row]) = (values(), SHAPE);
    let importance: Vec<f32> = (0..row).map(|column| 1.0 + (column % 7) as f32).collect();
    for (format, importance) in [("Q4_0", None), ("Q5_1", Some(&importance[..])), ("IQ4_NL", Some(&importance[..]))] {
        let rows: Vec<u8> =
            values.chunks(row).flat_map(|values| quantize(values, format, row, importance).unwrap()).collect();
        let mut bytes = vec![0; rows.len()];
        quantize_into(&values, format, row, importance, &mut bytes).unwrap();
        assert_eq!(bytes, rows, "{format}");
        let mut decoded = vec![0.0; values.len()];
        dequantize_into(&bytes, format, &mut decoded).unwrap();
        let parts: Vec<f32> =
            bytes.chunks(rows.len() / count).flat_map(|bytes| quantpress::dequantize(bytes, format).unwrap()).collect();
        assert_eq!(decoded, parts, "{format}");
        let mut short = vec![0.0; values.len() - 1];
        assert_eq!(dequantize_into(&bytes, format, &mut short).unwrap_err().code(), Code::LENGTH);
        assert_eq!(quantize_into(&values, format, row, importance, &mut bytes[1..]).unwrap_err().code(), Code::LENGTH);
    }
}

#[test]
fn a_nan_takes_precedence_over_an_earlier_weight_that_cannot_be_represented() {
    let mut values = values();
    values[5] = 3e38;
    let mut out = vec![0; values.len() / 32 * 18];
    let error = quantize_into(&values, "Q4_0", SHAPE[1], None, &mut out).unwrap_err();
    assert_eq!((error.code(), error.index()), (Code::UNREPRESENTABLE, Some(0)));
    values[70_000] = f32::NAN;
    let error = quantize_into(&values, "Q4_0", SHAPE[1], None, &mut out).unwrap_err();
    assert_eq!((error.code(), error.index()), (Code::NON_FINITE, Some(70_000)));
}

#[test]
fn four_bit_codes_do_not_depend_on_tiles() {
    // An odd number of weights, and a last block that is not whole.
    let values = &values()[..70_001];
    for (data_type, block_size) in [(DataType4Bit::Nf4, 64), (DataType4Bit::Fp4, 4096), (DataType4Bit::Int4, 32)] {
        let options = Quantize4BitOptions::new(data_type, block_size);
        let (mut codes, mut absmax, mut decoded) = (Vec::new(), Vec::new(), Vec::new());
        for block in values.chunks(block_size) {
            let part = quantize_4bit(block, &options).unwrap();
            decoded.extend(dequantize_4bit(&part).unwrap());
            codes.extend(part.codes);
            absmax.extend(part.absmax);
        }
        let whole = quantize_4bit(values, &options).unwrap();
        assert_eq!((&whole.codes, &whole.absmax), (&codes, &absmax), "{data_type:?}");
        assert_eq!(dequantize_4bit(&whole).unwrap(), decoded, "{data_type:?}");
        let double = quantize_4bit_double(values, &options).unwrap();
        let single = double.to_single().unwrap();
        assert_eq!(dequantize_4bit_double(&double).unwrap(), dequantize_4bit(&single).unwrap(), "{data_type:?}");
    }
}

#[test]
fn fake_quantization_and_its_gradient_do_not_depend_on_tiles() {
    let (values, [_, row]) = (values(), SHAPE);
    let gradient: Vec<f32> = values.iter().rev().copied().collect();
    let mut fake = FakeQuantize::new(FakeQuantConfig::of_mode(4, QuantMode::Asymmetric).unwrap()).unwrap();
    fake.calibrate(&values[..1000], &[1000]).unwrap(); // narrower than the values, so some are clamped
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for (values, gradient) in values.chunks(row).zip(gradient.chunks(row)) {
        forward.extend(fake.forward(values, &[row]).unwrap());
        backward.extend(fake.backward_clamped(gradient, values, &[row]).unwrap());
    }
    assert_eq!(fake.forward(&values, &SHAPE).unwrap(), forward);
    assert_eq!(fake.backward_clamped(&gradient, &values, &SHAPE).unwrap(), backward);
    assert!(backward.contains(&0.0) && backward != gradient);
    fake.enable_fake_quant(false);
    assert_eq!(fake.forward(&values, &SHAPE).unwrap(), values);
    assert_eq!(fake.backward_clamped(&gradient, &values, &SHAPE).unwrap(), gradient);
}

#[test]
fn min_max_calibration_equals_that_of_an_observer() {
    let values = values();
    for mode in [QuantMode::Symmetric, QuantMode::Asymmetric] {
        let mut observer = Calibrator::min_max(6, mode).unwrap();
        observer.observe(&values).unwrap();
        assert_eq!(calibrate_min_max(&values, 6, mode).unwrap(), observer.compute().unwrap());
        assert_eq!(calibrate_min_max(&[], 6, mode).unwrap_err().code(), Code::NO_DATA);
    }
}
