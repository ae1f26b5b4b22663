//! Importance matrices: both formats, truncated at every byte, one case per error.

use quantpress::Code;
use quantpress::container::gguf::{
    Array, Record, TensorType, Value, ValueType, array_items, encode_pair, write_header,
};
use quantpress::container::imatrix::ImportanceMatrix;

fn legacy_entry(name: &str, calls: i32, values: &[f32]) -> Vec<u8> {
    let mut out = (name.len() as i32).to_le_bytes().to_vec();
    out.extend(name.bytes());
    out.extend(calls.to_le_bytes());
    out.extend((values.len() as i32).to_le_bytes());
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    out
}

fn legacy(entries: &[Vec<u8>], rest: &[u8]) -> Vec<u8> {
    [&(entries.len() as i32).to_le_bytes()[..], &entries.concat(), rest].concat()
}

fn code(bytes: &[u8]) -> Code {
    ImportanceMatrix::parse(bytes).unwrap_err().code()
}

#[test]
fn the_legacy_format_divides_by_its_call_counts() {
    let file = legacy(
        &[legacy_entry("a", 3, &[1.0, 0.1]), legacy_entry("b", 0, &[5.0]), legacy_entry("a", 2, &[4.0])],
        &[&11i32.to_le_bytes()[..], &4i32.to_le_bytes(), b"text"].concat(),
    );
    let matrix = ImportanceMatrix::parse(&file).unwrap();
    let names: Vec<_> = matrix.entries().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(matrix.get("a").unwrap().values, [2.0], "the later entry counts");
    assert_eq!((&matrix.get("b").unwrap().values[..], &matrix.get("b").unwrap().counts[..]), (&[5.0][..], &[0][..]));
    assert_eq!((matrix.chunks, matrix.datasets), (Some(11), vec!["text".to_owned()]));
    let single = ImportanceMatrix::parse(&legacy(&[legacy_entry("a", 3, &[0.1])], &[])).unwrap();
    assert_eq!(single.get("a").unwrap().values, [0.1f32 / 3.0]);
    assert_eq!((single.chunks, single.datasets.len()), (None, 0));
}

#[test]
fn a_legacy_file_truncated_in_its_entries_is_rejected_and_after_them_is_read() {
    let entries = [legacy_entry("first", 3, &[1.0, 2.0]), legacy_entry("second", 3, &[1.0])];
    let file = legacy(&entries, &[&11i32.to_le_bytes()[..], &4i32.to_le_bytes(), b"text"].concat());
    let end = 4 + entries.concat().len();
    for len in 0..end {
        assert_eq!(code(&file[..len]), Code::TRUNCATED, "at {len}");
    }
    for len in end..=file.len() {
        let matrix = ImportanceMatrix::parse(&file[..len]).unwrap();
        assert_eq!(matrix.chunks.is_some(), len >= end + 4, "at {len}");
        assert_eq!(matrix.datasets.len(), usize::from(len == file.len()), "at {len}");
    }
}

#[test]
fn rejects_hostile_legacy_files() {
    assert_eq!(code(&0i32.to_le_bytes()), Code::MALFORMED);
    assert_eq!(code(&(-1i32).to_le_bytes()), Code::MALFORMED);
    assert_eq!(code(&i32::MAX.to_le_bytes()), Code::TOO_LARGE);
    let claims = |name: i32, values: i32| {
        [&1i32.to_le_bytes()[..], &name.to_le_bytes(), b"a", &1i32.to_le_bytes(), &values.to_le_bytes()].concat()
    };
    assert_eq!(code(&claims(-5, 1)), Code::MALFORMED);
    assert_eq!(code(&claims(1, 0)), Code::MALFORMED);
    assert_eq!(code(&claims(1, 1 << 30)), Code::TRUNCATED);
    assert_eq!(code(&claims(1, i32::MAX)), Code::TOO_LARGE);
    assert_eq!(code(&claims(i32::MAX, 1)), Code::TRUNCATED);
    for bad in [f32::NAN, f32::INFINITY] {
        assert_eq!(code(&legacy(&[legacy_entry("a", 1, &[bad])], &[])), Code::NON_FINITE);
    }
    assert_eq!(code(&legacy(&[legacy_entry("a", 1, &[-1.0])], &[])), Code::RANGE);
}

