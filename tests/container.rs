//! GGUF headers: round trips, files truncated at every byte, one case per error, counts larger than the file.

use proptest::prelude::*;
use quantpress::container::gguf::{
    Array, Header, MAX_ALIGNMENT, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_NESTING, MAX_PAIRS, MAX_READ_DIMS,
    MAX_STRING_BYTES, MAX_TENSORS, Parsed, Parser, Record, Step, TensorType, Value, ValueType, array_items,
    encode_pair, parse, write_header,
};
use quantpress::{Code, Error};

fn whole(file: &[u8]) -> Result<Header, Error> {
    match parse(file, file.len() as u64)? {
        Parsed::Header(header) => Ok(*header),
        Parsed::NeedsMore(bytes) => panic!("all {} bytes were given, but {bytes} are requested", file.len()),
    }
}

/// A small file with all types of values.
fn sample() -> Vec<u8> {
    let texts = array_items(ValueType::STRING, &[Value::String(b"one"), Value::String(b"")]).unwrap();
    let texts = Value::Array(Array { element: ValueType::STRING, len: 2, items: &texts });
    let nested = array_items(ValueType::ARRAY, &[texts, texts]).unwrap();
    let values = [
        Value::U8(1),
        Value::I8(-1),
        Value::U16(2),
        Value::I16(-2),
        Value::U32(3),
        Value::I32(-3),
        Value::F32(0.5),
        Value::Bool(true),
        Value::String("text é".as_bytes()),
        texts,
        Value::Array(Array { element: ValueType::ARRAY, len: 2, items: &nested }),
        Value::Array(Array { element: ValueType::U16, len: 3, items: &[1, 0, 2, 0, 3, 0] }),
        Value::Array(Array { element: ValueType::F64, len: 0, items: &[] }),
        Value::U64(u64::MAX),
        Value::I64(i64::MIN),
        Value::F64(-0.25),
    ];
    let pairs: Vec<_> = values.iter().enumerate().map(|(i, value)| encode_pair(&format!("key.{i}"), value)).collect();
    let records = [
        Record { name: "a.weight", shape: &[64, 2], dtype: TensorType::Q4_0 },
        Record { name: "b.weight", shape: &[3], dtype: TensorType::F32 },
        Record { name: "c.weight", shape: &[32, 2, 2, 2], dtype: TensorType::Q8_0 },
    ];
    let written = write_header(&pairs, &records, 32).unwrap();
    let mut file = written.header;
    file.resize(written.size as usize, 7);
    file
}

#[test]
fn written_files_are_read_back() {
    let file = sample();
    let header = whole(&file).unwrap();
    assert_eq!((header.version(), header.alignment(), header.metadata().len()), (3, 32, 16));
    assert_eq!(header.get("key.13"), Some(Value::U64(u64::MAX)));
    assert_eq!(header.get("key.8").unwrap().as_str(), Some("text é"));
    let nested = header.get("key.10").unwrap().as_array().unwrap();
    let inner: Vec<_> = nested.iter().flat_map(|value| value.as_array().unwrap().iter()).collect();
    let (one, none) = (Value::String(b"one"), Value::String(b""));
    assert_eq!(inner, [one, none, one, none]);
    let value_types: Vec<_> = header.metadata().map(|pair| pair.value_type.id).collect();
    assert_eq!(value_types, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 10, 11, 12]);
    let shapes: Vec<_> = header.tensors().iter().map(|t| (t.shape.to_vec(), t.bytes, t.offset % 32)).collect();
    assert_eq!(shapes, [(vec![64, 2], 72, 0), (vec![3], 12, 0), (vec![32, 2, 2, 2], 272, 0)]);
    assert!(header.data_start() < file.len() as u64);
}

#[test]
fn metadata_is_copied_byte_for_byte() {
    let file = sample();
    let header = whole(&file).unwrap();
    let pairs: Vec<_> = header.metadata().map(|pair| pair.raw.to_vec()).collect();
    for pair in header.metadata() {
        assert_eq!(encode_pair(pair.key, &pair.value()), pair.raw, "{}", pair.key);
    }
    let tensors = header.tensors();
    let records: Vec<_> = tensors.iter().map(|t| Record { name: &t.name, shape: &t.shape, dtype: t.dtype }).collect();
    let again = write_header(&pairs, &records, header.alignment()).unwrap();
    assert_eq!(again.header, file[..header.data_start() as usize]);
    assert_eq!(again.size, file.len() as u64);
}

