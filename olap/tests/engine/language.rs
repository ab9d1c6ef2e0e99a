//! Computed figures, top-N with others, pivots, totals and conditions on the clock.

use crate::oracle;
use crate::random::{filter, row};
use crate::world::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use zonglan_catalog::bind::bind;
use zonglan_catalog::dataset::Measure;
use zonglan_catalog::filter::Filter;
use zonglan_catalog::query::Query;
use zonglan_catalog::time::{Span, local_midnight};
use zonglan_catalog::traits::Cancel;
use zonglan_catalog::value::{Value, div_half_even};

fn incident(id: usize, at: &str, street: &str, category: &str, person: &str, loss: i64) -> Fields {
    let text = |t: &str| Value::Text(t.into());
    fields(&[
        ("id", text(&format!("n{id}"))),
        ("at", Value::Instant(instant(at))),
        ("street", text(street)),
        ("category", text(category)),
        ("person", text(person)),
        ("loss", Value::Decimal { units: loss, scale: 2 }),
    ])
}

/// Jan: theft 2, fraud 1; Feb: theft 1; Mar: theft 1, other 2. And 3 thefts in 2024.
fn city() -> (tempfile::TempDir, zonglan_olap::Store) {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let days = [
        ("2025-01-05T10:00:00", "theft", "a"),
        ("2025-01-06T23:10:00", "theft", "a"),
        ("2025-01-20T08:00:00", "fraud", "b"),
        ("2025-02-03T08:30:00", "theft", "a"),
        ("2025-03-01T10:00:00", "theft", "c"),
        ("2025-03-02T11:00:00", "other", "a"),
        ("2025-03-02T12:00:00", "other", "b"),
        ("2024-01-10T12:00:00", "theft", "a"),
        ("2024-02-10T12:00:00", "theft", "d"),
        ("2024-12-31T12:00:00", "theft", "d"),
    ];
    let rows: Vec<Fields> = days
        .iter()
        .enumerate()
        .map(|(i, (at, category, person))| incident(i, at, STREETS[i % 3], category, person, 100 * i as i64))
        .collect();
    load(&store, "incident", &rows[..6], None);
    load(&store, "incident", &rows[6..], None);
    (folder, store)
}

fn fails(store: &zonglan_olap::Store, query: Json) -> String {
    let catalogue = catalogue();
    let query: Query = serde_json::from_value(query).expect("a query");
    let bound = bind(&catalogue, catalogue.policy(), &principal(&["310000"]), &query, instant("2025-03-10T12:00:00"));
    match bound {
        Err(error) => error.to_string(),
        Ok(bound) => store.query_blocking(&bound, &Cancel::default()).expect_err("refused").to_string(),
    }
}

const YEAR: &str = r#"{"from":"2025-01-01","to":"2025-04-01"}"#;

fn year() -> Json {
    serde_json::from_str(YEAR).expect("json")
}

#[test]
fn running_sums_follow_time() {
    let (_folder, store) = city();
    let ask = |query| rows(&ask(&store, query));
    assert_eq!(
        ask(
            json!({"dataset":"incident","measures":["count"],"by":[{"time":"month"}],"range":year(),"compute":[{"as":"cumulative","of":"count"}]})
        ),
        json!([["2025-01-01", 3, 3], ["2025-02-01", 1, 4], ["2025-03-01", 3, 7]])
    );
    // The sum of the year starts in January, whatever the range.
    assert_eq!(
        ask(
            json!({"dataset":"incident","measures":["count","theft_rate"],"by":[{"time":"month"}],"range":{"from":"2025-03-01","to":"2025-04-01"},
            "compute":[{"as":"year_to_date","of":"count"},{"as":"year_to_date","of":"theft_rate"}]})
        ),
        // 4 thefts of 7 incidents: rates are not summed, their terms are.
        json!([["2025-03-01", 3, 33.3, 7, 57.1]])
    );
    assert_eq!(
        ask(
            json!({"dataset":"incident","measures":["count"],"by":[{"time":"month"}],"range":{"from":"2024-12-01","to":"2025-03-01"},
            "compute":[{"as":"cumulative","of":"count"},{"as":"year_to_date","of":"count"}]})
        ),
        json!([["2024-12-01", 1, 1, 3], ["2025-01-01", 3, 4, 3], ["2025-02-01", 1, 5, 4]])
    );
    // 本年累计 beside that of the year before.
    assert_eq!(
        ask(
            json!({"dataset":"incident","measures":["count"],"by":[{"time":"month"}],"range":{"from":"2025-02-01","to":"2025-03-01"},"compare":"yoy",
            "compute":[{"as":"year_to_date","of":"count"}]})
        ),
        json!([["2025-02-01", 1, 1, 0, 0.0, 4, 2, 2, 100.0]])
    );
    let query = |measure: &str, by: Json| json!({"dataset":"incident","measures":[measure],"by":by,"range":year(),"compute":[{"as":"cumulative","of":measure}]});
    assert!(fails(&store, query("persons", json!([{"time":"month"}]))).contains("persons"));
    assert!(fails(&store, query("count", json!(["category"]))).contains("时间维度"));
}

