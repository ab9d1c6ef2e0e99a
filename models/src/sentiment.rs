//! Sentiment and topics of texts, never of authors: no input here has a field for who wrote something.
//!
//! A linear model on hashed character n-grams, trained on two lists of texts, with calibrated
//! probabilities and an uncertain band; near duplicates by simhash; hot words by log-odds.

pub mod features;
pub mod hot;
pub mod model;
pub mod score;
pub mod simhash;
pub mod train;

pub use model::{DataCard, Model};
pub use score::Scores;
pub use train::{Options, train};

use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    Positive,
    Negative,
    Uncertain,
}

/// Texts of one request.
const MOST_TEXTS: usize = 10_000;

/// The body of `POST /api/v1/models/sentiment/evaluate`: `{"texts":[...]}`. `probability` is that of being positive
/// for `positive`, of being negative for `negative`, and of the likelier one for `uncertain`.
///
/// # Errors
/// Not a list of texts, or too many.
pub fn evaluate(body: Value, model: &Model) -> Result<Value> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        texts: Vec<String>,
    }
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    if body.texts.len() > MOST_TEXTS {
        return Err(ModelError::input(format!("texts: 一次最多 {MOST_TEXTS} 条")));
    }
    let results: Vec<Value> = body
        .texts
        .iter()
        .map(|text| {
            let positive = model.positive(text);
            json!({"label": model.label(positive), "probability": positive.max(1.0 - positive), "positive": positive})
        })
        .collect();
    Ok(json!({"results": results, "model": model.card.version, "uncertain_band": model.band}))
}

#[cfg(test)]
mod tests;
