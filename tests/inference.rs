//! Small random models of every architecture, compared with the logits that llama.cpp computed for them
//! (`tests/golden/inference/make.py`).

use crate::golden::same_floats;
use base64::Engine;
use quantpress::container::gguf::{
    Array as GgufArray, DEFAULT_ALIGNMENT, Header, Record, TensorType, Value, ValueType, array_items, encode_pair,
    write_header,
};
use quantpress::inference::{Forward, Importance, Model, Next, Options};
use quantpress::lanes::{Array, Lanes};
use quantpress::{Code, Codec, Result};
use std::sync::Arc;

/// The models of make.py.
const MODELS: &[&str] = &[
    "gemma2",
    "gemma3",
    "llama",
    "llama-biases",
    "llama-experts",
    "llama-yarn",
    "olmo2",
    "olmo3",
    "phi3",
    "phi3-factors",
    "qwen2",
    "qwen3",
    "qwen3moe",
    "smollm3",
];

fn golden(name: &str) -> serde_json::Value {
    let path = format!("{}/tests/golden/inference/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The weights of make.py.
fn weights(index: usize, name: &str, count: usize) -> Vec<f32> {
    let mut state = (index as u32).wrapping_mul(7919).wrapping_add(12345);
    let values = (0..count).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let value = ((state >> 8) as i32 - (1 << 23)) as f32 / (1 << 23) as f32;
        match name {
            name if name.contains("norm") || name.contains("rope") => value / 4.0 + 1.0,
            "token_embd.weight" => value,
            _ => value * 0.375,
        }
    });
    values.collect()
}

/// The file of a golden model with one change: `change` gets the pairs and the tensors with their shapes.
fn file_with(golden: &serde_json::Value, dtype: &str, change: impl Fn(&mut Pairs, &mut Tensors)) -> Vec<u8> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut pairs: Pairs = Vec::new();
    for pair in golden["metadata"].as_array().unwrap() {
        pairs.push((text(&pair[0]), pair[1].as_str().unwrap().to_owned(), pair[2].clone()));
    }
    let mut tensors: Tensors = Vec::new();
    for tensor in golden["tensors"].as_array().unwrap() {
        let shape = tensor[1].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        tensors.push((text(&tensor[0]), shape));
    }
    change(&mut pairs, &mut tensors);
    let encoded: Vec<_> = pairs.iter().map(|(key, kind, value)| pair(key, kind, value)).collect();
    // Matrices whose rows are whole blocks have the dtype.
    let fits = |shape: &[u64]| shape.len() > 1 && shape[0].is_multiple_of(32);
    let kind = |shape: &[u64]| TensorType::by_name(if fits(shape) { dtype } else { "F32" }).unwrap();
    let records: Vec<_> = tensors.iter().map(|(name, shape)| Record { name, shape, dtype: kind(shape) }).collect();
    let written = write_header(&encoded, &records, DEFAULT_ALIGNMENT).unwrap();
    let mut file = written.header;
    for (index, ((name, shape), place)) in tensors.iter().zip(&written.places).enumerate() {
        let values = weights(index, name, shape.iter().product::<u64>() as usize);
        let codec = Codec::by_name(kind(shape).name).unwrap();
        let mut bytes = vec![0; place.bytes as usize];
        codec.encode_rows(&values, shape[0] as usize, None, &mut bytes).unwrap();
        file.extend(bytes);
        file.resize((place.offset + place.padded) as usize, 0);
    }
    file
}

