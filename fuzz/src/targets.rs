//! One function for each kind of untrusted input. It accepts any bytes, and panics only if the engine violates an
//! invariant. libFuzzer calls the functions millions of times (fuzz_targets/), `cargo test` a few thousand times
//! (tests/hostile.rs).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a finding is a panic

use quantpress::container::gguf::{Header, Parsed, Record, TensorType, Value, encode_pair, join, parse, write_header};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::container::safetensors::{self, SafetensorsHeader, SafetensorsTensor, parse_index};
use quantpress::convert::{self, Folder};
use quantpress::job::{Journal, JournalReader};
use quantpress::recipe::{KvOverride, Plan, Recipe, plan};
use quantpress::{dequantize as decode, formats, json, quantize, validate};
use std::sync::LazyLock;

/// A target: its name, which is also the folder of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("gguf", gguf),
    ("shards", shards),
    ("safetensors", safetensors),
    ("index", index),
    ("language", language),
    ("imatrix", imatrix),
    ("journal", journal),
    ("recipe", recipe),
    ("dequantize", dequantize),
];

/// A GGUF file: parses its header as a whole and in parts, iterates over its values, and plans conversions whose output
/// must be valid.
pub fn gguf(data: &[u8]) {
    in_parts(data);
    // Also headers whose tensors lie far beyond the given bytes: a small file may claim to be a large one.
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
        let _ = join(vec![*header.clone(), *header.clone()]);
        for (preset, split_max_size) in [("Q4_K_M", None), ("Q2_K", Some(1000)), ("F16", None), ("COPY", Some(1 << 20))]
        {
            let mut recipe = Recipe::new(preset).with_dry_run(true).with_allow_requantize(true);
            recipe.split_max_size = split_max_size;
            if let Ok(plan) = plan(&header, &recipe, None) {
                check_plan(&plan);
                check_sources(&plan, size);
            }
        }
    }
}

/// Parsing in parts ends, always requests more than it has, and never more than the file's size.
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
    assert!(depth < 16, "unbounded nesting of arrays");
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

/// The planned output files are valid, contiguous, and contain each tensor exactly once.
fn check_plan(plan: &Plan) {
    let files: Vec<_> = plan.shards.iter().map(|shard| (&shard.header, shard.offset, shard.size)).collect();
    let (mut end, mut written, mut headers) = (0, Vec::new(), Vec::new());
    for (header, offset, size) in files {
        assert_eq!(offset, end, "a file does not begin where the one before it ends");
        end = offset + size;
        let Ok(Parsed::Header(again)) = parse(header, size) else {
            panic!("a planned header is invalid: {:?}", parse(header, size).err());
        };
        let tensors = again.tensors().iter();
        written.extend(tensors.map(|t| (t.name.clone(), t.dtype, t.offset + offset, t.bytes)));
        headers.push(*again);
    }
    assert_eq!(end, plan.size, "the files do not have the planned size");
    let planned = plan.tensors.iter().map(|t| (t.name.clone(), t.to, t.place.offset, t.place.bytes));
    assert_eq!(written, planned.collect::<Vec<_>>());
    if headers.len() > 1 {
        let whole = join(headers).expect("the files are one model");
        let offsets = whole.tensors().iter().map(|t| t.offset);
        assert!(whole.file_size() == end && offsets.eq(plan.tensors.iter().map(|t| t.place.offset)));
    }
}

/// Every tensor is read from within the input.
fn check_sources(plan: &Plan, size: u64) {
    for tensor in &plan.tensors {
        let end = tensor.source_offset.checked_add(tensor.source_bytes);
        assert!(end.is_some_and(|end| end <= size), "'{}' is read from outside the file", tensor.name);
    }
}

