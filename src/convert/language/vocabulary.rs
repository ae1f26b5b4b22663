//! tokenizer.json to tokens, their types and merges.

use super::files::{Files, bad};
use super::hparams::HParams;
use super::metadata::MetadataBuilder;
use super::tokenizer::{
    CONTROL, MAX_TOKENS, NORMAL, SETTINGS, TOKENIZER, UNUSED, USER_DEFINED, looks_special, settings,
};
use super::tokenizer_class::{TokenizerClass, named};
use super::{added_tokens, pre_tokenizer, sentencepiece, special_tokens};
use crate::error::{Code, Result};
use crate::json::Value;
use std::collections::HashMap;

/// A token that was added to the vocabulary.
#[derive(Debug)]
struct Added<'a> {
    id: u64,
    text: &'a str,
    special: bool,
    normalized: bool,
}

/// Writes `tokenizer.*`.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for a tokenizer other than byte-level BPE, SentencePiece or WordPiece, or with a pre-tokenizer
/// that llama.cpp has no name for; [`Code::MALFORMED`] for one without tokens or with more tokens than the model.
pub(super) fn write(files: &Files, hparams: &HParams, out: &mut MetadataBuilder) -> Result<()> {
    let architecture = hparams.architecture;
    if hparams.tokens > MAX_TOKENS {
        let message = format!("vocab_size is {}; the limit is {MAX_TOKENS}", hparams.tokens);
        return Err(bad("config.json", Code::TOO_LARGE, message).with("limit", MAX_TOKENS));
    }
    if architecture.encoder {
        out.u32("tokenizer.ggml.token_type_count", hparams.token_types()? as u32);
    } else if architecture.sized {
        write_space(files, out)?;
    }
    let limit = if let Some(model) = files.model.filter(|_| !architecture.encoder) {
        let pieces = sentencepiece::from_model(model, files, hparams)?;
        pieces.write(out);
        Some(pieces.len())
    } else {
        let tokenizer = files.need(TOKENIZER)?;
        let class = TokenizerClass::of(files, hparams);
        added_tokens::check(files, tokenizer, class)?;
        if architecture.sized && sentencepiece::is_used_by(tokenizer) {
            let pieces = sentencepiece::from_json(tokenizer, files)?;
            pieces.write(out);
            Some(pieces.len())
        } else {
            let tokens = write_tokens(files, tokenizer, hparams, class, out)?;
            architecture.encoder.then_some(tokens)
        }
    };
    special_tokens::write(files, hparams, limit, out)?;
    if architecture.sized && hparams.tokens == 32016 {
        special_tokens::write_infill(files, hparams, out)?; // the script recognizes CodeLlama by its number of tokens
    }
    if architecture.sized && hparams.tokens == 49152 {
        out.bool("tokenizer.ggml.add_bos_token", false); // as in the script, for small Granite models
    }
    Ok(())
}

/// Writes whether a space is prepended to a text, and rejects tokenizers that the script reads differently.
fn write_space(files: &Files, out: &mut MetadataBuilder) -> Result<()> {
    if settings(files, "tokenizer_class").and_then(Value::as_str) == Some("HybridDNATokenizer") {
        return Err(bad(SETTINGS, Code::UNSUPPORTED, "HybridDNATokenizer is not supported"));
    }
    if files.has_tekken && files.json(TOKENIZER).is_none() {
        return Err(bad(TOKENIZER, Code::UNSUPPORTED, "the folder has tekken.json instead, which is not supported"));
    }
    match settings(files, "add_prefix_space") {
        None | Some(Value::Null) => {}
        Some(Value::Bool(space)) => out.bool("tokenizer.ggml.add_space_prefix", *space),
        Some(_) => return Err(bad(SETTINGS, Code::MALFORMED, "add_prefix_space is neither true nor false")),
    }
    Ok(())
}

/// Writes the tokens of byte-level BPE or WordPiece; returns their number.
fn write_tokens(
    files: &Files,
    tokenizer: &Value,
    hparams: &HParams,
    class: TokenizerClass,
    out: &mut MetadataBuilder,
) -> Result<u64> {
    let word_pieces = hparams.architecture.encoder;
    let expected = if word_pieces { "WordPiece" } else { "BPE" };
    let model = tokenizer.get("model").filter(|model| model.get("type").and_then(Value::as_str) == Some(expected));
    let model = model.ok_or_else(|| bad(TOKENIZER, Code::UNSUPPORTED, format!("its model is not {expected}")))?;
    if model.get("byte_fallback") == Some(&Value::Bool(true)) {
        let message = "it has SentencePiece's tokens (byte_fallback), which this architecture does not support";
        return Err(bad(TOKENIZER, Code::UNSUPPORTED, message));
    }
    let (mut tokens, types) = tokens(files, tokenizer, class, model, hparams.tokens)?;
    if word_pieces {
        for (token, _) in tokens.iter_mut().zip(&types).filter(|(_, kind)| **kind != CONTROL) {
            // llama.cpp marks the start of words instead of their continuation.
            *token = token.strip_prefix("##").map_or_else(|| format!("\u{2581}{token}"), str::to_owned);
        }
    }
    out.text("tokenizer.ggml.model", if word_pieces { "bert" } else { "gpt2" });
    out.text("tokenizer.ggml.pre", pre_tokenizer::name(tokenizer, class.steps(), files.pre_tokenizer)?);
    out.texts("tokenizer.ggml.tokens", tokens.iter().map(String::as_str));
    out.i32s("tokenizer.ggml.token_type", &types);
    if !word_pieces {
        write_merges(files, model, out)?;
    }
    Ok(tokens.len() as u64)
}

