//! The worked examples, weights, grades and properties of the index.

use super::aggregate::*;
use super::efficacy::*;
use super::grade::*;
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use zonglan_catalog::Catalogue;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the packs are valid"));

fn run(body: Value) -> Value {
    evaluate(body, &CATALOGUE).unwrap_or_else(|e| panic!("{e}"))
}

#[track_caller]
fn near(value: &Value, expected: f64) {
    let value = value.as_f64().expect("a number");
    assert!((value - expected).abs() < 0.0006, "{value} is not {expected}");
}

fn districts(form: &str, aggregation: &str) -> Value {
    run(json!({"form": form, "aggregation": aggregation, "t_min": -0.5, "sensitivity": true, "dimensions": [
        {"id": "S", "weight": 0.6, "indicators": [
            {"id": "S1", "weight": 0.40, "satisfactory": 2, "inadmissible": 12},
            {"id": "S2", "weight": 0.35, "satisfactory": 5, "inadmissible": 30},
            {"id": "S3", "weight": 0.25, "satisfactory": 98, "inadmissible": 85}]},
        {"id": "F", "weight": 0.4, "indicators": [
            {"id": "F1", "weight": 0.60, "satisfactory": 99, "inadmissible": 90},
            {"id": "F2", "weight": 0.40, "interval": [18, 22], "limits": [8, 32]}]}],
        "units": {"A": {"S1": 4.5, "S2": 11, "S3": 95.2, "F1": 97.8, "F2": 20},
                  "B": {"S1": 8, "S2": 19.5, "S3": 92, "F1": 95, "F2": 15},
                  "C": {"S1": 11.2, "S2": 27, "S3": 88, "F1": 91.5, "F2": 26}}}))
}

/// Three districts (worked by hand, three decimals).
#[test]
fn three_districts() {
    let out = districts("linear", "arithmetic");
    for (unit, s, f, i) in [("A", 90.486, 96.800, 93.012), ("B", 77.665, 84.533, 80.412), ("C", 65.268, 73.600, 68.601)]
    {
        near(&out["units"][unit]["dimensions"]["S"], s);
        near(&out["units"][unit]["dimensions"]["F"], f);
        near(&out["units"][unit]["value"], i);
    }
    near(&out["units"]["A"]["indicators"]["S3"], 91.385);
    near(&out["units"]["C"]["indicators"]["F2"], 84.0);
    for (form, aggregation, expected) in [
        ("linear", "geometric", [92.946, 80.305, 68.276]),
        ("exponential", "arithmetic", [91.557, 77.981, 67.246]),
        ("logarithmic", "arithmetic", [95.243, 85.004, 71.767]),
    ] {
        let out = districts(form, aggregation);
        for (unit, value) in ["A", "B", "C"].into_iter().zip(expected) {
            near(&out["units"][unit]["value"], value);
        }
    }
    assert_eq!(out["units"]["C"]["grade"], json!("orange"));
    assert_eq!(out["sensitivity"]["ranks"]["C"], json!({"rank": 3, "best": 3, "worst": 3}));
    assert_eq!(out["sensitivity"]["variations"], json!(14));
}

/// Four firms of the textbook: one dimension, geometric, bounds the best and worst of the four.
#[test]
fn four_firms() {
    let bounds = [(5733.0, 3575.0), (71.2, 52.2), (93.2, 84.9), (16.7, 7.3)];
    let rows = [
        ("甲", [5733.0, 60.5, 91.5, 16.7]),
        ("乙", [3575.0, 52.2, 93.2, 7.3]),
        ("丙", [3929.0, 71.2, 84.9, 10.7]),
        ("丁", [4404.0, 69.7, 88.0, 12.8]),
    ];
    let indicators: Vec<_> = bounds
        .iter()
        .enumerate()
        .map(|(i, (h, s))| json!({"id": format!("x{i}"), "weight": 1, "satisfactory": h, "inadmissible": s}))
        .collect();
    let units: serde_json::Map<_, _> = rows
        .iter()
        .map(|(name, xs)| (name.to_string(), xs.iter().enumerate().map(|(i, x)| (format!("x{i}"), json!(x))).collect()))
        .collect();
    let out = run(
        json!({"aggregation": "geometric", "dimensions": [{"id": "d", "weight": 1, "indicators": indicators}], "units": units}),
    );
    // The source prints 82.185 for 丁 and 66.560 for 丙's first score: it rounds on the way.
    for (unit, d) in [("甲", 91.8349), ("乙", 68.1732), ("丙", 73.8476), ("丁", 82.1836)] {
        near(&out["units"][unit]["value"], d);
    }
    near(&out["units"]["丁"]["indicators"]["x0"], 75.366);
    near(&out["units"]["甲"]["indicators"]["x1"], 77.474);
}

