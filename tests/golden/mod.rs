//! Reads golden vectors: JSON with arrays as base64.
#![allow(dead_code, reason = "every test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails may panic")]

use base64::Engine;
use serde_json::Value;

/// A golden file, or part of one. Every access panics with the name that is missing.
pub struct Json(Value);

/// Reads the golden file with this name in `tests/golden`.
pub fn read(name: &str) -> Json {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    Json(serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap())
}

impl Json {
    fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("no '{name}'"))
    }

    /// A member as it is.
    pub fn value(&self, name: &str) -> &Value {
        self.get(name)
    }

    /// A string.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap()
    }

    /// A member that is an object.
    pub fn part(&self, name: &str) -> Json {
        Json(self.get(name).clone())
    }

    /// A number.
    pub fn number(&self, name: &str) -> f64 {
        self.get(name).as_f64().unwrap()
    }

    /// Whether there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    /// A list of objects.
    pub fn list(&self, name: &str) -> Vec<Json> {
        self.get(name).as_array().unwrap().iter().cloned().map(Json).collect()
    }

    /// The shape of an array.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        Json(self.get(name).clone()).own_shape()
    }

    /// The bytes of an array.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        base64::engine::general_purpose::STANDARD.decode(self.get(name)["base64"].as_str().unwrap()).unwrap()
    }

    /// An array of floats.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        Json(self.get(name).clone()).own_floats()
    }

    /// The floats of an array that is an element of a list.
    pub fn own_floats(&self) -> Vec<f32> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(self.text("base64")).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()
    }

    /// The shape of an array that is an element of a list.
    pub fn own_shape(&self) -> Vec<usize> {
        self.get("shape").as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
    }

    /// An array of 32-bit integers.
    pub fn integers(&self, name: &str) -> Vec<i32> {
        self.bytes(name).as_chunks::<4>().0.iter().map(|&chunk| i32::from_le_bytes(chunk)).collect()
    }
}

/// Compares floats bit by bit; reports how many differ and the first one.
pub fn same_floats(name: &str, ours: &[f32], reference: &[f32]) {
    assert_eq!(ours.len(), reference.len(), "{name}: length");
    let differ: Vec<usize> = (0..ours.len()).filter(|&i| ours[i].to_bits() != reference[i].to_bits()).collect();
    if let Some(&first) = differ.first() {
        let (count, len) = (differ.len(), ours.len());
        panic!("{name}: {count} of {len} differ, the first at {first}: {:?} for {:?}", ours[first], reference[first]);
    }
}

/// Compares bytes; reports how many differ and the first one.
pub fn same_bytes(name: &str, ours: &[u8], reference: &[u8]) {
    assert_eq!(ours.len(), reference.len(), "{name}: length");
    let differ: Vec<usize> = (0..ours.len()).filter(|&i| ours[i] != reference[i]).collect();
    if let Some(&first) = differ.first() {
        panic!(
            "{name}: {} of {} bytes differ, the first at {first}: {:02x} for {:02x}",
            differ.len(),
            ours.len(),
            ours[first],
            reference[first]
        );
    }
}

/// Approximately gaussian floats (sums of twelve uniforms) that are the same everywhere.
pub fn gaussian(len: usize) -> Vec<f32> {
    let mut state = 20_261_123u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    (0..len).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
}
