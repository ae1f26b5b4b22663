//! Serialization of a plan for bitsandbytes' formats, to pass it to another instance of the engine.

use super::plan::{BnbLayout, Plan, PlannedTensor};
use crate::container::gguf::{DataRange, TensorType};
use crate::error::Result;
use crate::interning::Interner;
use crate::nf4::{DataType4Bit, TailLayout};
use crate::serialization::{Reader, Writer};

const TAG: [u8; 4] = *b"QPFB";
const VERSION: u8 = 1;

impl Plan {
    /// Serializes a plan for bitsandbytes' formats; `None` for any other.
    pub fn bnb_to_bytes(&self) -> Option<Vec<u8>> {
        let BnbLayout { layout, skipped } = self.bnb.as_ref()?;
        let mut out = Writer::new(TAG, VERSION);
        out.bytes(self.header()).u64(self.size).text(layout.data_type.name()).bool(layout.double_quant);
        out.count(skipped.len());
        skipped.iter().for_each(|module| {
            out.text(module);
        });
        out.count(self.tensors.len());
        for PlannedTensor { name, from, to, why, shape, source_offset, source_bytes, place, .. } in &self.tensors {
            out.text(name).u8(from.index()).u8(to.index()).text(why).u64s(shape);
            out.u64(*source_offset).u64(*source_bytes).u64(place.offset).u64(place.bytes).u64(place.padded);
        }
        Some(out.finish())
    }

    /// Reads a serialized plan for bitsandbytes' formats.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn bnb_from_bytes(bytes: &[u8]) -> Result<Plan> {
        let mut input = Reader::new(bytes, TAG, VERSION, "a 4-bit plan")?;
        let (header, size, data_type) = (input.bytes()?, input.u64()?, input.text()?);
        let known = DataType4Bit::ALL.into_iter().find(|known| known.name() == data_type);
        let data_type = known.ok_or_else(|| input.malformed(format!("the 4-bit type '{data_type}'")))?;
        let layout = TailLayout { data_type, double_quant: input.bool()? };
        let mut skipped = Vec::new();
        for _ in 0..input.count()? {
            skipped.push(input.text()?);
        }
        let (mut shapes, mut reasons, mut tensors) = (Interner::default(), Interner::default(), Vec::new());
        for _ in 0..input.count()? {
            let name = input.text()?;
            let mut dtype = || {
                let index = input.u8()?;
                TensorType::at(index).ok_or_else(|| input.malformed(format!("tensor type {index}")))
            };
            let (from, to) = (dtype()?, dtype()?);
            let why = reasons.intern(input.text()?.as_str());
            let shape = shapes.intern(input.u64s()?.as_slice());
            let (source_offset, source_bytes) = (input.u64()?, input.u64()?);
            let place = DataRange { offset: input.u64()?, bytes: input.u64()?, padded: input.u64()? };
            tensors.push(PlannedTensor::of_bnb(
                name.into(),
                [from, to],
                why,
                shape,
                [source_offset, source_bytes],
                place,
            ));
        }
        input.finish()?;
        Ok(Plan::of_bnb(header, tensors, size, BnbLayout { layout, skipped }))
    }
}
