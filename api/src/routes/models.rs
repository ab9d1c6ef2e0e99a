//! `/api/v1/models`: the computations, their rules with version and source, and one evaluation each.

use super::model_helpers::{self, HELPERS};
use super::model_schemas as schemas;
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use zonglan_catalog::{Catalogue, Label};
use zonglan_models::discretion::Standard;
use zonglan_models::index::IndexFile;
use zonglan_models::influence::{Formula, From, Part, Per};
use zonglan_models::{MODELS, ModelError, sentiment};

#[derive(Debug, Serialize, ToSchema)]
pub struct ModelOut {
    pub name: &'static str,
    /// Where to evaluate it.
    pub href: String,
    /// False where a trained model is needed and missing or broken.
    pub ready: bool,
    /// Rules, indices, formulas or standards in force.
    pub rules: Vec<RuleOut>,
}

/// A declared rule, index, formula or standard, or a trained model.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct RuleOut {
    pub name: String,
    pub version: String,
    pub label: String,
    pub label_en: String,
    /// 已确认 or 未确认, where the file says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub status: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
    /// Articles and publications.
    pub sources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl RuleOut {
    pub(super) fn new(
        name: &str,
        version: &str,
        label: &Label,
        mut sources: Vec<String>,
        note: Option<&String>,
    ) -> Self {
        let mut seen = std::collections::BTreeSet::new();
        sources.retain(|source| seen.insert(source.clone()));
        Self {
            name: name.into(),
            version: version.into(),
            label: label.zh.clone(),
            label_en: label.en.clone(),
            sources,
            note: note.cloned(),
            ..Self::default()
        }
    }
}

/// List the models with their rules, versions and sources
#[utoipa::path(get, path = "/api/v1/models", tag = "models", operation_id = "list_models",
    responses((status = 200, body = Vec<ModelOut>), (status = 401, body = Problem)))]
