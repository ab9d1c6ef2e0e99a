//! Evaluation of the models on texts by topic and of the helpers of law enforcement.

use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::routes::models::evaluate;
use axum::Json;
use axum::extract::State;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use zonglan_catalog::Catalogue;
use zonglan_models::ModelError;
use zonglan_models::enforcement::association::Association;
use zonglan_models::enforcement::checks::Checks;
use zonglan_models::enforcement::hints::Hints;
use zonglan_models::enforcement::risk::Risk;
use zonglan_models::opinion::Topics;

use super::models::RuleOut;

type Body = ValidatedJson<Value>;

/// Texts with platform, district and day. Any other field is refused: nothing here says who wrote a text.
#[derive(ToSchema)]
pub struct OpinionIn {
    pub texts: Vec<OpinionText>,
    /// Names of alert rules; all where empty.
    pub rules: Option<Vec<String>>,
}

#[derive(ToSchema)]
pub struct OpinionText {
    pub text: String,
    pub platform: Option<String>,
    /// District code.
    pub district: Option<String>,
    #[schema(example = "2026-03-02")]
    pub day: String,
}

#[derive(ToSchema)]
pub struct OpinionOut {
    pub results: Vec<OpinionResult>,
    pub rules: Vec<OpinionRule>,
    /// Version of the sentiment model.
    pub model: String,
    pub uncertain_band: Vec<f64>,
}

#[derive(ToSchema)]
pub struct OpinionResult {
    /// Without mentions and links.
    pub text: String,
    pub day: String,
    /// `positive`, `negative` or `uncertain`.
    pub label: String,
    pub probability: f64,
    pub topic: String,
    /// Place of the text that this one copies; its own where it is none. Texts are in order of day.
    pub first: u64,
    pub copies: u64,
}

#[derive(ToSchema)]
pub struct OpinionRule {
    pub rule: String,
    pub version: String,
    /// `310000` is the whole city.
    pub district: String,
    pub day: String,
    pub texts: u64,
    pub negative: u64,
    pub uncertain: u64,
    /// Negative among the decided, 0 to 1.
    pub share: f64,
    #[schema(value_type = Object)]
    pub platforms: Value,
    pub alert: bool,
    pub explanation: String,
}

