//! A header that was made from another container, written as it is.

use super::metadata::Pairs;
use super::options::Recipe;
use super::plan::{Plan, PlannedTensor};
use super::split::Split;
use crate::container::gguf::Header;
use crate::error::Result;

/// The plan that writes what `header` says: its metadata, and its tensors in their order, each as its `kind`. Of the recipe
/// only how the file is split counts.
///
/// # Errors
/// [`Code::RANGE`](crate::Code::RANGE) and [`Code::TOO_LARGE`](crate::Code::TOO_LARGE) for a split that cannot be.
pub fn transcribe(header: &Header, recipe: &Recipe) -> Result<Plan> {
    let planned = |tensor| PlannedTensor::of(tensor, tensor.kind, "conversion".to_owned());
    let tensors: Vec<_> = header.tensors().iter().map(planned).collect();
    Split::of(recipe, header, &tensors)?.plan(&Pairs::of(header), tensors)
}
