//! Serialized tasks and findings, which drivers with workers without shared memory pass on unread.

use super::task::{Findings, Read, Task, Work};
use super::tiles::ByteRange;
use crate::error::Result;
use crate::serialization::{Reader, Writer};

const TASK: [u8; 4] = *b"QPTA";
const FOUND: [u8; 4] = *b"QPFO";
const VERSION: u8 = 1;

impl Task {
    /// Serializes the task.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Task { id, read, work, tensor, first_weight, row_length } = self;
        let mut out = Writer::new(TASK, VERSION);
        let (from_output, range) = match read {
            Read::Source(range) => (false, range),
            Read::Output(range) => (true, range),
        };
        out.u64(*id).bool(from_output).u64(range.offset).u64(range.length).option(range.second, |out, second| {
            out.u64(second);
        });
        out.text(tensor).u64(*first_weight).u64(*row_length);
        match work {
            Work::Encode { from, to, columns, permuted_head_rows, importance, mean_square, scales, measure, hash } => {
                out.u8(0).text(from).text(to).u64(*columns).u64(*permuted_head_rows).bool(*measure).bool(*hash);
                floats(&mut out, importance.as_deref());
                floats(&mut out, mean_square.as_ref().map(std::slice::from_ref));
                floats(&mut out, scales.as_deref());
            }
            Work::Squares { from, sum } => {
                out.u8(1).text(from).f32(*sum);
            }
            Work::Absmax { from, to } => {
                out.u8(2).text(from).text(to);
            }
            Work::Check { hash, length } => {
                out.u8(3).text(hash).u64(*length);
            }
        }
        out.finish()
    }

    /// Reads a serialized task.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Task> {
        let mut input = Reader::new(bytes, TASK, VERSION, "a task")?;
        let id = input.u64()?;
        let from_output = input.bool()?;
        let range = ByteRange { offset: input.u64()?, length: input.u64()?, second: input.option(Reader::u64)? };
        let read = if from_output { Read::Output(range) } else { Read::Source(range) };
        let (tensor, first_weight, row_length) = (input.text()?, input.u64()?, input.u64()?);
        let work = match input.choice(&[0, 1, 2, 3], "kind of work")? {
            0 => Work::Encode {
                from: input.text()?,
                to: input.text()?,
                columns: input.u64()?,
                permuted_head_rows: input.u64()?,
                measure: input.bool()?,
                hash: input.bool()?,
                importance: input.option(Reader::f32s)?,
                mean_square: input.option(Reader::f32s)?.and_then(|values| values.first().copied()),
                scales: input.option(Reader::f32s)?,
            },
            1 => Work::Squares { from: input.text()?, sum: input.f32()? },
            2 => Work::Absmax { from: input.text()?, to: input.text()? },
            _ => Work::Check { hash: input.text()?, length: input.u64()? },
        };
        input.finish()?;
        Ok(Task { id, read, work, tensor: tensor.into(), first_weight, row_length })
    }
}

impl Findings {
    /// Serializes the findings.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Findings { hash, errors, intact, sum, absmax } = self;
        let mut out = Writer::new(FOUND, VERSION);
        out.bool(*intact).option(hash.as_ref(), |out, hash| {
            out.text(hash);
        });
        out.option(errors.as_ref(), |out, errors| {
            errors.iter().for_each(|sum| {
                out.f64(*sum);
            });
        });
        floats(&mut out, sum.as_ref().map(std::slice::from_ref));
        floats(&mut out, absmax.as_deref());
        out.finish()
    }

    /// Reads serialized findings.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Findings> {
        let mut input = Reader::new(bytes, FOUND, VERSION, "the result of a task")?;
        let intact = input.bool()?;
        let hash = input.option(Reader::text)?;
        let errors = input.option(|input| {
            let mut errors = [0.0; 8];
            for sum in &mut errors {
                *sum = input.f64()?;
            }
            Ok(errors)
        })?;
        let sum = input.option(Reader::f32s)?.and_then(|values| values.first().copied());
        let absmax = input.option(Reader::f32s)?;
        input.finish()?;
        Ok(Findings { hash, errors, intact, sum, absmax })
    }
}

fn floats(out: &mut Writer, values: Option<&[f32]>) {
    out.option(values, |out, values| {
        out.f32s(values);
    });
}
