//! The little JSON that bitsandbytes keeps in a tensor: one flat object of strings, numbers, null and lists of numbers.

use crate::error::{Code, Error, Result};

/// A value of the object.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// A list of numbers.
    Numbers(Vec<f64>),
    /// `null`.
    Null,
}

/// The object's members in their order.
///
/// # Errors
/// [`Code::MALFORMED`] with the offset of what is not JSON, or not of this shape.
pub fn parse(text: &[u8]) -> Result<Vec<(String, Value)>> {
    let mut parser = Parser { text, at: 0 };
    let members = parser.list(b'{', b'}', |parser| {
        let name = parser.string()?;
        parser.expect(b':')?;
        Ok((name, parser.value()?))
    })?;
    parser.space();
    if parser.at == text.len() { Ok(members) } else { Err(parser.error("the end")) }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn error(&self, expected: &str) -> Error {
        let message = format!("the quantization state is JSON, and at byte {} {expected} was expected", self.at);
        Error::new(Code::MALFORMED, message).with("offset", self.at)
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

    /// Elements between two brackets, with commas between them.
    fn list<T>(&mut self, open: u8, close: u8, element: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect(open)?;
        let mut elements = Vec::new();
        if self.skip(close) {
            return Ok(elements);
        }
        loop {
            elements.push(element(self)?);
            if self.skip(close) {
                return Ok(elements);
            }
            self.expect(b',')?;
        }
    }

    /// A string without escapes: no name or type of the state needs one.
    fn string(&mut self) -> Result<String> {
        self.expect(b'"')?;
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..32));
        match end.map(|end| (rest[end], std::str::from_utf8(&rest[..end]))) {
            Some((b'"', Ok(text))) => {
                self.at += text.len() + 1;
                Ok(text.to_owned())
            }
            _ => Err(self.error("a string without escapes")),
        }
    }

    fn number(&mut self) -> Result<f64> {
        self.space();
        let rest = &self.text[self.at..];
        let len = rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
        let number = std::str::from_utf8(&rest[..len]).ok().and_then(|text| text.parse::<f64>().ok());
        match number.filter(|number| number.is_finite()) {
            Some(number) => {
                self.at += len;
                Ok(number)
            }
            None => Err(self.error("a number")),
        }
    }

    fn value(&mut self) -> Result<Value> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[') => self.list(b'[', b']', Self::number).map(Value::Numbers),
            Some(b'n') if self.text[self.at..].starts_with(b"null") => {
                self.at += 4;
                Ok(Value::Null)
            }
            _ => self.number().map(Value::Number),
        }
    }
}

/// A number as Python writes it: the shortest digits that read back, an exponent of two digits at least from 1e16 up
/// and below 1e-4.
pub fn python_number(x: f64) -> String {
    let magnitude = x.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_whatever_its_spacing() {
        let want = vec![
            ("quant_type".to_owned(), Value::Text("nf4".to_owned())),
            ("shape".to_owned(), Value::Numbers(vec![512.0, 3.0])),
            ("nested_offset".to_owned(), Value::Number(-5.18e-2)),
            ("x".to_owned(), Value::Null),
        ];
        for text in [
            r#"{"quant_type": "nf4", "shape": [512, 3], "nested_offset": -0.0518, "x": null}"#,
            "{\"quant_type\":\"nf4\",\"shape\":[512,3],\"nested_offset\":-5.18E-02,\"x\":null}\n",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), want);
        }
        assert_eq!(parse(b"{ }").unwrap(), []);
    }

    #[test]
    fn what_is_not_a_flat_object_is_an_error() {
        for text in [
            "",
            "{",
            "[]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "{\"a\":[1,[2]]}",
            "{\"a\":{}}",
            "{\"a\":NaN}",
            "{\"a\":1e999}",
            "{\"a\":\"\\u0041\"}",
            "{\"a\":\"b}",
            "{\"a\":nul}",
            "{\"a\":-}",
            "{a:1}",
            "{\"\u{1}\":1}",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().code(), Code::MALFORMED, "{text}");
        }
        assert_eq!(parse(&[b'{', b'"', 0xff, b'"', b':', b'1', b'}']).unwrap_err().code(), Code::MALFORMED);
    }

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        for (x, text) in [
            (0.051897451281547546, "0.051897451281547546"),
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.0001, "-0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e16, "1e+16"),
            (1.25e22, "1.25e+22"),
            (123456789012345.6, "123456789012345.6"),
            (1e-100, "1e-100"),
        ] {
            assert_eq!(python_number(x), text);
        }
    }
}
