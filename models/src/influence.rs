//! Influence of accounts of government bodies: WCI and BCI by declared formulas.
//!
//! A formula is `(Σ part weight · Σ coefficient · ln(times · x + 1)) ^ power · scale`; the files of `influence/`
//! give the parts of each version with their source. Every value carries formula and version.

pub mod rank;

use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zonglan_catalog::{Catalogue, Label};

/// A declared formula.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Formula {
    pub formula: String,
    pub version: String,
    pub label: Label,
    pub source: String,
    /// 已确认 or 未确认.
    pub status: crate::deadline::rule::Status,
    #[serde(default)]
    pub note: Option<String>,
    /// The platform whose accounts the model `influence` ranks by this version; none for older versions
    /// that are kept to recompute published values.
    #[serde(default)]
    pub platform: Option<String>,
    pub power: i32,
    pub scale: f64,
    pub part: Vec<Part>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub id: String,
    pub label: String,
    pub weight: f64,
    pub from: From,
    pub per: Per,
    pub terms: Vec<Term>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    pub input: String,
    pub coefficient: f64,
    pub times: f64,
}

/// Which figures a part takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    Totals,
    Headline,
    Max,
}

/// What a part divides them by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    None,
    Days,
    Articles,
    HeadlineArticles,
}

/// The figures of an account in a period. Reads shown as 「10万+」 count as 100,001.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub days: f64,
    pub articles: f64,
    pub headline_articles: f64,
    pub totals: BTreeMap<String, f64>,
    pub headline: BTreeMap<String, f64>,
    pub max: BTreeMap<String, f64>,
}

/// A value of an index, never without its formula and version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Influence {
    pub value: f64,
    pub formula: String,
    pub version: String,
    pub parts: Vec<PartValue>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartValue {
    pub id: String,
    pub label: String,
    pub weight: f64,
    pub value: f64,
}

impl Formula {
    /// # Errors
    /// No such version, or what is wrong in its file.
    pub fn load(catalogue: &Catalogue, formula: &str, version: &str) -> Result<Self> {
        let name = format!("{formula}-{version}");
        catalogue.parse_file("influence", &name)?.ok_or_else(|| ModelError::UnknownRule {
            what: "传播指数公式",
            name,
            known: catalogue.files("influence").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })
    }

    /// The index of an account. An account without articles has 0.
    ///
    /// # Errors
    /// A figure the formula needs is missing.
    pub fn value(&self, figures: &Figures) -> Result<Influence> {
        let silent = self.formula == "wci" && figures.articles <= 0.0;
        let mut parts = Vec::with_capacity(self.part.len());
        for part in &self.part {
            let value = if silent { 0.0 } else { part.value(figures)? };
            parts.push(PartValue { id: part.id.clone(), label: part.label.clone(), weight: part.weight, value });
        }
        let sum: f64 = parts.iter().map(|p| p.weight * p.value).sum();
        let value = sum.powi(self.power) * self.scale;
        Ok(Influence { value, formula: self.formula.clone(), version: self.version.clone(), parts })
    }
}

impl Part {
    fn value(&self, figures: &Figures) -> Result<f64> {
        let (source, name) = match self.from {
            From::Totals => (&figures.totals, ""),
            From::Headline => (&figures.headline, "headline."),
            From::Max => (&figures.max, "max."),
        };
        let by = match self.per {
            Per::None => 1.0,
            Per::Days => figures.days,
            Per::Articles => figures.articles,
            Per::HeadlineArticles => figures.headline_articles,
        };
        if by <= 0.0 && self.per != Per::HeadlineArticles {
            return Err(ModelError::input("days 应大于零"));
        }
        let mut sum = 0.0;
        for term in &self.terms {
            let missing = || ModelError::input(format!("{name}{}: 缺少该项", term.input));
            let x = *source.get(&term.input).ok_or_else(missing)?;
            // Without headlines in the period their part is zero.
            let x = if by > 0.0 { x / by } else { 0.0 };
            sum += term.coefficient * (term.times * x + 1.0).ln();
        }
        Ok(sum)
    }
}

/// An account in a ranking. Ties share a rank.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    pub account: String,
    pub value: f64,
    pub rank: usize,
    /// Places gained since the period before; `None` where it was not ranked then.
    pub rise: Option<i64>,
    pub change: Option<f64>,
}

