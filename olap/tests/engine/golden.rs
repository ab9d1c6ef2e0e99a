//! Answers worked out by hand.

use crate::world::*;
use serde_json::json;
use zonglan_catalog::table::ColumnType;
use zonglan_catalog::traits::{Cancel, QueryEngine};
use zonglan_catalog::value::Value;

fn text(t: &str) -> Value {
    Value::Text(t.into())
}

fn incident(id: &str, at: &str, street: &str, category: &str, minutes: Option<i64>, loss: Option<i64>) -> Fields {
    let mut row = fields(&[
        ("id", text(id)),
        ("street", text(street)),
        ("category", text(category)),
        ("person", text(&format!("p{}", id.len() % 2))),
        ("phone", text("13800138000")),
        ("text", text(&format!("内容{id}"))),
    ]);
    if !at.is_empty() {
        row.insert("at".into(), Value::Instant(instant(at)));
    }
    if let Some(m) = minutes {
        row.insert("minutes".into(), Value::Int(m));
    }
    if let Some(l) = loss {
        row.insert("loss".into(), Value::Decimal { units: l, scale: 2 });
    }
    row
}

fn city() -> (tempfile::TempDir, zonglan_olap::Store) {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let mut first = incident("1", "2025-01-05T10:00:00", STREETS[0], "theft", Some(10), Some(10_01));
    first.insert("closed_at".into(), Value::Instant(instant("2025-02-01T00:00:00")));
    let rows = [
        first,
        incident("22", "2025-01-20T23:30:00", STREETS[1], "fraud", Some(20), Some(5_00)),
        incident("3", "2025-02-03T00:00:00", STREETS[2], "theft", None, None),
        incident("44", "2025-03-08T08:15:00", STREETS[0], "other", Some(45), Some(1)),
        incident("5", "2024-01-06T10:00:00", STREETS[0], "theft", Some(1), Some(2_00)),
        incident("66", "", STREETS[2], "other", None, Some(-3_33)),
    ];
    // Two commits, so that answers come from two segments.
    load(&store, "incident", &rows[..3], None);
    load(&store, "incident", &rows[3..], None);
    let people = [(STREETS[0], 20_000), (STREETS[1], 0), (STREETS[2], 5_000)];
    let rows: Vec<Fields> =
        people.iter().map(|(s, n)| fields(&[("street", text(s)), ("people", Value::Int(*n))])).collect();
    load(&store, "population", &rows, None);
    let rows: Vec<Fields> = (0..3)
        .map(|i| {
            fields(&[
                ("id", text(&i.to_string())),
                ("street", text(STREETS[0])),
                ("day", Value::Date(format!("2025-01-0{}", i + 1).parse().expect("date"))),
            ])
        })
        .collect();
    load(&store, "request", &rows, None);
    (folder, store)
}

#[test]
fn groups_filters_and_orders() {
    let (_folder, store) = city();
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","loss_sum","theft_rate"],"by":["category"],"order":["-count"]}),
    );
    assert_eq!(rows(&table), json!([["theft", 3, 12.01, 100.0], ["other", 2, -3.32, 0.0], ["fraud", 1, 5.0, 0.0]]));
    assert_eq!(table.meta.total, Some(3));
    assert_eq!(table.columns[1].unit, "件");
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":[{"field":"street","level":"district"}],"where":{"not":{"category":{"eq":"other"}}},"having":{"count":{"gte":2}}}),
    );
    assert_eq!(rows(&table), json!([["310101", 3]]));
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","minutes_avg","minutes_p90","loss_avg"],"range":{"from":"2025-01-01","to":"2026-01-01"}}),
    );
    // minutes 10, 20, 45: 25.0; losses 10.01, 5.00, 0.01: 15.02/3 = 5.00666…
    assert_eq!(rows(&table), json!([[4, 25.0, 45, 5.01]]));
    let table =
        ask(&store, json!({"dataset":"incident","measures":["count","minutes_avg"],"where":{"id":{"eq":"nobody"}}}));
    assert_eq!(rows(&table), json!([[0, null]]));
    let table = ask(&store, json!({"dataset":"incident","measures":["count"],"where":{"street":{"prefix":"310101"}}}));
    assert_eq!(rows(&table), json!([[4]]));
}