#[test]
fn weights_of_the_worked_matrices() {
    let close = |a: &[f64], b: &[f64]| {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 6e-5), "{a:?} is not {b:?}");
    };
    let ahp = weights::ahp(&[vec![1.0, 2.0, 3.0], vec![0.5, 1.0, 2.0], vec![1.0 / 3.0, 0.5, 1.0]]).expect("valid");
    close(&ahp.weights, &[0.5396, 0.2970, 0.1634]);
    close(&[ahp.lambda, ahp.index, ahp.ratio], &[3.0092, 0.0046, 0.0079]);
    let wild = weights::ahp(&[vec![1.0, 9.0, 1.0 / 9.0], vec![1.0 / 9.0, 1.0, 9.0], vec![9.0, 1.0 / 9.0, 1.0]]);
    assert!(!wild.expect("reciprocal").is_consistent());
    assert!(weights::ahp(&[vec![1.0, 2.0], vec![2.0, 1.0]]).is_err());
    let t = [
        vec![0.75, 0.76, 10.2 / 13.0, 7.8 / 9.0, 1.0],
        vec![0.4, 0.42, 7.0 / 13.0, 5.0 / 9.0, 0.7],
        vec![0.08, 0.12, 3.0 / 13.0, 1.5 / 9.0, 0.6],
    ];
    close(&weights::entropy(&t).expect("valid"), &[0.3409, 0.2683, 0.1384, 0.2203, 0.0321]);
    close(&weights::critic(&t).expect("valid"), &[0.1274, 0.1199, 0.1771, 0.2238, 0.3519]);
    close(&weights::combined(&[0.5, 0.5], &[1.0, 0.0], 0.6), &[0.7, 0.3]);
    close(&weights::multiplied(&[0.5, 0.5], &[0.8, 0.2]), &[0.8, 0.2]);
}

#[test]
fn a_missing_indicator_is_renormalised_and_named() {
    let body = json!({"dimensions": [
        {"id": "S", "weight": 1, "indicators": [
            {"id": "a", "weight": 0.75, "satisfactory": 1, "inadmissible": 0},
            {"id": "b", "weight": 0.25, "satisfactory": 1, "inadmissible": 0}]},
        {"id": "F", "weight": 1, "indicators": [{"id": "c", "weight": 1, "satisfactory": 0, "inadmissible": 0}]}],
        "units": {"u": {"a": null, "b": 0.5, "c": 3}, "none": {}}});
    let out = run(body);
    near(&out["units"]["u"]["value"], 80.0);
    assert_eq!(out["units"]["u"]["missing"], json!(["a", "c"]));
    near(&out["units"]["u"]["coverage"], 0.125);
    assert_eq!(out["units"]["none"]["value"], Value::Null);
}

#[test]
fn red_can_show_and_clamps_hold() {
    let bounds = Bounds::Monotone { satisfactory: 2.0, inadmissible: 12.0 };
    assert!((Form::Linear.score(bounds.position(13.0).expect("t")) - 56.0).abs() < 1e-9);
    let out = run(json!({"dimensions": [{"id": "S", "weight": 1, "indicators": [
        {"id": "a", "weight": 1, "satisfactory": 2, "inadmissible": 12}]}], "units": {"u": {"a": 1000}, "v": {"a": 0}}}));
    near(&out["units"]["u"]["value"], 40.0);
    assert_eq!(out["units"]["u"]["grade"], json!("red"));
    near(&out["units"]["v"]["value"], 100.0);
    let values: Vec<f64> = (0..=100).map(f64::from).collect();
    assert_eq!(
        Bounds::of_base_period(&values, false),
        Some(Bounds::Monotone { satisfactory: 5.0, inadmissible: 95.0 })
    );
    assert_eq!(Bounds::of_base_period(&values[..3], false), None);
}

