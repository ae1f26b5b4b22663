//! What a fake quantization imitates: bits, codes, and how scales follow from ranges.

use crate::affine::{QuantMode, QuantRange, QuantScheme};
use crate::error::{Code, Error, Result};
use crate::wire::{Reader, Writer};

/// The codes to train for.
///
/// The constructors are the conventions in use; the fields are open for others, and checked where they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FakeQuantConfig {
    /// Bits per code, 2..=8.
    pub bits: u8,
    /// Whether the zero point is fixed in the middle of the codes.
    pub symmetric: bool,
    /// The smallest code.
    pub qmin: i32,
    /// The largest code.
    pub qmax: i32,
    /// Whether there are as many codes below zero as above, so that `qmin = -qmax`.
    pub narrow_range: bool,
}

impl FakeQuantConfig {
    /// Symmetric around 0 with a narrow range: `-127..=127` at 8 bits.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8, as for all of them.
    pub fn symmetric(bits: u8) -> Result<Self> {
        Ok(Self::of(bits, true, QuantRange::narrow(bits)?))
    }

    /// Asymmetric over unsigned codes: `0..=255` at 8 bits.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn asymmetric(bits: u8) -> Result<Self> {
        Ok(Self::of(bits, false, QuantRange::unsigned(bits)?))
    }

    /// All signed codes, `-128..=127` at 8 bits: PyTorch's `qint8`.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn signed(bits: u8, symmetric: bool) -> Result<Self> {
        Ok(Self::of(bits, symmetric, QuantRange::signed(bits)?))
    }

    /// All unsigned codes, `0..=255` at 8 bits: PyTorch's `quint8`. Symmetric, their zero point is 128.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn unsigned(bits: u8, symmetric: bool) -> Result<Self> {
        Ok(Self::of(bits, symmetric, QuantRange::unsigned(bits)?))
    }

    /// `symmetric(4)`.
    pub const fn q4_symmetric() -> Self {
        Self::of(4, true, QuantRange { qmin: -7, qmax: 7 })
    }

    /// `symmetric(8)`.
    pub const fn q8_symmetric() -> Self {
        Self::of(8, true, QuantRange { qmin: -127, qmax: 127 })
    }

    const fn of(bits: u8, symmetric: bool, QuantRange { qmin, qmax }: QuantRange) -> Self {
        FakeQuantConfig { bits, symmetric, qmin, qmax, narrow_range: qmin == -qmax }
    }

    /// How many codes there are.
    pub fn num_levels(&self) -> usize {
        self.range().levels()
    }

    /// The codes.
    pub const fn range(&self) -> QuantRange {
        QuantRange { qmin: self.qmin, qmax: self.qmax }
    }

    /// The same as a scheme of integer quantization.
    ///
    /// # Errors
    /// [`Code::RANGE`] if the codes do not fit the bits, [`Code::ARGUMENT`] if the range is not as narrow as it claims.
    pub fn scheme(&self) -> Result<QuantScheme> {
        let FakeQuantConfig { bits, symmetric, qmin, qmax, narrow_range } = *self;
        if narrow_range && i64::from(qmin) != -i64::from(qmax) {
            let message = format!("a narrow range has as many codes below zero as above, and {qmin} to {qmax} has not");
            return Err(Error::new(Code::ARGUMENT, message)
                .with("qmin", f64::from(qmin))
                .with("qmax", f64::from(qmax)));
        }
        let mode = if symmetric { QuantMode::Symmetric } else { QuantMode::Asymmetric };
        QuantScheme::new(bits, mode)?.with_range(self.range())
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let FakeQuantConfig { bits, symmetric, qmin, qmax, narrow_range } = *self;
        out.u8(bits).bool(symmetric).i32(qmin).i32(qmax).bool(narrow_range);
    }

    /// Reads what [`write`](Self::write) wrote, and checks it as [`scheme`](Self::scheme) does.
    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self> {
        let (bits, symmetric, qmin, qmax) = (input.u8()?, input.bool()?, input.i32()?, input.i32()?);
        let config = FakeQuantConfig { bits, symmetric, qmin, qmax, narrow_range: input.bool()? };
        config.scheme().map(|_| config)
    }
}

impl Default for FakeQuantConfig {
    fn default() -> Self {
        Self::q8_symmetric()
    }
}