#[test]
fn time_dimensions_fill_gaps() {
    let (_folder, store) = city();
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","loss_sum"],"by":[{"time":"month"}],"range":{"from":"2024-12-01","to":"2025-04-01"}}),
    );
    assert_eq!(
        rows(&table),
        json!([["2024-12-01", 0, null], ["2025-01-01", 2, 15.01], ["2025-02-01", 1, null], ["2025-03-01", 1, 0.01]])
    );
    assert_eq!(table.columns[0].kind, ColumnType::Period);
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":[{"time":"weekday"}],"range":{"this":"year"}}),
    );
    assert_eq!(rows(&table), json!([[1, 2], [2, 0], [3, 0], [4, 0], [5, 0], [6, 1], [7, 1]]));
    let table = ask(&store, json!({"dataset":"incident","measures":["count"],"by":[{"time":"hour_of_day"}]}));
    assert_eq!(table.rows.len(), 25, "24 hours and the rows without a time");
    assert_eq!(rows(&table)[10], json!([10, 2]));
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":[{"time":"week"}],"range":{"from":"2025-01-01","to":"2025-01-22"}}),
    );
    assert_eq!(rows(&table), json!([["2024-12-30", 1], ["2025-01-06", 0], ["2025-01-13", 0], ["2025-01-20", 1]]));
    let table = ask(&store, json!({"dataset":"incident","measures":["count"],"by":[{"time":"year"},"category"]}));
    assert_eq!(
        rows(&table),
        json!([
            ["2024-01-01", "theft", 1],
            ["2025-01-01", "fraud", 1],
            ["2025-01-01", "other", 1],
            ["2025-01-01", "theft", 2],
            [null, "other", 1]
        ])
    );
}

#[test]
fn comparisons() {
    let (_folder, store) = city();
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","loss_sum"],"range":{"from":"2025-01-01","to":"2025-02-01"},"compare":"yoy"}),
    );
    assert_eq!(rows(&table), json!([[2, 1, 1, 100.0, 15.01, 2.0, 13.01, 650.5]]));
    assert_eq!(table.columns[3].name, "count_pct");
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":["category"],"range":{"from":"2025-02-01","to":"2025-03-01"},"compare":"mom"}),
    );
    assert_eq!(rows(&table), json!([["fraud", 0, 1, -1, -100.0], ["theft", 1, 1, 0, 0.0]]));
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":[{"time":"month"}],"range":{"from":"2025-01-01","to":"2025-04-01"},"compare":"mom"}),
    );
    assert_eq!(
        rows(&table),
        json!([["2025-01-01", 2, 0, 2, null], ["2025-02-01", 1, 2, -1, -50.0], ["2025-03-01", 1, 1, 0, 0.0]])
    );
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":[{"time":"month"}],"range":{"from":"2025-01-01","to":"2025-03-01"},"compare":"yoy"}),
    );
    assert_eq!(rows(&table), json!([["2025-01-01", 2, 1, 1, 100.0], ["2025-02-01", 1, 0, 1, null]]));
    // 1 to 10 March against 1 to 10 February.
    let table =
        ask(&store, json!({"dataset":"incident","measures":["count"],"range":{"this":"month"},"compare":"mom"}));
    assert_eq!(rows(&table), json!([[1, 1, 0, 0.0]]));
    let bound = bound(&catalogue(), &json!({"dataset":"incident","measures":["count"],"compare":"yoy"}));
    assert!(store.query_blocking(&bound, &Cancel::default()).is_err(), "a comparison needs a range");
}

