//! Record numbers such as `PR2026000123`, gapless within a series as writes are committed in order.

use super::txn::Txn;
use super::values::Fields;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::value::Value;

/// A parsed numbering rule. Text stands for itself; `{prefix}` is the dataset's initials, `{yyyy}`
/// and `{mm}` the local date, `{region}` the first six digits of the record's region, `{seq:N}`
/// the number in N digits, which starts anew with each different text around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Year,
    Month,
    Region,
    Seq(usize),
}

impl Pattern {
    pub fn parse(rule: &str, dataset: &str) -> Result<Self> {
        let bad = |what: &str| {
            Error::user("catalog.numbering", format!("dataset '{dataset}': numbering '{rule}': {what}"))
                .with_hint("parts are {prefix}, {yyyy}, {mm}, {region}, {seq:6} and plain text")
        };
        let mut parts = Vec::new();
        let mut rest = rule;
        while let Some(start) = rest.find('{') {
            if start > 0 {
                parts.push(Part::Text(rest[..start].into()));
            }
            let end = rest[start..].find('}').ok_or_else(|| bad("a '{' without '}'"))? + start;
            parts.push(match &rest[start + 1..end] {
                "prefix" => Part::Text(initials(dataset)),
                "yyyy" => Part::Year,
                "mm" => Part::Month,
                "region" => Part::Region,
                name => {
                    let width = name.strip_prefix("seq:").and_then(|n| n.parse().ok()).filter(|n| (1..=18).contains(n));
                    Part::Seq(width.ok_or_else(|| bad("unknown part"))?)
                }
            });
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        if parts.iter().filter(|p| matches!(p, Part::Seq(_))).count() != 1 {
            return Err(bad("needs one {seq:N}"));
        }
        Ok(Self { parts })
    }

    /// The texts before and after the number, and its digits.
    fn around(&self, dataset: &Dataset, fields: &Fields, now: i64) -> (String, String, usize) {
        let day = zonglan_catalog::time::to_local(now);
        let (mut before, mut after, mut width) = (String::new(), String::new(), None);
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => text.clone(),
                Part::Year => day.format("%Y").to_string(),
                Part::Month => day.format("%m").to_string(),
                Part::Region => {
                    let code = dataset
                        .region
                        .as_ref()
                        .and_then(|name| fields.get(name))
                        .map(Value::to_text)
                        .unwrap_or_default();
                    code.chars().take(6).collect()
                }
                Part::Seq(digits) => {
                    width = Some(*digits);
                    continue;
                }
            };
            if width.is_none() { before.push_str(&text) } else { after.push_str(&text) }
        }
        (before, after, width.unwrap_or(1))
    }

    /// Takes the next number of the series.
    pub async fn next(&self, txn: &mut Txn, dataset: &Dataset, fields: &Fields, now: i64) -> Result<String> {
        let (before, after, width) = self.around(dataset, fields, now);
        let last = txn.next_number(&format!("{}/{before}#{after}", dataset.name)).await?;
        Ok(format!("{before}{last:0width$}{after}"))
    }

    /// The number in an id that this rule could have made in any year: the series and the number.
    fn number_in(&self, dataset: &Dataset, fields: &Fields, now: i64, id: &str) -> Option<(String, i64)> {
        let (before, after, width) = self.around(dataset, fields, now);
        let digits = id.strip_prefix(&before)?.strip_suffix(&after)?;
        let number =
            digits.parse().ok().filter(|_| digits.len() >= width && digits.bytes().all(|b| b.is_ascii_digit()))?;
        Some((format!("{}/{before}#{after}", dataset.name), number))
    }

    /// Series start behind the numbers that loaded rows brought with them.
    pub async fn skip_loaded<'a>(
        &self,
        txn: &mut Txn,
        dataset: &Dataset,
        rows: impl Iterator<Item = (&'a str, &'a Fields)>,
        now: i64,
    ) -> Result<()> {
        let mut highest = std::collections::BTreeMap::<String, i64>::new();
        for (id, fields) in rows {
            if let Some((series, number)) = self.number_in(dataset, fields, now, id) {
                let last = highest.entry(series).or_default();
                *last = number.max(*last);
            }
        }
        for (series, last) in highest {
            txn.skip_numbers(&series, last).await?;
        }
        Ok(())
    }
}

/// `fire_incident` gives `FI`, `premises` gives `PR`.
fn initials(dataset: &str) -> String {
    let words: Vec<&str> = dataset.split('_').filter(|w| !w.is_empty()).collect();
    let text: String = match words.as_slice() {
        [one] => one.chars().take(2).collect(),
        many => many.iter().filter_map(|w| w.chars().next()).collect(),
    };
    text.to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_parse_or_say_why() {
        let pattern = Pattern::parse("{prefix}{yyyy}{seq:6}", "fire_incident").expect("rule");
        assert_eq!(pattern.parts, [Part::Text("FI".into()), Part::Year, Part::Seq(6)]);
        for bad in ["{yyyy}", "{seq:6}{seq:6}", "{seq:x}", "{nope}{seq:3}", "{seq:3"] {
            assert!(Pattern::parse(bad, "x").is_err(), "{bad}");
        }
    }
}
