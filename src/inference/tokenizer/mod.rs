//! Tokenizers, read from the metadata of a GGUF file, with the tokens of llama.cpp: byte-level BPE (`gpt2`) and
//! SentencePiece's BPE (`llama`).

mod bpe;
mod categories;
mod merge;
mod pattern;
mod pre;
mod spm;
mod vocabulary;

use crate::container::gguf::Header;
use crate::error::{Code, Error, Result};
use bpe::Bpe;
use pre::Pre;
use vocabulary::Keys;

pub use vocabulary::{TokenType, Vocabulary};

/// A tokenizer with its vocabulary.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    algorithm: Algorithm,
    begin: Option<u32>,
    end: Option<u32>,
    space_prefix: bool,
    /// Whether special tokens take the whitespace after them, as in Phi-3.
    strips_after: bool,
}

#[derive(Debug)]
enum Algorithm {
    Bpe(Bpe),
    SentencePiece,
}

/// How a text is tokenized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenizeOptions {
    /// Whether to add the tokens with which the vocabulary begins and ends every text.
    pub add_special: bool,
    /// Whether the texts of special tokens ("<|im_start|>") become those tokens.
    pub parse_special: bool,
}

impl Tokenizer {
    /// Reads a tokenizer.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a tokenizer or pre-tokenizer that is not known, [`Code::MALFORMED`] for metadata that is
    /// missing or of another type.
    pub fn new(header: &Header) -> Result<Tokenizer> {
        let keys = Keys(header);
        let model = keys.text("model").unwrap_or_default();
        let (algorithm, begins, [begin, end], space) = match model {
            "gpt2" => {
                let pre = Pre::by_name(keys.text("pre"))?;
                (Algorithm::Bpe(Bpe::new(&keys, pre)?), pre.begins, [Some(11), Some(11)], false)
            }
            "llama" => (Algorithm::SentencePiece, true, [Some(1), Some(2)], true),
            "" => {
                let message = "the model has no tokenizer: 'tokenizer.ggml.model' is missing";
                return Err(Error::new(Code::UNSUPPORTED, message));
            }
            other => {
                let message = format!("the tokenizer '{other}' is not supported, only gpt2 and llama");
                return Err(Error::new(Code::UNSUPPORTED, message).with("model", other));
            }
        };
        let vocabulary = Vocabulary::read(&keys)?;
        let name = header.get("general.name").and_then(|name| name.as_str()).unwrap_or_default().to_lowercase();
        let begin = keys.token("bos_token_id", begin, &vocabulary);
        let end = keys.token("eos_token_id", end, &vocabulary);
        Ok(Tokenizer {
            begin: begin.filter(|_| keys.flag("add_bos_token", begins)),
            end: end.filter(|_| keys.flag("add_eos_token", false)),
            space_prefix: keys.flag("add_space_prefix", space) && matches!(algorithm, Algorithm::SentencePiece),
            strips_after: name.contains("phi-3") || name.contains("phi3"),
            vocabulary,
            algorithm,
        })
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The token with which the vocabulary begins every text, if it does.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The tokens of a text, which need not be valid UTF-8.
    pub fn tokenize(&self, text: &[u8], options: TokenizeOptions) -> Vec<u32> {
        let mut out = Vec::new();
        if options.add_special {
            out.extend(self.begin);
        }
        let mut after_special = true;
        for fragment in self.fragments(text, options.parse_special) {
            match (&fragment, &self.algorithm) {
                (Fragment::Token(id), _) => out.push(*id),
                (Fragment::Text(text), Algorithm::Bpe(bpe)) => bpe.tokenize(text, &self.vocabulary, &mut out),
                (Fragment::Text(text), Algorithm::SentencePiece) => {
                    let prefix: &[u8] = if self.space_prefix && after_special { b" " } else { b"" };
                    spm::tokenize(&[prefix, text].concat(), &self.vocabulary, &mut out);
                }
            }
            after_special = matches!(fragment, Fragment::Token(_));
        }
        if options.add_special {
            out.extend(self.end);
        }
        out
    }

    /// Cuts a text at special tokens, the longest first.
    fn fragments<'t>(&self, text: &'t [u8], parse: bool) -> Vec<Fragment<'t>> {
        let mut fragments = Vec::new();
        if !text.is_empty() {
            fragments.push(Fragment::Text(text));
        }
        for id in self.vocabulary.special(parse) {
            let token = self.vocabulary.text(id);
            let found = |text: &[u8]| find(text, token);
            if !fragments.iter().any(|fragment| matches!(fragment, Fragment::Text(text) if found(text).is_some())) {
                continue;
            }
            let mut next = Vec::with_capacity(fragments.len() + 2);
            for fragment in fragments {
                let Fragment::Text(mut rest) = fragment else {
                    next.push(fragment);
                    continue;
                };
                while let Some(at) = found(rest) {
                    if at > 0 {
                        next.push(Fragment::Text(&rest[..at]));
                    }
                    next.push(Fragment::Token(id));
                    rest = &rest[at + token.len()..];
                    if self.strips_after && !KEEP_SPACE.contains(&token) {
                        let space = rest.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b);
                        rest = &rest[space.count()..];
                    }
                }
                if !rest.is_empty() {
                    next.push(Fragment::Text(rest));
                }
            }
            fragments = next;
        }
        fragments
    }
}

/// Where a token occurs first in a text. Only places with its first byte are compared.
fn find(text: &[u8], token: &[u8]) -> Option<usize> {
    let first = token.first()?;
    let mut at = 0;
    loop {
        at += text.get(at..)?.iter().position(|byte| byte == first)?;
        if text[at..].starts_with(token) {
            return Some(at);
        }
        at += 1;
    }
}

/// Special tokens of Phi-3 that do not take the whitespace after them.
const KEEP_SPACE: &[&[u8]] = &[b"<unk>", b"<s>", b"<|endoftext|>"];

#[derive(Clone, Copy)]
enum Fragment<'t> {
    Text(&'t [u8]),
    Token(u32),
}