/// Tokens and their types, by id.
type Tokens = (Vec<String>, Vec<i32>);

fn tokens(files: &Files, tokenizer: &Value, class: TokenizerClass, model: &Value, count: u64) -> Result<Tokens> {
    let malformed = |message: String| bad(TOKENIZER, Code::MALFORMED, message);
    let vocabulary = model.get("vocab").and_then(Value::as_object);
    let vocabulary = vocabulary.ok_or_else(|| malformed("its model has no vocab".to_owned()))?;
    let mut ids: HashMap<&str, u64> = HashMap::with_capacity(vocabulary.len());
    let mut by_id: Vec<Option<&str>> = vec![None; count as usize];
    let mut put = |text, id: Option<u64>| -> Result<u64> {
        let id = id.ok_or_else(|| malformed(format!("token '{text}' has no id")))?;
        let place = by_id.get_mut(id as usize);
        *place.ok_or_else(|| {
            malformed(format!("token '{text}' has id {id}, but config.json has only {count} tokens"))
        })? = Some(text);
        Ok(id)
    };
    for (text, id) in vocabulary {
        ids.insert(text, put(text, id.as_u64())?);
    }
    let mut added: Vec<Added> = Vec::new();
    for token in tokenizer.get("added_tokens").and_then(Value::as_list).unwrap_or(&[]) {
        let text = token.get("content").and_then(Value::as_str);
        let text = text.ok_or_else(|| malformed("an added token has no content".to_owned()))?;
        let id = put(text, token.get("id").and_then(Value::as_u64))?;
        let flag = |name: &str| token.get(name) == Some(&Value::Bool(true));
        ids.insert(text, id);
        added.push(Added { id, text, special: flag("special"), normalized: flag("normalized") });
    }
    // transformers also adds tokens that are special only according to tokenizer_config.json or the class.
    for text in named(files, tokenizer, Some(class)) {
        if !added.iter().any(|token| token.text == text) {
            let next = ids.values().max().map_or(0, |last| last.saturating_add(1));
            let id = put(text, Some(ids.get(text).copied().unwrap_or(next)))?;
            ids.insert(text, id);
            added.push(Added { id, text, special: true, normalized: false });
        }
    }
    let decoder = tokenizer.get("decoder").and_then(|decoder| decoder.get("type")).and_then(Value::as_str);
    let byte_level = class.is_byte_level() || decoder == Some("ByteLevel");
    let mut types = vec![NORMAL; by_id.len()];
    let mut texts: Vec<String> = Vec::with_capacity(by_id.len());
    for (id, text) in by_id.iter().enumerate() {
        types[id] = if text.is_some() { NORMAL } else { UNUSED };
        texts.push(text.map_or_else(|| format!("[PAD{id}]"), str::to_owned));
    }
    for token in &added {
        let id = token.id as usize;
        let Some(text) = texts.get_mut(id) else { continue };
        if !token.normalized && byte_level {
            *text = decoded(token.text);
        }
        let control = token.special || looks_special(text);
        types[id] = if control { CONTROL } else { USER_DEFINED };
        if !control {
            *text = text.replace('\u{2581}', " ");
        }
    }
    Ok((texts, types))
}

/// What the byte decoder makes of an added token: text in the alphabet of byte-level BPE is decoded as bytes.
fn decoded(text: &str) -> String {
    let bytes: Option<Vec<u8>> = text.chars().map(byte_of).collect();
    bytes.map_or_else(|| text.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The byte of a letter in GPT-2's alphabet: printable Latin-1 is itself, the others follow from 256.
fn byte_of(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    let printable = |byte: u32| (0x21..=0x7e).contains(&byte) || (0xa1..=0xff).contains(&byte) && byte != 0xad;
    if printable(code) {
        return u8::try_from(code).ok();
    }
    let index = code.checked_sub(256)? as usize;
    (0..=255u32).filter(|byte| !printable(*byte)).nth(index).map(|byte| byte as u8)
}

fn write_merges(files: &Files, model: &Value, out: &mut MetadataBuilder) -> Result<()> {
    let malformed = |index: usize| bad(TOKENIZER, Code::MALFORMED, format!("merge {index} is not a pair of strings"));
    let merges = model.get("merges").and_then(Value::as_list).unwrap_or(&[]);
    let mut texts: Vec<String> = Vec::with_capacity(merges.len());
    for (index, merge) in merges.iter().enumerate() {
        texts.push(match merge {
            Value::Text(text) => text.clone(),
            // A space within a part is written as the letter for its byte.
            Value::List(parts) => match parts.as_slice() {
                [Value::Text(a), Value::Text(b)] => {
                    format!("{} {}", a.replace(' ', "\u{120}"), b.replace(' ', "\u{120}"))
                }
                _ => return Err(malformed(index)),
            },
            _ => return Err(malformed(index)),
        });
    }
    if texts.is_empty() && files.has_merges {
        let message = "it has no merges; reading them from the folder's merges.txt is not supported";
        return Err(bad(TOKENIZER, Code::UNSUPPORTED, message));
    }
    if !texts.is_empty() {
        out.texts("tokenizer.ggml.merges", texts.iter().map(String::as_str));
    }
    Ok(())
}