/// The type and value of a pair that replaces another.
type Replacement = Option<(&'static str, serde_json::Value)>;
type Pairs = Vec<(String, String, serde_json::Value)>;
type Tensors = Vec<(String, Vec<u64>)>;

fn pair(key: &str, kind: &str, value: &serde_json::Value) -> Vec<u8> {
    match kind {
        "string" => encode_pair(key, &Value::String(value.as_str().unwrap().as_bytes())),
        "u32" => encode_pair(key, &Value::U32(value.as_u64().unwrap() as u32)),
        "f32" => encode_pair(key, &Value::F32(value.as_f64().unwrap() as f32)),
        "bools" => {
            let flags: Vec<_> =
                value.as_array().unwrap().iter().map(|flag| Value::Bool(flag.as_bool().unwrap())).collect();
            let items = array_items(ValueType::BOOL, &flags).unwrap();
            let array = GgufArray { element: ValueType::BOOL, len: flags.len() as u64, items: &items };
            encode_pair(key, &Value::Array(array))
        }
        _ => panic!("{kind}"),
    }
}

fn header(file: &[u8]) -> Result<Header> {
    crate::support::convert::header(file)
}

/// All logits of a pass, and the importance matrix.
pub fn run<L: Lanes>(file: &[u8], sequences: &[&[u32]], options: Options) -> Result<(Vec<f32>, Option<Importance>)> {
    let model = Arc::new(Model::new(&header(file)?)?);
    let mut forward = Forward::<L>::with_lanes(&model, sequences, options)?;
    let mut logits = Vec::new();
    loop {
        match forward.next()? {
            Next::Read(request) => forward.supply(&file[request.offset as usize..][..request.length])?,
            Next::Logits => logits.extend_from_slice(forward.logits().values),
            Next::Finished => return Ok((logits, forward.into_importance())),
        }
    }
}

fn sequences(golden: &serde_json::Value) -> Vec<Vec<u32>> {
    let sequences = golden["sequences"].as_array().unwrap().iter();
    sequences.map(|list| list.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect()).collect()
}

fn options(golden: &serde_json::Value) -> Options {
    Options { logits: 0..usize::MAX, context: golden["context"].as_u64().unwrap() as usize, ..Options::default() }
}

#[test]
fn every_architecture_has_the_logits_of_llama_cpp() {
    for name in MODELS {
        let golden = golden(name);
        let file = file_with(&golden, "F32", |_, _| {});
        let sequences = sequences(&golden);
        let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let (ours, _) = run::<Array<4>>(&file, &sequences, options(&golden)).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(golden["logits"]["base64"].as_str().unwrap());
        let theirs: Vec<f32> = bytes.unwrap().as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let largest = theirs.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let error = ours.iter().zip(&theirs).fold(0.0f32, |max, (a, b)| max.max((a - b).abs())) / largest;
        println!("{name}: {error:e}");
        // GELU goes through ggml's table of F16, whose steps amplify the last bits of its argument.
        let limit = if name.starts_with("gemma") { 1e-3 } else { 2e-5 };
        assert!(error < limit, "{name}: {error:e}");
    }
}

#[test]
fn lanes_tiles_and_batches_do_not_change_a_bit() {
    for name in ["llama-experts", "gemma3"] {
        let golden = golden(name);
        let file = file_with(&golden, "Q8_0", |_, _| {});
        let sequences = sequences(&golden);
        let together: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let all = Options { importance: true, process_output: true, ..options(&golden) };
        let (one, importance) = run::<f32>(&file, &together, all.clone()).unwrap();
        let (four, of_four) = run::<Array<4>>(&file, &together, all.clone()).unwrap();
        let (eight, of_eight) = run::<Array<8>>(&file, &together, all.clone()).unwrap();
        same_floats(name, &four, &one);
        same_floats(name, &eight, &one);
        assert_eq!(importance, of_four, "{name}");
        assert_eq!(importance, of_eight, "{name}");
        let alone: Vec<f32> =
            together.iter().flat_map(|tokens| run::<Array<4>>(&file, &[tokens], all.clone()).unwrap().0).collect();
        same_floats(name, &alone, &one);
    }
}

#[test]
fn sequences_one_by_one_give_the_importance_of_all_at_once() {
    for name in ["llama-experts", "qwen3moe", "llama"] {
        let golden = golden(name);
        let file = file_with(&golden, "F32", |_, _| {});
        let sequences = sequences(&golden);
        assert!(sequences.len() > 1, "{name}");
        let options = Options { importance: true, process_output: true, context: 64, ..Options::default() };
        let all: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let (_, together) = run::<Array<4>>(&file, &all, options.clone()).unwrap();
        let model = Arc::new(Model::new(&header(&file).unwrap()).unwrap());
        let mut importance = Importance::default();
        for tokens in all {
            let mut forward = Forward::<Array<4>>::with_lanes(&model, &[tokens], options.clone()).unwrap();
            forward.continue_importance(importance);
            while let Next::Read(request) = forward.next().unwrap() {
                forward.supply(&file[request.offset as usize..][..request.length]).unwrap();
            }
            importance = forward.into_importance().unwrap();
        }
        assert_eq!(Some(importance), together, "{name}");
    }
}

#[test]
fn an_importance_matrix_counts_tokens_per_expert() {
    let golden = golden("llama-experts");
    let file = file_with(&golden, "F32", |_, _| {});
    let sequences = sequences(&golden);
    let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let options = Options { importance: true, process_output: true, ..Options::default() };
    let (logits, importance) = run::<Array<4>>(&file, &sequences, options).unwrap();
    assert!(logits.is_empty());
    let importance = importance.unwrap();
    let tokens: u64 = sequences.iter().map(|tokens| tokens.len() as u64).sum();
    let names: Vec<_> = importance.entries().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 4 * 8 + 1, "{names:?}");
    for (name, sums) in importance.entries() {
        let experts = name.contains("_exps");
        assert_eq!(sums.counts.len(), if experts { 4 } else { 1 }, "{name}");
        assert_eq!(sums.counts.iter().sum::<u64>(), if experts { 2 * tokens } else { tokens }, "{name}");
    }
    let written = importance.to_gguf(&["text.txt"], 2, 16).unwrap();
    let read = quantpress::container::imatrix::ImportanceMatrix::parse(&written).unwrap();
    assert_eq!(read.datasets, ["text.txt"]);
    assert_eq!(read.chunks, Some(2));
    for ((name, entry), (own, sums)) in read.entries().zip(importance.entries()) {
        assert_eq!((name, entry.counts.len()), (own, sums.counts.len()));
        assert_eq!(entry.values[0], sums.values[0] / sums.counts[0] as f32, "{name}");
    }
}