pub async fn list(State(app): State<App>, _auth: Auth) -> Result<Json<Vec<ModelOut>>> {
    let work = move || -> Result<Vec<ModelOut>> {
        let catalogue = app.catalogue();
        let trained = app.models.sentiment();
        MODELS
            .iter()
            .map(|name| {
                let (ready, rules) = match *name {
                    "deadline" => (true, deadlines(&*app.models.rules(&catalogue)?)),
                    "security-index" => (true, indices(&catalogue)?),
                    "wci" | "bci" => (true, formulas(name, &catalogue)?),
                    "discretion" => (true, standards(&catalogue)?),
                    "opinion" => (matches!(trained, Ok(Some(_))), model_helpers::rules(name, &catalogue)?),
                    helper if HELPERS.contains(&helper) => (true, model_helpers::rules(name, &catalogue)?),
                    _ => (
                        matches!(trained, Ok(Some(_))),
                        trained.iter().flatten().map(|model| card(&model.card)).collect(),
                    ),
                };
                Ok(ModelOut { name, href: format!("/api/v1/models/{name}/evaluate"), ready, rules })
            })
            .collect()
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map(Json)
}

fn deadlines(rules: &zonglan_models::deadline::Rules) -> Vec<RuleOut> {
    rules
        .iter()
        .map(|rule| {
            let limits = rule.limit.iter().flat_map(|l| {
                let more = l.choice.iter().map(|c| &c.basis).chain(l.extension.iter().map(|e| &e.basis));
                l.basis.iter().chain(more.flatten())
            });
            let sources = limits.chain(rule.threshold.iter().flat_map(|t| &t.basis)).cloned().collect();
            let mut out = RuleOut::new(&rule.name, &rule.version, &rule.label, sources, rule.note.as_ref());
            out.status = serde_json::to_value(rule.status).ok();
            out
        })
        .collect()
}

fn indices(catalogue: &Catalogue) -> Result<Vec<RuleOut>, ModelError> {
    let one = |(name, _)| {
        let file = IndexFile::load(catalogue, name)?;
        Ok(RuleOut::new(&file.name, &file.version, &file.label, file.basis.clone(), file.note.as_ref()))
    };
    catalogue.files("indices").map(one).collect()
}

fn formulas(model: &str, catalogue: &Catalogue) -> Result<Vec<RuleOut>, ModelError> {
    let mut out = Vec::new();
    for (name, _) in catalogue.files("influence") {
        let Some(file) = catalogue.parse_file::<Formula>("influence", name)? else { continue };
        if file.formula == model {
            let mut rule =
                RuleOut::new(name, &file.version, &file.label, vec![file.source.clone()], file.note.as_ref());
            rule.status = serde_json::to_value(file.status).ok();
            rule.formula = Some(written(&file));
            out.push(rule);
        }
    }
    Ok(out)
}

fn standards(catalogue: &Catalogue) -> Result<Vec<RuleOut>, ModelError> {
    let one = |(name, _)| {
        let file = Standard::load(catalogue, name)?;
        let sources = file.basis.iter().chain(file.step.iter().map(|s| &s.basis)).cloned().collect();
        Ok(RuleOut::new(&file.name, &file.version, &file.label, sources, file.note.as_ref()))
    };
    catalogue.files("discretion").map(one).collect()
}

fn card(card: &sentiment::DataCard) -> RuleOut {
    let scores = &card.held_out;
    let note = format!(
        "{}; {} texts held out: accuracy {:.3}, calibration error {:.3}",
        card.field, scores.texts, scores.accuracy, scores.calibration_error
    );
    let label = Label::new("情感判断", "Sentiment of texts");
    RuleOut::new("sentiment", &card.version, &label, vec![card.source.clone()], Some(&note))
}

/// A formula as people write it: `(0.6*(0.7*ln(reads/days + 1) + ...) + ...)^2 * 12`.
fn written(file: &Formula) -> String {
    let parts: Vec<String> = file.part.iter().map(part).collect();
    let power = if file.power == 1 { String::new() } else { format!("^{}", file.power) };
    format!("({}){power} * {}", parts.join(" + "), file.scale)
}

fn part(part: &Part) -> String {
    let prefix = match part.from {
        From::Totals => "",
        From::Headline => "headline.",
        From::Max => "max.",
    };
    let per = match part.per {
        Per::None => "",
        Per::Days => "/days",
        Per::Articles => "/articles",
        Per::HeadlineArticles => "/headline.articles",
    };
    let factor = |x: f64| if x == 1.0 { String::new() } else { format!("{x}*") };
    let terms = part
        .terms
        .iter()
        .map(|term| format!("{}ln({}{prefix}{}{per} + 1)", factor(term.coefficient), factor(term.times), term.input));
    format!("{}({})", factor(part.weight), terms.collect::<Vec<_>>().join(" + "))
}

/// Adds formula, version and source of each declared file to the operations of the document.
pub fn describe(document: &mut utoipa::openapi::OpenApi, catalogue: &Catalogue) {
    let rules = [
        ("security-index", indices(catalogue)),
        ("wci", formulas("wci", catalogue)),
        ("bci", formulas("bci", catalogue)),
        ("discretion", standards(catalogue)),
    ];
    for (model, rules) in rules {
        describe_one(document, model, rules.unwrap_or_default());
    }
    model_helpers::describe(document, catalogue);
}

/// Appends rules to the description of a model's operation.
pub(super) fn describe_one(document: &mut utoipa::openapi::OpenApi, model: &str, rules: Vec<RuleOut>) {
    let path = document.paths.paths.get_mut(&format!("/api/v1/models/{model}/evaluate"));
    let Some(operation) = path.and_then(|item| item.post.as_mut()) else { return };
    let text = operation.description.get_or_insert_default();
    for rule in rules {
        let status = rule.status.as_ref().and_then(Value::as_str).map(|s| format!(", {s}")).unwrap_or_default();
        let formula = rule.formula.map(|f| format!(": `{f}`")).unwrap_or_default();
        let sources = rule.sources.join("; ");
        text.push_str(&format!("\n- {} {} ({}{status}){formula}. {sources}", rule.name, rule.version, rule.label_en));
    }
}

pub(super) async fn evaluate(app: App, model: &'static str, body: Value) -> Result<Json<Value>> {
    // A full request may take a second of one core.
    let work = move || app.models.evaluate(model, body, &app.catalogue());
    Ok(Json(tokio::task::spawn_blocking(work).await.map_err(Error::internal)??))
}

/// Count a statutory period, or tell the state of a case
///
/// Counting: 刑事诉讼法 (2018) art. 105 and 法释〔2021〕1号 art. 202: the first day does not count; months
/// run to the same day of the month or its last; days off at the end roll to the next working day,
/// never in custody. Rules, their versions and articles: `GET /api/v1/models`; every step of the
/// explanation cites its own.
#[utoipa::path(post, path = "/api/v1/models/deadline/evaluate", tag = "models", operation_id = "evaluate_deadline",
    request_body = schemas::DeadlineIn, responses((status = 200, body = schemas::DeadlineOut),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn deadline(
    State(app): State<App>,
    _auth: Auth,
    ValidatedJson(body): ValidatedJson<Value>,
) -> Result<Json<Value>> {
    evaluate(app, "deadline", body).await
}

/// Score units by the security index
///
/// Improved efficacy coefficient (改进的功效系数法): position `t = (x - inadmissible) / (satisfactory -
/// inadmissible)`, clamped to `[t_min, 1]`; score linear `60 + 40 t`, exponential `60 exp(-ln 0.6 t)`,
/// logarithmic `60 + 40 ln(1 + (e - 1) t)`; indicators and dimensions by weighted arithmetic mean or
/// geometric mean `exp(sum w ln d / sum w)`. Bounds and weights are constants of a version. Declared:
#[utoipa::path(post, path = "/api/v1/models/security-index/evaluate", tag = "models", operation_id = "evaluate_security_index",
    request_body = schemas::SecurityIndexIn, responses((status = 200, body = schemas::SecurityIndexOut),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn security_index(
    State(app): State<App>,
    _auth: Auth,
    ValidatedJson(body): ValidatedJson<Value>,
) -> Result<Json<Value>> {
    evaluate(app, "security-index", body).await
}

/// Influence of a WeChat account (WCI)
///
/// Versions are never mixed in a ranking or a trend. Formulas:
#[utoipa::path(post, path = "/api/v1/models/wci/evaluate", tag = "models", operation_id = "evaluate_wci",
    request_body = schemas::WciIn, responses((status = 200, body = schemas::InfluenceOut),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn wci(
    State(app): State<App>,
    _auth: Auth,
    ValidatedJson(body): ValidatedJson<Value>,
) -> Result<Json<Value>> {
    evaluate(app, "wci", body).await
}

/// Influence of a Weibo account (BCI)
///
/// Versions are never mixed in a ranking or a trend. Formulas:
#[utoipa::path(post, path = "/api/v1/models/bci/evaluate", tag = "models", operation_id = "evaluate_bci",
    request_body = schemas::BciIn, responses((status = 200, body = schemas::InfluenceOut),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn bci(
    State(app): State<App>,
    _auth: Auth,
    ValidatedJson(body): ValidatedJson<Value>,
) -> Result<Json<Value>> {
    evaluate(app, "bci", body).await
}

/// Tell whether texts are positive or negative
///
/// A linear model on character n-grams, trained by `zonglan model train`, with Platt's calibration
/// (probability `1 / (1 + exp(-(a m + b)))` of the margin `m`) and an uncertain band. Its version and
/// held-out scores: `GET /api/v1/models`. Unavailable until a model is trained. Outside the field of
/// its texts it is worse.
#[utoipa::path(post, path = "/api/v1/models/sentiment/evaluate", tag = "models", operation_id = "evaluate_sentiment",
    request_body = schemas::SentimentIn, responses((status = 200, body = schemas::SentimentOut),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub async fn sentiment(
    State(app): State<App>,
    _auth: Auth,
    ValidatedJson(body): ValidatedJson<Value>,
) -> Result<Json<Value>> {
    evaluate(app, "sentiment", body).await
}

/// Range of a fine by the discretion standard
///
/// Steps in the order of the standard: each one whose conditions hold narrows the statutory range to a
/// share of it, lightens it or ends it; the heavier of several shares counts. The decision stays with
/// the officer. Standards:
#[utoipa::path(post, path = "/api/v1/models/discretion/evaluate", tag = "models", operation_id = "evaluate_discretion",
    request_body = schemas::DiscretionIn, responses((status = 200, body = schemas::DiscretionOut),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn discretion(
    State(app): State<App>,
    _auth: Auth,
    ValidatedJson(body): ValidatedJson<Value>,
) -> Result<Json<Value>> {
    evaluate(app, "discretion", body).await
}

/// Any other name.
pub async fn unknown(_auth: Auth, Path(name): Path<String>) -> Error {
    ModelError::UnknownModel { name, known: MODELS.join(", ") }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::{Request, header};
    use serde_json::json;
    use tower::ServiceExt;

    #[test]
    fn formulas_are_written_from_their_files() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let wci = formulas("wci", &catalogue).expect("valid");
        let text = wci.iter().find(|r| r.version == "14.2").and_then(|r| r.formula.clone()).unwrap_or_default();
        assert!(text.starts_with("(0.6*(0.7*ln(reads/days + 1) + 0.09*ln(10*wows/days + 1)"), "{text}");
        assert!(text.ends_with("^2 * 12"), "{text}");
        assert!(formulas("bci", &catalogue).expect("valid").iter().all(|r| !r.sources[0].is_empty()));
    }

    async fn ask(service: &axum::Router, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(body.to_string()))
            .expect("a request");
        let response = service.clone().oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 22).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn models_answer_those_who_are_signed_in() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = crate::config::Config::resolve(None, &Default::default()).expect("defaults");
        config.data.dir = dir.path().to_path_buf();
        let clock = std::sync::Arc::new(zonglan_catalog::traits::SystemClock);
        let opening = crate::app::Opening { config, clock, demo: false, address: "test".into() };
        let app = App::open(opening).await.expect("opens");
        let service = crate::router::router(&app);
        let at = |model: &str| format!("/api/v1/models/{model}/evaluate");
        let post = async |model: &str, body: Value| ask(&service, &app.operator, "POST", &at(model), &body).await;

        let body = json!({"rule": "R1", "trigger": "2026-01-10", "params": {"months": 2, "days": 0, "excl": 20, "roll": false}});
        let (status, out) = post("deadline", body.clone()).await;
        assert_eq!((status, &out["raw_due"], &out["due"]), (200, &json!("2026-03-30"), &json!("2026-03-30")), "{out}");
        let (status, out) = ask(&service, "nobody", "POST", &at("deadline"), &body).await;
        assert_eq!((status, &out["status"]), (401, &json!(401)), "{out}");

        // The published example of WCI V14.2, and two figures of the index by hand.
        let wci = json!({"version": "14.2", "days": 7, "articles": 21, "reads": 210_000, "wows": 420, "likes": 840, "shares": 1260,
            "headline": {"articles": 7, "reads": 105_000, "wows": 210, "likes": 420, "shares": 630},
            "max": {"reads": 40_000, "wows": 90, "likes": 150, "shares": 300}});
        let (status, out) = post("wci", wci).await;
        assert!(status == 200 && (out["value"].as_f64().unwrap_or_default() - 990.6488).abs() < 1e-4, "{out}");
        let index = json!({"dimensions": [{"id": "S", "weight": 1, "indicators": [{"id": "S1", "weight": 1, "satisfactory": 2, "inadmissible": 12}]}],
            "units": {"A": {"S1": 4.5}, "B": {"S1": 30}}});
        let (_, out) = post("security-index", index).await;
        assert_eq!((&out["units"]["A"]["value"], &out["units"]["B"]["value"]), (&json!(90.0), &json!(40.0)), "{out}");
        let (_, out) = post("discretion", json!({"matter": "street_stall", "facts": {"area": 5}})).await;
        assert_eq!(out["range"], json!({"min": 185.0, "max": 365.0}), "{out}");

        for (model, body, status, code) in [
            ("deadline", json!({"rule": "R1"}), 400, "model.input"),
            ("deadline", json!({"rule": "R99", "trigger": "2026-01-10"}), 404, "model.unknown_rule"),
            ("bci", json!({"version": "99"}), 404, "model.unknown_rule"),
            ("sentiment", json!({"texts": ["好"]}), 503, "model.not_trained"),
            ("oracle", json!({}), 404, "model.unknown"),
        ] {
            let (found, out) = post(model, body).await;
            assert_eq!((found, &out["code"]), (status, &json!(code)), "{model}: {out}");
        }
        let (status, out) = ask(&service, &app.operator, "GET", "/api/v1/models", &Value::Null).await;
        let list = out.as_array().expect("a list");
        assert!(status == 200 && list.len() == MODELS.len(), "{out}");
        for model in list {
            let (trained, opinion) = (model["name"] == "sentiment", model["name"] == "opinion");
            assert!(
                model["ready"] == json!(!trained && !opinion)
                    && model["rules"].as_array().is_some_and(|r| r.is_empty() == trained)
            );
            for rule in model["rules"].as_array().into_iter().flatten() {
                assert!(rule["version"].is_string() && rule["sources"][0].is_string(), "{rule}");
            }
        }
        app.close().await;
    }

    #[test]
    fn every_model_is_in_the_document_with_source_and_version() {
        let document: Value = serde_json::from_str(crate::router::openapi_json()).expect("JSON");
        for model in MODELS {
            let operation = &document["paths"][format!("/api/v1/models/{model}/evaluate")]["post"];
            let text = operation["description"].as_str().unwrap_or_default();
            assert!(text.len() > 100, "{model}: {text}");
            assert!(operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].is_string(), "{model}");
        }
        let wci = document["paths"]["/api/v1/models/wci/evaluate"]["post"]["description"].to_string();
        assert!(wci.contains("wci-14.2 14.2") && wci.contains("清博"), "{wci}");
    }
}
