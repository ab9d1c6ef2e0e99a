//! Hints when an officer chooses a cause (案由提醒): lists of no or mitigated penalty, the discretion standard,
//! earlier cases, changes of the matter. Shown as tags, each with its basis.

use super::prior::Prior;
use crate::deadline::rule::Status;
use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zonglan_catalog::{Catalogue, Label};

/// A file of `hints/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hints {
    pub name: String,
    pub version: String,
    pub label: Label,
    /// The code list of the causes.
    pub codes: String,
    pub prior: Prior,
    pub hint: Vec<Hint>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    pub tag: Tag,
    /// Codes of the causes; `*` for all.
    pub causes: Vec<String>,
    pub text: String,
    pub basis: String,
    pub status: Status,
    /// The discretion standard that the hint opens.
    #[serde(default)]
    pub matter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// 免罚清单
    NoPenalty,
    /// 减轻清单
    Mitigated,
    /// 裁量基准
    Discretion,
    /// 历史案例
    History,
    /// 事项变更
    Change,
    /// 行刑衔接
    Criminal,
}

impl Hints {
    /// # Errors
    /// No such file, or what is wrong in it.
    pub fn load(catalogue: &Catalogue, name: &str) -> Result<Self> {
        let hints: Self = catalogue.parse_file("hints", name)?.ok_or_else(|| ModelError::UnknownRule {
            what: "案由提醒",
            name: name.to_string(),
            known: catalogue.files("hints").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })?;
        let wrong = |e: String| ModelError::RuleFile(format!("{name}: {e}"));
        let codes = catalogue.codes(&hints.codes).ok_or_else(|| wrong(format!("没有代码表 {}", hints.codes)))?;
        for hint in &hints.hint {
            if let Some(cause) = hint.causes.iter().find(|c| *c != "*" && codes.get(c).is_none()) {
                return Err(wrong(format!("代码表 {} 没有案由 {cause}", hints.codes)));
            }
            if let Some(matter) = hint.matter.as_ref().filter(|m| !catalogue.files("discretion").any(|(n, _)| n == *m))
            {
                return Err(wrong(format!("没有裁量基准 {matter}")));
            }
        }
        Ok(hints)
    }

    /// The hints for a cause, by tag.
    pub fn of(&self, cause: &str) -> Vec<&Hint> {
        let mut found: Vec<_> = self.hint.iter().filter(|h| h.causes.iter().any(|c| c == cause || c == "*")).collect();
        found.sort_by_key(|h| h.tag);
        found
    }
}

/// The body of `POST /api/v1/models/cause-hint/evaluate`: `{"cause":"unlicensed_trading"}`.
///
/// # Errors
/// An unknown cause or file.
pub fn evaluate(body: Value, catalogue: &Catalogue) -> Result<Value> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        hints: Option<String>,
        cause: String,
    }
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    let hints = Hints::load(catalogue, body.hints.as_deref().unwrap_or("enforcement"))?;
    let Some(cause) = catalogue.codes(&hints.codes).and_then(|c| c.get(&body.cause)) else {
        return Err(ModelError::input(format!("cause: 代码表 {} 没有 {}", hints.codes, body.cause)));
    };
    let found = hints.of(&body.cause);
    let tags: Vec<Value> = found
        .iter()
        .map(|h| json!({"tag": h.tag, "text": h.text, "basis": h.basis, "status": h.status, "matter": h.matter}))
        .collect();
    Ok(json!({
        "cause": body.cause, "label": cause.zh, "hints": tags, "version": hints.version,
        "explanation": format!("{}：{} 条提醒", cause.zh, found.len()),
    }))
}