/// Ranks accounts by value, with rise and fall against the period before.
///
/// # Errors
/// Values of different formulas or versions: they must never share a ranking or a trend.
pub fn ranking(now: &[(String, Influence)], before: &[(String, Influence)]) -> Result<Vec<Ranked>> {
    one_version(now.iter().chain(before).map(|(_, value)| value))?;
    let place = |list: &[(String, Influence)], value: f64| 1 + list.iter().filter(|(_, v)| v.value > value).count();
    let mut out: Vec<_> = now
        .iter()
        .map(|(account, influence)| {
            let rank = place(now, influence.value);
            let earlier = before.iter().find(|(name, _)| name == account).map(|(_, v)| v.value);
            Ranked {
                account: account.clone(),
                value: influence.value,
                rank,
                rise: earlier.map(|v| place(before, v) as i64 - rank as i64),
                change: earlier.map(|v| influence.value - v),
            }
        })
        .collect();
    out.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.account.cmp(&b.account)));
    Ok(out)
}

/// # Errors
/// The values come from more than one formula or version.
pub fn one_version<'a>(values: impl Iterator<Item = &'a Influence>) -> Result<()> {
    let mut seen: Vec<(&str, &str)> = values.map(|v| (v.formula.as_str(), v.version.as_str())).collect();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() > 1 {
        return Err(ModelError::input(format!("不同公式或版本的指数不能混用:{seen:?}")));
    }
    Ok(())
}

/// The body of `POST /api/v1/models/{wci|bci}/evaluate`.
///
/// # Errors
/// An unknown version, a figure that is missing, negative or not a number.
pub fn evaluate(formula: &str, body: &Value, catalogue: &Catalogue) -> Result<Value> {
    let body = body.as_object().ok_or_else(|| ModelError::input("输入应为对象"))?;
    let version = match body.get("version") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(ModelError::input("version: 请给出公式版本")),
    };
    let formula = Formula::load(catalogue, formula, &version)?;
    let mut figures = Figures::default();
    for (key, value) in body.iter().filter(|(k, _)| *k != "version") {
        match (key.as_str(), value) {
            ("headline", Value::Object(map)) => {
                for (key, value) in map {
                    let x = number(&format!("headline.{key}"), value)?;
                    if key == "articles" {
                        figures.headline_articles = x;
                    } else {
                        figures.headline.insert(key.clone(), x);
                    }
                }
            }
            ("max", Value::Object(map)) => {
                for (key, value) in map {
                    figures.max.insert(key.clone(), number(&format!("max.{key}"), value)?);
                }
            }
            ("days", value) => figures.days = number("days", value)?,
            ("articles", value) => figures.articles = number("articles", value)?,
            (key, value) => {
                figures.totals.insert(key.to_string(), number(key, value)?);
            }
        }
    }
    let known = |key: &str| formula.part.iter().flat_map(|p| &p.terms).any(|t| t.input == key);
    const OF_OTHER_VERSIONS: [&str; 10] = [
        "reads",
        "wows",
        "likes",
        "shares",
        "posts",
        "original",
        "reposts",
        "comments",
        "original_reposts",
        "original_comments",
    ];
    if let Some(key) = figures.totals.keys().find(|k| !known(k) && !OF_OTHER_VERSIONS.contains(&k.as_str())) {
        return Err(ModelError::input(format!("{key}: 没有这一项")));
    }
    let result = formula.value(&figures)?;
    let mut explanation: Vec<Value> = result
        .parts
        .iter()
        .map(|p| json!({"step": format!("{} {:.6},权重 {}", p.label, p.value, p.weight), "value": p.value, "basis": [formula.source]}))
        .collect();
    let power = if formula.power == 1 { String::new() } else { format!(" 的 {} 次方", formula.power) };
    explanation.push(json!({
        "step": format!("加权和{power} × {} = {:.4}", formula.scale, result.value), "value": result.value,
        "basis": [formula.source],
    }));
    Ok(json!({
        "value": result.value, "formula": result.formula, "version": result.version, "status": formula.status,
        "parts": result.parts, "explanation": explanation,
    }))
}