#[test]
fn a_file_cut_at_any_byte_is_reported_as_truncated() {
    let file = sample();
    let data = 4; // padding after the last tensor may be missing
    let last = whole(&file).unwrap().tensors().iter().map(|t| t.offset + t.bytes).max().unwrap() as usize;
    for len in data..last {
        let error = parse(&file[..len], len as u64).unwrap_err();
        assert_eq!(error.code(), Code::TRUNCATED, "at {len}: {error}");
    }
    assert!(parse(&file[..last], last as u64).is_ok());
}

#[test]
fn parsing_a_prefix_of_any_length_asks_for_more_and_finishes() {
    let file = sample();
    let size = file.len() as u64;
    let start = whole(&file).unwrap().data_start();
    for len in 0..file.len() {
        let mut given = len as u64;
        let mut reads = 0;
        let header = loop {
            match parse(&file[..given as usize], size).unwrap() {
                Parsed::Header(header) => break header,
                Parsed::NeedsMore(bytes) => {
                    assert!(bytes > given && bytes <= size, "{bytes} of {size} after {given}");
                    assert!(bytes >= size.min(given * 2), "too many reads");
                    given = bytes;
                    reads += 1;
                }
            }
        };
        assert_eq!(header.data_start(), start);
        assert!(reads < 16, "{reads} reads");
    }
}

/// Parses in steps of at most `most` tensors, with as many bytes at a time as are asked for, and counts the pauses.
fn in_steps(file: &[u8], most: u64) -> Result<(Header, usize), Error> {
    let (mut given, mut pauses) = (0, 0);
    let mut parser = Parser::new(file.len() as u64);
    loop {
        match parser.step(&file[..given], most)? {
            Step::Header(header) => return Ok((*header, pauses)),
            Step::NeedsMore(bytes) => given = bytes as usize,
            Step::Paused => pauses += 1,
        }
    }
}

#[test]
fn a_header_is_parsed_in_steps_of_bounded_work() {
    let count = 1000;
    let records: Vec<Vec<u8>> = (0..count).map(|i| record(&format!("t{i}"), &[8], 0, i * 32)).collect();
    let file = file(&[encode_pair("a", &Value::U32(1))], &records, 32 * count as usize);
    let header = whole(&file).unwrap();
    for most in [1, 7, 100, 1000, u64::MAX] {
        let (stepwise, pauses) = in_steps(&file, most).unwrap();
        assert_eq!(stepwise.tensors(), header.tensors());
        assert_eq!((stepwise.data_start(), stepwise.version()), (header.data_start(), header.version()));
        assert!(pauses as u64 >= (count / most).max(2), "{pauses} pauses with {most} tensors in a step");
    }
}

#[test]
fn tensors_in_any_order_may_not_overlap() {
    let records = |offsets: &[u64]| -> Vec<Vec<u8>> {
        offsets.iter().enumerate().map(|(i, offset)| record(&format!("t{i}"), &[8], 0, *offset)).collect()
    };
    for offsets in [[0, 32, 64], [64, 0, 32]] {
        assert_eq!(whole(&file(&[], &records(&offsets), 96)).unwrap().tensors().len(), 3);
    }
    for offsets in [[0, 32, 32], [32, 0, 32]] {
        refused(&file(&[], &records(&offsets), 96), Code::MALFORMED, "overlap");
    }
}

/// The sample with some bytes replaced.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = sample();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn refused(file: &[u8], code: Code, says: &str) {
    let error = whole(file).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.message().contains(says), "'{error}' does not say '{says}'");
}

#[test]
fn rejects_other_files_and_versions_by_name() {
    refused(b"GGML and more", Code::MAGIC, "not a GGUF file");
    refused(b"PK\x03\x04 and more", Code::MAGIC, "zip archive");
    refused(b"version https://git-lfs.github.com/spec/v1", Code::MAGIC, "Git LFS pointer");
    refused(b"", Code::TRUNCATED, "0 bytes");
    refused(b"GG", Code::TRUNCATED, "2 bytes");
    refused(&patched(4, &1u32.to_le_bytes()), Code::UNSUPPORTED, "version 1");
    refused(&patched(4, &4u32.to_le_bytes()), Code::UNSUPPORTED, "version 4");
    refused(&patched(4, &3u32.to_be_bytes()), Code::UNSUPPORTED, "big-endian");
    assert_eq!(whole(&patched(4, &2u32.to_le_bytes())).unwrap().version(), 2);
}