type Made<'a> = (&'a str, Vec<u64>, TensorType, Vec<f32>);

fn gguf(tensors: &[Made], without: &str) -> Vec<u8> {
    let texts = array_items(ValueType::STRING, &[Value::String(b"one"), Value::String(b"two")]).unwrap();
    let datasets = Value::Array(Array { element: ValueType::STRING, len: 2, items: &texts });
    let pairs = [
        ("imatrix.datasets", datasets),
        ("imatrix.chunk_count", Value::U32(105)),
        ("imatrix.chunk_size", Value::U32(512)),
    ];
    let pairs: Vec<_> =
        pairs.iter().filter(|(key, _)| *key != without).map(|(key, value)| encode_pair(key, value)).collect();
    let records: Vec<_> = tensors.iter().map(|(name, shape, dtype, _)| Record { name, shape, dtype: *dtype }).collect();
    let written = write_header(&pairs, &records, 32).unwrap();
    let mut out = written.header;
    for ((.., values), place) in tensors.iter().zip(written.places) {
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        out.resize((place.offset + place.padded) as usize, 0);
    }
    out
}

#[test]
fn the_gguf_format_divides_by_each_experts_count() {
    let f32s = TensorType::F32;
    let file = gguf(
        &[
            ("x.in_sum2", vec![2, 3], f32s, vec![1.0, 0.1, 9.0, 9.0, 6.0, 7.0]),
            ("x.counts", vec![1, 3], f32s, vec![3.0, 0.0, 2.0]),
            ("something else", vec![1], f32s, vec![1.0]),
        ],
        "",
    );
    let matrix = ImportanceMatrix::parse(&file).unwrap();
    let entry = matrix.get("x").unwrap();
    assert_eq!(entry.values, [1.0 / 3.0, 0.1f32 / 3.0, 1.0, 1.0, 3.0, 3.5]);
    assert_eq!(entry.counts, [3, 0, 2]);
    assert_eq!(matrix.entries().len(), 1);
    assert_eq!((matrix.chunks, matrix.datasets), (Some(105), vec!["one".to_owned(), "two".to_owned()]));
}

#[test]
fn rejects_gguf_files_that_are_not_importance_matrices() {
    let f32s = TensorType::F32;
    let sums = ("x.in_sum2", vec![4], f32s, vec![1.0; 4]);
    let counts = |n: u64| ("x.counts", vec![n], f32s, vec![1.0; n as usize]);
    for missing in ["imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"] {
        assert_eq!(code(&gguf(&[sums.clone(), counts(1)], missing)), Code::MALFORMED, "{missing}");
    }
    assert_eq!(code(&gguf(std::slice::from_ref(&sums), "")), Code::MALFORMED);
    assert_eq!(code(&gguf(&[counts(1)], "")), Code::MALFORMED);
    assert_eq!(code(&gguf(&[sums.clone(), counts(3)], "")), Code::MALFORMED);
    assert_eq!(code(&gguf(&[sums.clone(), counts(8)], "")), Code::MALFORMED);
    assert_eq!(code(&gguf(&[("x.in_sum2", vec![4], TensorType::F16, vec![0.0; 2]), counts(1)], "")), Code::MALFORMED);
    assert_eq!(code(&gguf(&[], "")), Code::MALFORMED);
    assert_eq!(code(&gguf(&[("x.in_sum2", vec![1], f32s, vec![f32::NAN]), counts(1)], "")), Code::NON_FINITE);
    let file = gguf(&[sums, counts(1)], "");
    for len in 4..file.len() - 32 {
        assert_eq!(code(&file[..len]), Code::TRUNCATED, "at {len}");
    }
}