#[test]
fn grades_keep_escalate_and_stay_silent_on_small_numbers() {
    let rules = GradeRules::default();
    let input = |value: f64| GradeInput { value, ..GradeInput::default() };
    let plain = [
        (95.0, Grade::Normal),
        (90.0, Grade::Normal),
        (89.9, Grade::Blue),
        (70.0, Grade::Yellow),
        (60.0, Grade::Orange),
        (59.9, Grade::Red),
    ];
    for (value, expected) in plain {
        assert_eq!(grade(&input(value), &rules).grade, Some(expected), "{value}");
    }
    let kept =
        |value, previous_band| grade(&GradeInput { previous_band: Some(previous_band), ..input(value) }, &rules).grade;
    assert_eq!(kept(79.5, Grade::Blue), Some(Grade::Blue));
    assert_eq!(kept(78.9, Grade::Blue), Some(Grade::Yellow));
    assert_eq!(kept(80.5, Grade::Yellow), Some(Grade::Yellow));
    assert_eq!(kept(81.0, Grade::Yellow), Some(Grade::Blue));
    let fell = grade(&GradeInput { previous_value: Some(87.0), ..input(81.0) }, &rules);
    assert_eq!((fell.grade, fell.band), (Some(Grade::Yellow), Grade::Blue));
    let past: Vec<f64> = (0..12).map(|i| 10.0 + f64::from(i % 2)).collect();
    let history = |weight, x, sign| vec![History { indicator: "S1".into(), weight, x, past: past.clone(), sign }];
    let with = |history| grade(&GradeInput { history, ..input(85.0) }, &rules).grade;
    assert_eq!(with(history(0.2, 12.0, 1.0)), Some(Grade::Yellow));
    assert_eq!(with(history(0.05, 12.0, 1.0)), Some(Grade::Blue));
    assert_eq!(with(history(0.2, 12.0, -1.0)), Some(Grade::Blue));
    assert_eq!(grade(&GradeInput { population: Some(4_999), ..input(50.0) }, &rules).grade, None);
    assert_eq!(grade(&GradeInput { count: Some(4), ..input(50.0) }, &rules).grade, None);
}

#[test]
fn the_declared_index_scores() {
    let file = IndexFile::load(&CATALOGUE, "security_index").unwrap_or_else(|e| panic!("{e}"));
    let scheme = file.scheme().unwrap_or_else(|e| panic!("{e}"));
    for indicator in file.dimension.iter().flat_map(|d| &d.indicator) {
        for measure in std::iter::once(&indicator.measure).chain(&indicator.per) {
            let (dataset, name) = measure.split_once('.').expect("dataset.measure");
            assert!(CATALOGUE.measure(dataset, name).is_some(), "{}: no measure {measure}", indicator.id);
        }
    }
    let ids: Vec<_> = scheme.dimensions.iter().flat_map(|d| d.indicators.iter().map(|i| i.id.clone())).collect();
    let out = run(json!({"index": "security_index", "units": {"u": {ids[0].clone(): 1.0}}}));
    assert!(out["units"]["u"]["value"].is_number());
    assert_eq!(out["units"]["u"]["missing"].as_array().map(Vec::len), Some(ids.len() - 1));
    assert!(evaluate(json!({"index": "none", "units": {}}), &CATALOGUE).is_err());
}

