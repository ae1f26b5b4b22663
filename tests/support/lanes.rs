//! Encodings by every encoder of the ten distributions, for a given type of lanes.

use super::weights::{DISTRIBUTIONS, IMPORTANCE, Rng};
use quantpress::format::formats_over;
use quantpress::lanes::Lanes;

/// Bytes or an error, by format, distribution and kind of importance.
pub type Encodings = Vec<(String, Result<Vec<u8>, quantpress::Error>)>;

/// Rows and remainders that are not a multiple of any number of lanes. Every block differs, so swapped lanes are
/// detected.
pub fn encodings<L: Lanes>() -> Encodings {
    let mut all = Vec::new();
    for codec in formats_over::<L>().iter().filter(|codec| codec.can_encode()) {
        for (distribution, generate) in DISTRIBUTIONS {
            for (kind, importance) in IMPORTANCE {
                let mut rng = Rng::new(7).fork(distribution).fork(kind);
                let row = codec.weights.max(32) * if codec.weights < 256 { 11 } else { 3 };
                let weights = generate(&mut rng, row * 3);
                let importance = importance.map(|generate| generate(&mut rng, row));
                let mut out = vec![0; codec.encoded_len(weights.len(), row).unwrap()];
                let result = codec.encode_rows(&weights, row, importance.as_deref(), &mut out);
                all.push((format!("{} {distribution} {kind}", codec.name), result.map(|()| out)));
            }
        }
    }
    all
}

/// Fails with the names of the differing encodings.
pub fn assert_same(name: &str, lanes: &Encodings, one: &Encodings) {
    assert!(one.iter().any(|(_, result)| result.is_ok()) && lanes.len() == one.len());
    let differing: Vec<_> = one.iter().zip(lanes).filter(|(a, b)| a != b).map(|(a, _)| a.0.as_str()).collect();
    assert!(differing.is_empty(), "{name} lanes differ from one: {}", differing.join(", "));
}
