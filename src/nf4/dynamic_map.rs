//! bitsandbytes' dynamic 8-bit map for quantizing absmax values: many small values, few large ones.

use crate::sort::sorted;
use std::array;
use std::sync::LazyLock;

/// The 256 values, sorted: 0, 1, and for each of seven decades `10^(i-6)` the `2^i` midpoints of 0.1..1 with both
/// signs.
///
/// Equals `create_dynamic_map(signed=True, max_exponent_bits=7, total_bits=8)`, whose bits depend on the rounding of
/// `torch.linspace`: from the nearer end, with one fused multiply-add. In double precision both operations are exact,
/// so rounding the result to single precision gives the fused result.
pub static DYNAMIC_MAP: LazyLock<[f32; 256]> = LazyLock::new(|| {
    const DECADES: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
    let mut values = Vec::with_capacity(256);
    values.extend([0.0, 1.0]);
    for (i, decade) in DECADES.into_iter().enumerate() {
        let items = 1usize << i;
        let step = (1.0f32 - 0.1) / items as f32;
        let boundary = |k: usize| {
            let (from, steps) = if k < items.div_ceil(2) { (0.1f32, k as f64) } else { (1.0, k as f64 - items as f64) };
            (f64::from(from) + f64::from(step) * steps) as f32
        };
        for k in 0..items {
            let mean = (boundary(k) + boundary(k + 1)) / 2.0;
            values.extend([decade * mean, -(decade * mean)]);
        }
    }
    let values = sorted(&values, f32::total_cmp);
    array::from_fn(|i| values[i])
});

/// The code of each of 65536 bins over -1..1.
///
/// bitsandbytes' CPU path does not search the map for every value but once per bin. About one code in 600 is therefore
/// not the nearest one, and the bytes must reproduce that.
static BINS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let map = &*DYNAMIC_MAP;
    let midpoint = |code: usize| 0.5 * (map[code] + map[code + 1]);
    let mut code = 0usize;
    (0..65536u32)
        .map(|bin| {
            let value = -1.0 + (2.0 * bin as f32) / 65535.0;
            while code < 255 && midpoint(code) < value {
                code += 1;
            }
            code as u8
        })
        .collect()
});

/// Writes the codes of one block of finite values and returns its largest magnitude. A block of zeros gets code 0,
/// whose value -0.99 is multiplied by a magnitude of 0.
pub fn encode(values: &[f32], codes: &mut [u8]) -> f32 {
    let largest = values.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    if largest == 0.0 {
        codes.fill(0);
        return largest;
    }
    // The reciprocal of the smallest subnormals is infinite, where the reference is undefined.
    let inverse = (1.0 / largest).min(f32::MAX);
    let bins = &*BINS;
    for (code, x) in codes.iter_mut().zip(values) {
        let value = (x * inverse).clamp(-1.0, 1.0);
        let bin = (value + 1.0) * 0.5 * 65535.0 + 0.5;
        *code = bins[usize::from(bin as u16)];
    }
    largest
}

/// Decodes a code of a block with this largest magnitude.
#[inline(always)]
pub fn decode(code: u8, largest: f32) -> f32 {
    DYNAMIC_MAP[usize::from(code)] * largest
}
