//! The configuration of a fake quantization: bits, range of codes, symmetric or asymmetric.

use crate::affine::{QuantMode, QuantRange, QuantScheme};
#[cfg(doc)]
use crate::error::Code;
use crate::error::Result;
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
    pub mode: QuantMode,
    /// The codes that may be used.
    pub range: QuantRange,
}

impl FakeQuantConfig {
    /// Symmetric with a narrow range: `-127..=127` at 8 bits.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn symmetric(bits: u8) -> Result<Self> {
        Ok(Self::of(bits, QuantMode::Symmetric, QuantRange::narrow(bits)?))
    }

    /// Asymmetric with unsigned codes: `0..=255` at 8 bits.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn asymmetric(bits: u8) -> Result<Self> {
        Ok(Self::of(bits, QuantMode::Asymmetric, QuantRange::unsigned(bits)?))
    }

    /// The usual codes of a mode: [`symmetric`](Self::symmetric) or [`asymmetric`](Self::asymmetric).
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn of_mode(bits: u8, mode: QuantMode) -> Result<Self> {
        match mode {
            QuantMode::Symmetric => Self::symmetric(bits),
            QuantMode::Asymmetric => Self::asymmetric(bits),
        }
    }

    /// The full signed range, `-128..=127` at 8 bits: PyTorch's `qint8`.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn signed(bits: u8, mode: QuantMode) -> Result<Self> {
        Ok(Self::of(bits, mode, QuantRange::signed(bits)?))
    }

    /// The full unsigned range, `0..=255` at 8 bits: PyTorch's `quint8`. The zero point is 128 if symmetric.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn unsigned(bits: u8, mode: QuantMode) -> Result<Self> {
        Ok(Self::of(bits, mode, QuantRange::unsigned(bits)?))
    }

    /// `symmetric(4)`.
    pub const fn q4_symmetric() -> Self {
        Self::of(4, QuantMode::Symmetric, QuantRange { qmin: -7, qmax: 7 })
    }

    /// `symmetric(8)`.
    pub const fn q8_symmetric() -> Self {
        Self::of(8, QuantMode::Symmetric, QuantRange { qmin: -127, qmax: 127 })
    }

    const fn of(bits: u8, mode: QuantMode, range: QuantRange) -> Self {
        FakeQuantConfig { bits, mode, range }
    }

    /// The number of codes.
    pub fn num_levels(&self) -> usize {
        self.range.levels()
    }

    /// Converts to a scheme of integer quantization.
    ///
    /// # Errors
    /// [`Code::RANGE`] if the codes do not fit the bits.
    pub fn scheme(&self) -> Result<QuantScheme> {
        QuantScheme::new(self.bits, self.mode)?.with_range(self.range)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let FakeQuantConfig { bits, mode, range: QuantRange { qmin, qmax } } = *self;
        // The last byte says that the range is narrow, which follows from its ends.
        out.u8(bits).bool(mode == QuantMode::Symmetric).i32(qmin).i32(qmax).bool(is_narrow(qmin, qmax));
    }

    /// Reads a configuration written by [`write`](Self::write), and checks it like [`scheme`](Self::scheme).
    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self> {
        let (bits, symmetric, qmin, qmax) = (input.u8()?, input.bool()?, input.i32()?, input.i32()?);
        if input.bool()? && !is_narrow(qmin, qmax) {
            return Err(input.malformed(format!("a narrow range of codes {qmin} to {qmax}")));
        }
        let mode = if symmetric { QuantMode::Symmetric } else { QuantMode::Asymmetric };
        let config = FakeQuantConfig { bits, mode, range: QuantRange { qmin, qmax } };
        config.scheme().map(|_| config)
    }
}

/// Whether as many codes are below zero as above.
fn is_narrow(qmin: i32, qmax: i32) -> bool {
    i64::from(qmin) == -i64::from(qmax)
}

impl Default for FakeQuantConfig {
    fn default() -> Self {
        Self::q8_symmetric()
    }
}
