//! Which documents are stages of one case, across police, procuratorate and court.
//!
//! Evidence is a number that one gives and the other cites, the same defendants or parties in their
//! roles, the same charge, and dates in the order of proceedings. Nothing is scored about a person:
//! the result says how two documents belong together, and a human being confirms what is not sure.

use super::parties::Being;
use super::{Extracted, canonical};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// What is known of one document or stage of a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    pub id: String,
    /// Its own number, in any spelling.
    #[serde(default)]
    pub number: Option<String>,
    /// Numbers that it cites.
    #[serde(default)]
    pub cites: Vec<String>,
    /// Sides by role: 被告人, 原告, 被告; names as written.
    #[serde(default)]
    pub parties: Vec<(String, String)>,
    #[serde(default)]
    pub charges: Vec<String>,
    #[serde(default)]
    pub date: Option<NaiveDate>,
    /// police, procuratorate, court.
    #[serde(default)]
    pub agency: Option<String>,
}

/// How two stages belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    pub a: String,
    pub b: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// In Chinese, for pages.
    pub reasons: Vec<String>,
}

impl Stage {
    /// What an extraction says of its document.
    pub fn of(id: &str, extracted: &Extracted) -> Self {
        let sides =
            |role: &str| !["公诉机关", "辩护人", "代理人", "代表人", "负责人", "法定"].iter().any(|w| role.contains(w));
        Self {
            id: id.to_string(),
            number: extracted.case_number.as_ref().map(|n| n.value.clone()),
            cites: extracted.related.iter().map(|n| n.text.clone()).collect(),
            parties: extracted
                .parties
                .iter()
                .filter(|p| sides(&p.role))
                .map(|p| (p.role.clone(), p.name.clone()))
                .collect(),
            charges: extracted.charges.iter().map(|c| c.value.clone()).collect(),
            date: extracted.judged_on.as_ref().map(|d| d.value),
            agency: Some("court".into()),
        }
    }
}

/// The side of a role: first-instance and appeal names of the same side are one.
fn side(role: &str) -> &'static str {
    let inner = role.split('（').nth(1).unwrap_or(role);
    if inner.contains("被告")
        || inner.contains("被执行")
        || inner.contains("被申请")
        || inner.contains("嫌疑人")
        || inner.contains("被申诉")
    {
        "defendant"
    } else if inner.contains("原告") || inner.contains("申请") || inner.contains("自诉") {
        "plaintiff"
    } else if inner.contains("被害") {
        "victim"
    } else if inner.contains("第三人") {
        "third"
    } else {
        "either"
    }
}

/// 张某, 李某某, 王×: many people share such a name.
fn masked(name: &str) -> bool {
    name.contains('某') || name.contains('×') || name.contains('*') || name.chars().count() < 2
}

/// How two stages belong together; `None` where nothing speaks for it or dates speak against it.
pub fn link(a: &Stage, b: &Stage) -> Option<Link> {
    if a.id == b.id {
        return None;
    }
    let mut doubt = 1.0_f64;
    let mut reasons = Vec::new();
    let own = |s: &Stage| s.number.as_deref().map(canonical);
    let (first, second) = (own(a), own(b));
    let cites = |s: &Stage, n: &Option<String>| n.as_ref().is_some_and(|n| s.cites.iter().any(|c| canonical(c) == *n));
    if first.is_some() && first == second {
        doubt *= 0.02;
        reasons.push(format!("案号相同：{}", first.clone().unwrap_or_default()));
    } else if cites(b, &first) || cites(a, &second) {
        doubt *= 0.04;
        let number = if cites(b, &first) { first } else { second };
        reasons.push(format!("文中引用对方案号：{}", number.unwrap_or_default()));
    } else if let Some(shared) =
        a.cites.iter().map(|c| canonical(c)).find(|n| b.cites.iter().any(|c| canonical(c) == *n))
    {
        doubt *= 0.12;
        reasons.push(format!("引用同一文号：{shared}"));
    }
    // Several equal names say more than one; a masked name says little.
    let mut names = Vec::new();
    for (role, name) in &a.parties {
        let found = b.parties.iter().any(|(other, n)| {
            n == name && (side(other) == side(role) || side(other) == "either" || side(role) == "either")
        });
        if found && !names.contains(&name) {
            names.push(name);
            let organisation = super::parties::being(name) == Being::Organisation;
            doubt *= if masked(name) {
                0.8
            } else if organisation {
                0.6
            } else {
                0.35
            };
        }
    }
    if !names.is_empty() {
        reasons.push(format!(
            "同一诉讼地位的当事人相同：{}",
            names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join("、")
        ));
    }
    if reasons.is_empty() {
        return None;
    }
    if let Some(charge) = a.charges.iter().find(|c| b.charges.contains(c)) {
        doubt *= 0.7;
        reasons.push(format!("罪名或案由相同：{charge}"));
    }
    if let (Some(x), Some(y)) = (a.date, b.date) {
        let days = (x - y).num_days().abs();
        if days > 5 * 365 {
            doubt = (doubt * 3.0).min(1.0);
            reasons.push(format!("日期相隔 {days} 天，偏长"));
        } else if days <= 540 {
            doubt *= 0.8;
            reasons.push(format!("日期相隔 {days} 天，在办案期限内"));
        }
    }
    let confidence = ((1.0 - doubt) * 1_000.0).round() / 1_000.0;
    (confidence >= 0.2).then(|| Link { a: a.id.clone(), b: b.id.clone(), confidence, reasons })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(id: &str, number: &str, cites: &[&str], people: &[(&str, &str)], date: &str) -> Stage {
        Stage {
            id: id.into(),
            number: (!number.is_empty()).then(|| number.into()),
            cites: cites.iter().map(|c| (*c).into()).collect(),
            parties: people.iter().map(|(r, n)| ((*r).into(), (*n).into())).collect(),
            charges: vec!["盗窃罪".into()],
            date: date.parse().ok(),
            agency: None,
        }
    }

    #[test]
    fn stages_of_one_case_are_linked_and_others_are_not() {
        let indictment = stage("q", "沪奉检刑诉［2017］700号", &[], &[("犯罪嫌疑人", "张三立")], "2017-06-15");
        let trial =
            stage("p", "（2017）沪0120刑初684号", &["沪奉检刑诉(2017)700号"], &[("被告人", "张三立")], "2017-06-28");
        let appeal = stage(
            "s",
            "（2017）沪01刑终900号",
            &["(2017)沪0120刑初684号"],
            &[("上诉人（原审被告人）", "张三立")],
            "2017-09-01",
        );
        let other = stage("o", "（2017）沪0120刑初1号", &[], &[("被告人", "李四海")], "2017-06-28");
        let masked = stage("m", "（2016）沪0104刑初1号", &[], &[("被告人", "张某")], "2016-06-28");
        let masked_too = stage("n", "（2016）沪0105刑初2号", &[], &[("被告人", "张某")], "2016-07-28");
        assert!(link(&indictment, &trial).expect("cited").confidence > 0.95);
        assert!(link(&trial, &appeal).expect("cited").confidence > 0.95);
        assert_eq!(link(&trial, &other), None);
        let weak = link(&masked, &masked_too).expect("shown").confidence;
        assert!(weak < 0.8, "a masked name alone must be confirmed: {weak}");
    }
}
