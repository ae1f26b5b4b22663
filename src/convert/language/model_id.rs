//! Parses the name of a model: "Qwen2.5-0.5B-Instruct" has 0.5B weights and is a fine-tune named Instruct.
//!
//! Source: `Metadata.get_model_id_components` of gguf-py (MIT).

/// The components of a name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Components {
    pub name: Option<String>,
    pub organization: Option<String>,
    pub basename: Option<String>,
    pub finetune: Option<String>,
    pub version: Option<String>,
    pub size_label: Option<String>,
}

/// Flags for what a part of a name may be; several can be set.
const BASENAME: u8 = 1;
const SIZE: u8 = 2;
const FINETUNE: u8 = 4;
const VERSION: u8 = 8;
const TYPE: u8 = 16;

impl Components {
    /// Parses a name such as "org/Model-7B-v1" of a model with this many weights.
    pub fn of(id: &str, weights: u64) -> Components {
        if id.contains(' ') {
            return Components { name: Some(id.to_owned()), ..Components::default() };
        }
        let (organization, full) = match id.split_once('/') {
            Some((organization, full)) => (Some(organization), full),
            None => (None, id),
        };
        let mut parts: Vec<(String, u8)> = Vec::new();
        for (index, part) in full.split('-').filter(|part| !part.is_empty()).enumerate() {
            parts.push(annotated(part, index, weights));
        }
        let number = parts.iter().any(|(part, kind)| kind & SIZE != 0 && part.contains(|c: char| c.is_ascii_digit()));
        for (part, kind) in &mut parts {
            // Size words are ignored if there is a number.
            if number && *kind & SIZE != 0 && part.chars().all(is_letter) {
                *kind &= !SIZE;
            }
        }
        let mut at_start = true;
        for (part, kind) in &mut parts {
            if at_start && (*kind == 0 && part.starts_with(is_letter) || *kind & VERSION != 0) {
                *kind |= BASENAME;
            } else {
                at_start = false;
                if *kind == 0 {
                    *kind = FINETUNE;
                }
            }
        }
        for (_, kind) in parts.iter_mut().rev() {
            if *kind & BASENAME == 0 || *kind == BASENAME {
                break;
            }
            *kind &= !BASENAME;
        }
        let joined = |wanted: &dyn Fn(u8) -> bool| {
            let found: Vec<&str> =
                parts.iter().filter(|(_, kind)| wanted(*kind)).map(|(part, _)| part.as_str()).collect();
            (!found.is_empty()).then_some(found)
        };
        let size_label = joined(&|kind| kind & SIZE != 0).map(|found| {
            let mut once: Vec<&str> = Vec::new();
            for part in found {
                if !once.contains(&part) {
                    once.push(part);
                }
            }
            once.join("-")
        });
        let finetune = joined(&|kind| kind & FINETUNE != 0).map(|found| found.join("-"));
        let version = joined(&|kind| kind & VERSION != 0 && kind & BASENAME == 0).map(|found| found.join("-"));
        let ambiguous = size_label.is_none() && finetune.is_none() && version.is_none();
        let basename = joined(&|kind| kind & BASENAME != 0).map(|found| found.join("-")).filter(|_| !ambiguous);
        let organization = organization.filter(|name| !name.starts_with('.')).map(str::to_owned);
        Components { name: Some(full.to_owned()), organization, basename, finetune, version, size_label }
    }
}

/// A part of a name, and the flags of what it may be.
fn annotated(part: &str, index: usize, weights: u64) -> (String, u8) {
    let lower = part.to_ascii_lowercase();
    if is_version(&lower) {
        return (part.to_owned(), VERSION);
    }
    if is_type(&lower) {
        return (part.to_uppercase(), TYPE);
    }
    if index > 0 && is_size(&lower) {
        return sized(part, weights);
    }
    let finetune = index > 0 && ["chat", "instruct", "vision", "lora"].contains(&lower.as_str());
    (part.to_owned(), if finetune { FINETUNE } else { 0 })
}

