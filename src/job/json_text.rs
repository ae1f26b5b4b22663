//! JSON formatted like JavaScript's `JSON.stringify`, and the checksum of a journal's lines.

pub use crate::json::quoted;

/// Joins values, which are JSON already, to a list.
pub fn list(values: impl IntoIterator<Item = String>) -> String {
    joined(&values.into_iter().collect::<Vec<_>>())
}

#[inline(never)]
fn joined(values: &[String]) -> String {
    format!("[{}]", values.join(","))
}

/// Formats a number; non-finite ones become `null`.
pub fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { "null".to_owned() }
}

/// The CRC-32 of gzip, in eight hexadecimal digits.
pub fn crc32(bytes: &[u8]) -> String {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ TABLE[((crc ^ u32::from(*byte)) & 255) as usize]);
    format!("{:08x}", !crc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_in_javascript() {
        assert_eq!(quoted("a\"\\\n\t\u{1}é\u{2028}"), "\"a\\\"\\\\\\n\\t\\u0001é\u{2028}\"");
        assert_eq!([number(1.5), number(-0.25), number(f64::INFINITY)].join(" "), "1.5 -0.25 null");
    }

    #[test]
    fn the_checksum_equals_gzips() {
        // The check value of the CRC catalogue.
        assert_eq!(crc32(b"123456789"), "cbf43926");
        assert_eq!(crc32(b""), "00000000");
    }
}
