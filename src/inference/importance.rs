//! The importance matrix as `llama-imatrix` accumulates it: for each tensor the sums of the squares of its inputs, one
//! per column, and the number of inputs.

use crate::container::gguf::{Record, TensorType, Value, ValueType, array_items, encode_pair, write_header};
use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;

/// The sums of one tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Sums of squares, one per column, for each expert in turn.
    pub values: Vec<f32>,
    /// The number of inputs of each expert; one number if there are no experts.
    pub counts: Vec<u64>,
}

/// An importance matrix that is being accumulated.
///
/// Sums are in single precision and in the order of the inputs, as in `llama-imatrix`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Importance {
    entries: BTreeMap<String, Sums>,
}

impl Importance {
    /// The tensors and their sums, sorted by name.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &Sums)> {
        self.entries.iter().map(|(name, sums)| (name.as_str(), sums))
    }

    /// Makes an entry for a tensor, also if it gets no inputs.
    pub(super) fn entry(&mut self, name: &str, columns: usize, experts: usize) -> &mut Sums {
        self.entries
            .entry(name.to_owned())
            .or_insert_with(|| Sums { values: vec![0.0; columns * experts], counts: vec![0; experts] })
    }

    /// Adds inputs of a tensor, or of one of its experts.
    pub(super) fn add(&mut self, name: &str, columns: usize, [expert, experts]: [usize; 2], inputs: &[f32]) {
        let sums = self.entry(name, columns, experts);
        let values = &mut sums.values[expert * columns..][..columns];
        for input in inputs.chunks_exact(columns) {
            for (sum, x) in values.iter_mut().zip(input) {
                *sum += x * x;
            }
        }
        sums.counts[expert] += (inputs.len() / columns) as u64;
    }

    /// Checks that all sums are finite.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] with the name of the first tensor whose inputs were not.
    pub fn check(&self) -> Result<()> {
        for (name, sums) in &self.entries {
            if let Some(index) = sums.values.iter().position(|x| !x.is_finite()) {
                let message = format!("the inputs of '{name}' are NaN or infinite in column {index}");
                return Err(Error::new(Code::NON_FINITE, message).with("tensor", name.as_str()).with("index", index));
            }
        }
        Ok(())
    }

    /// Writes the GGUF file that `llama-imatrix` writes. `datasets` are the names of the texts, `chunks` is the number of
    /// chunks that were run, each of `chunk_size` tokens.
    ///
    /// # Errors
    /// As for [`Self::check`] and [`write_header`].
    pub fn to_gguf(&self, datasets: &[&str], chunks: u32, chunk_size: u32) -> Result<Vec<u8>> {
        self.check()?;
        let texts: Vec<_> = datasets.iter().map(|text| Value::String(text.as_bytes())).collect();
        let items = array_items(ValueType::STRING, &texts)?;
        let array =
            crate::container::gguf::Array { element: ValueType::STRING, len: texts.len() as u64, items: &items };
        let pairs = [
            encode_pair("general.type", &Value::String(b"imatrix")),
            encode_pair("imatrix.datasets", &Value::Array(array)),
            encode_pair("imatrix.chunk_count", &Value::U32(chunks)),
            encode_pair("imatrix.chunk_size", &Value::U32(chunk_size)),
        ];
        let mut tensors: Vec<(String, [u64; 2], Vec<f32>)> = Vec::new();
        for (name, sums) in &self.entries {
            let experts = sums.counts.len();
            let columns = sums.values.len().checked_div(experts).unwrap_or(0);
            let counts = sums.counts.iter().map(|count| *count as f32).collect();
            tensors.push((format!("{name}.in_sum2"), [columns as u64, experts as u64], sums.values.clone()));
            tensors.push((format!("{name}.counts"), [1, experts as u64], counts));
        }
        // As in ggml, a last dimension of one is not written.
        let records = tensors.iter().map(|(name, shape, _)| {
            let shape = if shape[1] == 1 { &shape[..1] } else { &shape[..] };
            Record { name, shape, dtype: TensorType::F32 }
        });
        let records: Vec<_> = records.collect();
        let written = write_header(&pairs, &records, crate::container::gguf::DEFAULT_ALIGNMENT)?;
        let mut file = written.header;
        for ((.., values), place) in tensors.iter().zip(&written.places) {
            file.extend(values.iter().flat_map(|x| x.to_le_bytes()));
            file.resize((place.offset + place.padded) as usize, 0);
        }
        Ok(file)
    }
}