/// Clean, classify and sort texts, and look at the alert rules
///
/// Mentions and links are cut; near copies: simhash of character trigrams (Charikar 2002), at most 3 of
/// 64 bits apart; sentiment by the trained model; topic by declared keywords and exclusions. A rule is
/// reached where the window has enough negative texts and their share among the decided is high enough.
/// Rules:
#[utoipa::path(post, path = "/api/v1/models/opinion/evaluate", tag = "models", operation_id = "evaluate_opinion",
    request_body = OpinionIn, responses((status = 200, body = OpinionOut), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn opinion(State(app): State<App>, _auth: Auth, ValidatedJson(body): Body) -> Result<Json<Value>> {
    evaluate(app, "opinion", body).await
}

#[derive(ToSchema)]
pub struct CaseCheckIn {
    /// Name of a file of checks.
    #[schema(example = "enforcement_case")]
    pub checks: String,
    /// Fields of the case file; those left out are missing.
    #[schema(value_type = Object)]
    pub fields: Value,
}

#[derive(ToSchema)]
pub struct CaseCheckOut {
    /// Share of the rules that apply and are met, in percent.
    pub value: f64,
    pub applied: u64,
    pub met: u64,
    pub findings: Vec<CaseFinding>,
    pub checks: String,
    pub version: String,
    pub explanation: String,
}

#[derive(ToSchema)]
pub struct CaseFinding {
    pub rule: String,
    pub label: String,
    /// `missing` or `doubt`.
    pub severity: String,
    pub advice: String,
    pub basis: String,
}

/// Check the elements of a case file
///
/// Each declared rule applies where its condition holds and is met where its requirement holds;
/// completeness is the share met. Rules:
#[utoipa::path(post, path = "/api/v1/models/case-check/evaluate", tag = "models", operation_id = "evaluate_case_check",
    request_body = CaseCheckIn, responses((status = 200, body = CaseCheckOut), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn case_check(State(app): State<App>, _auth: Auth, ValidatedJson(body): Body) -> Result<Json<Value>> {
    evaluate(app, "case-check", body).await
}

#[derive(ToSchema)]
pub struct CauseHintIn {
    /// File of hints; `enforcement` where left out.
    pub hints: Option<String>,
    #[schema(example = "unlicensed_trading")]
    pub cause: String,
}

#[derive(ToSchema)]
pub struct CauseHintOut {
    pub cause: String,
    pub label: String,
    pub hints: Vec<CauseHint>,
    pub version: String,
    pub explanation: String,
}

#[derive(ToSchema)]
pub struct CauseHint {
    /// `no_penalty`, `mitigated`, `discretion`, `history`, `change` or `criminal`.
    pub tag: String,
    pub text: String,
    pub basis: String,
    /// 已确认 or 未确认.
    pub status: String,
    /// A discretion standard to calculate with.
    pub matter: Option<String>,
}

/// Hints for a cause of action
///
/// Lists of no and of mitigated penalty, the discretion standard, earlier cases, changes of the matter,
/// each with its basis. Files:
#[utoipa::path(post, path = "/api/v1/models/cause-hint/evaluate", tag = "models", operation_id = "evaluate_cause_hint",
    request_body = CauseHintIn, responses((status = 200, body = CauseHintOut), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn cause_hint(State(app): State<App>, _auth: Auth, ValidatedJson(body): Body) -> Result<Json<Value>> {
    evaluate(app, "cause-hint", body).await
}

#[derive(ToSchema)]
pub struct PriorPenaltyIn {
    /// `organisation`; natural persons and sole traders are refused.
    #[schema(example = "organisation")]
    pub party_kind: String,
    /// Code of the organisation.
    pub party: String,
    pub matter: String,
    #[schema(example = "2026-03-01")]
    pub as_of: String,
    pub penalties: Vec<PriorPenalty>,
}

#[derive(ToSchema)]
pub struct PriorPenalty {
    pub case: String,
    pub decision: String,
    pub party: String,
    pub matter: String,
    pub date: String,
}

#[derive(ToSchema)]
pub struct PriorPenaltyOut {
    /// Earlier decisions in the period.
    pub value: u64,
    /// Which time this is.
    pub times: u64,
    #[schema(value_type = Vec<Object>)]
    pub earlier: Vec<Value>,
    pub basis: String,
    pub version: String,
    pub explanation: String,
}

/// Earlier penalties of an organisation for a matter
///
/// Decisions before the day, of the same organisation and the same matter, within the months that the file
/// of hints declares. Files:
#[utoipa::path(post, path = "/api/v1/models/prior-penalty/evaluate", tag = "models", operation_id = "evaluate_prior_penalty",
    request_body = PriorPenaltyIn, responses((status = 200, body = PriorPenaltyOut), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn prior_penalty(State(app): State<App>, _auth: Auth, ValidatedJson(body): Body) -> Result<Json<Value>> {
    evaluate(app, "prior-penalty", body).await
}

/// Counts of units: all, with the left thing, with the right one, with both.
#[derive(ToSchema)]
pub struct AssociationIn {
    #[schema(example = 1000)]
    pub n: u64,
    #[schema(example = 200)]
    pub a: u64,
    #[schema(example = 100)]
    pub b: u64,
    #[schema(example = 60)]
    pub both: u64,
}

#[derive(ToSchema)]
pub struct AssociationOut {
    pub value: f64,
    pub lift: f64,
    pub support: f64,
    pub confidence: f64,
    /// Units with both if the two had nothing to do with each other.
    pub expected: f64,
    #[schema(value_type = Vec<Object>)]
    pub explanation: Vec<Value>,
}

/// How much more often two things meet than by chance
///
/// `support = both / n`, `confidence = both / a`, `lift = both n / (a b)` (Agrawal, Imieliński, Swami 1993;
/// lift: Brin, Motwani, Ullman, Tsur 1997). It says nothing about cause. Declared pairs of datasets:
#[utoipa::path(post, path = "/api/v1/models/association/evaluate", tag = "models", operation_id = "evaluate_association",
    request_body = AssociationIn, responses((status = 200, body = AssociationOut), (status = 400, body = Problem),
    (status = 401, body = Problem)))]
pub async fn association(State(app): State<App>, _auth: Auth, ValidatedJson(body): Body) -> Result<Json<Value>> {
    evaluate(app, "association", body).await
}

#[derive(ToSchema)]
pub struct ShopRiskIn {
    /// File of factors; `shop` where left out.
    pub risk: Option<String>,
    /// `organisation`; natural persons and sole traders are refused.
    #[schema(example = "organisation")]
    pub party_kind: String,
    /// Counts by factor.
    #[schema(value_type = Object)]
    pub counts: Value,
}

#[derive(ToSchema)]
pub struct ShopRiskOut {
    pub value: f64,
    pub level: String,
    #[schema(value_type = Vec<Object>)]
    pub factors: Vec<Value>,
    pub basis: Vec<String>,
    pub version: String,
    pub status: String,
    pub note: Option<String>,
    pub explanation: Vec<String>,
}

/// Points of an organisation by declared facts
///
/// Each factor counts facts of the last months and gives `min(points × count, cap)`; the sum decides the
/// level. For organisations only. Factors:
#[utoipa::path(post, path = "/api/v1/models/shop-risk/evaluate", tag = "models", operation_id = "evaluate_shop_risk",
    request_body = ShopRiskIn, responses((status = 200, body = ShopRiskOut), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn shop_risk(State(app): State<App>, _auth: Auth, ValidatedJson(body): Body) -> Result<Json<Value>> {
    evaluate(app, "shop-risk", body).await
}

/// The declared rules of one of these models.
pub(super) fn rules(model: &str, catalogue: &Catalogue) -> zonglan_models::Result<Vec<RuleOut>> {
    let names = |kind| catalogue.files(kind).map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    match model {
        "opinion" => {
            let one = |rule: &zonglan_models::opinion::TopicRule| {
                let source = format!("关键词：{}", rule.keywords.join("、"));
                let mut out = RuleOut::new(&rule.name, &rule.version, &rule.label, vec![source], rule.note.as_ref());
                out.status = serde_json::to_value(rule.status).ok();
                out.formula = Some(format!(
                    "negative >= {} and negative / decided >= {} in {} days",
                    rule.min_negative, rule.min_share, rule.window_days
                ));
                out
            };
            Ok(Topics::load(catalogue)?.rules().iter().map(one).collect())
        }
        "case-check" => each(names("checks"), |name| {
            let file = Checks::load(catalogue, name)?;
            let sources = file.rule.iter().map(|r| r.basis.clone()).collect();
            Ok(RuleOut::new(&file.name, &file.version, &file.label, sources, None))
        }),
        "cause-hint" | "prior-penalty" => each(names("hints"), |name| {
            let file = Hints::load(catalogue, name)?;
            let prior = model == "prior-penalty";
            let sources = if prior {
                vec![file.prior.basis.clone()]
            } else {
                file.hint.iter().map(|h| h.basis.clone()).collect()
            };
            let note = file.prior.note.as_ref().filter(|_| prior);
            let mut out = RuleOut::new(&file.name, &file.version, &file.label, sources, note);
            out.formula = prior.then(|| format!("date in [as_of - {} months, as_of)", file.prior.months));
            Ok(out)
        }),
        "association" => each(names("associations"), |name| {
            let file = Association::load(catalogue, name)?;
            let source =
                format!("{}.{} × {}.{}", file.left.dataset, file.left.field, file.right.dataset, file.right.field);
            let mut out = RuleOut::new(&file.name, &file.version, &file.label, vec![source], file.note.as_ref());
            out.formula = Some("both * n / (a * b)".into());
            Ok(out)
        }),
        _ => each(names("risks"), |name| {
            let file = Risk::load(catalogue, name)?;
            let mut out = RuleOut::new(&file.name, &file.version, &file.label, file.basis.clone(), file.note.as_ref());
            out.status = serde_json::to_value(file.status).ok();
            let terms = file.factor.iter().map(|f| format!("min({}*{}, {})", f.points, f.id, f.cap));
            out.formula = Some(terms.collect::<Vec<_>>().join(" + "));
            Ok(out)
        }),
    }
}

fn each(names: Vec<String>, one: impl Fn(&str) -> Result<RuleOut, ModelError>) -> zonglan_models::Result<Vec<RuleOut>> {
    names.iter().map(|name| one(name)).collect()
}

/// The models of this module.
pub(super) const HELPERS: [&str; 6] =
    ["opinion", "case-check", "cause-hint", "prior-penalty", "association", "shop-risk"];

/// Adds the declared rules to the operations of the document.
pub(super) fn describe(document: &mut OpenApi, catalogue: &Catalogue) {
    for model in HELPERS {
        super::models::describe_one(document, model, rules(model, catalogue).unwrap_or_default());
    }
}
