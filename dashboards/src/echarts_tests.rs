//! Tests of the options: snapshots of small tables.

use super::*;
use crate::pages::Lang;
use crate::test_support::*;
use zonglan_catalog::board::Element;
use zonglan_catalog::query::Dim;
use zonglan_catalog::table::{ColumnType, Table};
use zonglan_catalog::time::Grain;
use zonglan_catalog::{Query, Value};

fn element(kind: &str) -> Element {
    serde_json::from_value(serde_json::json!({"title": {"zh": "试", "en": "test"}, "type": kind})).expect("an element")
}

fn spec(element: &Element, query: &Query, table: &Table) -> ChartSpec {
    ChartSpec::from_table(&catalogue(), "x", element, query, table, Lang::Zh).expect("a chart")
}

#[test]
fn a_line_with_the_year_before() {
    let query = query(
        r#"{"dataset":"incident","measures":["count"],"by":[{"time":"month"}],"range":{"last":"3m"},"compare":"yoy"}"#,
    );
    let answer = table(
        vec![
            dim(Dim::time(Grain::Month), ColumnType::Period),
            measure("count"),
            comparison("count", "prev"),
            comparison("count", "pct"),
        ],
        vec![
            vec![date("2025-12-01"), Value::Int(120), Value::Int(100), Value::Decimal { units: 200, scale: 1 }],
            // February has no row: a month in which nothing happened counts 0.
            vec![date("2026-01-01"), Value::Int(90), Value::Int(95), Value::Decimal { units: -53, scale: 1 }],
            vec![date("2026-03-01"), Value::Int(70), Value::Null, Value::Null],
        ],
    );
    insta::assert_json_snapshot!(option(&spec(&element("line"), &query, &answer)));
}

#[test]
fn a_donut_folds_small_slices() {
    let query = query(r#"{"dataset":"incident","measures":["count"],"by":["category"],"range":{"last":"30d"}}"#);
    let codes = ["traffic", "dispute", "help", "criminal"];
    let rows = codes.iter().zip([50, 30, 15, 5]).map(|(code, n)| vec![text(code), Value::Int(n)]).collect();
    let answer = table(vec![dim(Dim::field("category"), ColumnType::Code), measure("count")], rows);
    let element = Element { limit: Some(3), ..element("pie") };
    let spec = spec(&element, &query, &answer);
    assert_eq!(spec.categories.len(), 3);
    assert_eq!(spec.cell(0, 0), Some(serde_json::json!({"category": "traffic"})));
    assert_eq!(spec.cell(2, 0), None, "the rest leads nowhere");
    insta::assert_json_snapshot!(option(&spec));
}

#[test]
fn a_map_sets_off_the_chosen_district() {
    let query =
        query(r#"{"dataset":"incident","measures":["per_10k","count"],"by":["district"],"range":{"last":"30d"}}"#);
    let rows = [("310101", 121, 900), ("310104", 84, 800), ("310115", 49, 2800)]
        .map(|(code, rate, n)| vec![text(code), Value::Decimal { units: rate, scale: 1 }, Value::Int(n)])
        .to_vec();
    let answer =
        table(vec![dim(Dim::field("district"), ColumnType::Region), measure("per_10k"), measure("count")], rows);
    let mut spec = spec(&element("choropleth"), &query, &answer);
    spec.select("district", "310104");
    insta::assert_json_snapshot!(option(&spec));
}

#[test]
fn hours_by_weekday() {
    let query = query(
        r#"{"dataset":"incident","measures":["count"],"by":[{"time":"weekday"},{"time":"hour_of_day"}],"range":{"last":"30d"}}"#,
    );
    let answer = table(
        vec![
            dim(Dim::time(Grain::Weekday), ColumnType::Int),
            dim(Dim::time(Grain::HourOfDay), ColumnType::Int),
            measure("count"),
        ],
        vec![vec![Value::Int(1), Value::Int(8), Value::Int(12)], vec![Value::Int(7), Value::Int(23), Value::Int(40)]],
    );
    let element = Element { x: Some("hour_of_day".into()), series: Some("weekday".into()), ..element("grid") };
    let option = option(&spec(&element, &query, &answer));
    let data = option["series"][0]["data"].as_array().expect("cells");
    assert_eq!(data.len(), 24 * 7);
    assert_eq!(data[8], serde_json::json!({"value": [8, 0, 12.0], "cell": {"hour_of_day": 8, "weekday": 1}}));
    assert_eq!(option["yAxis"]["data"][6], "周日");
}

#[test]
fn bars_of_long_names_lie() {
    let query = query(r#"{"dataset":"case","measures":["count"],"by":["stage"],"range":{"last":"12m"}}"#);
    let rows =
        [("returned_for_investigation", 3), ("filed", 9)].map(|(code, n)| vec![text(code), Value::Int(n)]).to_vec();
    let answer = table(vec![dim(Dim::field("stage"), ColumnType::Code), measure("count")], rows);
    let option = option(&spec(&element("bar"), &query, &answer));
    assert_eq!(option["yAxis"]["type"], "category");
    assert_eq!(option["yAxis"]["data"][0], "退回补充侦查");
}

#[test]
fn points_elsewhere_get_their_own_frame() {
    let query = query(r#"{"dataset":"incident","rows":["location"]}"#);
    let column =
        zonglan_catalog::table::Column::new("location", ColumnType::Point, zonglan_catalog::table::ColumnRole::Row);
    let here = table(vec![column.clone()], vec![vec![Value::Point(121.4, 31.2)]]);
    let there = table(vec![column], vec![vec![Value::Point(-1.5, 53.8)], vec![Value::Point(-1.7, 53.6)]]);
    assert_eq!(option(&spec(&element("heatmap"), &query, &here))["geo"]["map"], "shanghai");
    let option = option(&spec(&element("heatmap"), &query, &there));
    assert_eq!(option["bounds"], serde_json::json!([-1.7, 53.6, -1.5, 53.8]));
}

#[test]
fn no_option_holds_a_function_or_a_colour_of_its_own() {
    let query = query(r#"{"dataset":"incident","measures":["count"],"by":["district"],"range":{"last":"30d"}}"#);
    let rows = vec![vec![text("310101"), Value::Int(9)], vec![text("310104"), Value::Int(8)]];
    let answer = table(vec![dim(Dim::field("district"), ColumnType::Region), measure("count")], rows);
    for kind in ["bar", "pie", "ranking", "choropleth", "line"] {
        let json = option(&spec(&element(kind), &query, &answer)).to_string();
        assert!(!json.contains("function") && !json.contains("\"#") && !json.contains("rgb("), "{kind}: {json}");
    }
}
