//! Numbers in the JSON of bitsandbytes' quantization state.

/// Formats a number as Python does: the shortest digits that read back as the same number, and an exponent of at least
/// two digits from 1e16 up and below 1e-4.
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
    fn numbers_are_formatted_as_in_python() {
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
