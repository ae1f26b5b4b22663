//! SentencePiece vocabularies: tokenizer.model, or a tokenizer.json with the same tokens and byte fallback.
//!
//! ```text
//! ModelProto     1 pieces: SentencePiece (repeated)
//! SentencePiece  1 piece: string  2 score: float  3 type: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
//! ```
//!
//! Source: `_create_vocab_sentencepiece` and `LlamaHfVocab` of llama.cpp (MIT); `sentencepiece_model.proto` (Apache-2.0).

use super::files::{Files, bad};
use super::hparams::HParams;
use super::metadata::MetadataBuilder;
use super::tokenizer::{
    CONTROL, MAX_TOKENS, NORMAL, SETTINGS, TOKENIZER, UNUSED, USER_DEFINED, id_of, looks_special, settings,
};
use super::tokenizer_class::named;
use crate::error::{Code, Result};
use crate::json::Value;
use crate::sort::sorted;

const MODEL: &str = "tokenizer.model";
const BYTE: i32 = 6;

/// Tokens with their scores and types.
#[derive(Debug, Default)]
pub(super) struct SentencePieceVocabulary {
    texts: Vec<String>,
    scores: Vec<f32>,
    types: Vec<i32>,
}

impl SentencePieceVocabulary {
    fn push(&mut self, text: String, score: f32, kind: i32) {
        self.texts.push(text);
        self.scores.push(score);
        self.types.push(kind);
    }

    /// Replaces a token; ids beyond the last one are ignored, as in the script.
    fn set(&mut self, id: usize, text: &str, score: f32, kind: i32) {
        let places = (self.texts.get_mut(id), self.scores.get_mut(id), self.types.get_mut(id));
        if let (Some(old_text), Some(old_score), Some(old_kind)) = places {
            text.clone_into(old_text);
            (*old_score, *old_kind) = (score, kind);
        }
    }

    pub fn len(&self) -> u64 {
        self.texts.len() as u64
    }

    /// Writes the tokens, scores and types.
    pub fn write(&self, out: &mut MetadataBuilder) {
        out.text("tokenizer.ggml.model", "llama");
        out.text("tokenizer.ggml.pre", "default");
        out.texts("tokenizer.ggml.tokens", self.texts.iter().map(String::as_str));
        out.f32s("tokenizer.ggml.scores", &self.scores);
        out.i32s("tokenizer.ggml.token_type", &self.types);
    }
}

/// Reads the tokens of tokenizer.model, as many as the model has, and applies the added tokens.
pub(super) fn from_model(bytes: &[u8], files: &Files, hparams: &HParams) -> Result<SentencePieceVocabulary> {
    let count = hparams.tokens as usize;
    let mut pieces = SentencePieceVocabulary::default();
    for id in 0..count {
        pieces.push(format!("[PAD{id}]"), -10000.0, UNUSED);
    }
    let (mut rest, mut id) = (bytes, 0usize);
    while !rest.is_empty() {
        if let (1, Field::Bytes(piece)) = field(&mut rest)? {
            let (text, score, kind) = read_piece(piece)?;
            pieces.set(id, text, score, kind);
            id = id.saturating_add(1);
        }
    }
    for (text, id) in files.json("added_tokens.json").and_then(Value::as_object).unwrap_or(&[]) {
        let id = id.as_u64().ok_or_else(|| bad("added_tokens.json", Code::MALFORMED, format!("'{text}' has no id")))?;
        pieces.set(id as usize, text, -1000.0, USER_DEFINED);
    }
    for (id, token) in settings(files, "added_tokens_decoder").and_then(Value::as_object).unwrap_or(&[]) {
        let text = token.get("content").and_then(Value::as_str);
        let (Ok(id), Some(text)) = (id.parse::<usize>(), text) else {
            let message = format!("added_tokens_decoder: '{id}' is not a valid id, or its token has no content");
            return Err(bad(SETTINGS, Code::MALFORMED, message));
        };
        let control = token.get("special") == Some(&Value::Bool(true)) || looks_special(text);
        if control {
            pieces.set(id, text, -1000.0, CONTROL);
        } else {
            pieces.set(id, &text.replace('\u{2581}', " "), -1000.0, USER_DEFINED);
        }
    }
    Ok(pieces)
}

/// Whether a tokenizer.json has SentencePiece's tokens, as BPE with byte fallback.
pub(super) fn is_used_by(tokenizer: &Value) -> bool {
    let model = tokenizer.get("model");
    let fallback = model.and_then(|model| model.get("byte_fallback")) == Some(&Value::Bool(true));
    let decoder = tokenizer.get("decoder").and_then(|decoder| decoder.get("type")).and_then(Value::as_str);
    fallback && decoder == Some("Sequence")
}