/// GGUF files that claim to be shards of one model; each starts with the magic bytes. After joining, every tensor is in
/// the file it came from, and planned output is valid again.
pub fn shards(data: &[u8]) {
    const SIZE: u64 = 1 << 32;
    let magic = data.windows(4).enumerate().filter(|(_, bytes)| bytes == b"GGUF").map(|(at, _)| at);
    let starts: Vec<usize> = magic.take(8).collect();
    let ends = starts.iter().skip(1).copied().chain([data.len()]);
    let headers = starts.iter().zip(ends).map(|(start, end)| match parse(&data[*start..end], SIZE) {
        Ok(Parsed::Header(header)) => Some(*header),
        Ok(Parsed::NeedsMore(_)) | Err(_) => None,
    });
    let Some(headers) = headers.collect::<Option<Vec<Header>>>() else { return };
    let counts: Vec<usize> = headers.iter().map(|header| header.tensors().len()).collect();
    let Ok(whole) = join(headers) else { return };
    assert_eq!(whole.file_size(), SIZE * counts.len() as u64);
    assert_eq!(whole.tensors().len(), counts.iter().sum::<usize>());
    let owners = counts.iter().enumerate().flat_map(|(shard, count)| std::iter::repeat_n(shard, *count));
    for (tensor, shard) in whole.tensors().iter().zip(owners) {
        assert_eq!((whole.shard_of(tensor.offset), tensor.offset / SIZE), (shard, shard as u64), "'{}'", tensor.name);
    }
    for (keep_split, split_max_size) in [(true, None), (false, Some(1 << 20)), (false, None)] {
        let mut recipe = Recipe::new("Q4_0").with_keep_split(keep_split).with_allow_requantize(true);
        recipe.split_max_size = split_max_size;
        if let Ok(plan) = plan(&whole, &recipe, None) {
            check_plan(&plan);
            check_sources(&plan, whole.file_size());
            assert!(keep_split || split_max_size.is_some() || plan.shards.len() == 1, "unexpected output files");
        }
    }
}

/// A safetensors file. Also the same bytes as the header of one with matching length and data, which mutations would
/// hardly ever produce.
pub fn safetensors(data: &[u8]) {
    safetensors_in_parts(data);
    if let Ok(safetensors::Parsed::Header(header)) = safetensors::parse(data, data.len() as u64) {
        check_safetensors(*header, data.len() as u64);
    }
    let prefix = [&(data.len() as u64).to_le_bytes(), data].concat();
    let size = (prefix.len() as u64).saturating_add(claimed(data));
    if let Ok(safetensors::Parsed::Header(header)) = safetensors::parse(&prefix, size) {
        check_safetensors(*header, size);
    }
}

fn safetensors_in_parts(data: &[u8]) {
    let mut given = 0;
    while let Ok(safetensors::Parsed::NeedsMore(more)) = safetensors::parse(&data[..given], data.len() as u64) {
        assert!(more > given as u64 && more <= data.len() as u64, "{given} bytes given, {more} asked for");
        given = more as usize;
    }
}

/// The end of the last tensor as claimed by a header.
fn claimed(header: &[u8]) -> u64 {
    let Ok(json) = json::parse(header, "the header") else { return 0 };
    let members = json.as_object().unwrap_or(&[]).iter();
    let end = |value: &json::Value| value.get("data_offsets")?.as_list()?.last()?.as_u64();
    members.filter_map(|(_, value)| end(value)).max().unwrap_or(0)
}

/// Each byte of the data belongs to exactly one tensor, and the conversion to GGUF reads only those.
fn check_safetensors(header: SafetensorsHeader, size: u64) {
    let bytes: u64 = header.tensors.iter().map(|tensor| tensor.bytes).sum();
    assert_eq!(header.data_start + bytes, size, "bytes that belong to no tensor or to two tensors");
    let mut folder = Folder::default();
    folder.add(header.clone(), size).expect("names are unique within a file");
    if !header.tensors.is_empty() {
        assert!(folder.clone().add(header, size).is_err(), "the same file twice in one model");
    }
    for (preset, plain) in [("Q4_K_M", false), ("BF16", false), ("Q4_K_M", true), ("BF16", true)] {
        let recipe = Recipe::new(preset).with_plain(plain).with_dry_run(true);
        if let Ok(plan) = convert::plan(&folder, &recipe, None) {
            check_plan(&plan);
            check_sources(&plan, size);
        }
    }
}

