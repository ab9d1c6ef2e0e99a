//! The texts from which keys are hashed.

use crate::rows::Slot;
use std::fmt::Write as _;
use zonglan_catalog::batch::date_of;
use zonglan_catalog::dataset::FieldType;
use zonglan_catalog::value::{decimal_text, instant_text};

/// The text form of a value in keys: that of `Value::to_text`.
pub(crate) fn write_text(slot: Slot, kind: FieldType, scale: u8, text: &mut String) {
    match slot {
        Slot::Null => {}
        Slot::Text(t) => text.push_str(t),
        Slot::Int(i) if kind == FieldType::Decimal => text.push_str(&decimal_text(i, scale)),
        Slot::Int(i) => _ = write!(text, "{i}"),
        Slot::Bool(b) => text.push_str(if b { "true" } else { "false" }),
        Slot::Date(d) => _ = write!(text, "{}", date_of(d)),
        Slot::Instant(ms) => write_instant(ms, text),
        Slot::Point(x, y) => _ = write!(text, "{x},{y}"),
    }
}

/// `instant_text` without the zone's rules where there are none.
fn write_instant(ms: i64, text: &mut String) {
    // 1992 to 2100: Shanghai at +08:00, four digits of year.
    const PLAIN: std::ops::Range<i64> = 694_195_200_000..4_102_416_000_000;
    if !PLAIN.contains(&ms) || ms % 1000 != 0 {
        text.push_str(&instant_text(ms));
        return;
    }
    let local = ms / 1000 + 8 * 3600;
    let (days, seconds) = (local / 86_400, local % 86_400);
    // Civil date from days (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let digit = |v: i64| char::from(b'0' + (v % 10) as u8);
    let two = |v: i64, text: &mut String| {
        text.push(digit(v / 10));
        text.push(digit(v));
    };
    two(year / 100, text);
    two(year % 100, text);
    for (mark, value) in
        [('-', month), ('-', day), ('T', seconds / 3600), (':', seconds / 60 % 60), (':', seconds % 60)]
    {
        text.push(mark);
        two(value, text);
    }
    text.push_str("+08:00");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn instants_print_like_values(ms in -2_000_000_000i64..5_000_000_000) {
            let ms = ms * 1000;
            let mut text = String::new();
            write_instant(ms, &mut text);
            prop_assert_eq!(text, instant_text(ms));
        }
    }
}
