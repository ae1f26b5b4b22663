//! NF4 and FP4 as whole files: the tensors equal those of bitsandbytes' state dict.

use crate::support::convert::Disk;
use quantpress::container::safetensors::{Parsed, SafetensorsHeader, parse};
use quantpress::convert::{Folder, plan};
use quantpress::job::{Job, JobOptions, Next, Read, Report, Work};
use quantpress::nf4::{DataType4Bit, Quantize4BitOptions, quantize_4bit, quantize_4bit_double};
use quantpress::recipe::{Plan, Recipe};
use std::collections::HashMap;

/// Linear layers with an odd number of weights and with two tiles, and tensors that are kept.
const SHAPES: &[(&str, &[usize])] = &[
    ("model.norm.weight", &[9]),
    ("model.layers.0.mlp.up_proj.weight", &[7, 9]),
    ("model.layers.0.mlp.down_proj.weight", &[1025, 1100]),
    ("lm_head.weight", &[4, 8]),
];

fn weights(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 % 1013) as f32 / 506.0 - 1.0) * (1.0 + (i / 64 % 37) as f32)).collect()
}

fn model() -> Vec<u8> {
    let (mut at, mut data, mut records) = (0, Vec::new(), Vec::new());
    for (name, shape) in SHAPES {
        let values = weights(shape.iter().product());
        data.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        records.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{at},{}]}}"#, data.len()));
        at = data.len();
    }
    let header = format!("{{{}}}", records.join(","));
    [(header.len() as u64).to_le_bytes().to_vec(), header.into_bytes(), data].concat()
}

fn header(bytes: &[u8]) -> SafetensorsHeader {
    match parse(bytes, bytes.len() as u64).unwrap() {
        Parsed::Header(header) => *header,
        Parsed::NeedsMore(bytes) => panic!("{bytes} more"),
    }
}

fn recipe(preset: &str, double_quant: bool) -> Recipe {
    Recipe::new(preset).with_double_quant(double_quant)
}

fn planned(model: &[u8], recipe: &Recipe) -> Plan {
    let mut folder = Folder::default();
    folder.add(header(model), model.len() as u64).unwrap();
    plan(&folder, recipe, None).unwrap()
}

fn options() -> JobOptions {
    JobOptions::default().with_hashes(true).with_errors(true)
}

fn made(model: &[u8], recipe: &Recipe, width: usize) -> (Vec<u8>, Report) {
    let mut disk = Disk { width, seed: 7, ..Disk::default() };
    let job = Job::new(planned(model, recipe), options()).unwrap();
    let report = disk.run(job, model, None).unwrap().unwrap();
    (disk.bytes(), report)
}

#[test]
fn a_file_has_the_state_dicts_tensors_and_the_report_uses_its_scales() {
    let model = model();
    for (preset, data_type) in [("NF4", DataType4Bit::Nf4), ("fp4", DataType4Bit::Fp4)] {
        for double in [false, true] {
            let recipe = recipe(preset, double);
            let (bytes, report) = made(&model, &recipe, 1);
            assert_eq!(made(&model, &recipe, 5), (bytes.clone(), report.clone()), "{preset} {double}");
            let found: HashMap<String, &[u8]> = header(&bytes)
                .tensors
                .into_iter()
                .map(|tensor| (tensor.name.to_string(), &bytes[tensor.offset as usize..][..tensor.bytes as usize]))
                .collect();
            for (name, shape) in &SHAPES[1..3] {
                let values = weights(shape.iter().product());
                let options = Quantize4BitOptions::new(data_type, 64);
                let (parts, decoded) = if double {
                    let tensor = quantize_4bit_double(&values, &options).unwrap();
                    let decoded = quantpress::dequantize_4bit_double(&tensor).unwrap();
                    (tensor.to_state_dict(name, shape, "float32").unwrap(), decoded)
                } else {
                    let tensor = quantize_4bit(&values, &options).unwrap();
                    let decoded = quantpress::dequantize_4bit(&tensor).unwrap();
                    (tensor.to_state_dict(name, shape, "float32").unwrap(), decoded)
                };
                for part in parts {
                    let ours = found[&part.name];
                    let same = if part.name.contains("quant_state") {
                        ours.trim_ascii_end() == part.data
                    } else {
                        ours == part.data
                    };
                    assert!(same, "{preset} {double} {}", part.name);
                }
                let squares = values.iter().zip(&decoded).map(|(x, y)| (f64::from(*y) - f64::from(*x)).powi(2));
                let rmse = (squares.sum::<f64>() / values.len() as f64).sqrt();
                let tensor = report.tensors.iter().find(|tensor| tensor.name == *name).unwrap();
                assert!((tensor.error.unwrap().rmse / rmse - 1.0).abs() < 1e-9, "{preset} {double} {name}");
            }
            assert_eq!(report.tensors.iter().filter(|tensor| tensor.from == tensor.to).count(), 2);
        }
    }
}

#[test]
fn each_weight_is_encoded_once_even_if_the_error_needs_all_scales() {
    let model = model();
    let mut job = Job::new(planned(&model, &recipe("NF4", true)), options()).unwrap();
    let (mut encoded, mut scanned, mut under_way) = (0, 0, Vec::new());
    job.start();
    loop {
        match job.next() {
            Next::Task(task) => under_way.push(task),
            Next::Wait => {}
            Next::Finished => break,
        }
        let task = under_way.remove(0);
        let Read::Source(range) = task.read else { panic!("the task must read from the source") };
        match &task.work {
            Work::Encode { .. } => encoded += range.length,
            Work::Absmax { .. } => scanned += range.length,
            work => panic!("{work:?}"),
        }
        let bytes = model[range.offset as usize..][..range.length as usize].to_vec();
        job.complete(task.run(bytes).unwrap()).unwrap();
    }
    let bytes = |shape: &[usize]| 4 * shape.iter().product::<usize>() as u64;
    assert_eq!(encoded, SHAPES.iter().map(|(_, shape)| bytes(shape)).sum::<u64>());
    assert_eq!(scanned, bytes(SHAPES[1].1) + bytes(SHAPES[2].1));
}
