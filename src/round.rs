//! Rounding functions, each named after its rule. The references use different ones, and the output bytes depend on
//! them.

/// `1.5 * 2^23`: adding it to a float of magnitude below 2^22 leaves the nearest integer in the low mantissa bits.
pub const MAGIC: f32 = 12_582_912.0;

/// ggml's `nearest_int`: round half to even by adding [`MAGIC`] and reading the mantissa.
///
/// Exact for `|x| <= 4194303`. For larger values, NaN and infinities it returns whatever the mantissa holds; the
/// reference does the same and clamps afterwards, so these results are part of the format's bytes.
#[inline(always)]
pub fn nearest_int(x: f32) -> i32 {
    ((x + MAGIC).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

/// C's `truncf`: rounds toward zero.
#[inline(always)]
pub fn trunc(x: f32) -> f32 {
    if cfg!(any(target_arch = "wasm32", target_arch = "aarch64", target_feature = "sse4.1")) {
        return x.trunc();
    }
    // x86-64 without SSE4.1 has no such instruction, and a function call per weight is slow. From 2^23 on every float
    // is an integer.
    let whole = (x as i32 as f32).copysign(x);
    if x.abs() < 8_388_608.0 { whole } else { x }
}

/// C's `roundf`: rounds ties away from zero.
///
/// In wasm `f32::round` is a library call; this is the same function in a few operations. It adds the largest float
/// below one half, because adding one half itself would round 0.49999997 up.
#[inline(always)]
pub fn half_away(x: f32) -> f32 {
    trunc(x + BELOW_HALF.copysign(x))
}

/// The largest float below one half.
pub const BELOW_HALF: f32 = 0.499_999_97;

/// [`half_away`] of `x` in `-128..=127` as a byte; NaN becomes 0, as on x86-64.
#[inline(always)]
pub fn half_away_i8(x: f32) -> i8 {
    (half_away(x) + MAGIC).to_bits() as i8
}

/// IEEE `roundTiesToEven` (C's `nearbyintf` in the default rounding mode).
#[inline(always)]
pub fn half_even(x: f32) -> f32 {
    x.round_ties_even()
}

/// C's `(int8_t)(x)` as compiled for x86-64: truncates to `i32` and keeps the low byte. Out-of-range values and NaN
/// give `i32::MIN` first.
#[inline(always)]
pub fn trunc_i8(x: f32) -> i8 {
    trunc_i32(x) as i8
}

/// C's `(int)(x)` as compiled for x86-64 (`cvttss2si`): out-of-range values and NaN give `i32::MIN`.
#[inline(always)]
pub fn trunc_i32(x: f32) -> i32 {
    // Both bounds are exact as floats; NaN fails both comparisons.
    if x > -2_147_483_904.0 && x < 2_147_483_648.0 { x as i32 } else { i32::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test values: all exponents, with mantissas around the ties.
    fn floats() -> impl Iterator<Item = f32> {
        (0..=255u32).flat_map(|exponent| {
            [0, 1, 2, 0x3f_ffff, 0x40_0000, 0x40_0001, 0x7f_fffe, 0x7f_ffff]
                .into_iter()
                .flat_map(move |mantissa| [0, 1 << 31].map(|sign| f32::from_bits(sign | exponent << 23 | mantissa)))
        })
    }

    #[test]
    fn half_away_equals_roundf() {
        let ties = (-2000..2000).map(|i| i as f32 * 0.25);
        let around =
            |x: f32| [x, f32::from_bits(x.to_bits().wrapping_add(1)), f32::from_bits(x.to_bits().wrapping_sub(1))];
        for x in floats().chain(ties.flat_map(around)) {
            let (ours, std) = (half_away(x), x.round());
            assert!(ours.to_bits() == std.to_bits() || ours.is_nan() && std.is_nan(), "{x}: {ours} {std}");
        }
    }

    #[test]
    fn trunc_equals_truncf() {
        for x in floats().chain((-2000..2000).map(|i| i as f32 * 0.25)) {
            let (ours, std) = (trunc(x), x.trunc());
            assert!(ours.to_bits() == std.to_bits() || ours.is_nan() && std.is_nan(), "{x}: {ours} {std}");
        }
    }

    #[test]
    fn bytes_are_converted_as_in_c() {
        for i in -128 * 64..=127 * 64 {
            let x = i as f32 / 64.0;
            assert_eq!(f32::from(half_away_i8(x)), x.round(), "{x}");
        }
        assert_eq!(half_away_i8(f32::NAN), 0);
    }

    #[test]
    fn nearest_int_rounds_half_to_even() {
        for (x, want) in [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (4_194_303.0, 4_194_303), (-0.51, -1)] {
            assert_eq!(nearest_int(x), want, "{x}");
        }
    }

    #[test]
    fn trunc_matches_cvttss2si() {
        for (x, want) in [(1.9, 1), (-1.9, -1), (2e9, 2_000_000_000), (3e9, i32::MIN), (f32::NAN, i32::MIN)] {
            assert_eq!(trunc_i32(x), want, "{x}");
        }
        assert_eq!(trunc_i32(-2_147_483_648.0), i32::MIN);
        assert_eq!(trunc_i8(300.0), 44);
    }
}
