//! One door to all models: `POST /api/v1/models/{model}/evaluate`.

use crate::error::{ModelError, Result};
use crate::{briefing, deadline, discretion, enforcement, extract, index, influence, opinion, sentiment};
use serde_json::Value;
use zonglan_catalog::Catalogue;

/// The models that can be evaluated.
pub const MODELS: [&str; 12] = [
    "deadline",
    "security-index",
    "wci",
    "bci",
    "sentiment",
    "opinion",
    "discretion",
    "case-check",
    "cause-hint",
    "prior-penalty",
    "association",
    "shop-risk",
];

/// Evaluates a model on a body with the rules of the catalogue. Sentiment needs a trained model:
/// see [`evaluate_with`].
///
/// # Errors
/// An unknown model, a wrong body, or a wrong rule file.
pub fn evaluate(model: &str, body: Value, catalogue: &Catalogue) -> Result<Value> {
    evaluate_with(model, body, catalogue, None)
}

/// As [`evaluate`], with the sentiment model in force.
///
/// # Errors
/// As [`evaluate`]; `NotTrained` where a sentiment model is needed and missing.
pub fn evaluate_with(
    model: &str,
    body: Value,
    catalogue: &Catalogue,
    trained: Option<&sentiment::Model>,
) -> Result<Value> {
    match model {
        "deadline" => deadline::evaluate(body, &deadline::Rules::load(catalogue)?, catalogue.calendar()),
        "security-index" => index::evaluate(body, catalogue),
        "wci" | "bci" => influence::evaluate(model, &body, catalogue),
        "sentiment" => sentiment::evaluate(body, trained.ok_or(ModelError::NotTrained)?),
        "opinion" => opinion::evaluate(body, catalogue, trained.ok_or(ModelError::NotTrained)?),
        "discretion" => discretion::evaluate(body, catalogue),
        "case-check" => enforcement::checks::evaluate(body, catalogue),
        "cause-hint" => enforcement::hints::evaluate(body, catalogue),
        "prior-penalty" => enforcement::prior::evaluate(body, catalogue),
        "association" => enforcement::association::evaluate(body),
        "shop-risk" => enforcement::risk::evaluate(body, catalogue),
        _ => Err(ModelError::UnknownModel { name: model.to_string(), known: MODELS.join(", ") }),
    }
}

/// Reads every rule file: what `zonglan catalog check` asks of the models.
///
/// # Errors
/// The first file that is wrong.
pub fn check(catalogue: &Catalogue) -> Result<()> {
    deadline::Stream::load(catalogue, &deadline::Rules::load(catalogue)?)?;
    for (name, _) in catalogue.files("indices") {
        index::IndexFile::load(catalogue, name)?.scheme()?;
    }
    for (name, _) in catalogue.files("influence") {
        catalogue.parse_file::<influence::Formula>("influence", name)?;
    }
    opinion::Topics::load(catalogue)?;
    for (name, _) in catalogue.files("briefings") {
        briefing::Briefing::load(catalogue, name)?;
    }
    enforcement::check(catalogue)?;
    for (name, _) in catalogue.files("discretion") {
        discretion::Standard::load(catalogue, name)?;
    }
    for (name, _) in catalogue.files("extract") {
        extract::Thresholds::load(catalogue, name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use zonglan_catalog::error::{Classify, ErrorClass};

    #[test]
    fn the_door_opens_to_each_model() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        check(&catalogue).unwrap_or_else(|e| panic!("{e}"));
        let body = json!({"rule": "R1", "trigger": "2026-01-10", "params": {"months": 2, "days": 0, "excl": 20, "roll": false}});
        let out = evaluate("deadline", body, &catalogue).expect("valid");
        assert_eq!((&out["raw_due"], &out["due"]), (&json!("2026-03-30"), &json!("2026-03-30")));
        for model in MODELS {
            let error = evaluate(model, json!(5), &catalogue).expect_err("not a body");
            assert!(matches!(error.class(), ErrorClass::User | ErrorClass::Unavailable), "{model}: {error}");
        }
        assert_eq!(evaluate("x", json!({}), &catalogue).expect_err("unknown").class(), ErrorClass::NotFound);
    }
}
