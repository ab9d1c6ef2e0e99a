//! Alert rules day by day: number and share of negative texts in a window, for the city and each district.

use super::{Area, Assessed, Text, TopicRule};
use crate::sentiment::Label;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The region code of the whole city.
pub const CITY: &str = "310000";

/// A rule on a day in an area.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Index of the rule.
    pub rule: usize,
    /// Days since 1970-01-01.
    pub day: i32,
    pub district: String,
    /// Texts in the window, copies too: a text that is passed on is heard more often.
    pub texts: u32,
    pub negative: u32,
    pub uncertain: u32,
    /// Negative among the decided, 0 to 1.
    pub share: f64,
    /// Negative texts of the window by platform.
    pub platforms: BTreeMap<String, u32>,
    pub alert: bool,
    /// Not so the day before.
    pub started: bool,
}

/// Texts, negative and uncertain ones of a day, and the negative ones by platform.
#[derive(Debug, Clone, Default)]
struct Count {
    of: [u32; 3],
    platforms: BTreeMap<String, u32>,
}

/// Each rule on each of `days`, for the areas it names; days without a text in the window are left out.
pub fn alerts(rules: &[TopicRule], texts: &[Text], assessed: &[Assessed], days: RangeInclusive<i32>) -> Vec<Alert> {
    let mut out = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let mut areas: BTreeMap<&str, BTreeMap<i32, Count>> = BTreeMap::new();
        for (text, result) in texts.iter().zip(assessed) {
            if !rule.matches(&result.text, &text.platform) {
                continue;
            }
            for area in &rule.areas {
                let code = match area {
                    Area::City => CITY,
                    Area::District => text.district.as_str(),
                };
                if code.is_empty() || (*area == Area::District && code == CITY) {
                    continue;
                }
                let count = areas.entry(code).or_default().entry(text.day).or_default();
                count.of[0] += 1;
                match result.label {
                    Label::Negative => {
                        count.of[1] += 1;
                        *count.platforms.entry(text.platform.clone()).or_default() += 1;
                    }
                    Label::Uncertain => count.of[2] += 1,
                    Label::Positive => {}
                }
            }
        }
        for (code, counts) in &areas {
            let least = if *code == CITY { rule.min_negative } else { rule.min_negative_district };
            // The day before the first, too: whether an alert starts.
            let mut before = window(rule, counts, days.start() - 1).is_some_and(|c| reached(rule, least, &c));
            for day in days.clone() {
                let Some(count) = window(rule, counts, day) else {
                    before = false;
                    continue;
                };
                let alert = reached(rule, least, &count);
                out.push(Alert {
                    rule: index,
                    day,
                    district: (*code).to_string(),
                    texts: count.of[0],
                    negative: count.of[1],
                    uncertain: count.of[2],
                    share: share(&count),
                    platforms: count.platforms,
                    alert,
                    started: alert && !before,
                });
                before = alert;
            }
        }
    }
    out
}

fn window(rule: &TopicRule, counts: &BTreeMap<i32, Count>, day: i32) -> Option<Count> {
    let mut sum = Count::default();
    for (_, count) in counts.range(day - i32::from(rule.window_days) + 1..=day) {
        for (to, from) in sum.of.iter_mut().zip(count.of) {
            *to += from;
        }
        for (platform, n) in &count.platforms {
            *sum.platforms.entry(platform.clone()).or_default() += n;
        }
    }
    (sum.of[0] > 0).then_some(sum)
}

fn share(count: &Count) -> f64 {
    let decided = count.of[0] - count.of[2];
    if decided == 0 { 0.0 } else { f64::from(count.of[1]) / f64::from(decided) }
}

fn reached(rule: &TopicRule, least: u32, count: &Count) -> bool {
    count.of[1] >= least && share(count) >= rule.min_share
}
