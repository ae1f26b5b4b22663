//! Byte-level BPE (`gpt2`): text is split into pieces by patterns, bytes become printable letters, and neighbours are
//! merged by the rank of their pair.

use super::merge::{merge, symbols};
use super::pattern::Pattern;
use super::pre::Pre;
use super::vocabulary::{Keys, Vocabulary};
use crate::error::{Code, Error, Result};
use std::collections::HashMap;

/// A byte-level BPE tokenizer.
#[derive(Debug)]
pub struct Bpe {
    patterns: Vec<Pattern>,
    ignore_merges: bool,
    /// The letter of each byte, as UTF-8.
    letters: Vec<Vec<u8>>,
    /// Numbers of the symbols that occur in merges.
    symbols: HashMap<Vec<u8>, u32>,
    /// The rank of a pair of symbols, and the symbol that it becomes.
    merges: HashMap<(u32, u32), (u32, u32)>,
}

/// GPT-2's letter for a byte: printable Latin-1 is itself, the others follow from 256.
pub(super) fn letter(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|byte| !printable(*byte)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

impl Bpe {
    pub(super) fn new(keys: &Keys, pre: &Pre) -> Result<Bpe> {
        let texts = keys.texts("merges")?.ok_or_else(|| {
            Error::new(Code::MALFORMED, "'tokenizer.ggml.merges' is missing").with("key", "tokenizer.ggml.merges")
        })?;
        let mut symbols: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut number = |text: &[u8]| {
            let next = symbols.len() as u32;
            *symbols.entry(text.to_vec()).or_insert(next)
        };
        let mut merges = HashMap::with_capacity(texts.len());
        for (rank, text) in texts.iter().enumerate() {
            // The first symbol has at least one byte, so a space may be that byte.
            let space = text.iter().skip(1).position(|byte| *byte == b' ').map(|index| index + 1);
            let (left, right) = space.map_or((*text, &[][..]), |space| (&text[..space], &text[space + 1..]));
            let merged = number(&[left, right].concat());
            merges.entry((number(left), number(right))).or_insert((rank as u32, merged));
        }
        let letters = (0..=u8::MAX).map(|byte| letter(byte).to_string().into_bytes()).collect();
        let patterns = pre.patterns.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<_>>()?;
        Ok(Bpe { patterns, ignore_merges: pre.ignore_merges, letters, symbols, merges })
    }

    /// Appends the tokens of a text.
    pub(super) fn tokenize(&self, text: &[u8], vocabulary: &Vocabulary, out: &mut Vec<u32>) {
        let codes = decode(text);
        let mut pieces = vec![codes.len()];
        for pattern in &self.patterns {
            let mut next = Vec::with_capacity(pieces.len());
            let mut start = 0;
            for len in pieces {
                pattern.split(&codes[start..start + len], |len| next.push(len));
                start += len;
            }
            pieces = next;
        }
        let mut rest = codes.as_slice();
        let mut word = Vec::new();
        for len in pieces {
            let (piece, after) = rest.split_at(len);
            rest = after;
            word.clear();
            for code in piece {
                encode(*code, |byte| word.extend_from_slice(&self.letters[usize::from(byte)]));
            }
            self.word(&word, vocabulary, out);
        }
    }

    fn word(&self, word: &[u8], vocabulary: &Vocabulary, out: &mut Vec<u32>) {
        if self.ignore_merges
            && let Some(id) = vocabulary.id(word)
        {
            out.push(id);
            return;
        }
        let lens = word.iter().enumerate().filter(|(_, byte)| **byte & 0xc0 != 0x80).map(|(at, _)| at);
        let starts: Vec<usize> = lens.chain([word.len()]).collect();
        let parts = starts.windows(2).map(|pair| {
            let text = &word[pair[0]..pair[1]];
            (text.len(), self.symbols.get(text).copied())
        });
        let mut symbols = symbols(parts);
        merge(&mut symbols, |left, right| {
            let (rank, merged) = self.merges.get(&(left.value?, right.value?))?;
            Some((-i64::from(*rank), *merged))
        });
        for symbol in symbols.iter().filter(|symbol| symbol.len > 0) {
            let text = &word[symbol.start..symbol.start + symbol.len];
            match vocabulary.id(text) {
                Some(id) => out.push(id),
                // Byte for byte, and what is not in the vocabulary is dropped, as in llama.cpp.
                None => out.extend(text.iter().filter_map(|byte| vocabulary.id(&[*byte]))),
            }
        }
    }
}

/// Code points of a text as llama.cpp decodes it: a byte that does not begin a character is U+FFFD; surrogates and
/// overlong forms are decoded.
fn decode(text: &[u8]) -> Vec<u32> {
    let mut codes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&first) = text.get(at) {
        let (len, bits) = match first {
            0x00..=0x7f => (1, u32::from(first)),
            0xc0..=0xdf => (2, u32::from(first & 0x1f)),
            0xe0..=0xef => (3, u32::from(first & 0x0f)),
            0xf0..=0xf7 => (4, u32::from(first & 0x07)),
            _ => (0, 0),
        };
        let following = text.get(at + 1..at + len).filter(|bytes| bytes.iter().all(|byte| byte & 0xc0 == 0x80));
        let code = following.map(|bytes| bytes.iter().fold(bits, |code, byte| code << 6 | u32::from(byte & 0x3f)));
        match code.filter(|code| *code <= 0x10_ffff) {
            Some(code) => {
                codes.push(code);
                at += len;
            }
            None => {
                codes.push(0xfffd);
                at += 1;
            }
        }
    }
    codes
}

/// The UTF-8 bytes of a code point, also of a surrogate.
fn encode(code: u32, byte: impl FnMut(u8)) {
    let follow = |shift: u32| (0x80 | code >> shift & 0x3f) as u8;
    let bytes = match code {
        0..0x80 => [code as u8, 0, 0, 0],
        0x80..0x800 => [0xc0 | (code >> 6) as u8, follow(0), 0, 0],
        0x800..0x1_0000 => [0xe0 | (code >> 12) as u8, follow(6), follow(0), 0],
        _ => [0xf0 | (code >> 18) as u8, follow(12), follow(6), follow(0)],
    };
    let len = [0x80, 0x800, 0x1_0000].iter().filter(|end| code >= **end).count() + 1;
    bytes.into_iter().take(len).for_each(byte);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_those_of_gpt2() {
        assert_eq!((letter(b' '), letter(b'\n'), letter(b'a'), letter(0x7f), letter(0xad)), ('Ġ', 'Ċ', 'a', 'ġ', 'Ń'));
    }

    #[test]
    fn broken_utf8_is_decoded_as_in_llama_cpp() {
        assert_eq!(decode(b"a\xc3\xa9\xff\xe2\x82"), [0x61, 0xe9, 0xfffd, 0xfffd, 0xfffd]);
        assert_eq!(decode(b"\xed\xa0\x80\xc0\x80"), [0xd800, 0]);
        for code in [0x41, 0xe9, 0xd800, 0x20ac, 0x1f600] {
            let mut bytes = Vec::new();
            encode(code, |byte| bytes.push(byte));
            assert_eq!(decode(&bytes), [code]);
        }
    }
}