#[test]
fn working_days_pair_up() {
    let (_folder, store) = city();
    // 2025-01-20 (Monday) is the 13th working day of 2025 (1 January is off), as 2024-01-18
    // (Thursday) is of 2024; 2025-01-05 is the 3rd day off, as 2024-01-07 is.
    let query = json!({"dataset":"incident","measures":["count"],"by":[{"time":"day"}],"range":{"from":"2025-01-04","to":"2025-01-06"},"compare":"yoy_workday"});
    // 4 January 2025 is the second day off after 1 January: 2024-01-06, where a row lies.
    assert_eq!(rows(&ask(&store, query)), json!([["2025-01-04", 0, 1, -1, -100.0], ["2025-01-05", 1, 0, 1, null]]));
    let query = json!({"dataset":"incident","measures":["count"],"range":{"from":"2025-01-04","to":"2025-01-06"},"compare":"yoy_workday"});
    assert_eq!(rows(&ask(&store, query)), json!([[1, 1, 0, 0.0]]));
    let late = bound(
        &catalogue(),
        &json!({"dataset":"incident","measures":["count"],"range":{"from":"2026-01-01","to":"2026-02-01"},"compare":"yoy_workday"}),
    );
    assert!(store.query_blocking(&late, &Cancel::default()).expect_err("no calendar").to_string().contains("2026"));
}

#[test]
fn stocks_count_what_is_open() {
    let (_folder, store) = city();
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","open"],"by":[{"time":"month"}],"range":{"from":"2025-01-01","to":"2025-04-01"}}),
    );
    // "5" is open since 2024; "1" closes at the last moment of January.
    assert_eq!(rows(&table), json!([["2025-01-01", 2, 3], ["2025-02-01", 1, 3], ["2025-03-01", 1, 4]]));
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["open"],"by":["category"],"range":{"from":"2025-01-01","to":"2025-01-31"}}),
    );
    assert_eq!(rows(&table), json!([["fraud", 1], ["theft", 2]]));
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["open"],"range":{"from":"2025-03-01","to":"2025-04-01"},"compare":"yoy"}),
    );
    assert_eq!(rows(&table), json!([[4, 1, 3, 300.0]]));
}

#[test]
fn drills_across_datasets() {
    let (_folder, store) = city();
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","population.residents","per_10k"],"by":["street"],"range":{"from":"2025-01-01","to":"2026-01-01"}}),
    );
    assert_eq!(
        rows(&table),
        json!([["310101001", 2, 20000, 1.0], ["310101002", 1, 0, null], ["310104003", 1, 5000, 2.0]])
    );
    assert_eq!(table.meta.data_version.len(), 2);
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","request.count"],"by":[{"time":"month"}],"range":{"from":"2025-01-01","to":"2025-03-01"}}),
    );
    assert_eq!(rows(&table), json!([["2025-01-01", 2, 3], ["2025-02-01", 1, 0]]));
}

#[test]
fn rows_are_paged_and_masked() {
    let (_folder, store) = city();
    let mut query = json!({"dataset":"incident","rows":["id","at","phone","text","loss"],"limit":4});
    let table = ask(&store, query.clone());
    let ids = |t: &zonglan_catalog::Table| t.rows.iter().map(|r| r[0].to_text()).collect::<Vec<_>>();
    assert_eq!(ids(&table), ["44", "3", "22", "1"]);
    assert_eq!(table.rows[0][2], text("138****8000"));
    assert_eq!(table.rows[0][3], text("内容44"));
    assert_eq!(table.meta.total, Some(6));
    query["cursor"] = json!(table.meta.cursor.expect("another page"));
    let table = ask(&store, query);
    assert_eq!(ids(&table), ["5", "66"], "rows without a time come last");
    assert_eq!((table.meta.total, table.meta.cursor), (Some(6), None));
    let table = ask(
        &store,
        json!({"dataset":"incident","rows":["id","category","loss"],"order":["category","-loss"],"where":{"loss":{"gte":0}}}),
    );
    assert_eq!(
        rows(&table),
        json!([["22", "fraud", 5.0], ["44", "other", 0.01], ["1", "theft", 10.01], ["5", "theft", 2.0]])
    );
    let bad = bound(&catalogue(), &json!({"dataset":"incident","rows":["phone"],"order":["phone"]}));
    assert!(store.query_blocking(&bad, &Cancel::default()).is_err(), "order must not reveal what is masked");
}

