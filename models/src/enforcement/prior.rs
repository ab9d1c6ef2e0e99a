//! Earlier penalties of the same organisation for the same matter (历史案件提醒).

use super::only_organisations;
use crate::error::{ModelError, Result};
use chrono::{Months, NaiveDate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zonglan_catalog::Catalogue;

/// How far the reminder looks back; part of a file of `hints/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    pub months: u32,
    pub basis: String,
    #[serde(default)]
    pub note: Option<String>,
}

/// A decision on a penalty against an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Penalty {
    pub case: String,
    pub decision: String,
    pub party: String,
    pub matter: String,
    pub date: NaiveDate,
}

/// The penalties before `as_of` of the same party for the same matter within the period, newest first.
pub fn earlier<'a>(
    penalties: impl IntoIterator<Item = &'a Penalty>,
    party: &str,
    matter: &str,
    as_of: NaiveDate,
    prior: &Prior,
) -> Vec<&'a Penalty> {
    let from = as_of.checked_sub_months(Months::new(prior.months)).unwrap_or(NaiveDate::MIN);
    let mut found: Vec<_> = penalties
        .into_iter()
        .filter(|p| p.party == party && p.matter == matter && p.date >= from && p.date < as_of)
        .collect();
    found.sort_by(|a, b| b.date.cmp(&a.date).then_with(|| a.decision.cmp(&b.decision)));
    found
}

/// The body of `POST /api/v1/models/prior-penalty/evaluate`: `{"party_kind","party","matter","as_of","penalties":[..]}`.
///
/// # Errors
/// A party that is a natural person, or a field that does not fit.
pub fn evaluate(body: Value, catalogue: &Catalogue) -> Result<Value> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default = "enforcement")]
        hints: String,
        party_kind: String,
        party: String,
        matter: String,
        as_of: NaiveDate,
        penalties: Vec<Penalty>,
    }
    fn enforcement() -> String {
        "enforcement".into()
    }
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    only_organisations(&body.party_kind)?;
    let hints = super::hints::Hints::load(catalogue, &body.hints)?;
    let found = earlier(&body.penalties, &body.party, &body.matter, body.as_of, &hints.prior);
    let decisions: Vec<&str> = found.iter().map(|p| p.decision.as_str()).collect();
    let explanation = if found.is_empty() {
        format!("近 {} 个月没有同一事项的处罚决定", hints.prior.months)
    } else {
        format!("近 {} 个月同一事项已处罚 {} 次：{}", hints.prior.months, found.len(), decisions.join("、"))
    };
    Ok(json!({
        "value": found.len(), "times": found.len() + 1,
        "earlier": found.iter().map(|p| json!({"case": p.case, "decision": p.decision, "date": p.date})).collect::<Vec<_>>(),
        "basis": hints.prior.basis, "version": hints.version, "explanation": explanation,
    }))
}