fn number(key: &str, value: &Value) -> Result<f64> {
    let number = match value {
        Value::Number(n) => n.as_f64(),
        // As the platform shows it.
        Value::String(text) if matches!(text.trim(), "10万+" | "100000+") => Some(100_001.0),
        _ => None,
    };
    number.filter(|n| n.is_finite() && *n >= 0.0).ok_or_else(|| ModelError::input(format!("{key}: 应为非负数")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the packs are valid"));

    fn wci(version: &str) -> Value {
        json!({"version": version, "days": 7, "articles": 21, "reads": 210_000, "wows": 420, "likes": 840, "shares": 1260,
               "headline": {"articles": 7, "reads": 105_000, "wows": 210, "likes": 420, "shares": 630},
               "max": {"reads": 40_000, "wows": 90, "likes": 150, "shares": 300}})
    }

    fn bci(version: &str) -> Value {
        json!({"version": version, "posts": 70, "original": 42, "reposts": 1500, "comments": 2100,
               "original_reposts": 1100, "original_comments": 1700, "likes": 9800})
    }

    #[track_caller]
    fn expect(formula: &str, body: Value, value: f64, parts: &[f64]) {
        let out = evaluate(formula, &body, &CATALOGUE).unwrap_or_else(|e| panic!("{e}"));
        let near = |a: &Value, b: f64| assert!((a.as_f64().expect("number") - b).abs() < 1e-4, "{a} is not {b}");
        near(&out["value"], value);
        for (i, part) in parts.iter().enumerate() {
            near(&out["parts"][i]["value"], *part);
        }
    }

    #[test]
    fn worked_examples() {
        expect("wci", wci("14.2"), 990.6488, &[9.342033, 8.244033, 8.649192, 9.669816]);
        expect("wci", wci("13"), 849.2867, &[9.722427, 8.624370, 9.029558, 10.027687]);
        expect("wci", wci("12"), 824.3775, &[]);
        // The published example of V2.0.
        let old =
            json!({"version": "2", "articles": 100, "reads": 10_000, "wows": 4_000, "max": {"reads": 300, "wows": 60}});
        expect("wci", old, 411.487508, &[]);
        expect("bci", bci("7"), 1088.0618, &[3.911644, 7.522572]);
        expect("bci", bci("4"), 1137.8355, &[4.262680, 7.823670]);
    }

    #[test]
    fn edges() {
        let none = json!({"version": "14.2", "days": 7, "articles": 0});
        expect("wci", none, 0.0, &[]);
        let mut many = wci("14.2");
        many["max"]["reads"] = json!("10万+");
        assert!(evaluate("wci", &many, &CATALOGUE).is_ok());
        let error = |formula: &str, body: Value| evaluate(formula, &body, &CATALOGUE).expect_err("refused").to_string();
        assert!(error("wci", wci("9")).contains("wci-9"));
        many["reads"] = json!(-1);
        assert!(error("wci", many).contains("reads"));
        assert!(error("bci", json!({"version": "4", "posts": 1})).contains("缺少"));
        assert!(error("bci", json!({"version": "4", "postz": 1})).contains("postz"));
        assert!(
            error("wci", json!({"version": "14.2", "articles": 3, "reads": 1, "wows": 1, "likes": 1, "shares": 1}))
                .contains("days")
        );
    }

    #[test]
    fn rankings_never_mix_versions() {
        let value = |v: f64, version: &str| Influence {
            value: v,
            formula: "wci".into(),
            version: version.into(),
            parts: vec![],
        };
        let list =
            |rows: &[(&str, f64)]| rows.iter().map(|(n, v)| (n.to_string(), value(*v, "14.2"))).collect::<Vec<_>>();
        let ranked = ranking(&list(&[("a", 5.0), ("b", 9.0), ("c", 9.0)]), &list(&[("a", 8.0), ("b", 4.0)]))
            .expect("one version");
        let places: Vec<_> = ranked.iter().map(|r| (r.account.as_str(), r.rank, r.rise)).collect();
        assert_eq!(places, [("b", 1, Some(1)), ("c", 1, None), ("a", 3, Some(-2))]);
        assert!(ranking(&list(&[("a", 5.0)]), &[("a".into(), value(5.0, "13"))]).is_err());
    }
}
