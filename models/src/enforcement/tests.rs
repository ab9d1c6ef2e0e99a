//! The declared rules on made rows with known outcomes.

use super::*;
use crate::enforcement::prior::{Penalty, Prior, earlier};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use zonglan_catalog::{Filter, Value};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the packs are valid"));

fn fields(json: Json) -> row::Fields {
    let map = json.as_object().expect("an object").clone();
    map.iter().map(|(k, v)| (k.clone(), Value::from_json(v).expect("a value"))).collect()
}

#[test]
fn filters_mean_what_they_mean_in_queries() {
    let row = fields(json!({"a": 3, "t": "310104", "e": " ", "d": "2026-02-01"}));
    let holds = |json: Json| row::holds(&Filter::from_json(&json).expect("a filter"), &row);
    assert!(holds(json!({"a": {"gte": 3, "lt": 4}})));
    assert!(holds(json!({"t": {"prefix": "3101"}})) && holds(json!({"t": {"in": ["310104"]}})));
    assert!(holds(json!({"d": {"gt": "2026-01-31"}})));
    // A comparison with null is false, its negation true; blank text is missing.
    assert!(!holds(json!({"x": {"eq": 1}})) && holds(json!({"not": {"x": {"eq": 1}}})));
    assert!(holds(json!({"e": {"is_null": true}})) && holds(json!({"a": {"is_null": false}})));
}

// modules: C076
#[test]
fn a_case_file_is_checked_by_the_rules_that_apply() {
    check(&CATALOGUE).unwrap_or_else(|e| panic!("{e}"));
    let run = |fields: Json| checks::evaluate(json!({"checks": "enforcement_case", "fields": fields}), &CATALOGUE);
    let whole = json!({"procedure": "ordinary", "status": "closed", "party_kind": "organisation", "filed_on": "2026-01-05",
        "penalised_on": "2026-02-01", "decision_no": "沪城管罚〔2026〕1号", "discretion": "ordinary", "evidence_count": 3,
        "penalty": 80000, "legal_review": true, "organisation": "演示公司", "organisation_code": "91310000MA1K00001X",
        "narrative": "在某路倾倒", "closed_at": "2026-03-01T10:00:00+08:00"});
    let out = run(whole.clone()).expect("valid");
    assert_eq!((&out["value"], &out["findings"]), (&json!(100.0), &json!([])), "{out}");
    let mut poor = whole;
    poor["decision_no"] = json!(null);
    poor["evidence_count"] = json!(0);
    poor["legal_review"] = json!(false);
    let out = run(poor).expect("valid");
    let rules: Vec<&str> =
        out["findings"].as_array().expect("findings").iter().map(|f| f["rule"].as_str().expect("rule")).collect();
    assert_eq!(rules, ["E02", "E04", "E05"]);
    assert_eq!((&out["applied"], &out["met"], &out["value"]), (&json!(8), &json!(5), &json!(62.5)));
    // The limits of the simple procedure: 200 yuan for a person, 3,000 for an organisation.
    let simple = |kind: &str, penalty: u32| {
        let out = run(
            json!({"procedure": "simple", "status": "found", "party_kind": kind, "penalty": penalty, "narrative": "x"}),
        );
        out.expect("valid")["findings"].as_array().expect("findings").len()
    };
    assert_eq!((simple("individual", 200), simple("individual", 250), simple("organisation", 250)), (0, 1, 0));
    assert!(run(json!({"nothing": 1})).is_err());
    let codes = CATALOGUE.codes("case_check_rule").expect("the list");
    let rules = checks::Checks::load(&CATALOGUE, "enforcement_case").expect("valid").rule;
    assert!(rules.iter().all(|r| codes.get(&r.id).is_some_and(|c| c.zh == r.label)) && rules.len() == codes.item.len());
}

// modules: C064
#[test]
fn earlier_penalties_are_those_of_the_organisation_and_the_matter() {
    let penalty = |case: &str, party: &str, matter: &str, date: &str| Penalty {
        case: case.into(),
        decision: format!("罚{case}"),
        party: party.into(),
        matter: matter.into(),
        date: date.parse().expect("a date"),
    };
    let all = [
        penalty("1", "A", "dust", "2025-03-01"),
        penalty("2", "A", "dust", "2026-01-10"),
        penalty("3", "A", "obstruction", "2026-01-11"),
        penalty("4", "B", "dust", "2026-01-12"),
        penalty("5", "A", "dust", "2023-01-01"),
        penalty("6", "A", "dust", "2026-03-01"),
    ];
    let prior = Prior { months: 24, basis: "x".into(), note: None };
    let found = earlier(&all, "A", "dust", "2026-03-01".parse().expect("a date"), &prior);
    assert_eq!(found.iter().map(|p| p.case.as_str()).collect::<Vec<_>>(), ["2", "1"]);
    let body = |kind: &str| {
        json!({"party_kind": kind, "party": "A", "matter": "dust", "as_of": "2026-03-01",
               "penalties": [{"case": "2", "decision": "罚2", "party": "A", "matter": "dust", "date": "2026-01-10"}]})
    };
    let out = prior::evaluate(body("organisation"), &CATALOGUE).expect("valid");
    assert_eq!((&out["value"], &out["times"]), (&json!(1), &json!(2)));
    assert!(out["explanation"].as_str().is_some_and(|e| e.contains("罚2")));
    let refused = prior::evaluate(body("individual"), &CATALOGUE).expect_err("persons are refused").to_string();
    assert!(refused.contains("个体工商户"), "{refused}");
}

