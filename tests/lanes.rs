//! Lanes are problems, so their number changes no byte: every encoder over one, four and eight lanes.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod support;

use quantpress::format::formats_over;
use quantpress::lanes::{Array, Lanes};
use support::weights::{DISTRIBUTIONS, IMPORTANCE, Rng};

/// Rows and tails that no number of lanes divides; every block differs, so swapped lanes show.
fn encodings<L: Lanes>() -> Vec<(String, Result<Vec<u8>, quantpress::Error>)> {
    let mut all = Vec::new();
    for codec in formats_over::<L>().iter().filter(|codec| codec.can_encode()) {
        for (distribution, generate) in DISTRIBUTIONS {
            for (kind, importance) in IMPORTANCE {
                let mut rng = Rng::new(7).fork(distribution).fork(kind);
                let row = codec.weights.max(32) * 11;
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

#[test]
fn one_four_and_eight_lanes_write_the_same_bytes() {
    let one = encodings::<f32>();
    let four = encodings::<Array<4>>();
    let eight = encodings::<Array<8>>();
    assert!(one.iter().any(|(_, result)| result.is_ok()));
    for ((one, four), eight) in one.iter().zip(&four).zip(&eight) {
        assert!(one == four, "{}: four lanes differ from one", one.0);
        assert!(one == eight, "{}: eight lanes differ from one", one.0);
    }
}
