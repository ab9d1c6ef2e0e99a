//! Texts to dates and instants: ISO first and fast, then the forms that offices write.

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use zonglan_catalog::batch::days;
use zonglan_catalog::time::{ZONE, local_instant};

/// A time as written: with its offset, or as wall-clock time of the file's zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Written {
    Date(NaiveDate),
    Local(NaiveDateTime),
    /// Milliseconds since 1970 UTC.
    Utc(i64),
}

/// How a field's times are read.
#[derive(Debug, Clone)]
pub(crate) struct TimeStyle {
    zone: chrono_tz::Tz,
    formats: Vec<Vec<Item<'static>>>,
}

impl TimeStyle {
    /// `Err`: the format that is none.
    pub fn new(zone: chrono_tz::Tz, formats: &[String]) -> Result<Self, String> {
        let parse = |format: &String| StrftimeItems::new(format).parse_to_owned().map_err(|_| format.clone());
        Ok(Self { zone, formats: formats.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// The instant in milliseconds since 1970 UTC.
    pub fn instant(&self, text: &str) -> Option<i64> {
        Some(match self.read(text)? {
            Written::Utc(ms) => ms,
            Written::Date(date) => self.local(date.and_time(NaiveTime::MIN)),
            Written::Local(local) => self.local(local),
        })
    }

    /// The date as days since 1970-01-01; of an instant, the date in the file's zone.
    pub fn date(&self, text: &str) -> Option<i32> {
        Some(days(match self.read(text)? {
            Written::Date(date) => date,
            Written::Local(local) => local.date(),
            Written::Utc(ms) => chrono::DateTime::from_timestamp_millis(ms)?.with_timezone(&self.zone).date_naive(),
        }))
    }

    fn local(&self, local: NaiveDateTime) -> i64 {
        if self.zone != ZONE {
            return match self.zone.from_local_datetime(&local).earliest() {
                Some(instant) => instant.timestamp_millis(),
                None => (self.zone.from_local_datetime(&(local + chrono::Duration::hours(1))).earliest())
                    .map_or(local.and_utc().timestamp_millis(), |i| i.timestamp_millis()),
            };
        }
        // Shanghai has kept +08:00 since the summer time of 1991 ended.
        if chrono::Datelike::year(&local) >= 1992 {
            return local.and_utc().timestamp_millis() - 8 * 3_600_000;
        }
        local_instant(local)
    }

    fn read(&self, text: &str) -> Option<Written> {
        for format in &self.formats {
            if let Some(written) = by_format(text, format) {
                return Some(written);
            }
        }
        common(text)
    }
}

fn by_format(text: &str, items: &[Item]) -> Option<Written> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
    // A month without a day stands for its first day, a year for its first month.
    if parsed.day().is_none()
        && parsed.ordinal().is_none()
        && parsed.timestamp().is_none()
        && parsed.weekday().is_none()
    {
        parsed.set_day(1).ok()?;
        if parsed.month().is_none() {
            parsed.set_month(1).ok()?;
        }
    }
    if parsed.timestamp().is_some() || parsed.offset().is_some() {
        let when = parsed.to_datetime_with_timezone(&chrono::Utc).or_else(|_| parsed.to_datetime().map(|d| d.to_utc()));
        return when.ok().map(|w| Written::Utc(w.timestamp_millis()));
    }
    let date = parsed.to_naive_date().ok()?;
    match parsed.to_naive_time() {
        Ok(time) => Some(Written::Local(date.and_time(time))),
        Err(_) if parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() => Some(Written::Date(date)),
        // An hour without minutes.
        Err(_) => NaiveTime::from_hms_opt(parsed.hour_div_12().unwrap_or(0) * 12 + parsed.hour_mod_12()?, 0, 0)
            .map(|t| Written::Local(date.and_time(t))),
    }
}

/// Two ASCII digits.
fn two(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')),
        _ => None,
    }
}

/// Up to `max` digits at the start, and what follows.
fn digits(bytes: &[u8], max: usize) -> Option<(u32, &[u8])> {
    let n = bytes.iter().take(max).take_while(|b| b.is_ascii_digit()).count();
    if n == 0 {
        return None;
    }
    Some((bytes[..n].iter().fold(0, |v, d| v * 10 + u32::from(d - b'0')), &bytes[n..]))
}

fn common(text: &str) -> Option<Written> {
    let bytes = text.as_bytes();
    if let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = bytes {
        let year = two(&[*y1, *y2])? * 100 + two(&[*y3, *y4])?;
        let date = NaiveDate::from_ymd_opt(year as i32, two(&[*m1, *m2])?, two(&[*d1, *d2])?)?;
        return after_date(date, rest);
    }
    // 20250131, 202501312359, 20250131235959
    if bytes.len() >= 8 && bytes.iter().all(u8::is_ascii_digit) {
        let date = NaiveDate::from_ymd_opt(
            (two(bytes)? * 100 + two(&bytes[2..])?) as i32,
            two(&bytes[4..])?,
            two(&bytes[6..])?,
        );
        if let Some(date) = date.filter(|d| (1800..2200).contains(&chrono::Datelike::year(d))) {
            return match bytes.len() {
                8 => Some(Written::Date(date)),
                12 => Some(Written::Local(date.and_hms_opt(two(&bytes[8..])?, two(&bytes[10..])?, 0)?)),
                14 => {
                    Some(Written::Local(date.and_hms_opt(two(&bytes[8..])?, two(&bytes[10..])?, two(&bytes[12..])?)?))
                }
                _ => None,
            };
        }
    }
    if let Some(written) = chinese(text) {
        return Some(written);
    }
    // 2023/1/2 3:04, 2023.1.2, 2023-1-2
    if let Some((year, rest)) = digits(bytes, 4)
        && year >= 1000
        && let [mark @ (b'/' | b'.' | b'-'), rest @ ..] = rest
        && let Some((month, rest)) = digits(rest, 2)
        && let [again, rest @ ..] = rest
        && again == mark
        && let Some((day, rest)) = digits(rest, 2)
    {
        return after_date(NaiveDate::from_ymd_opt(year as i32, month, day)?, rest);
    }
    excel_serial(text)
}

/// What follows a date: nothing, or a time with or without offset.
fn after_date(date: NaiveDate, rest: &[u8]) -> Option<Written> {
    let rest = match rest {
        [] => return Some(Written::Date(date)),
        [b'T' | b't' | b' ', rest @ ..] => rest,
        _ => return None,
    };
    let rest = rest.trim_ascii_start();
    let (hour, rest) = digits(rest, 2)?;
    let [b':', rest @ ..] = rest else { return None };
    let minute = two(rest)?;
    let mut rest = &rest[2..];
    let mut second = 0;
    let mut millis = 0;
    if let [b':', tail @ ..] = rest {
        second = two(tail)?;
        rest = &tail[2..];
        if let [b'.' | b',', tail @ ..] = rest {
            let n = tail.iter().take_while(|b| b.is_ascii_digit()).count();
            if n == 0 {
                return None;
            }
            millis = (0..3).fold(0, |v, i| v * 10 + if i < n { u32::from(tail[i] - b'0') } else { 0 });
            rest = &tail[n..];
        }
    }
    // 24:00 is the end of the day.
    let (date, hour) = if (hour, minute, second) == (24, 0, 0) { (date.succ_opt()?, 0) } else { (date, hour) };
    // A leap second is read as the second before.
    let time =
        NaiveTime::from_hms_milli_opt(hour, minute, second.min(59).max(if second > 60 { 61 } else { 0 }), millis)?;
    let local = date.and_time(time);
    let rest = rest.trim_ascii();
    let utc = |offset_minutes: i64| Some(Written::Utc(local.and_utc().timestamp_millis() - offset_minutes * 60_000));
    match rest {
        [] => Some(Written::Local(local)),
        b"Z" | b"z" | b"UTC" => utc(0),
        [sign @ (b'+' | b'-'), tail @ ..] => {
            let hours = i64::from(two(tail)?);
            let minutes = match &tail[2..] {
                [] => 0,
                [b':', tail @ ..] | tail if tail.len() == 2 => i64::from(two(tail)?),
                _ => return None,
            };
            if hours > 14 || minutes > 59 {
                return None;
            }
            let total = hours * 60 + minutes;
            utc(if *sign == b'-' { -total } else { total })
        }
        _ => None,
    }
}

/// 2025年1月31日 8时5分30秒, 二〇二五年一月三十一日; hour, minute and second may be missing.
fn chinese(text: &str) -> Option<Written> {
    let (year, rest) = text.split_once('年')?;
    let (month, rest) = rest.split_once('月')?;
    let (day, rest) = rest.split_once(['日', '号'])?;
    let year = match year.trim().parse() {
        Ok(year) => year,
        Err(_) => chinese_digits(year.trim())?,
    };
    let date = NaiveDate::from_ymd_opt(year, chinese_number(month.trim())?, chinese_number(day.trim())?)?;
    let rest = rest.trim();
    if rest.is_empty() {
        return Some(Written::Date(date));
    }
    if rest.contains(':') {
        return after_date(date, format!(" {rest}").as_bytes());
    }
    let (hour, rest) = rest.split_once(['时', '点'])?;
    let hour = chinese_number(hour.trim())?;
    let (minute, rest) = match rest.trim().split_once('分') {
        Some((minute, rest)) => (chinese_number(minute.trim())?, rest),
        None if matches!(rest.trim(), "" | "许" | "整") => (0, ""),
        None => return None,
    };
    let second = match rest.trim() {
        "" | "许" => 0,
        other => chinese_number(other.strip_suffix('秒')?.trim())?,
    };
    Some(Written::Local(date.and_hms_opt(hour, minute, second)?))
}

fn chinese_digit(c: char) -> Option<u32> {
    Some(match c {
        '〇' | '○' | '零' | '0' | 'O' | 'Ｏ' => 0,
        '一' | '元' => 1,
        '二' => 2,
        '三' => 3,
        '四' => 4,
        '五' => 5,
        '六' => 6,
        '七' => 7,
        '八' => 8,
        '九' => 9,
        _ => return c.to_digit(10),
    })
}

/// 二〇二五 as 2025.
fn chinese_digits(text: &str) -> Option<i32> {
    if text.chars().count() != 4 {
        return None;
    }
    text.chars().try_fold(0, |year, c| Some(year * 10 + chinese_digit(c)? as i32))
}

/// 3, 03, 十, 十二, 三十, 三十一, 廿一.
fn chinese_number(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let text = text.replace('廿', "二十").replace('卅', "三十");
    match text.split_once('十') {
        Some((tens, ones)) => {
            let digit = |t: &str, empty: u32| {
                let mut chars = t.chars();
                match (chars.next(), chars.next()) {
                    (None, _) => Some(empty),
                    (Some(c), None) => chinese_digit(c),
                    _ => None,
                }
            };
            Some(digit(tens, 1)? * 10 + digit(ones, 0)?)
        }
        None => {
            let mut chars = text.chars();
            chinese_digit(chars.next()?).filter(|_| chars.next().is_none())
        }
    }
}

/// Days since 1899-12-30, as workbooks store dates, between 1927 and 2173.
fn excel_serial(text: &str) -> Option<Written> {
    let serial: f64 = text.parse().ok()?;
    if !(10_000.0..100_000.0).contains(&serial) {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(1899, 12, 30)? + chrono::Days::new(serial.trunc() as u64);
    let seconds = (serial.fract() * 86_400.0).round() as i64;
    if seconds == 0 {
        Some(Written::Date(date))
    } else {
        Some(Written::Local(date.and_time(NaiveTime::MIN) + chrono::Duration::seconds(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonglan_catalog::value::instant_text;

    fn style(formats: &[&str]) -> TimeStyle {
        TimeStyle::new(ZONE, &formats.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("formats")
    }

    fn at(text: &str) -> String {
        style(&[]).instant(text).map_or("-".into(), instant_text)
    }

    #[test]
    fn common_forms() {
        for (text, expect) in [
            ("2025-01-31", "2025-01-31T00:00:00+08:00"),
            ("2025-01-31T08:05", "2025-01-31T08:05:00+08:00"),
            ("2025-01-31 08:05:09.250", "2025-01-31T08:05:09.250+08:00"),
            ("2025-01-31T00:05:09Z", "2025-01-31T08:05:09+08:00"),
            ("2025-01-31T08:05:09+0800", "2025-01-31T08:05:09+08:00"),
            ("2025-01-31 08:05:09 +09:00", "2025-01-31T07:05:09+08:00"),
            ("2023/1/2 3:04", "2023-01-02T03:04:00+08:00"),
            ("2023.1.2", "2023-01-02T00:00:00+08:00"),
            ("20250131", "2025-01-31T00:00:00+08:00"),
            ("20250131235958", "2025-01-31T23:59:58+08:00"),
            ("2025年1月31日", "2025-01-31T00:00:00+08:00"),
            ("2025年1月31日 8时5分", "2025-01-31T08:05:00+08:00"),
            ("2025年01月31日15时许", "2025-01-31T15:00:00+08:00"),
            ("二〇一七年六月二十八日", "2017-06-28T00:00:00+08:00"),
            ("二○一七年十一月十日", "2017-11-10T00:00:00+08:00"),
            ("45688.5", "2025-01-31T12:00:00+08:00"),
            ("2025-01-31T24:00:00", "2025-02-01T00:00:00+08:00"),
            ("1988-07-01 12:00:00", "1988-07-01T12:00:00+09:00"),
        ] {
            assert_eq!(at(text), expect, "{text}");
        }
        for bad in [
            "",
            "x",
            "2025-02-30",
            "2025-13-01",
            "2025-01-31T25:00",
            "2025-01-31x",
            "99999999",
            "12",
            "2025-01-31T08:05:61",
            "2025年13月1日",
        ] {
            assert_eq!(at(bad), "-", "{bad}");
        }
    }

    #[test]
    fn given_formats_come_first() {
        assert_eq!(style(&["%Y-%m"]).date("2016-07"), Some(days(NaiveDate::from_ymd_opt(2016, 7, 1).expect("date"))));
        assert_eq!(
            style(&["%d/%m/%Y %H:%M"]).instant("02/01/2023 03:04").map(instant_text).as_deref(),
            Some("2023-01-02T03:04:00+08:00")
        );
        assert_eq!(
            style(&["%m/%d/%Y %I:%M:%S %p"]).instant("01/02/2023 11:04:05 PM").map(instant_text).as_deref(),
            Some("2023-01-02T23:04:05+08:00")
        );
        assert_eq!(
            style(&["%Y-%m-%dT%H:%M:%SZ"]).instant("2019-04-23T12:30:00Z").map(instant_text).as_deref(),
            Some("2019-04-23T12:30:00+08:00")
        );
        assert!(TimeStyle::new(ZONE, &["%Q".to_string()]).is_err());
    }

    #[test]
    fn other_zones() {
        let chicago = TimeStyle::new(chrono_tz::America::Chicago, &[]).expect("style");
        assert_eq!(chicago.instant("2018-07-01 12:00").map(instant_text).as_deref(), Some("2018-07-02T01:00:00+08:00"));
        assert_eq!(
            chicago.date("2018-07-01T01:00:00Z"),
            Some(days(NaiveDate::from_ymd_opt(2018, 6, 30).expect("date")))
        );
    }
}