// modules: C066
#[test]
fn a_cause_brings_its_hints() {
    let run = |cause: &str| hints::evaluate(json!({"cause": cause}), &CATALOGUE);
    let out = run("unlicensed_trading").expect("valid");
    let tags: Vec<&str> =
        out["hints"].as_array().expect("hints").iter().map(|h| h["tag"].as_str().expect("a tag")).collect();
    assert_eq!(tags, ["no_penalty", "mitigated", "discretion", "history"]);
    assert_eq!(out["hints"][2]["matter"], json!("street_stall"));
    assert!(
        out["hints"].as_array().is_some_and(|h| h.iter().all(|h| h["basis"].as_str().is_some_and(|b| !b.is_empty())))
    );
    assert!(run("murder").is_err());
}

// modules: C003, C005
#[test]
fn lift_confidence_and_support() {
    let out = association::evaluate(json!({"n": 1000, "a": 200, "b": 100, "both": 60})).expect("valid");
    assert_eq!((&out["lift"], &out["confidence"], &out["support"]), (&json!(3.0), &json!(0.3), &json!(0.06)));
    assert!(association::evaluate(json!({"n": 10, "a": 2, "b": 3, "both": 4})).is_err());
    assert!(association::evaluate(json!({"n": 10, "a": 8, "b": 8, "both": 2})).is_err());
    let set = |list: &[u64]| list.iter().copied().collect::<BTreeSet<_>>();
    let left: BTreeMap<_, _> = [("noise".to_string(), set(&[1, 2, 3, 4])), ("gas".to_string(), set(&[9]))].into();
    let right: BTreeMap<_, _> = [("dust".to_string(), set(&[2, 3, 4, 5])), ("other".to_string(), set(&[1, 9]))].into();
    let pairs = association::from_cells(&left, &right, 10, 1);
    let find = |l: &str, r: &str| pairs.iter().find(|p| p.left == l && p.right == r).map(|p| p.counts);
    assert_eq!(find("noise", "dust"), Some(association::Counts { n: 10, a: 4, b: 4, both: 3 }));
    assert_eq!(find("gas", "dust"), None);
    assert!(pairs.windows(2).all(|w| w[0].counts.lift() >= w[1].counts.lift()));
    let rows = association::from_rows(
        &[("dust".to_string(), 10), ("noise".to_string(), 30)].into(),
        &[(("dust".to_string(), "E01".to_string()), 5), (("noise".to_string(), "E01".to_string()), 3)].into(),
        4,
    );
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].counts, association::Counts { n: 40, a: 10, b: 8, both: 5 });
    assert!((rows[0].counts.lift() - 2.5).abs() < 1e-12);
}

// modules: C024, C056
#[test]
fn risk_is_for_organisations_and_its_points_are_open() {
    let run = |kind: &str, counts: Json| risk::evaluate(json!({"party_kind": kind, "counts": counts}), &CATALOGUE);
    let out = run("organisation", json!({"penalties": 2, "same_matter": 1, "overdue": 5})).expect("valid");
    // 2 × 12 + 1 × 15 + min(5 × 10, 20)
    assert_eq!((&out["value"], &out["level"]), (&json!(59.0), &json!("medium")));
    assert_eq!(out["explanation"].as_array().map(Vec::len), Some(3));
    assert_eq!(run("organisation", json!({})).expect("valid")["level"], json!("low"));
    assert!(run("individual", json!({"penalties": 2})).is_err());
    assert!(run("organisation", json!({"age": 2})).is_err());
    let risk = risk::Risk::load(&CATALOGUE, "shop").expect("valid");
    let row = |behaviour: &str, source: &str, penalised: Option<&str>| {
        let mut f = fields(json!({"behaviour": behaviour, "source": source}));
        if let Some(date) = penalised {
            f.insert("penalised_on".into(), Value::Text(date.into()));
        }
        f
    };
    let rows = [
        row("dust", "hotline", Some("2026-01-01")),
        row("dust", "video", None),
        row("posters", "video", None),
        row("dust", "patrol", None),
    ];
    let counts = risk.counts(&rows);
    let of = |id: &str| counts[risk.factor.iter().position(|f| f.id == id).expect("a factor")];
    assert_eq!((of("penalties"), of("same_matter"), of("by_complaint"), of("overdue")), (1, 2, 1, 0));
    // Neither the rule nor its results have anything about persons.
    for name in ["organisation_risk", "prior_penalty"] {
        let dataset = CATALOGUE.dataset(name).expect("declared");
        assert!(
            dataset
                .field
                .iter()
                .all(|f| !f.person_key && f.sensitivity < zonglan_catalog::dataset::Sensitivity::Personal)
        );
    }
}