/// Parses a number of weights and normalizes its notation. A number far from the model's own is taken to be something
/// else.
fn sized(part: &str, weights: u64) -> (String, u8) {
    let mut chars: Vec<char> = part.replace('_', ".").chars().collect();
    if let [.., unit, digit] = *chars.as_slice()
        && digit.is_ascii_digit()
    {
        // bloom-7b1 has 7.1B.
        chars.truncate(chars.len().saturating_sub(2));
        chars.extend(['.', digit, unit]);
    }
    if let [.., before, unit] = chars.as_mut_slice()
        && before.is_ascii_digit()
        && "kmbt".contains(*unit)
    {
        *unit = unit.to_ascii_uppercase();
    }
    let text: String = chars.iter().collect();
    let Some((unit, number)) = chars.split_last() else { return (text, SIZE) };
    let number = number.iter().collect::<String>().parse::<f64>().ok();
    let power = " KMBT".chars().position(|known| known == *unit);
    if let (Some(number), Some(power)) = (number, power) {
        let label = number * 1000f64.powi(power as i32);
        let far = (7.0 * weights as f64 / 8.0).floor();
        if weights > 0 && (label - weights as f64).abs() > far {
            let mut text = text;
            text.pop();
            text.push(unit.to_ascii_lowercase());
            return (text, FINETUNE);
        }
    }
    (text, SIZE)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Matches `(v|iter)?\d+([.]\d+)*`.
fn is_version(text: &str) -> bool {
    let number = text.strip_prefix("iter").or(text.strip_prefix('v')).unwrap_or(text);
    number.split('.').all(digits)
}

/// Matches `i?q\d(_\w)*|b?fp?(16|32)`.
fn is_type(text: &str) -> bool {
    let quantized = text.strip_prefix('i').unwrap_or(text).strip_prefix('q').is_some_and(|rest| {
        let mut chars = rest.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_digit());
        let rest: Vec<char> = chars.collect();
        first && rest.chunks(2).all(|pair| matches!(*pair, ['_', c] if c == '_' || c.is_alphanumeric()))
    });
    let float = text.strip_prefix('b').unwrap_or(text).strip_prefix('f');
    quantized || float.is_some_and(|rest| ["16", "32"].contains(&rest.strip_prefix('p').unwrap_or(rest)))
}

/// Matches `([A]|\d+[x])?\d+([._]\d+)?[KMBT]\d?|small|mini|medium|large|x?xl`.
fn is_size(text: &str) -> bool {
    if ["small", "mini", "medium", "large", "xl", "xxl"].contains(&text) {
        return true;
    }
    let text = text.strip_suffix(|c: char| c.is_ascii_digit()).unwrap_or(text);
    let Some(text) = text.strip_suffix(['k', 'm', 'b', 't']) else { return false };
    let counted = text.split_once('x').filter(|(count, _)| digits(count)).map(|(_, rest)| rest);
    let number = text.strip_prefix('a').or(counted).unwrap_or(text);
    number.split_once(['.', '_']).map_or_else(|| digits(number), |(whole, part)| digits(whole) && digits(part))
}

/// A name for display: "tiny-whale-v2" becomes "Tiny Whale v2".
pub(super) fn title(id: &str) -> String {
    let words = id.replace('-', " ");
    let words = words.split_whitespace().map(|word| {
        let cased = word.chars().any(|c| c.is_lowercase());
        let lower = cased && !word.chars().any(char::is_uppercase);
        let version = word.strip_prefix('v').is_some_and(|number| number.split('.').all(digits));
        if lower && !version && !word.starts_with(|c: char| c.is_ascii_digit()) {
            capitalised(word)
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Capitalizes every letter that does not follow a cased character; if the capital has several characters, only the
/// first is used.
fn capitalised(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut inside = false;
    for c in word.chars() {
        let mut capitals = c.to_uppercase();
        match capitals.next().filter(|_| !inside) {
            Some(first) => {
                out.push(first);
                out.extend(capitals.map(|c| c.to_ascii_lowercase()));
            }
            None => out.push(c),
        }
        inside = c.is_lowercase() || c.is_uppercase();
    }
    out
}

/// Like Python's `isalpha`, for which number forms are not letters.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !c.is_numeric()
}

/// The number of weights for display: "3.7M".
pub(super) fn size_label(weights: u64) -> String {
    let weights = weights as f64;
    let (scale, suffix) = match weights {
        w if w > 1e12 => (1e-12, 'T'),
        w if w > 1e9 => (1e-9, 'B'),
        w if w > 1e6 => (1e-6, 'M'),
        _ => (1e-3, 'K'),
    };
    let scaled = weights * scale;
    let whole = scaled.round_ties_even();
    let figures = if whole >= 10.0 {
        0
    } else if whole >= 1.0 {
        1
    } else {
        2
    };
    format!("{scaled:.figures$}{suffix}")
}
