//! The scale searches that several formats share, each written once and generic over lanes.

mod affine;
mod nonlinear;
mod positive;
mod refined;
mod scale;
mod symmetric;

pub use affine::{Affine, Grid, affine};
pub use nonlinear::nonlinear;
pub use positive::positive;
pub use refined::refined;
pub use scale::{GROUP_MAX_EPS, max_abs, reciprocal_or_zero, signed_max};
pub use symmetric::symmetric;
