//! Writes a header that was imported from another container, without quantizing.

use super::metadata::OutputMetadata;
use super::options::Recipe;
use super::plan::PlannedTensor;
use super::planner::Planner;
use super::split::{Split, SplitWriter};
use crate::container::gguf::{Header, Tensor};
use crate::error::Result;
use crate::interning::Name;

impl Planner<'static> {
    /// Plans to write the header as it is: its metadata, and its tensors in order with their dtypes. Only the
    /// splitting options of the recipe are used.
    ///
    /// # Errors
    /// [`Code::RANGE`](crate::Code::RANGE) and [`Code::TOO_LARGE`](crate::Code::TOO_LARGE) for invalid splitting options.
    pub fn pass_through(header: &Header, recipe: &Recipe) -> Result<Self> {
        let why = Name::from("conversion");
        let planned = |tensor: &Tensor| PlannedTensor::of(tensor, tensor.dtype, why.clone());
        let tensors: Vec<_> = header.tensors().iter().map(planned).collect();
        let split = Split::of(recipe, header, &tensors)?;
        Ok(Planner::writing(SplitWriter::new(split, OutputMetadata::of(header), tensors)))
    }
}