#[test]
fn shares_and_ranks() {
    let (_folder, store) = city();
    let ask = |query| rows(&ask(&store, query));
    assert_eq!(
        ask(json!({"dataset":"incident","measures":["count"],"by":["category"],"range":year(),"order":["-count"],
            "compute":[{"as":"share","of":"count"},{"as":"rank","of":"count"}]})),
        json!([["theft", 4, 57.14, 1], ["other", 2, 28.57, 2], ["fraud", 1, 14.29, 3]])
    );
    // Of different persons the parts exceed the whole: 3 + 2 + 1 of 3.
    assert_eq!(
        ask(
            json!({"dataset":"incident","measures":["persons"],"by":["category"],"range":year(),"compute":[{"as":"share","of":"persons"},{"as":"rank","of":"persons"}]})
        ),
        json!([["fraud", 1, 33.33, 3], ["other", 2, 66.67, 1], ["theft", 2, 66.67, 1]])
    );
    // The best of each month: a condition on a rank.
    assert_eq!(
        ask(json!({"dataset":"incident","measures":["count"],"by":[{"time":"month"},"category"],"range":year(),
            "compute":[{"as":"rank","of":"count","within":["month"]},{"as":"share","of":"count","within":["month"]}],"having":{"count_rank":{"lte":1}}})),
        json!([
            ["2025-01-01", "theft", 2, 1, 66.67],
            ["2025-02-01", "theft", 1, 1, 100.0],
            ["2025-03-01", "other", 2, 1, 66.67]
        ])
    );
    let empty = json!({"dataset":"incident","measures":["loss_sum"],"by":["category"],"where":{"id":{"in":["n0"]}},"compute":[{"as":"share","of":"loss_sum"}]});
    assert_eq!(ask(empty), json!([["theft", 0.0, null]]), "a share of nothing is null");
    assert!(fails(&store, json!({"dataset":"incident","measures":["theft_rate"],"by":["category"],"compute":[{"as":"share","of":"theft_rate"}]})).contains("theft_rate"));
    assert!(fails(&store, json!({"dataset":"incident","measures":["count"],"by":["category"],"compute":[{"as":"share","of":"loss_sum"}]})).contains("loss_sum"));
}

#[test]
fn the_rest_of_a_top_list() {
    let (_folder, store) = city();
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","persons","loss_avg"],"by":["category"],"range":year(),"order":["-count"],"limit":1,"others":true,
            "compute":[{"as":"share","of":"count"}],"totals":true}),
    );
    // fraud and other: persons a and b, losses 2, 5 and 6.
    assert_eq!(rows(&table), json!([["theft", 4, 2, 2.0, 57.14], ["__others", 3, 2, 4.33, 42.86]]));
    assert_eq!(table.meta.total, Some(3));
    assert_eq!(serde_json::to_value(&table.totals).expect("json"), json!({"count":7,"persons":3,"loss_avg":3.0}));
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":["category"],"range":year(),"limit":3,"others":true}),
    );
    assert_eq!(table.rows.len(), 3, "nothing is left over");
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":["category",{"field":"street","level":"district"}],"range":year(),"compare":"yoy","order":["-count"],"limit":1,"others":true}),
    );
    assert_eq!(rows(&table), json!([["theft", "310101", 4, 1, 3, 300.0], ["__others", "__others", 3, 1, 2, 200.0]]));
}

#[test]
fn pivots_spread_a_dimension() {
    let (_folder, store) = city();
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","loss_sum"],"by":["category",{"time":"month"}],"range":{"from":"2025-01-01","to":"2025-03-01"},"pivot":"month"}),
    );
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["category", "count@2025-01-01", "loss_sum@2025-01-01", "count@2025-02-01", "loss_sum@2025-02-01"]
    );
    assert_eq!(rows(&table), json!([["fraud", 1, 2.0, 0, null], ["theft", 2, 1.0, 1, 3.0]]));
    assert_eq!(table.columns[3].pivot, Some(Value::Date("2025-02-01".parse().expect("date"))));
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count"],"by":["category",{"time":"month"}],"range":year(),"pivot":"month","order":["-count@2025-03-01"],"limit":2}),
    );
    assert_eq!(rows(&table), json!([["other", 0, 0, 2], ["theft", 2, 1, 1]]));
    assert_eq!(table.meta.total, Some(3));
    let bad = json!({"dataset":"incident","measures":["count"],"by":["category",{"time":"month"}],"range":year(),"pivot":"month","order":["count@x"]});
    assert!(fails(&store, bad).contains("count@2025-01-01"));
}