#[test]
fn row_rules_hold_everywhere() {
    let (_folder, store) = city();
    let catalogue = catalogue();
    let ask = |query: serde_json::Value| {
        store.query_blocking(&bound_in(&catalogue, &query, &["310104"]), &Cancel::default()).expect("answers")
    };
    assert_eq!(
        rows(&ask(json!({"dataset":"incident","measures":["count","open","population.residents"]}))),
        json!([[2, 1, 5000]])
    );
    let table = ask(json!({"dataset":"incident","rows":["id"]}));
    assert_eq!((rows(&table), table.meta.total), (json!([["3"], ["66"]]), Some(2)));
    assert_eq!(
        rows(&ask(json!({"dataset":"incident","measures":["count"],"where":{"street":{"eq":"310101001"}}}))),
        json!([[0]])
    );
}

#[test]
fn clocks_that_changed_are_kept() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    // 1986-05-04 02:00 became 03:00 in Shanghai; and 1900 had local mean time.
    load(
        &store,
        "incident",
        &[
            incident("1", "1986-05-04T12:30:00", STREETS[0], "theft", None, None),
            incident("2", "1986-05-03T23:30:00", STREETS[0], "theft", None, None),
        ],
        None,
    );
    let table =
        ask(&store, json!({"dataset":"incident","measures":["count"],"by":[{"time":"day"},{"time":"hour_of_day"}]}));
    assert_eq!(rows(&table), json!([["1986-05-03", 23, 1], ["1986-05-04", 12, 1]]));
    load(&store, "incident", &[incident("3", "1900-01-01T00:00:00", STREETS[0], "theft", None, None)], None);
    let table = ask(&store, json!({"dataset":"incident","measures":["count"],"by":[{"time":"hour"}],"limit":1}));
    assert_eq!(table.rows[0][0], Value::Instant(instant("1900-01-01T00:00:00")));
}

#[test]
fn plans_explain_themselves_and_work_stops() {
    let (_folder, store) = city();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let query = bound(
        &catalogue(),
        &json!({"dataset":"incident","measures":["count"],"by":["category"],"range":{"from":"2025-03-01","to":"2025-04-01"}}),
    );
    let plan = runtime.block_on(store.explain(&query)).expect("explains");
    assert_eq!(plan["parts"][0]["segments"], json!({"read": 1, "pruned": 1}));
    assert_eq!(plan["parts"][0]["columns"], json!(["at", "category"]));
    let cancel = Cancel::default();
    let table = runtime.block_on(store.query(&query, &cancel)).expect("answers");
    assert_eq!((table.meta.engine.as_str(), table.meta.rows_scanned), ("embedded", 1));
    assert!(!cancel.is_cancelled(), "one answered query must not stop the others of its request");
    cancel.cancel();
    let error = runtime.block_on(store.query(&query, &cancel)).expect_err("cancelled");
    assert_eq!(error.code, "query.cancelled");
    let text =
        bound(&catalogue(), &json!({"dataset":"incident","measures":["count"],"where":{"text":{"text":"内容"}}}));
    assert_eq!(
        runtime.block_on(store.query(&text, &Cancel::default())).expect_err("no index").code,
        "query.text_unavailable"
    );
}

#[test]
fn text_conditions_come_as_keys() {
    struct Index;
    impl zonglan_catalog::traits::TextResolver for Index {
        fn matching_keys(
            &self,
            _: &str,
            _: &str,
            text: &str,
            _: usize,
        ) -> zonglan_catalog::Result<Vec<zonglan_catalog::RowKey>> {
            Ok(text.chars().map(|c| key(&c.to_string())).collect())
        }
    }
    let (_folder, store) = city();
    store.set_text_resolver(std::sync::Arc::new(Index));
    assert_eq!(
        rows(&ask(&store, json!({"dataset":"incident","measures":["count"],"where":{"text":{"text":"139"}}}))),
        json!([[2]])
    );
    assert_eq!(
        rows(&ask(&store, json!({"dataset":"incident","measures":["count"],"where":{"not":{"text":{"text":"139"}}}}))),
        json!([[4]])
    );
}
