//! The number of lanes does not change any byte: every encoder with one, four and eight lanes.

use crate::support::lanes::{assert_same, encodings};
use quantpress::lanes::Array;

#[test]
fn one_four_and_eight_lanes_write_the_same_bytes() {
    let one = encodings::<f32>();
    assert_same("four", &encodings::<Array<4>>(), &one);
    assert_same("eight", &encodings::<Array<8>>(), &one);
}
