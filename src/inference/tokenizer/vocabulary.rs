//! The tokens of a vocabulary and their properties, read from `tokenizer.ggml.*`.

use crate::container::gguf::{Header, Value, ValueType};
use crate::error::{Code, Error, Result};
use std::collections::HashMap;

/// The number of tokens of a vocabulary. The largest known ones have 260 000.
const MAX_TOKENS: u64 = 1 << 22;

/// The type of a token, llama.cpp's `token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// Found by the algorithm only.
    Normal,
    /// Stands for what the vocabulary lacks.
    Unknown,
    /// Found in a text only if special tokens are parsed.
    Control,
    /// Found in every text before anything else.
    UserDefined,
    /// Not used.
    Unused,
    /// A byte.
    Byte,
}

/// Tokens that end a text or a turn. llama.cpp treats them as control tokens whatever their type.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
    "[e~[",
];

/// A vocabulary.
#[derive(Debug)]
pub struct Vocabulary {
    tokens: Vec<Vec<u8>>,
    ids: HashMap<Vec<u8>, u32>,
    types: Vec<TokenType>,
    scores: Vec<f32>,
    /// Tokens that are looked for before a text is tokenized, the longest first.
    special: Vec<u32>,
}

/// Reads the metadata of the tokenizer.
pub(super) struct Keys<'a>(pub &'a Header);

impl<'a> Keys<'a> {
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.0.get(&format!("tokenizer.ggml.{key}"))
    }

    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key).and_then(|value| value.as_str())
    }

    pub fn flag(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            Some(Value::Bool(flag)) => flag,
            _ => default,
        }
    }

    /// The id of a special token: that of the metadata if the vocabulary has it, else the default.
    pub fn token(&self, key: &str, default: Option<u32>, vocabulary: &Vocabulary) -> Option<u32> {
        let stated = self.get(key).and_then(|value| value.as_u64()).and_then(|id| u32::try_from(id).ok());
        let known = |id: &u32| (*id as usize) < vocabulary.len();
        stated.filter(known).or(default.filter(known))
    }

    fn bad(key: &str, message: &str) -> Error {
        Error::new(Code::MALFORMED, format!("'tokenizer.ggml.{key}': {message}")).with("key", key)
    }

    /// The texts of an array of strings.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&'a [u8]>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let array = value.as_array().filter(|array| array.element == ValueType::STRING);
        let array = array.ok_or_else(|| Self::bad(key, "it must be an array of strings"))?;
        let texts = array.iter().filter_map(|value| match value {
            Value::String(text) => Some(text),
            _ => None,
        });
        Ok(Some(texts.collect()))
    }

    /// A number for each token.
    fn numbers<T>(&self, key: &str, count: usize, number: impl Fn(&Value) -> Option<T>) -> Result<Option<Vec<T>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let array = value.as_array().ok_or_else(|| Self::bad(key, "it must be an array"))?;
        let numbers: Option<Vec<T>> = array.iter().take(count).map(|value| number(&value)).collect();
        let numbers = numbers.ok_or_else(|| Self::bad(key, "it must be an array of numbers"))?;
        if numbers.len() < count {
            let message = format!("it has {} values for {count} tokens", numbers.len());
            return Err(Self::bad(key, &message));
        }
        Ok(Some(numbers))
    }
}

impl Vocabulary {
    /// Reads the tokens, their types and scores.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] if they are missing or do not match, [`Code::TOO_LARGE`] for more than four million tokens.
    pub(super) fn read(keys: &Keys) -> Result<Vocabulary> {
        let texts = keys.texts("tokens")?.ok_or_else(|| Keys::bad("tokens", "it is missing"))?;
        if texts.is_empty() {
            return Err(Keys::bad("tokens", "it is empty"));
        }
        if texts.len() as u64 > MAX_TOKENS {
            let message = format!("the vocabulary has {} tokens; the limit is {MAX_TOKENS}", texts.len());
            return Err(Error::new(Code::TOO_LARGE, message).with("limit", MAX_TOKENS));
        }
        // llama.cpp reads a token up to its first zero byte.
        let tokens = texts.iter().map(|text| text.split(|byte| *byte == 0).next().unwrap_or(&[])).enumerate();
        let empty = |id: usize| format!("[EMPTY_{id}]").into_bytes();
        let tokens: Vec<Vec<u8>> =
            tokens.map(|(id, text)| if text.is_empty() { empty(id) } else { text.to_vec() }).collect();
        let count = tokens.len();
        let types = keys.numbers("token_type", count, |value| match value {
            Value::I32(number) => Some(match number {
                2 => TokenType::Unknown,
                3 => TokenType::Control,
                4 => TokenType::UserDefined,
                5 => TokenType::Unused,
                6 => TokenType::Byte,
                _ => TokenType::Normal,
            }),
            _ => None,
        })?;
        let scores = keys.numbers("scores", count, |value| match value {
            Value::F32(score) if !score.is_nan() => Some(*score),
            Value::I32(score) => Some(*score as f32),
            _ => None,
        })?;
        let ids: HashMap<_, _> = tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect();
        let mut types = types.unwrap_or_else(|| vec![TokenType::Normal; count]);
        for (kind, text) in types.iter_mut().zip(&tokens) {
            if ENDS.iter().any(|end| end.as_bytes() == text) {
                *kind = TokenType::Control;
            }
        }
        let scores = scores.unwrap_or_else(|| vec![0.0; count]);
        let mut vocabulary = Vocabulary { tokens, ids, types, scores, special: Vec::new() };
        let looked_for =
            |id: &u32| matches!(vocabulary.kind(*id), TokenType::Control | TokenType::UserDefined | TokenType::Unknown);
        let mut special: Vec<u32> = (0..count as u32).filter(looked_for).collect();
        special.sort_by_key(|id| std::cmp::Reverse(vocabulary.tokens[*id as usize].len()));
        vocabulary.special = special;
        Ok(vocabulary)
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no tokens, which is never so.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Whether both have the same tokens in the same order.
    pub fn same_tokens(&self, other: &Vocabulary) -> bool {
        self.tokens == other.tokens
    }

    /// The id of a token.
    pub fn id(&self, text: &[u8]) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The bytes of a token as the vocabulary has them.
    pub fn text(&self, id: u32) -> &[u8] {
        self.tokens.get(id as usize).map_or(&[], Vec::as_slice)
    }

    /// The type of a token.
    pub fn kind(&self, id: u32) -> TokenType {
        self.types.get(id as usize).copied().unwrap_or(TokenType::Unused)
    }

    /// The score of a token.
    pub(super) fn score(&self, id: u32) -> f32 {
        self.scores.get(id as usize).copied().unwrap_or(0.0)
    }

    /// The tokens that are looked for in a text before anything else.
    pub(super) fn special(&self, parse: bool) -> impl Iterator<Item = u32> {
        self.special.iter().copied().filter(move |id| parse || self.kind(*id) == TokenType::UserDefined)
    }
}
