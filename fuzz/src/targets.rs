//! One function for each thing a stranger may hand us: it takes any bytes, and panics only where the engine breaks a
//! promise. libFuzzer calls them by the million (fuzz_targets/), `cargo test` some thousand times (tests/hostile.rs).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a finding is a panic

use quantpress::container::gguf::{Header, Parsed, Record, TensorType, Value, encode_pair, parse, write_header};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::recipe::{KvOverride, Plan, Recipe, plan};
use quantpress::{dequantize as decode, formats, quantize, validate};

/// A target: its name, which is its corpus' folder too, and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[("gguf", gguf), ("imatrix", imatrix), ("recipe", recipe), ("dequantize", dequantize)];

/// A GGUF file: its header is read whole and in parts, its values are walked, and what is planned for it is a file again.
pub fn gguf(data: &[u8]) {
    in_parts(data);
    // Headers whose tensors reach far beyond the bytes that are there: a small file may claim to be a large one.
    for size in [data.len() as u64, 1 << 40] {
        let Ok(Parsed::Header(header)) = parse(data, size) else { continue };
        for pair in header.metadata() {
            walk(&pair.value(), 0);
        }
        for tensor in header.tensors() {
            assert!(
                tensor.offset.checked_add(tensor.bytes).is_some_and(|end| end <= size),
                "a tensor outside the file"
            );
        }
        for preset in ["Q4_K_M", "Q2_K", "F16", "COPY"] {
            let recipe = Recipe { preset: preset.into(), dry_run: true, allow_requantize: true, ..Recipe::default() };
            if let Ok(plan) = plan(&header, &recipe, None) {
                check_plan(&plan);
            }
        }
    }
}

/// Reading ends, and asks for more than it has and never for more than the file.
fn in_parts(data: &[u8]) {
    let mut given = 0;
    loop {
        match parse(&data[..given], data.len() as u64) {
            Ok(Parsed::NeedsMore(more)) => {
                assert!(more > given as u64 && more <= data.len() as u64, "{given} bytes given, {more} asked for");
                given = more as usize;
            }
            Ok(Parsed::Header(_)) | Err(_) => return,
        }
    }
}

fn walk(value: &Value, depth: u32) {
    assert!(depth < 16, "arrays within arrays without end");
    let _ = (value.as_u64(), value.as_str());
    if let Value::Array(array) = value {
        let mut count = 0;
        for item in array.iter() {
            walk(&item, depth + 1);
            count += 1;
        }
        assert_eq!(count, array.len, "items of an array");
    }
}

/// What will be written is a file that we read ourselves, and every tensor has its own place in it.
fn check_plan(plan: &Plan) {
    let Ok(Parsed::Header(again)) = parse(&plan.header, plan.size) else {
        panic!("a planned header is not one: {:?}", parse(&plan.header, plan.size).err());
    };
    assert_eq!(again.tensors().len(), plan.tensors.len());
    for (written, planned) in again.tensors().iter().zip(&plan.tensors) {
        assert_eq!((&written.name, written.kind), (&planned.name, planned.to));
        assert_eq!((written.offset, written.bytes), (planned.place.offset, planned.place.bytes));
    }
}

/// An importance matrix in either form: what is accepted are weights that may be used.
pub fn imatrix(data: &[u8]) {
    let Ok(matrix) = ImportanceMatrix::parse(data) else { return };
    for (_, entry) in matrix.entries() {
        assert!(entry.values.iter().all(|x| x.is_finite() && *x >= 0.0), "importance that is none was accepted");
    }
    let recipe = Recipe { preset: "IQ2_XS".into(), dry_run: true, ..Recipe::default() };
    if let Ok(plan) = plan(&small_model(), &recipe, Some(&matrix)) {
        check_plan(&plan);
    }
}

/// A recipe as JSON, on a small model; and the same text as a metadata override and as a pattern.
pub fn recipe(data: &[u8]) {
    let model = small_model();
    if let Ok(recipe) = serde_json::from_slice::<Recipe>(data)
        && let Ok(plan) = plan(&model, &recipe, None)
    {
        check_plan(&plan);
    }
    let Ok(text) = str::from_utf8(data) else { return };
    let _ = KvOverride::parse(text);
    let rule = quantpress::recipe::TensorTypeRule { pattern: text.into(), kind: "q5_k".into() };
    let recipe = Recipe { preset: "Q4_K_M".into(), tensor_types: vec![rule], ..Recipe::default() };
    if let Ok(plan) = plan(&model, &recipe, None) {
        check_plan(&plan);
    }
}

/// Blocks of the format that the first byte chooses: any whole blocks decode, and what is valid encodes again.
pub fn dequantize(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let codec = &formats()[usize::from(choice) % formats().len()];
    let whole = bytes.len() / codec.bytes * codec.bytes;
    if whole < bytes.len() {
        assert!(
            decode(bytes, codec.name).is_err() && validate(bytes, codec.name).is_err(),
            "half a block was accepted"
        );
    }
    let blocks = &bytes[..whole];
    let weights = decode(blocks, codec.name).expect("whole blocks decode");
    assert_eq!(weights.len(), whole / codec.bytes * codec.weights);
    let valid = validate(blocks, codec.name).is_ok();
    // Their largest scales overflow with their largest codes; ggml's validation accepts them, and so does ours.
    if valid && !["MXFP4", "Q8_K"].contains(&codec.name) {
        assert!(weights.iter().all(|x| x.is_finite()), "{}: valid, and not finite", codec.name);
    }
    if valid && codec.can_encode() && !weights.is_empty() {
        let ones = vec![1.0; weights.len()];
        let importance = codec.needs_importance.then_some(&ones[..]);
        if let Ok(again) = quantize(&weights, codec.name, weights.len(), importance) {
            assert_eq!(again.len(), whole, "{}", codec.name);
        }
    }
}

/// A model of one layer with the names and the metadata that the rules of the presets ask for.
fn small_model() -> Header {
    let text = |key: &str, value: &str| encode_pair(key, &Value::String(value.as_bytes()));
    let number = |key: &str, value: u32| encode_pair(key, &Value::U32(value));
    let pairs = [
        text("general.architecture", "llama"),
        number("llama.block_count", 1),
        number("llama.attention.head_count", 4),
        number("llama.attention.head_count_kv", 2),
    ];
    let shapes: [(&str, &[u64]); 8] = [
        ("token_embd.weight", &[256, 8]),
        ("blk.0.attn_q.weight", &[256, 4]),
        ("blk.0.attn_v.weight", &[256, 2]),
        ("blk.0.attn_norm.weight", &[256]),
        ("blk.0.ffn_down.weight", &[512, 2]),
        ("blk.0.ffn_gate_exps.weight", &[256, 2, 3]),
        ("blk.0.odd.weight", &[160, 3]),
        ("output.weight", &[256, 8]),
    ];
    let records = shapes.map(|(name, shape)| Record { name, shape, kind: TensorType::F32 });
    let written = write_header(&pairs, &records, 32).expect("a good header");
    match parse(&written.header, written.size) {
        Ok(Parsed::Header(header)) => *header,
        other => panic!("our own header is refused: {other:?}"),
    }
}