/// A file with these pairs and records, followed by `data` bytes.
fn file(pairs: &[Vec<u8>], records: &[Vec<u8>], data: usize) -> Vec<u8> {
    let mut out = [&b"GGUF"[..], &3u32.to_le_bytes()].concat();
    out.extend((records.len() as u64).to_le_bytes());
    out.extend((pairs.len() as u64).to_le_bytes());
    out.extend(pairs.concat());
    out.extend(records.concat());
    out.resize(out.len().next_multiple_of(64) + data, 0);
    out
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn record(name: &str, shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let shape_bytes: Vec<u8> = shape.iter().flat_map(|n| n.to_le_bytes()).collect();
    let dims = (shape.len() as u32).to_le_bytes();
    [&text(name)[..], &dims, &shape_bytes, &kind.to_le_bytes(), &offset.to_le_bytes()].concat()
}

#[test]
fn rejects_counts_beyond_the_limits_before_allocating() {
    let u64s = |value: u64| value.to_le_bytes();
    refused(&patched(8, &u64s(MAX_TENSORS + 1)), Code::TOO_LARGE, "tensors");
    refused(&patched(16, &u64s(MAX_PAIRS + 1)), Code::TOO_LARGE, "pairs");
    refused(&patched(8, &u64s(u64::MAX)), Code::TOO_LARGE, "tensors");
    // Within the limits, but larger than the file.
    refused(
        &[b"GGUF".as_slice(), &3u32.to_le_bytes(), &u64s(MAX_TENSORS), &u64s(0)].concat(),
        Code::TRUNCATED,
        "ends within",
    );
    refused(
        &[b"GGUF".as_slice(), &3u32.to_le_bytes(), &u64s(0), &u64s(MAX_PAIRS)].concat(),
        Code::TRUNCATED,
        "ends within",
    );

    let key = |len: u64| [&u64s(len)[..], b"k"].concat();
    refused(&file(&[key(MAX_KEY_BYTES + 1)], &[], 0), Code::TOO_LARGE, "key");
    refused(&file(&[], &[key(MAX_NAME_BYTES + 1)], 0), Code::TOO_LARGE, "name");
    let value = |kind: u32, rest: &[u8]| [&text("k")[..], &kind.to_le_bytes(), rest].concat();
    refused(&file(&[value(8, &u64s(MAX_STRING_BYTES + 1))], &[], 0), Code::TOO_LARGE, "string");
    refused(&file(&[value(8, &u64s(MAX_STRING_BYTES))], &[], 0), Code::TRUNCATED, "metadata 'k'");
    let array = |element: u32, len: u64| [&element.to_le_bytes()[..], &u64s(len)].concat();
    for element in [0, 5, 8, 12] {
        let claimed = value(9, &array(element, 1 << 60));
        let error = whole(&file(&[claimed], &[], 0)).unwrap_err();
        assert!([Code::TRUNCATED, Code::TOO_LARGE].contains(&error.code()), "{error}");
    }
    let deep = (0..=MAX_NESTING).flat_map(|_| array(9, 1)).collect::<Vec<u8>>();
    refused(&file(&[value(9, &deep)], &[], 64), Code::TOO_LARGE, "nested");

    let dims = [&text("t")[..], &(MAX_READ_DIMS + 1).to_le_bytes()].concat();
    refused(&file(&[], &[dims], 64), Code::TOO_LARGE, "dimensions");
    refused(&file(&[], &[record("t", &[1 << 40, 1 << 40], 0, 0)], 0), Code::TOO_LARGE, "weights");
    refused(&file(&[], &[record("t", &[u64::MAX], 24, 0)], 0), Code::TOO_LARGE, "weights");
    refused(&file(&[], &[record("t", &[1 << 62], 0, 0)], 0), Code::TOO_LARGE, "weights");
}

#[test]
fn rejects_each_kind_of_malformed_field() {
    let pair = |key: &str| encode_pair(key, &Value::U8(0));
    refused(&file(&[pair("k"), pair("k")], &[], 0), Code::MALFORMED, "'k' occurs twice in the file");
    refused(&file(&[pair("")], &[], 0), Code::MALFORMED, "empty");
    refused(
        &file(&[[&1u64.to_le_bytes()[..], &[0xff], &0u32.to_le_bytes(), &[0]].concat()], &[], 0),
        Code::MALFORMED,
        "UTF-8",
    );
    refused(&file(&[[&text("k")[..], &13u32.to_le_bytes()].concat()], &[], 8), Code::MALFORMED, "value type 13");
    let array_of_13 = [&text("k")[..], &9u32.to_le_bytes(), &13u32.to_le_bytes(), &0u64.to_le_bytes()].concat();
    refused(&file(&[array_of_13], &[], 8), Code::MALFORMED, "value type 13");

    let one = |record| file(&[], &[record], 4096);
    refused(&one(record("t", &[0], 0, 0)), Code::MALFORMED, "dimension of 0");
    refused(&one(record("t", &[33], 2, 0)), Code::MALFORMED, "blocks of 32");
    refused(&one(record("t", &[32], 0, 8)), Code::MALFORMED, "multiple of 32");
    refused(&one(record("t", &[32], 31, 0)), Code::UNSUPPORTED, "Q4_0_4_4");
    refused(&one(record("t", &[32], 99, 0)), Code::UNSUPPORTED, "type 99");
    refused(&one(record("t", &[2000], 0, 0)), Code::TRUNCATED, "ends at byte");
    refused(&one(record("t", &[8], 0, u64::MAX - 31)), Code::TRUNCATED, "ends at byte");
    let twice = file(&[], &[record("t", &[8], 0, 0), record("t", &[8], 0, 32)], 4096);
    refused(&twice, Code::MALFORMED, "'t' occurs twice in the file");
    let shared = file(&[], &[record("t", &[16], 0, 0), record("u", &[8], 0, 32)], 4096);
    refused(&shared, Code::MALFORMED, "overlap in the file");
}

#[test]
fn accepts_alignments_that_are_reasonable_powers_of_two() {
    let aligned = |value: Value| whole(&file(&[encode_pair("general.alignment", &value)], &[], 0));
    for alignment in [1, 2, 8, 32, 64, 4096, MAX_ALIGNMENT] {
        assert_eq!(aligned(Value::U32(alignment)).unwrap().alignment(), alignment);
    }
    for (value, code) in [
        (Value::U32(0), Code::MALFORMED),
        (Value::U32(48), Code::MALFORMED),
        (Value::U64(32), Code::MALFORMED),
        (Value::U32(MAX_ALIGNMENT * 2), Code::TOO_LARGE),
    ] {
        assert_eq!(aligned(value).unwrap_err().code(), code, "{value:?}");
    }
}

#[test]
fn a_writer_rejects_values_that_no_file_can_contain() {
    let none: [Vec<u8>; 0] = [];
    let write =
        |shape: &[u64], dtype| write_header(&none, &[Record { name: "t", shape, dtype }], 32).unwrap_err().code();
    assert_eq!(write(&[33], TensorType::Q4_0), Code::LENGTH);
    assert_eq!(write(&[1 << 40, 1 << 40], TensorType::F32), Code::TOO_LARGE);
    assert_eq!(write(&[1 << 62], TensorType::F32), Code::TOO_LARGE);
    assert!(array_items(ValueType::U8, &[Value::I8(0)]).is_err());
}

#[test]
fn the_two_tables_of_types_agree() {
    for codec in quantpress::formats() {
        let dtype = TensorType::by_id(codec.id).unwrap();
        assert_eq!((dtype.name, dtype.weights, dtype.bytes), (codec.name, codec.weights as u64, codec.bytes as u64));
    }
}

/// A value of any type that owns its data.
#[derive(Clone, Debug)]
enum Tree {
    Scalar(u32, u64),
    Text(Vec<u8>),
    List(ValueType, Vec<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let scalar = (prop::sample::select(vec![0u32, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12]), any::<u64>());
    let leaf = prop_oneof![
        scalar.prop_map(|(kind, bits)| Tree::Scalar(kind, bits)),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Tree::Text),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        // All elements must have the type of the first one: others are replaced by copies of it.
        prop::collection::vec(inner, 1..6).prop_map(|items| {
            let kind = items[0].kind();
            let same = items.iter().map(|item| if item.kind() == kind { item.clone() } else { items[0].clone() });
            Tree::List(kind, same.collect())
        })
    })
}