/// The index of a model in several files: names of files in the same folder, and each tensor in one of them.
pub fn index(data: &[u8]) {
    let Ok(index) = parse_index(data) else { return };
    assert!(index.files.is_sorted_by(|a, b| a < b), "a file twice, or out of order");
    for name in &index.files {
        assert!(
            !name.is_empty() && !name.contains(['/', '\\', '\0', ':']) && name != "..",
            "'{name}' is in another folder"
        );
    }
    assert!(index.tensors.iter().all(|(_, file)| index.files.binary_search(file).is_ok()));
}

/// A folder of a language model: files one after another, each as a NUL, its name, a newline and its contents. The
/// tensors are a file of lines with name, dtype and shape.
pub fn language(data: &[u8]) {
    let mut folder = Folder::default();
    for file in data.split(|byte| *byte == 0).filter(|file| !file.is_empty()) {
        let at = file.iter().position(|byte| *byte == b'\n').unwrap_or(file.len());
        let (name, content) = (String::from_utf8_lossy(&file[..at]), &file[(at + 1).min(file.len())..]);
        if name == "tensors" {
            let header = listed(&String::from_utf8_lossy(content));
            let size = header.tensors.iter().map(|tensor| tensor.bytes).sum();
            if folder.add(header, size).is_err() {
                return;
            }
        } else {
            folder.add_file(&name, content.to_vec());
        }
    }
    folder.set_name("Model-7B-Instruct");
    let size = folder.size() + folder.generated().len() as u64;
    for preset in ["BF16", "Q4_0"] {
        let recipe = Recipe::new(preset).with_dry_run(true);
        if let Ok(plan) = convert::plan(&folder, &recipe, None) {
            check_plan(&plan);
            check_sources(&plan, size);
        }
    }
}

/// Contiguous tensors from a list.
fn listed(text: &str) -> SafetensorsHeader {
    let mut header = SafetensorsHeader { metadata: Vec::new(), tensors: Vec::new(), data_start: 0 };
    let mut offset = 0;
    for line in text.lines() {
        let [name, dtype, extents] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        let Ok(dtype) = TensorType::of_dtype(dtype) else { continue };
        let Ok(shape) = extents.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>() else { continue };
        let weights = shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n));
        let Some(bytes) = weights.and_then(|n| dtype.size_of(n)).filter(|bytes| *bytes < 1 << 40) else { continue };
        header.tensors.push(SafetensorsTensor { name: name.into(), dtype, shape: shape.into(), offset, bytes });
        offset += bytes;
    }
    header
}

/// An importance matrix in either format: accepted values are valid importance.
pub fn imatrix(data: &[u8]) {
    let Ok(matrix) = ImportanceMatrix::parse(data) else { return };
    for (_, entry) in matrix.entries() {
        assert!(entry.values.iter().all(|x| x.is_finite() && *x >= 0.0), "invalid importance was accepted");
    }
    let recipe = Recipe::new("IQ2_XS").with_dry_run(true);
    if let Ok(plan) = plan(&SMALL_MODEL, &recipe, Some(&matrix)) {
        check_plan(&plan);
    }
}

/// A recipe as JSON, applied to a small model; and the same text as a metadata override and as a pattern.
pub fn recipe(data: &[u8]) {
    if let Ok(recipe) = serde_json::from_slice::<Recipe>(data)
        && let Ok(plan) = plan(&SMALL_MODEL, &recipe, None)
    {
        check_plan(&plan);
    }
    let Ok(text) = str::from_utf8(data) else { return };
    let _ = KvOverride::parse(text);
    let rule = quantpress::recipe::TensorTypeRule::new(text, "q5_k");
    let recipe = Recipe::new("Q4_K_M").with_tensor_types(vec![rule]);
    if let Ok(plan) = plan(&SMALL_MODEL, &recipe, None) {
        check_plan(&plan);
    }
}