/// Reads the tokens of such a tokenizer.json in order, followed by the added tokens.
pub(super) fn from_json(tokenizer: &Value, files: &Files) -> Result<SentencePieceVocabulary> {
    let malformed = |message: &str| bad(TOKENIZER, Code::MALFORMED, message);
    let vocabulary = tokenizer.get("model").and_then(|model| model.get("vocab")).and_then(Value::as_object);
    let vocabulary = vocabulary.ok_or_else(|| malformed("its model has no vocab"))?;
    let mut base: Vec<Option<&str>> = vec![None; vocabulary.len()];
    for (text, id) in vocabulary {
        let place = id.as_u64().and_then(|id| base.get_mut(id as usize));
        *place.ok_or_else(|| malformed("its tokens are not numbered consecutively from 0"))? = Some(text);
    }
    let named = named(files, tokenizer, None);
    if let Some(text) = named.iter().find(|text| id_of(tokenizer, text).is_none()) {
        return Err(bad(
            SETTINGS,
            Code::UNSUPPORTED,
            format!("it contains token '{text}', which tokenizer.json does not have"),
        ));
    }
    let mut pieces = SentencePieceVocabulary::default();
    for text in base {
        let text = text.ok_or_else(|| malformed("two of its tokens have the same id"))?;
        let kind = if is_byte(text) {
            BYTE
        } else if named.contains(&text) {
            CONTROL
        } else {
            NORMAL
        };
        pieces.push(text.to_owned(), -1000.0, kind);
    }
    let added = tokenizer.get("added_tokens").and_then(Value::as_list).unwrap_or(&[]);
    let added: Vec<(u64, &str)> = added
        .iter()
        .map(|token| Some((token.get("id")?.as_u64()?, token.get("content")?.as_str()?)))
        .collect::<Option<_>>()
        .ok_or_else(|| malformed("an added token has no id or no content"))?;
    for (_, text) in sorted(&added, Ord::cmp).into_iter().filter(|(id, _)| *id >= vocabulary.len() as u64) {
        pieces.push(text.to_owned(), -1000.0, if named.contains(&text) { CONTROL } else { USER_DEFINED });
    }
    if pieces.len() > MAX_TOKENS {
        return Err(bad(
            TOKENIZER,
            Code::TOO_LARGE,
            format!("it has {} tokens; the limit is {MAX_TOKENS}", pieces.len()),
        ));
    }
    Ok(pieces)
}

/// Whether it is a byte token such as `<0x0A>`.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn read_piece(mut piece: &[u8]) -> Result<(&str, f32, i32)> {
    let (mut text, mut score, mut kind) = ("", 0.0, NORMAL);
    while !piece.is_empty() {
        match field(&mut piece)? {
            (1, Field::Bytes(bytes)) => {
                text = std::str::from_utf8(bytes).map_err(|_| bad(MODEL, Code::MALFORMED, "a piece is not UTF-8"))?;
            }
            (2, Field::Four(bytes)) => score = f32::from_le_bytes(bytes),
            // User-defined tokens are not distinguished from normal ones.
            (3, Field::Number(number @ (2 | 3 | 5 | 6))) => kind = number as i32,
            _ => {}
        }
    }
    Ok((text, score, kind))
}

/// A field value of Protocol Buffers.
enum Field<'a> {
    Number(u64),
    Four([u8; 4]),
    Bytes(&'a [u8]),
    Other,
}

/// Reads the next field of a message: its number and value.
fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Field<'a>)> {
    let cut = || bad(MODEL, Code::MALFORMED, "it is not a SentencePiece model: a message is truncated");
    let tag = number(rest)?;
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at_checked(len).ok_or_else(cut)?;
        *rest = left;
        Ok(taken)
    };
    let value = match tag & 7 {
        1 => take(8).map(|_| Field::Other)?,
        5 => Field::Four(take(4)?.try_into().unwrap_or_default()),
        0 => Field::Number(number(rest)?),
        2 => {
            let len = number(rest)?;
            let (taken, left) = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len)).ok_or_else(cut)?;
            *rest = left;
            Field::Bytes(taken)
        }
        kind => {
            return Err(bad(
                MODEL,
                Code::MALFORMED,
                format!("it is not a SentencePiece model: a field has type {kind}"),
            ));
        }
    };
    Ok((tag >> 3, value))
}

fn number(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest
            .split_first()
            .ok_or_else(|| bad(MODEL, Code::MALFORMED, "it is not a SentencePiece model: a number is truncated"))?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(bad(MODEL, Code::MALFORMED, "it is not a SentencePiece model: a number has more than 64 bits"))
}