#[test]
fn the_clock_is_a_condition() {
    let (_folder, store) = city();
    let count = |filter: Json| {
        rows(&ask(&store, json!({"dataset":"incident","measures":["count"],"where":filter})))[0][0].clone()
    };
    assert_eq!(count(json!({"at":{"hour_of_day":[8, 23]}})), json!(3));
    // 2025-01-05, 2025-03-02 (twice) and 2024-02-10 is a Saturday.
    assert_eq!(count(json!({"at":{"weekday":7}})), json!(3));
    assert_eq!(count(json!({"not":{"at":{"weekday":[6,7]}}})), json!(5));
    assert_eq!(count(json!({"at":{"hour_of_day":12,"weekday":7}})), json!(1));
    let listed =
        ask(&store, json!({"dataset":"incident","rows":["id"],"where":{"at":{"hour_of_day":10}},"order":["id"]}));
    assert_eq!(rows(&listed), json!([["n0"], ["n4"]]));
    assert!(
        fails(&store, json!({"dataset":"incident","measures":["count"],"where":{"day":{"hour_of_day":1}}}))
            .contains("hour_of_day")
    );
}

#[test]
fn old_regions_belong_to_todays() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    load(
        &store,
        "incident",
        &[
            incident(1, "2025-01-05T10:00:00", "310101001", "theft", "a", 0),
            incident(2, "2025-01-05T10:00:00", "310103007", "theft", "a", 0),
            incident(3, "2025-01-05T10:00:00", "310104003", "theft", "a", 0),
        ],
        None,
    );
    // Since 2011 what was 310103 lies in 310101.
    let merged = catalogue_of(&[("310103", "310101")]);
    store.set_catalogue(merged.clone());
    let ask = |query: Json, regions: &[&str]| {
        rows(&store.query_blocking(&bound_in(&merged, &query, regions), &Cancel::default()).expect("answers"))
    };
    let by_district = json!({"dataset":"incident","measures":["count"],"by":[{"field":"street","level":"district"}]});
    assert_eq!(ask(by_district.clone(), &["310000"]), json!([["310101", 2], ["310104", 1]]));
    assert_eq!(ask(by_district, &["310101"]), json!([["310101", 2]]));
    let prefix =
        json!({"dataset":"incident","rows":["id","street"],"where":{"street":{"prefix":"310101"}},"order":["id"]});
    assert_eq!(ask(prefix, &["310000"]), json!([["n1", "310101001"], ["n2", "310103007"]]));
}

