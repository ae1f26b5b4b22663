//! Mixture of experts: which experts each token uses, and how much of their outputs.

use super::math::softmax;
use crate::sort::sorted;

/// A token's use of an expert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Use {
    /// The index of the token.
    pub token: usize,
    /// The factor of the expert's output.
    pub weight: f32,
}

/// Adds the uses of a sequence, whose first token has the index `first`, to those of each expert: first those of tokens
/// for which it is the most likely one, then the second, and so on.
///
/// As in llama.cpp the probabilities are a softmax over all experts, and the weights of the chosen ones are divided by
/// their sum. Of equal probabilities the first expert comes first.
pub fn route(logits: &mut [f32], first: usize, used: usize, uses: &mut [Vec<Use>]) {
    let experts = uses.len();
    let mut chosen: Vec<Vec<(usize, f32)>> = Vec::with_capacity(logits.len() / experts);
    for row in logits.chunks_exact_mut(experts) {
        softmax(row);
        let all: Vec<usize> = (0..experts).collect();
        let mut order = sorted(&all, |a, b| row[*b].total_cmp(&row[*a]));
        order.truncate(used);
        let sum: f32 = order.iter().fold(0.0, |sum, expert| sum + row[*expert]);
        // The smallest normal F16, as in llama.cpp.
        let sum = sum.max(6.103_515_6e-5);
        chosen.push(order.iter().map(|expert| (*expert, row[*expert] / sum)).collect());
    }
    for rank in 0..used {
        for (token, chosen) in chosen.iter().enumerate() {
            if let Some((expert, weight)) = chosen.get(rank) {
                uses[*expert].push(Use { token: first + token, weight: *weight });
            }
        }
    }
}