#[test]
fn declared_weights_come_from_judgements_and_bases() {
    let file = IndexFile::load(&CATALOGUE, "security_index").unwrap_or_else(|e| panic!("{e}"));
    let scheme = file.scheme().unwrap_or_else(|e| panic!("{e}"));
    // The matrix of the file: the geometric means of its rows, normalised.
    let weights: Vec<f64> = scheme.dimensions[0].indicators.iter().map(|i| i.weight).collect();
    let expected = [0.2238, 0.2027, 0.1014, 0.1364, 0.1119, 0.1119, 0.1119];
    assert!(weights.iter().zip(expected).all(|(a, b)| (a - b).abs() < 6e-5), "{weights:?}");

    let with = |weighting: Value| -> Result<Vec<f64>, String> {
        let mut text = serde_json::to_value(&file).map_err(|e| e.to_string())?;
        text["dimension"][0]["weighting"] = weighting;
        let file: IndexFile = serde_json::from_value(text).map_err(|e| e.to_string())?;
        let scheme = file.scheme().map_err(|e| e.to_string())?;
        Ok(scheme.dimensions[0].indicators.iter().map(|i| i.weight).collect())
    };
    let base = json!([
        [0.9, 0.8, 0.7, 0.2, 0.5, 0.4, 0.1],
        [0.1, 0.6, 0.4, 0.3, 0.5, 0.2, 0.2],
        [0.4, 0.1, 0.6, 0.3, 0.5, 0.3, 0.9]
    ]);
    let entropy = with(json!({"entropy": {"base": base}})).expect("entropy");
    // An indicator that is the same everywhere tells nothing.
    assert!(entropy[4] < 1e-6 && (entropy.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{entropy:?}");
    let critic = with(json!({"critic": {"base": base}})).expect("critic");
    assert!(critic[4] < 1e-9 && critic[6] > critic[3], "{critic:?}");
    let matrix = vec![vec![1.0; 7]; 7];
    let both = |alpha: Option<f64>| {
        with(json!({"combined": {"matrix": matrix, "method": "entropy", "base": base, "alpha": alpha}}))
    };
    let sum = both(Some(0.6)).expect("combined");
    assert!(sum.iter().zip(&entropy).all(|(s, e)| (s - (0.6 / 7.0 + 0.4 * e)).abs() < 1e-9), "{sum:?}");
    // Equal judgements leave the product as the base says.
    assert!(both(None).expect("product").iter().zip(&entropy).all(|(p, e)| (p - e).abs() < 1e-9));
    assert!(both(Some(2.0)).is_err());
    // Judgements that contradict each other are refused with their ratio.
    let wild = with(json!({"ahp": {"matrix": [[1, 9, 0.1111], [0.1111, 1, 9], [9, 0.1111, 1]]}})).expect_err("wild");
    assert!(wild.contains("一致性比率"), "{wild}");
    assert!(with(json!({"entropy": {"base": [[0.1, 0.2], [0.3, 0.1]]}})).is_err());
}

#[test]
fn earlier_periods_keep_their_version() {
    let versions = IndexFile::versions(&CATALOGUE, "security_index").unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<_> = versions.iter().map(|v| v.version.as_str()).collect();
    assert_eq!(names, ["2026-3", "2026-2"]);
    assert!(versions[0].from.is_some() && versions[1].from.is_none());
}

proptest! {
    #[test]
    fn forms_agree_at_the_ends_and_keep_their_order(t in 0.001f64..0.999) {
        let (exp, lin, log) = (Form::Exponential.score(t), Form::Linear.score(t), Form::Logarithmic.score(t));
        prop_assert!(exp < lin && lin < log);
        for form in [Form::Exponential, Form::Linear, Form::Logarithmic] {
            prop_assert!((form.score(0.0) - 60.0).abs() < 1e-9 && (form.score(1.0) - 100.0).abs() < 1e-9);
        }
    }

    /// A better value never lowers the index; geometric never exceeds arithmetic; points add up.
    #[test]
    fn better_is_never_worse(xs in proptest::collection::vec(-2.0f64..3.0, 3), better in 0.0f64..1.0, at in 0usize..3) {
        let indicators = (0..3).map(|i| Indicator { id: format!("i{i}"), weight: 1.0 + i as f64,
            bounds: Bounds::Monotone { satisfactory: 1.0, inadmissible: 0.0 } }).collect();
        let mut scheme = Scheme { form: Form::Linear, aggregation: Aggregation::Arithmetic, t_min: -0.5,
            dimensions: vec![Dimension { id: "d".into(), weight: 1.0, indicators }] };
        let values = |xs: &[f64]| xs.iter().enumerate().map(|(i, x)| (format!("i{i}"), Some(*x))).collect();
        let before = score_unit(&scheme, &values(&xs));
        let points: f64 = before.contributions.iter().map(|c| c.points).sum();
        prop_assert!((points - before.value.expect("scored")).abs() < 1e-9);
        let mut raised = xs.clone();
        raised[at] += better;
        prop_assert!(score_unit(&scheme, &values(&raised)).value >= before.value);
        scheme.aggregation = Aggregation::Geometric;
        prop_assert!(score_unit(&scheme, &values(&xs)).value.expect("scored") <= before.value.expect("scored") + 1e-9);
    }
}
