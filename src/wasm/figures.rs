//! The figures of an error as numbers.

use crate::job::ErrorFigures;

/// The error figures in order; the last number is whether the one before it was measured.
pub fn figures_of(figures: &ErrorFigures) -> [f64; 7] {
    let ErrorFigures { rmse, relative_rmse, sqnr_db, cosine_similarity, max_error, weighted_error } = *figures;
    let measured = f64::from(u8::from(weighted_error.is_some()));
    [rmse, relative_rmse, sqnr_db, cosine_similarity, max_error, weighted_error.unwrap_or_default(), measured]
}