impl Tree {
    fn kind(&self) -> ValueType {
        match self {
            Tree::Scalar(kind, _) => ValueType::by_id(*kind).unwrap(),
            Tree::Text(_) => ValueType::STRING,
            Tree::List(..) => ValueType::ARRAY,
        }
    }

    /// Encodes the value by hand.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Tree::Scalar(kind, bits) => {
                let len = ValueType::by_id(*kind).unwrap().bytes.unwrap() as usize;
                if *kind == 7 { vec![(bits & 1) as u8] } else { bits.to_le_bytes()[..len].to_vec() }
            }
            Tree::Text(text) => [&(text.len() as u64).to_le_bytes()[..], text].concat(),
            Tree::List(kind, items) => {
                let items: Vec<u8> = items.iter().flat_map(Tree::bytes).collect();
                let len = match self {
                    Tree::List(_, list) => list.len() as u64,
                    _ => 0,
                };
                [&kind.id.to_le_bytes()[..], &len.to_le_bytes(), &items].concat()
            }
        }
    }
}

proptest! {
    #[test]
    fn any_metadata_round_trips(trees in prop::collection::vec(tree(), 0..6)) {
        let pairs: Vec<Vec<u8>> = trees.iter().enumerate().map(|(i, tree)| {
            [&text(&format!("k{i}"))[..], &tree.kind().id.to_le_bytes(), &tree.bytes()].concat()
        }).collect();
        let header = whole(&file(&pairs, &[], 0)).unwrap();
        for (pair, bytes) in header.metadata().zip(&pairs) {
            prop_assert_eq!(pair.raw, &bytes[..]);
            prop_assert_eq!(&encode_pair(pair.key, &pair.value()), bytes);
        }
    }

    #[test]
    fn any_tensors_round_trip(
        made in prop::collection::vec((0..TensorType::ALL.len(), 1u64..4, prop::collection::vec(1u64..5, 0..3)), 0..8),
        alignment in 0u32..9,
    ) {
        let alignment = 1u32 << alignment;
        let tensors: Vec<_> = made.iter().enumerate().map(|(i, (dtype, blocks, rest))| {
            let dtype = TensorType::ALL[*dtype];
            let mut shape = vec![dtype.weights * blocks];
            shape.extend(rest);
            (format!("tensor {i}"), shape, dtype)
        }).collect();
        let records: Vec<_> = tensors.iter().map(|(name, shape, dtype)| Record { name, shape, dtype: *dtype }).collect();
        let pairs = [encode_pair("general.alignment", &Value::U32(alignment))];
        let written = write_header(&pairs, &records, alignment).unwrap();
        let mut file = written.header.clone();
        file.resize(written.size as usize, 0);
        let header = whole(&file).unwrap();
        prop_assert_eq!(header.data_start(), written.header.len() as u64);
        for ((tensor, (name, shape, dtype)), place) in header.tensors().iter().zip(&tensors).zip(&written.places) {
            prop_assert_eq!((tensor.name.as_str(), tensor.dtype), (name.as_str(), *dtype));
            prop_assert_eq!(&tensor.shape[..], &shape[..]);
            prop_assert_eq!((tensor.offset, tensor.bytes), (place.offset, place.bytes));
            prop_assert_eq!((tensor.offset % u64::from(alignment), place.padded % u64::from(alignment)), (0, 0));
        }
    }

    #[test]
    fn changed_bytes_never_panic(at in 0usize..900, byte in any::<u8>(), cut in 0usize..1500) {
        let mut file = sample();
        let len = file.len();
        file[at % len] = byte;
        let _ = parse(&file[..cut.min(len)], len as u64);
        if let Ok(header) = whole(&file) {
            for pair in header.metadata() {
                if let Value::Array(array) = pair.value() {
                    prop_assert!(array.iter().count() as u64 == array.len);
                }
            }
        }
    }
}
