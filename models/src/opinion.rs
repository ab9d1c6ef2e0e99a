//! Public opinion by topic: texts are cleaned, near copies found, classified and sorted into declared
//! topics; alert rules look at number and share of the negative ones. No input has a field for an author.

mod alert;
mod topic;

pub use alert::{Alert, alerts};
pub use topic::{Area, TopicRule, Topics};

use crate::error::{ModelError, Result};
use crate::sentiment::simhash::{groups, simhash};
use crate::sentiment::{Label, Model};
use serde::Deserialize;
use serde_json::{Value, json};
use zonglan_catalog::Catalogue;

/// A text as collected. There is no field for who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub text: String,
    #[serde(default)]
    pub platform: String,
    /// District code.
    #[serde(default)]
    pub district: String,
    /// Days since 1970-01-01, local.
    #[serde(default)]
    pub day: i32,
}

/// What the model says of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessed {
    /// Without mentions and links.
    pub text: String,
    pub label: Label,
    /// Calibrated probability of being positive.
    pub positive: f64,
    /// Code of the topic; `other` where no keyword fits.
    pub topic: String,
    /// The text that this one copies: itself where it is none.
    pub first: usize,
    /// Texts that copy this one.
    pub copies: u32,
}

/// Cleans, classifies and sorts texts; `texts` in order of time, so that the first of a group of near
/// copies is the earliest.
pub fn assess(texts: &[Text], model: &Model, topics: &Topics) -> Vec<Assessed> {
    let clean: Vec<String> = texts.iter().map(|t| readable(&t.text)).collect();
    let hashes: Vec<u64> = clean.iter().map(|t| simhash(t)).collect();
    let first = groups(&hashes);
    let mut copies = vec![0u32; texts.len()];
    first.iter().enumerate().filter(|(i, f)| i != *f).for_each(|(_, f)| copies[*f] += 1);
    clean
        .into_iter()
        .enumerate()
        .map(|(i, text)| {
            let positive = model.positive(&text);
            Assessed {
                label: model.label(positive),
                positive,
                topic: topics.topic_of(&text).to_string(),
                first: first[i],
                copies: copies[i],
                text,
            }
        })
        .collect()
}

/// The text as people may read it: without `@names` and links, white space in single spaces. A mention
/// ends at white space or a stop; what it hides cannot be told from the result.
pub fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let lower = |head: &str, what: &str| {
            head.len() >= what.len() && head.as_bytes()[..what.len()].eq_ignore_ascii_case(what.as_bytes())
        };
        if matches!(c, '@' | '＠') || lower(rest, "http://") || lower(rest, "https://") || lower(rest, "www.") {
            rest = rest.trim_start_matches(|c: char| !c.is_whitespace() && !ends_name(c));
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if c.is_whitespace() || c.is_control() || c == '\u{3000}' {
            if !out.is_empty() && !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            out.push(c);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn ends_name(c: char) -> bool {
    matches!(c, '，' | '。' | '！' | '？' | '；' | '、' | ',' | '!' | '?' | ';' | '：' | '）' | ')' | '】' | ']')
}

/// Texts of one request.
const MOST_TEXTS: usize = 5_000;

/// The body of `POST /api/v1/models/opinion/evaluate`: `{"texts":[{"text","platform","district","day"}],"rules":[..]}`
/// (`day` as a date). Answers each text's topic, label and first copy, and the state of each rule on its last day.
///
/// # Errors
/// A field too many (an author, say), too many texts, an unknown rule, a day that is no date.
pub fn evaluate(body: Value, catalogue: &Catalogue, model: &Model) -> Result<Value> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        texts: Vec<Given>,
        #[serde(default)]
        rules: Vec<String>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given {
        text: String,
        #[serde(default)]
        platform: String,
        #[serde(default)]
        district: String,
        day: chrono::NaiveDate,
    }
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    if body.texts.len() > MOST_TEXTS {
        return Err(ModelError::input(format!("texts: 一次最多 {MOST_TEXTS} 条")));
    }
    let topics = Topics::load(catalogue)?;
    if let Some(unknown) = body.rules.iter().find(|name| topics.rule(name).is_none()) {
        return Err(ModelError::UnknownRule {
            what: "舆情规则",
            name: unknown.clone(),
            known: topics.rules().iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", "),
        });
    }
    let mut texts: Vec<Text> = body
        .texts
        .into_iter()
        .map(|t| Text {
            text: t.text,
            platform: t.platform,
            district: t.district,
            day: zonglan_catalog::batch::days(t.day),
        })
        .collect();
    texts.sort_by_key(|t| t.day);
    let assessed = assess(&texts, model, &topics);
    let last = texts.iter().map(|t| t.day).max().unwrap_or_default();
    let chosen: Vec<TopicRule> =
        topics.rules().iter().filter(|r| body.rules.is_empty() || body.rules.contains(&r.name)).cloned().collect();
    let states = alerts(&chosen, &texts, &assessed, last..=last);
    let results: Vec<Value> = assessed
        .iter()
        .zip(&texts)
        .map(|(a, t)| {
            json!({"text": a.text, "day": zonglan_catalog::batch::date_of(t.day), "label": a.label,
                   "probability": a.positive.max(1.0 - a.positive), "topic": a.topic, "first": a.first, "copies": a.copies})
        })
        .collect();
    let states: Vec<Value> = states
        .iter()
        .map(|s| {
            let rule = &chosen[s.rule];
            json!({"rule": rule.name, "version": rule.version, "district": s.district, "day": zonglan_catalog::batch::date_of(s.day),
                   "texts": s.texts, "negative": s.negative, "uncertain": s.uncertain, "share": s.share,
                   "platforms": s.platforms, "alert": s.alert, "explanation": rule.explain(s)})
        })
        .collect();
    Ok(json!({"results": results, "rules": states, "model": model.card.version, "uncertain_band": model.band}))
}

#[cfg(test)]
mod tests;