fn units(value: &Value) -> Option<i128> {
    match value {
        Value::Int(v) => Some(i128::from(*v)),
        Value::Decimal { units, .. } => Some(i128::from(*units)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Every computed figure from the rows themselves.
    #[test]
    fn computed_figures_agree_with_the_oracle(rows_in in prop::collection::vec(row(), 0..200), measure in prop::sample::select(vec!["count", "loss_sum", "theft", "slow_loss"]), condition in prop::option::of(filter()), start in 1u32..4) {
        let folder = tempfile::tempdir().expect("folder");
        let store = open(folder.path());
        let catalogue = catalogue();
        let dataset = catalogue.dataset("incident").expect("dataset").clone();
        let mut model: BTreeMap<String, Fields> = BTreeMap::new();
        for part in rows_in.chunks(70) {
            load(&store, "incident", part, None);
            model.extend(part.iter().map(|r| (r["id"].to_text(), r.clone())));
        }
        let rows: Vec<Fields> = model.into_values().collect();
        let measure_filter = |m: &Measure| crate::random::retype(&catalogue, &dataset, &m.filter);
        let json = json!({"dataset":"incident","measures":[measure],"by":[{"time":"month"},"category"],"where":condition.unwrap_or(json!({})),
            "range":{"from":format!("2025-0{start}-01"),"to":"2025-04-01"},
            "compute":[{"as":"cumulative","of":measure},{"as":"year_to_date","of":measure},{"as":"share","of":measure,"within":["month"]},{"as":"rank","of":measure,"within":["month"]}]});
        let bound = bound(&catalogue, &json);
        let table = store.query_blocking(&bound, &Cancel::default()).unwrap_or_else(|e| panic!("{json}: {e}"));
        let filter = &bound.parts()[0].filter;
        let over = |by: Json, from: i64, to: i64| {
            let query: Query = serde_json::from_value(json!({"dataset":"incident","measures":[measure],"by":by})).expect("query");
            oracle::answer(&dataset, &query, filter, &measure_filter, Span { from, to }, &rows)
        };
        let get = |answer: &BTreeMap<Vec<String>, Vec<Value>>, key: &[String]| answer.get(key).map_or(Value::Null, |v| v[0].clone());
        let january = local_midnight("2025-01-01".parse().expect("date"));
        for line in &table.rows {
            let Value::Date(month) = line[0] else { panic!("a month") };
            let category = vec![oracle::name(&line[1])];
            let end = local_midnight(month + chrono::Months::new(1));
            let zero = if matches!(measure, "count" | "theft") { Value::Int(0) } else { Value::Null };
            let or_zero = |v: Value| if v.is_null() { zero.clone() } else { v };
            prop_assert_eq!(&line[3], &or_zero(get(&over(json!(["category"]), bound.span().from, end), &category)), "cumulative {}", json);
            prop_assert_eq!(&line[4], &or_zero(get(&over(json!(["category"]), january, end), &category)), "year to date {}", json);
            let month_start = local_midnight(month);
            let total = get(&over(json!([]), month_start, end), &[]);
            let share = units(&line[2]).zip(units(&total)).and_then(|(part, whole)| div_half_even(part * 10_000, whole));
            prop_assert_eq!(&line[5], &share.map_or(Value::Null, |u| Value::Decimal { units: u as i64, scale: 2 }), "share {}", json);
            let all = over(json!(["category"]), month_start, end);
            let mine = units(&line[2]);
            let larger = all.values().filter(|v| units(&v[0]).is_some_and(|u| mine.is_some_and(|m| u > m))).count();
            prop_assert_eq!(&line[6], &mine.map_or(Value::Null, |_| Value::Int(larger as i64 + 1)), "rank {}", json);
        }
        let _: &Filter = filter;
    }
}

#[test]
fn calculated_measures_follow_what_is_shown() {
    let (_folder, store) = city();
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","theft","loss_sum"],"by":["category"],"range":year(),"totals":true,
            "calc":[{"name":"rest","expr":"count - theft","digits":0},{"name":"share","expr":"theft / (theft + rest) * 100","digits":1,"unit":"%","label":"盗窃占比"},
                    {"name":"per_case","expr":"loss_sum / theft"}],
            "having":{"rest":{"gte":0}},"order":["-share","-rest"]}),
    );
    assert_eq!(
        rows(&table),
        json!([
            ["theft", 4, 4, 8.0, 0, 100.0, 2.0],
            ["other", 2, 0, 11.0, 2, 0.0, null],
            ["fraud", 1, 0, 2.0, 1, 0.0, null]
        ])
    );
    let share = &table.columns[5];
    assert_eq!((share.name.as_str(), share.label.as_str(), share.unit.as_str()), ("share", "盗窃占比", "%"));
    let totals = serde_json::to_value(&table.totals).expect("json");
    assert_eq!((&totals["rest"], &totals["share"]), (&json!(3), &json!(57.1)), "from the totals, not summed");

    // Compared, in "others", and spread over columns.
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","theft"],"by":["category"],"range":year(),"compare":"yoy","order":["-count"],"limit":1,"others":true,
            "calc":[{"name":"rest","expr":"count - theft / 2","digits":1}]}),
    );
    let columns: Vec<&str> = table.columns.iter().skip(9).map(|c| c.name.as_str()).collect();
    assert_eq!(columns, ["rest", "rest_prev", "rest_delta", "rest_pct"]);
    let tail: Vec<Json> = serde_json::from_value(rows(&table)).expect("rows");
    let tail: Vec<&[Json]> = tail.iter().map(|r| &r.as_array().expect("row")[9..]).collect();
    assert_eq!(serde_json::to_value(tail).expect("json"), json!([[2.0, 1.0, 1.0, 100.0], [3.0, 0.0, 3.0, null]]));
    let table = ask(
        &store,
        json!({"dataset":"incident","measures":["count","theft"],"by":["category",{"time":"month"}],"range":{"from":"2025-01-01","to":"2025-03-01"},"pivot":"month",
            "calc":[{"name":"rest","expr":"count - theft","digits":0}],"order":["-rest@2025-01-01"]}),
    );
    assert_eq!(rows(&table), json!([["fraud", 1, 0, 1, 0, 0, null], ["theft", 2, 2, 0, 1, 1, 0]]));
}
