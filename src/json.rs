//! A small JSON parser for the configuration files of models. Strict (RFC 8259), with bounded depth, and small when
//! compiled to WebAssembly.

use crate::error::{Code, Error, Result};
use std::fmt::Write as _;

/// Maximum nesting of objects and arrays; each level is one recursion.
const MAX_DEPTH: u32 = 64;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number; integers are exact up to 2^53.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object's members in file order. Duplicate keys are kept.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The value of an object's key. If the key occurs more than once the last one wins, as in Python.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, if this is an integer from 0 to 2^53.
    pub fn as_u64(&self) -> Option<u64> {
        let whole = |x: &f64| (0.0..=9_007_199_254_740_992.0).contains(x) && x.fract() == 0.0;
        self.as_f64().filter(whole).map(|x| x as u64)
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The array's elements, if this is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&[(String, Value)]> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }
}

/// Parses a whole document; `what` names it in error messages ("config.json").
///
/// # Errors
/// [`Code::MALFORMED`] with the offset of the first syntax error; [`Code::TOO_LARGE`] for more than 64 levels.
pub fn parse(text: &[u8], what: &str) -> Result<Value> {
    let mut parser = Parser { text, at: 0, what, depth: 0 };
    let value = parser.value()?;
    parser.space();
    if parser.at == text.len() { Ok(value) } else { Err(parser.error("the end")) }
}

/// Parses a document that is an object, and passes its members to `each` one at a time, so that a large object is never in
/// memory as a whole.
///
/// # Errors
/// Those of [`parse`], and those of `each`. A syntax error takes precedence, wherever it is.
pub fn each_member(text: &[u8], what: &str, each: &mut dyn FnMut(String, Value) -> Result<()>) -> Result<()> {
    let mut parser = Parser { text, at: 0, what, depth: 0 };
    let mut result = Ok(());
    parser.elements(b'{', b'}', &mut |parser| {
        let (name, value) = parser.member()?;
        if result.is_ok() {
            result = each(name, value);
        }
        Ok(())
    })?;
    parser.space();
    if parser.at == text.len() { result } else { Err(parser.error("the end")) }
}

/// A string in quotes, as JavaScript's `JSON.stringify` writes it.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // a String takes everything
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    what: &'a str,
    depth: u32,
}

