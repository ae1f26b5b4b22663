//! Causal attention of one sequence, with heads of queries in groups that share keys and values.

use super::math::{soft_cap, softmax};
use super::matmul::{Packed, multiply_part};
use super::parameters::Parameters;
use crate::allocation::zeros;
use crate::error::Result;
use crate::lanes::Lanes;

/// Queries whose scores are in memory at once.
const QUERIES: usize = 64;

/// Queries, keys and values of a sequence: a row of all heads for each token.
pub struct Inputs<'a> {
    /// Queries.
    pub queries: &'a [f32],
    /// Keys.
    pub keys: &'a [f32],
    /// Values.
    pub values: &'a [f32],
}

/// Writes the weighted means of the values, a row of all heads for each token. A query sees the last `window` keys up
/// to its own; all if `window` is 0.
///
/// # Errors
/// [`Code::NO_MEMORY`](crate::Code::NO_MEMORY).
pub fn attend<L: Lanes>(p: &Parameters, inputs: &Inputs, window: usize, out: &mut [f32]) -> Result<()> {
    let (key, value) = (p.key_length, p.value_length);
    let tokens = inputs.keys.len() / (p.key_heads * key);
    let (query_stride, out_stride) = (p.heads * key, p.heads * value);
    let group = p.heads / p.key_heads;
    let mut keys = Packed::default();
    let mut values = Packed::default();
    let mut head = zeros(tokens * key.max(value))?;
    let mut queries = zeros(QUERIES * key)?;
    let mut scores = zeros(QUERIES * tokens)?;
    for key_head in 0..p.key_heads {
        let own = &mut head[..tokens * key];
        for (own, row) in own.chunks_exact_mut(key).zip(inputs.keys.chunks_exact(p.key_heads * key)) {
            own.copy_from_slice(&row[key_head * key..][..key]);
        }
        keys.pack(own, key);
        let own = &mut head[..tokens * value];
        for (token, row) in inputs.values.chunks_exact(p.key_heads * value).enumerate() {
            for (index, x) in row[key_head * value..][..value].iter().enumerate() {
                own[index * tokens + token] = *x;
            }
        }
        values.pack(own, tokens);
        for query_head in key_head * group..(key_head + 1) * group {
            for start in (0..tokens).step_by(QUERIES) {
                let end = tokens.min(start + QUERIES);
                let queries = &mut queries[..(end - start) * key];
                let rows = inputs.queries[start * query_stride..end * query_stride].chunks_exact(query_stride);
                for (query, row) in queries.chunks_exact_mut(key).zip(rows) {
                    query.copy_from_slice(&row[query_head * key..][..key]);
                }
                let scores = &mut scores[..(end - start) * tokens];
                multiply_part::<L>(queries, &mut keys, end, key, scores, tokens, 0);
                for (position, row) in (start..end).zip(scores.chunks_exact_mut(tokens)) {
                    let from = if window == 0 { 0 } else { (position + 1).saturating_sub(window) };
                    row[..from].fill(0.0);
                    row[position + 1..].fill(0.0);
                    weigh(p, &mut row[from..=position]);
                }
                let out = &mut out[start * out_stride..end * out_stride];
                multiply_part::<L>(scores, &mut values, value, end, out, out_stride, query_head * value);
            }
        }
    }
    Ok(())
}

/// Scores to weights.
fn weigh(p: &Parameters, scores: &mut [f32]) {
    for score in scores.iter_mut() {
        *score *= p.attention_scale;
    }
    if p.soft_caps[0] != 0.0 {
        soft_cap(scores, p.soft_caps[0]);
    }
    softmax(scores);
}