/// Blocks of the format selected by the first byte: whole blocks can be decoded, and valid ones encoded again.
pub fn dequantize(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let codec = &formats()[usize::from(choice) % formats().len()];
    let whole = bytes.len() / codec.bytes * codec.bytes;
    if whole < bytes.len() {
        assert!(
            decode(bytes, codec.name).is_err() && validate(bytes, codec.name).is_err(),
            "a partial block was accepted"
        );
    }
    let blocks = &bytes[..whole];
    let weights = decode(blocks, codec.name).expect("whole blocks decode");
    assert_eq!(weights.len(), whole / codec.bytes * codec.weights);
    let valid = validate(blocks, codec.name).is_ok();
    // The largest codes at their largest scales overflow; ggml's validation accepts them, and so does ours.
    if valid && !["MXFP4", "Q8_K"].contains(&codec.name) {
        assert!(weights.iter().all(|x| x.is_finite()), "{}: valid, and not finite", codec.name);
    }
    // Only single blocks: they show as much as several, and some searches are slow.
    if valid && codec.can_encode() && bytes.len() == codec.bytes {
        let ones = [1.0; 256];
        let importance = codec.needs_importance.then_some(&ones[..weights.len()]);
        if let Ok(again) = quantize(&weights, codec.name, weights.len(), importance) {
            assert_eq!(again.len(), codec.bytes, "{}", codec.name);
        }
    }
}

/// A model with one layer that has the tensor names and metadata used in the rules of the presets.
static SMALL_MODEL: LazyLock<Header> = LazyLock::new(|| {
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
    let records = shapes.map(|(name, shape)| Record { name, shape, dtype: TensorType::F32 });
    let written = write_header(&pairs, &records, 32).expect("a good header");
    match parse(&written.header, written.size) {
        Ok(Parsed::Header(header)) => *header,
        other => panic!("the engine rejects its own header: {other:?}"),
    }
});

/// The journal of an interrupted run: parsing it whole or in pieces gives the same entries, and a prefix gives no
/// others.
pub fn journal(data: &[u8]) {
    journal_of(data);
    let whole = repaired(data);
    let journal = journal_of(&whole);
    let Some(torn) = journal_of(&whole[..whole.len() / 2]) else { return };
    let journal = journal.expect("the start of a journal is one, and the whole is none");
    assert_eq!(torn.identity, journal.identity, "the start of a journal belongs to another job");
    assert!(torn.tiles.keys().all(|offset| journal.tiles.contains_key(offset)), "only the start has a tile");
}

fn journal_of(data: &[u8]) -> Option<Journal> {
    let journal = Journal::parse(data);
    let mut reader = JournalReader::default();
    data.chunks(7).for_each(|piece| reader.add(piece));
    assert_eq!(format!("{:?}", reader.finish()), format!("{journal:?}"), "a journal in pieces is another");
    let journal = journal?;
    for (offset, tile) in &journal.tiles {
        assert_eq!(*offset, tile.offset);
        // An entry that is written is parsed to the same entry; sums of errors may be arbitrary.
        let again = Journal::parse(&[journal.identity.head(), tile.line()].concat()).expect("a journal of ours");
        assert_eq!(again.identity, journal.identity);
        assert_eq!(again.tiles.get(offset).map(|tile| (tile.length, &tile.hash)), Some((tile.length, &tile.hash)));
    }
    Some(journal)
}

/// The lines of a journal with correct checksums, which mutations would not find.
fn repaired(data: &[u8]) -> Vec<u8> {
    let mend = |line: &[u8]| match line.get(9..).filter(|json| !json.is_empty()) {
        Some(json) => [format!("{:08x} ", crc32(json)).as_bytes(), json].concat(),
        None => line.to_vec(),
    };
    data.split(|byte| *byte == b'\n').map(mend).collect::<Vec<_>>().join(&b'\n')
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}
