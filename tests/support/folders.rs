//! Writes the folders of tests/golden/language to disk, with the weights of make.py.

use quantpress::recipe::encode_tile;
use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the folders.
pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/language")
}

/// The weights of make.py: a linear congruential sequence whose upper 24 bits are a fraction, exact in F32.
fn weights(index: u32, dtype: &str, count: usize) -> Vec<u8> {
    let mut state = index.wrapping_mul(7919).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as i32 - (1 << 23)) as f32 / (1 << 27) as f32
    };
    match dtype {
        "I64" => (0..count as i64).flat_map(i64::to_le_bytes).collect(),
        "F32" => (0..count).flat_map(|_| next().to_le_bytes()).collect(),
        "BF16" => (0..count).flat_map(|_| ((next().to_bits() >> 16) as u16).to_le_bytes()).collect(),
        "F16" => {
            let values: Vec<u8> = (0..count).flat_map(|_| next().to_le_bytes()).collect();
            encode_tile(&values, "F32", "F16", count, None, 0).unwrap()
        }
        _ => panic!("{dtype}"),
    }
}

/// Writes a folder with its weights into `to`, under its own name, with an index if there are several files.
pub fn write_folder(name: &str, to: &Path) -> PathBuf {
    let (from, to) = (golden().join(name), to.join(name));
    copy(&from, &to);
    let list = fs::read_to_string(from.join("tensors.txt")).unwrap();
    let mut files: Vec<(String, String, Vec<u8>)> = Vec::new();
    let mut index = String::new();
    for (number, line) in list.lines().enumerate() {
        let [file, name, dtype, shape] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        if files.last().is_none_or(|(last, ..)| last != file) {
            files.push((file.to_owned(), String::new(), Vec::new()));
        }
        let count = shape.split(',').map(|n| n.parse::<usize>().unwrap()).product();
        let (_, header, data) = files.last_mut().unwrap();
        let start = data.len();
        data.extend(weights(number as u32, dtype, count));
        let comma = if header.is_empty() { "" } else { "," };
        header.push_str(&format!(
            r#"{comma}"{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
        let comma = if index.is_empty() { "" } else { "," };
        index.push_str(&format!(r#"{comma}"{name}":"{file}""#));
    }
    if files.len() > 1 {
        fs::write(to.join("model.safetensors.index.json"), format!(r#"{{"weight_map":{{{index}}}}}"#)).unwrap();
    }
    for (file, header, data) in files {
        let header = format!("{{{header}}}");
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        fs::write(to.join(file), bytes).unwrap();
    }
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let into = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &into);
        } else {
            fs::copy(entry.path(), into).unwrap();
        }
    }
}
