//! The configuration of a fake quantization: bits, range of codes, symmetric or asymmetric.

use crate::affine::{QuantMode, QuantRange, QuantScheme};
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};

/// The integer codes to train for.
///
/// The constructors are the usual conventions. The fields are public for other combinations, and checked where they are
/// used.
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
    /// Whether the range is narrow: as many codes below zero as above (`qmin = -qmax`).
    pub narrow_range: bool,
}

impl FakeQuantConfig {
    /// Symmetric with a narrow range: `-127..=127` at 8 bits.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn symmetric(bits: u8) -> Result<Self> {
        Ok(Self::of(bits, true, QuantRange::narrow(bits)?))
    }

    /// Asymmetric with unsigned codes: `0..=255` at 8 bits.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn asymmetric(bits: u8) -> Result<Self> {
        Ok(Self::of(bits, false, QuantRange::unsigned(bits)?))
    }

    /// The full signed range, `-128..=127` at 8 bits: PyTorch's `qint8`.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn signed(bits: u8, symmetric: bool) -> Result<Self> {
        Ok(Self::of(bits, symmetric, QuantRange::signed(bits)?))
    }

    /// The full unsigned range, `0..=255` at 8 bits: PyTorch's `quint8`. The zero point is 128 if symmetric.
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

    /// The number of codes.
    pub fn num_levels(&self) -> usize {
        self.range().levels()
    }

    /// The range of codes.
    pub const fn range(&self) -> QuantRange {
        QuantRange { qmin: self.qmin, qmax: self.qmax }
    }

    /// Converts to a scheme of integer quantization.
    ///
    /// # Errors
    /// [`Code::RANGE`] if the codes do not fit the bits, [`Code::ARGUMENT`] if `narrow_range` is set but the range is
    /// not narrow.
    pub fn scheme(&self) -> Result<QuantScheme> {
        let FakeQuantConfig { bits, symmetric, qmin, qmax, narrow_range } = *self;
        if narrow_range && i64::from(qmin) != -i64::from(qmax) {
            let message =
                format!("a narrow range must have as many codes below zero as above, but {qmin} to {qmax} does not");
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

    /// Reads a configuration written by [`write`](Self::write), and checks it like [`scheme`](Self::scheme).
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