impl Parser<'_> {
    fn error(&self, expected: &str) -> Error {
        let message = format!("{} is not valid JSON at byte {}: expected {expected}", self.what, self.at);
        Error::new(Code::MALFORMED, message).with("offset", self.at)
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or(&[])
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn skip(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.skip(byte) { Ok(()) } else { Err(self.error(&format!("'{}'", char::from(byte)))) }
    }

    fn value(&mut self) -> Result<Value> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[') => self.list(b'[', b']', Self::value).map(Value::List),
            Some(b'{') => self.list(b'{', b'}', Self::member).map(Value::Object),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value> {
        const WORDS: [(&str, Value); 3] =
            [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
        let found = WORDS.iter().find(|(word, _)| self.rest().starts_with(word.as_bytes()));
        let Some((word, value)) = found else { return Err(self.error("a value")) };
        self.at += word.len();
        Ok(value.clone())
    }

    fn member(&mut self) -> Result<(String, Value)> {
        let name = self.string()?;
        self.expect(b':')?;
        Ok((name, self.value()?))
    }

    /// Collects comma-separated elements between two brackets.
    fn list<T>(&mut self, open: u8, close: u8, element: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut elements = Vec::new();
        self.elements(open, close, &mut |parser| {
            elements.push(element(parser)?);
            Ok(())
        })?;
        Ok(elements)
    }

    /// Parses comma-separated elements between two brackets, each by `element`.
    fn elements(&mut self, open: u8, close: u8, element: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.expect(open)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("{} is nested more than {MAX_DEPTH} levels deep", self.what);
            return Err(Error::new(Code::TOO_LARGE, message).with("limit", MAX_DEPTH));
        }
        if !self.skip(close) {
            loop {
                element(self)?;
                if self.skip(close) {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn string(&mut self) -> Result<String> {
        self.expect(b'"')?;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..32));
            let Some(plain) = plain else { return Err(self.error("the end of a string")) };
            match std::str::from_utf8(rest.get(..plain).unwrap_or(&[])) {
                Ok(text) => out.push_str(text),
                Err(_) => return Err(self.error("UTF-8")),
            }
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.error("an escaped control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        const ESCAPES: [(u8, char); 8] = [
            (b'"', '"'),
            (b'\\', '\\'),
            (b'/', '/'),
            (b'b', '\u{8}'),
            (b'f', '\u{c}'),
            (b'n', '\n'),
            (b'r', '\r'),
            (b't', '\t'),
        ];
        self.at += 1;
        let byte = self.peek();
        self.at += 1;
        if byte == Some(b'u') {
            return self.unicode();
        }
        let found = ESCAPES.iter().find(|(letter, _)| Some(*letter) == byte);
        found.map(|(_, char)| *char).ok_or_else(|| self.error("a valid escape sequence"))
    }

    /// The four digits after `\u`, and a second escape if they are the first half of a surrogate pair.
    fn unicode(&mut self) -> Result<char> {
        let mut code = self.four_digits()?;
        if (0xd800..0xdc00).contains(&code) && self.rest().starts_with(b"\\u") {
            self.at += 2;
            let low = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.error("the second half of a surrogate pair"));
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        char::from_u32(code).ok_or_else(|| self.error("a surrogate pair"))
    }

    fn four_digits(&mut self) -> Result<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let code = code.ok_or_else(|| self.error("four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<f64> {
        let rest = self.rest();
        let len = rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
        let text = rest.get(..len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("");
        // Rust's parser accepts more than JSON: leading zeros, a point at either end.
        let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
        let strict = digits.first().is_some_and(u8::is_ascii_digit)
            && !(digits.first() == Some(&b'0') && digits.get(1).is_some_and(u8::is_ascii_digit))
            && !digits.windows(2).any(|pair| matches!(pair, [b'.', b] if !b.is_ascii_digit()))
            && digits.last() != Some(&b'.');
        let number = text.parse::<f64>().ok().filter(|number| strict && number.is_finite());
        match number {
            Some(number) => {
                self.at += len;
                Ok(number)
            }
            None => Err(self.error("a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn reads_every_kind_of_value_with_any_whitespace() {
        let json = r#" {"a":[1, -2.5e3 ,0],"b":{"c":null,"d":true},"e":false,"":"\u00e9\ud83d\ude00\n\/"} "#;
        let value = parse(json.as_bytes(), "x").unwrap();
        let numbers = [1.0, -2500.0, 0.0].map(Value::Number).to_vec();
        assert_eq!(value.get("a"), Some(&Value::List(numbers)));
        assert_eq!(value.get("b").and_then(|b| b.get("c")), Some(&Value::Null));
        assert_eq!(value.get("b").and_then(|b| b.get("d")), Some(&Value::Bool(true)));
        assert_eq!(value.get(""), Some(&text("é😀\n/")));
        assert_eq!(parse(b"{ }", "x").unwrap(), Value::Object(vec![]));
    }

    #[test]
    fn members_are_visited_in_order_and_a_syntax_error_is_reported_first() {
        let mut seen = Vec::new();
        let mut each = |name: String, value: Value| {
            seen.push((name, value.as_u64()));
            Ok(())
        };
        each_member(br#" {"a":1,"b":2,"a":3} "#, "x", &mut each).unwrap();
        assert_eq!(seen, [("a".to_owned(), Some(1)), ("b".to_owned(), Some(2)), ("a".to_owned(), Some(3))]);
        let mut refuse = |_, _| Err(Error::new(Code::UNSUPPORTED, "no"));
        assert_eq!(each_member(b"{\"a\":1}", "x", &mut refuse).unwrap_err().code(), Code::UNSUPPORTED);
        for text in ["{\"a\":1", "{\"a\":1,}", "{\"a\":1} x", "[]", ""] {
            assert_eq!(each_member(text.as_bytes(), "x", &mut refuse).unwrap_err().code(), Code::MALFORMED, "{text}");
        }
    }

    #[test]
    fn rejects_text_that_is_not_json() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "NaN",
            "1e999",
            "01",
            "1.",
            ".5",
            "-",
            "1.e5",
            "+1",
            "\"b",
            "nul",
            "{a:1}",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "[1 2]",
            "'a'",
            "]",
        ] {
            assert_eq!(parse(text.as_bytes(), "x").unwrap_err().code(), Code::MALFORMED, "{text}");
        }
        assert_eq!(parse(&[b'"', 0xff, b'"'], "x").unwrap_err().code(), Code::MALFORMED);
        let deep = "[".repeat(100_000);
        assert_eq!(parse(deep.as_bytes(), "x").unwrap_err().code(), Code::TOO_LARGE);
    }
}