/// A golden model with one pair replaced, added (if it is new) or removed (without a value).
fn with_pair(name: &str, key: &str, value: Replacement) -> Result<Model> {
    let file = file_with(&golden(name), "F32", |pairs, _| {
        pairs.retain(|(other, ..)| other != key);
        if let Some((kind, value)) = &value {
            pairs.push((key.to_owned(), (*kind).to_owned(), value.clone()));
        }
    });
    Model::new(&header(&file)?)
}

#[test]
fn metadata_that_lies_is_a_typed_error() {
    let u32 = |n: u64| Some(("u32", serde_json::json!(n)));
    let cases: &[(&str, &str, Replacement, Code)] = &[
        ("llama", "general.architecture", Some(("string", "mamba".into())), Code::UNSUPPORTED),
        ("llama", "general.architecture", None, Code::UNSUPPORTED),
        ("llama", "llama.embedding_length", u32(64), Code::MALFORMED),
        ("llama", "llama.embedding_length", u32(u64::from(u32::MAX)), Code::MALFORMED),
        ("llama", "llama.embedding_length", None, Code::MALFORMED),
        ("llama", "llama.attention.head_count", u32(0), Code::MALFORMED),
        ("llama", "llama.attention.head_count", u32(3), Code::MALFORMED),
        ("llama", "llama.attention.head_count_kv", u32(3), Code::MALFORMED),
        ("llama", "llama.attention.head_count", Some(("string", "four".into())), Code::MALFORMED),
        ("llama", "llama.block_count", u32(5), Code::MALFORMED),
        ("llama", "llama.block_count", u32(3), Code::UNSUPPORTED),
        ("llama", "llama.block_count", u32(4_000_000_000), Code::MALFORMED),
        ("llama", "llama.feed_forward_length", u32(41), Code::MALFORMED),
        ("llama", "llama.rope.dimension_count", u32(7), Code::MALFORMED),
        ("llama", "llama.rope.dimension_count", u32(10), Code::MALFORMED),
        ("llama", "llama.rope.scaling.type", Some(("string", "spiral".into())), Code::UNSUPPORTED),
        ("llama", "llama.rope.freq_base", Some(("f32", serde_json::json!(-1.0))), Code::MALFORMED),
        ("llama", "llama.attention.layer_norm_rms_epsilon", None, Code::MALFORMED),
        ("llama-experts", "llama.expert_used_count", u32(5), Code::MALFORMED),
        ("llama-experts", "llama.expert_used_count", None, Code::MALFORMED),
        ("llama-experts", "llama.expert_count", u32(3), Code::MALFORMED),
        ("llama-experts", "llama.expert_count", None, Code::MALFORMED),
        ("qwen3moe", "qwen3moe.expert_count", None, Code::MALFORMED),
        (
            "gemma3",
            "gemma3.attention.sliding_window_pattern",
            Some(("bools", serde_json::json!([true]))),
            Code::MALFORMED,
        ),
    ];
    for (name, key, value, code) in cases {
        let error = with_pair(name, key, value.clone()).err().unwrap_or_else(|| panic!("{key} {value:?} is accepted"));
        assert_eq!(error.code(), *code, "{key} {value:?}: {error}");
    }
}

