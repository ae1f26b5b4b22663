//! SentencePiece's BPE (`llama`): spaces become U+2581, and the neighbours whose joined text is the token of the highest
//! score are merged.

use super::merge::{merge, symbols};
use super::vocabulary::Vocabulary;

/// Appends the tokens of a text.
pub(super) fn tokenize(text: &[u8], vocabulary: &Vocabulary, out: &mut Vec<u32>) {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => escaped.extend_from_slice("\u{2581}".as_bytes()),
            _ => escaped.push(*byte),
        }
    }
    let mut lens = Vec::new();
    let mut at = 0;
    while let Some(first) = escaped.get(at) {
        // As in llama.cpp: by the first byte, whatever follows.
        let len = match first >> 4 {
            0..=11 => 1,
            12 | 13 => 2,
            14 => 3,
            _ => 4,
        };
        let len = len.min(escaped.len() - at);
        lens.push((len, None));
        at += len;
    }
    let mut symbols = symbols(lens.into_iter());
    merge(&mut symbols, |left, right| {
        let id = vocabulary.id(&escaped[left.start..right.start + right.len])?;
        Some((order(vocabulary.score(id)), id))
    });
    for symbol in symbols.iter().filter(|symbol| symbol.len > 0) {
        let text = &escaped[symbol.start..symbol.start + symbol.len];
        match symbol.value.or_else(|| vocabulary.id(text)) {
            Some(id) => out.push(id),
            None => out.extend(text.iter().filter_map(|byte| byte_token(*byte, vocabulary))),
        }
    }
}

/// The token of a byte: `<0x0A>`, or else the byte itself.
fn byte_token(byte: u8, vocabulary: &Vocabulary) -> Option<u32> {
    vocabulary.id(format!("<0x{byte:02X}>").as_bytes()).or_else(|| vocabulary.id(&[byte]))
}

/// A number that is ordered as the score is.
fn order(score: f32) -> i64 {
    let bits = (score + 0.0).to_bits() as i32;
    i64::from(bits ^ (bits >> 31) & i32::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn scores_are_ordered_as_numbers() {
        let scores = [f32::NEG_INFINITY, -2.5, -1.0, -0.0, 0.0, 1e-30, 7.0];
        assert!(scores.map(super::order).is_sorted());
        assert_eq!(super::order(-0.0), super::order(0.0));
    }
}
