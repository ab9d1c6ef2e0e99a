//! Texts to numbers and truth values, exactly.

/// How numbers are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumberStyle {
    pub decimal: u8,
    /// A character between groups of digits, dropped.
    pub thousands: Option<u8>,
}

impl Default for NumberStyle {
    fn default() -> Self {
        Self { decimal: b'.', thousands: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    NotANumber,
    /// More digits after the point than the field keeps.
    TooPrecise,
    TooLarge,
}

/// The integer that is the number in units of `10^-scale`. `round`: the text is a binary fraction
/// written out, so that digits beyond the scale are rounded (half to even) instead of refused.
pub(crate) fn scaled(text: &str, scale: u8, style: NumberStyle, round: bool) -> Result<i64, NumberError> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    // The common case: few digits and nothing else.
    if scale == 0 && !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit) {
        let value = digits.iter().fold(0i64, |value, d| value * 10 + i64::from(d - b'0'));
        return Ok(if negative { -value } else { value });
    }
    let (digits, exponent) = match digits.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => {
            let exponent = std::str::from_utf8(&digits[at + 1..])
                .ok()
                .and_then(|t| t.parse::<i32>().ok())
                .ok_or(NumberError::NotANumber)?;
            (&digits[..at], exponent.clamp(-400, 400))
        }
        None => (digits, 0),
    };
    // value = mantissa * 10^power, with the digits that do not fit i128 dropped only if rounding.
    let mut mantissa: i128 = 0;
    let mut power = exponent + i32::from(scale);
    let mut seen = 0;
    let mut after_point = false;
    let mut dropped = false;
    for &b in digits {
        match b {
            b'0'..=b'9' => {
                seen += 1;
                if mantissa < 10i128.pow(36) {
                    mantissa = mantissa * 10 + i128::from(b - b'0');
                    power -= i32::from(after_point);
                } else {
                    dropped |= b != b'0';
                    power += i32::from(!after_point);
                }
            }
            _ if b == style.decimal && !after_point => after_point = true,
            _ if Some(b) == style.thousands && !after_point && seen > 0 => {}
            _ => return Err(NumberError::NotANumber),
        }
    }
    if seen == 0 {
        return Err(NumberError::NotANumber);
    }
    let units = if mantissa == 0 {
        0
    } else if power >= 0 {
        10i128.checked_pow(power as u32).and_then(|p| mantissa.checked_mul(p)).ok_or(NumberError::TooLarge)?
    } else {
        let divisor = 10i128.checked_pow(power.unsigned_abs());
        let exact = divisor.is_some_and(|d| mantissa % d == 0) && !dropped;
        if !exact && !round {
            return Err(NumberError::TooPrecise);
        }
        divisor.and_then(|d| zonglan_catalog::value::div_half_even(mantissa, d)).unwrap_or(0)
    };
    let units = i64::try_from(units).map_err(|_| NumberError::TooLarge)?;
    Ok(if negative { -units } else { units })
}

/// A coordinate. Floating point is what coordinates are.
pub(crate) fn float(text: &str, style: NumberStyle) -> Option<f64> {
    let value: f64 = if style.decimal == b'.' {
        text.parse().ok()?
    } else {
        text.replace(char::from(style.decimal), ".").parse().ok()?
    };
    value.is_finite().then_some(value)
}

/// The words for yes and no.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 8] = ["true", "1", "是", "真", "有", "yes", "y", "t"];
    const FALSE: [&str; 8] = ["false", "0", "否", "假", "无", "no", "n", "f"];
    let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(text));
    if is(&TRUE) {
        Some(true)
    } else if is(&FALSE) {
        Some(false)
    } else {
        match text {
            "1.0" => Some(true),
            "0.0" => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dot(text: &str, scale: u8) -> Result<i64, NumberError> {
        scaled(text, scale, NumberStyle::default(), false)
    }

    #[test]
    fn numbers_scale_exactly() {
        assert_eq!(dot("12", 0), Ok(12));
        assert_eq!(dot("-12.0", 0), Ok(-12));
        assert_eq!(dot("0.07", 2), Ok(7));
        assert_eq!(dot("+1.5", 2), Ok(150));
        assert_eq!(dot("1.2e3", 1), Ok(12_000));
        assert_eq!(dot("1.005", 2), Err(NumberError::TooPrecise));
        assert_eq!(dot("1.500", 1), Ok(15));
        assert_eq!(dot(".5", 1), Ok(5));
        assert_eq!(dot("9223372036854775807", 0), Ok(i64::MAX));
        assert_eq!(dot("9223372036854775808", 0), Err(NumberError::TooLarge));
        for bad in ["", "-", ".", "1,2", "1.2.3", "abc", "1e", "0x10", "１"] {
            assert_eq!(dot(bad, 0), Err(NumberError::NotANumber), "{bad}");
        }
        let comma = NumberStyle { decimal: b',', thousands: Some(b'.') };
        assert_eq!(scaled("1.234,50", 2, comma, false), Ok(123_450));
        assert_eq!(float("-75,5697", comma), Some(-75.5697));
        assert_eq!(scaled("0.30000000000000004", 2, NumberStyle::default(), true), Ok(30));
        assert_eq!(scaled("0.125", 2, NumberStyle::default(), true), Ok(12));
    }

    #[test]
    fn words_for_truth() {
        assert_eq!(["是", "TRUE", "1", "Y"].map(boolean), [Some(true); 4]);
        assert_eq!(["否", "False", "0", "no"].map(boolean), [Some(false); 4]);
        assert_eq!(["", "2", "maybe"].map(boolean), [None; 3]);
    }

    proptest! {
        #[test]
        fn printed_decimals_read_back(units in any::<i64>(), scale in 0u8..=9) {
            let text = zonglan_catalog::value::decimal_text(units, scale);
            if units != i64::MIN {
                prop_assert_eq!(dot(&text, scale), Ok(units));
            }
        }
    }
}