#[test]
fn tensors_that_the_architecture_does_not_have_are_refused() {
    let golden = golden("qwen3");
    for (name, shape, code) in [
        ("blk.0.attn_output.bias", vec![32], Code::UNSUPPORTED),
        ("blk.0.ssm_in.weight", vec![32, 32], Code::UNSUPPORTED),
        ("blk.0.attn_q.bias", vec![47], Code::MALFORMED),
    ] {
        let file = file_with(&golden, "F32", |_, tensors| tensors.push((name.to_owned(), shape.clone())));
        let error = Model::new(&header(&file).unwrap()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(name), "{error}");
    }
    let file = file_with(&golden, "F32", |_, tensors| tensors.retain(|(name, _)| name != "blk.2.ffn_up.weight"));
    let error = Model::new(&header(&file).unwrap()).unwrap_err();
    assert!(error.message().contains("blk.2.ffn_up.weight"), "{error}");
}

#[test]
fn tokens_and_bytes_are_checked() {
    let golden = golden("llama");
    let file = file_with(&golden, "F32", |_, _| {});
    let code = |sequences: &[&[u32]]| run::<f32>(&file, sequences, Options::default()).unwrap_err().code();
    assert_eq!(code(&[]), Code::NO_DATA);
    assert_eq!(code(&[&[1, 48]]), Code::RANGE);
    let model = Arc::new(Model::new(&header(&file).unwrap()).unwrap());
    assert_eq!(model.vocabulary(), 48);
    let mut forward = Forward::new(&model, &[&[1, 2]], Options::default()).unwrap();
    assert_eq!(forward.supply(&[]).unwrap_err().code(), Code::ARGUMENT);
    let Next::Read(request) = forward.next().unwrap() else { panic!("no request") };
    assert_eq!(forward.next().unwrap(), Next::Read(request), "the request stays");
    assert_eq!(forward.supply(&vec![0; request.length - 1]).unwrap_err().code(), Code::LENGTH);
    forward.supply(&file[request.offset as usize..][..request.length]).unwrap();
}

#[test]
fn a_product_is_the_sum_in_blocks_whatever_the_lanes() {
    use quantpress::inference::matmul::{BLOCK, Packed, multiply};
    fn product<L: Lanes>(inputs: &[f32], weights: &[f32], columns: usize) -> Vec<f32> {
        let mut packed = Packed::default();
        packed.pack(weights, columns);
        let mut out = vec![f32::NAN; inputs.len() / columns * packed.rows()];
        let stride = packed.rows();
        multiply::<L>(inputs, &mut packed, &mut out, stride, 0);
        out
    }
    for (tokens, rows, columns) in [(1, 1, 1), (3, 5, 7), (4, 8, 256), (9, 17, 300), (261, 3, 515), (2, 33, 1024)] {
        let inputs = weights(tokens, "", tokens * columns);
        let tile = weights(rows + 7, "", rows * columns);
        let one = product::<f32>(&inputs, &tile, columns);
        same_floats("four lanes", &product::<Array<4>>(&inputs, &tile, columns), &one);
        same_floats("eight lanes", &product::<Array<8>>(&inputs, &tile, columns), &one);
        for (token, x) in inputs.chunks_exact(columns).enumerate() {
            for (row, w) in tile.chunks_exact(columns).enumerate() {
                let out = one[token * rows + row];
                let blocks = x.chunks(BLOCK).zip(w.chunks(BLOCK));
                let sums = blocks.map(|(x, w)| x.iter().zip(w).fold(0.0f32, |sum, (x, w)| sum + x * w));
                assert_eq!(out.to_bits(), sums.reduce(|a, b| a + b).unwrap().to_bits());
                let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let scale: f64 = x.iter().zip(w).map(|(x, w)| (f64::from(*x) * f64::from(*w)).abs()).sum();
                assert!((f64::from(out) - exact).abs() <= 2e-5 * scale, "{tokens} {rows} {columns}");
            }
        }
    }
}
