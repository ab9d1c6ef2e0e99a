//! Random queries over random rows: the engine's answer is the oracle's.

use crate::oracle;
use crate::world::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use zonglan_catalog::bind::typed;
use zonglan_catalog::dataset::Measure;
use zonglan_catalog::filter::Filter;
use zonglan_catalog::traits::{Cancel, RowSink};
use zonglan_catalog::value::Value;

fn times() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        6 => ("2025-0[1-3]-[0-2][1-8]", 0i64..86_400_000).prop_map(|(d, ms)| Some(instant(&format!("{d}T00:00:00")) + ms)),
        2 => (-2_000_000_000i64..1_800_000_000).prop_map(|s| Some(s * 1000)),
        1 => (510_000_000i64..700_000_000).prop_map(|s| Some(s * 1000 + 7)),
        1 => Just(None),
    ]
}

prop_compose! {
    pub fn row()(id in 0u32..400, at in times(), street in prop::option::weighted(0.9, 0usize..3), category in prop::option::weighted(0.9, 0usize..3),
        person in prop::option::of(0u32..30), minutes in prop::option::of(prop_oneof![0i64..60, Just(1_000_000_000_000)]), loss in prop::option::of(-5_000i64..5_000), injured in prop::option::of(any::<bool>())) -> Fields {
        let text = |t: String| Value::Text(t);
        let mut row = fields(&[("id", text(format!("n{id}")))]);
        let mut put = |name: &str, value: Option<Value>| if let Some(v) = value { row.insert(name.into(), v); };
        put("at", at.map(Value::Instant));
        put("day", at.filter(|ms| ms % 3 != 0).map(|ms| Value::Date(zonglan_catalog::time::to_local(ms).date())));
        put("street", street.map(|s| text(STREETS[s].into())));
        put("category", category.map(|c| text(["theft", "fraud", "other"][c].into())));
        put("person", person.map(|p| text(format!("p{p}"))));
        put("minutes", minutes.map(Value::Int));
        put("loss", loss.map(|units| Value::Decimal { units, scale: 2 }));
        put("injured", injured.map(Value::Bool));
        row
    }
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        (0usize..3).prop_map(|c| {
            let c = ["theft", "fraud", "other"][c];
            json!({"category":{"eq":c}})
        }),
        Just(json!({"category":{"in":["theft","other"]}})),
        Just(json!({"street":{"prefix":"310101"}})),
        (0i64..60).prop_map(|m| json!({"minutes":{"gte":m}})),
        (0i64..60, 0i64..30).prop_map(|(m, n)| json!({"minutes":{"gt":m,"lte":m + n}})),
        (0i64..60).prop_map(|m| json!({"minutes":{"in":[m, m + 1, 1_000_000_000_000i64]}})),
        (-50i64..50).prop_map(|l| json!({"loss":{"lt":l}})),
        any::<bool>().prop_map(|b| json!({"injured":{"eq":b}})),
        any::<bool>().prop_map(|b| json!({"loss":{"is_null":b}})),
        any::<bool>().prop_map(|b| json!({"street":{"is_null":b}})),
        any::<bool>().prop_map(|b| json!({"at":{"is_null":b}})),
        Just(json!({"at":{"gte":"2025-02-01"}})),
        prop::collection::vec(0i64..24, 0..6).prop_map(|h| json!({"at":{"hour_of_day":h}})),
        (1i64..8).prop_map(|d| json!({"day":{"weekday":d}})),
        Just(json!({"day":{"lt":"2025-02-01"}})),
        (0u32..400).prop_map(|n| json!({"id":{"gte":format!("n{n}")}})),
    ]
}

pub fn filter() -> impl Strategy<Value = Json> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|l| json!({"and": l})),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|l| json!({"or": l})),
            inner.prop_map(|f| json!({"not": f})),
        ]
    })
}

const MEASURES: [&str; 13] = [
    "count",
    "loss_sum",
    "loss_avg",
    "minutes_avg",
    "minutes_min",
    "last_at",
    "minutes_p90",
    "loss_median",
    "persons",
    "lengths",
    "theft",
    "slow_loss",
    "theft_rate",
];

pub fn query() -> impl Strategy<Value = Json> {
    let dim = prop_oneof![
        Just(json!("street")),
        Just(json!("category")),
        Just(json!("injured")),
        Just(json!("minutes")),
        Just(json!("loss")),
        Just(json!("day")),
        Just(json!({"field":"street","level":"district"})),
        prop::sample::select(vec!["hour", "day", "week", "month", "quarter", "year", "hour_of_day", "weekday"])
            .prop_map(|g| json!({"time":g})),
        prop::sample::select(vec!["day", "week", "month", "weekday"]).prop_map(|g| json!({"time":g,"field":"day"})),
    ];
    let range = prop_oneof![
        2 => Just(json!({})),
        1 => Just(json!({"from":"2025-01-01","to":"2025-03-01"})),
        1 => Just(json!({"from":"2025-02-01"})),
        1 => Just(json!({"to":"2025-01-15T12:00:00+08:00"})),
        1 => Just(json!({"this":"quarter"})),
    ];
    let measures = prop::sample::subsequence(MEASURES.to_vec(), 1..5);
    (measures, prop::collection::vec(dim, 0..4), prop::option::of(filter()), range).prop_map(|(measures, mut by, filter, range)| {
        let mut seen = std::collections::BTreeSet::new();
        // A field and a grain may have one name, and an answer names each column once.
        let column = |d: &Json| d.as_str().or(d["time"].as_str()).map_or(d.to_string(), String::from);
        by.retain(|d| seen.insert(column(d)));
        json!({"dataset":"incident","measures":measures,"by":by,"where":filter.unwrap_or(json!({})),"range":range,"limit":10_000})
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("ZONGLAN_CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(24), ..ProptestConfig::default() })]

    #[test]
    fn engine_and_oracle_agree(rows_in in prop::collection::vec(row(), 0..300), commits in 1usize..4, gone in prop::collection::vec(0u32..400, 0..20), compact in any::<bool>(), queries in prop::collection::vec(query(), 1..12)) {
        let folder = tempfile::tempdir().expect("folder");
        let store = open(folder.path());
        let catalogue = catalogue();
        let dataset = catalogue.dataset("incident").expect("dataset").clone();
        let mut model: BTreeMap<String, Fields> = BTreeMap::new();
        for part in rows_in.chunks(rows_in.len().div_ceil(commits).max(1)) {
            load(&store, "incident", part, None);
            model.extend(part.iter().map(|r| (r["id"].to_text(), r.clone())));
        }
        let mut txn = store.begin(&dataset).expect("begins");
        txn.delete(&gone.iter().map(|id| key(&format!("n{id}"))).collect::<Vec<_>>()).expect("deletes");
        txn.commit(None).expect("commits");
        gone.iter().for_each(|id| { model.remove(&format!("n{id}")); });
        if compact {
            store.compact("incident").expect("compacts");
        }
        let rows: Vec<Fields> = model.into_values().collect();
        let measure_filter = |m: &Measure| retype(&catalogue, &dataset, &m.filter);
        for json in queries {
            let bound = bound(&catalogue, &json);
            let table = store.query_blocking(&bound, &Cancel::default()).unwrap_or_else(|e| panic!("{json}: {e}"));
            let dims = bound.query().by.len();
            let mut expected = oracle::answer(&dataset, bound.query(), &bound.parts()[0].filter, &measure_filter, bound.span(), &rows);
            for row in &table.rows {
                let group: Vec<String> = row[..dims].iter().map(oracle::name).collect();
                match expected.remove(&group) {
                    Some(values) => prop_assert_eq!(&row[dims..], &values[..], "{} in {:?}", json, group),
                    None => prop_assert!(dims == 1 && bound.query().measures.iter().zip(&row[dims..]).all(|(_, v)| v.is_null() || *v == Value::Int(0)), "{}: {:?} is not a group", json, group),
                }
            }
            prop_assert!(expected.is_empty(), "{}: missing {:?}", json, expected);
        }
    }

    #[test]
    fn pages_join_to_the_whole(rows_in in prop::collection::vec(row(), 0..150), limit in 1usize..20, filter in filter(), order in prop::sample::select(vec![vec![], vec!["category"], vec!["-loss"], vec!["-street", "minutes"], vec!["at", "-loss", "id"]])) {
        let folder = tempfile::tempdir().expect("folder");
        let store = open(folder.path());
        let catalogue = catalogue();
        let mut model: BTreeMap<String, Fields> = BTreeMap::new();
        for part in rows_in.chunks(50) {
            load(&store, "incident", part, None);
            model.extend(part.iter().map(|r| (r["id"].to_text(), r.clone())));
        }
        let mut json = json!({"dataset":"incident","rows":["id","category","loss","street","minutes","at"],"order":order,"limit":limit,"where":filter});
        let mut pages = Vec::new();
        let expected: Vec<&Fields> = model.values().filter(|r| oracle::passes(&bound(&catalogue, &json).parts()[0].filter, r)).collect();
        loop {
            let table = store.query_blocking(&bound(&catalogue, &json), &Cancel::default()).unwrap_or_else(|e| panic!("{json}: {e}"));
            prop_assert_eq!(table.meta.total, Some(expected.len() as u64));
            pages.extend(table.rows);
            match table.meta.cursor {
                Some(cursor) => json["cursor"] = json!(cursor),
                None => break,
            }
        }
        let mut ids: Vec<String> = pages.iter().map(|r| r[0].to_text()).collect();
        let mut all: Vec<String> = expected.iter().map(|r| r["id"].to_text()).collect();
        for pair in pages.windows(2) {
            let columns = ["id", "category", "loss", "street", "minutes", "at"];
            let wanted = if order.is_empty() { vec!["-at"] } else { order.clone() };
            let ordered = wanted.iter().map(|name| {
                let (name, down) = name.strip_prefix('-').map_or((*name, false), |n| (n, true));
                let at = columns.iter().position(|c| *c == name).expect("column");
                let (a, b) = (&pair[0][at], &pair[1][at]);
                if a.is_null() || b.is_null() || !down { a.total_cmp(b) } else { b.total_cmp(a) }
            }).find(|o| o.is_ne());
            prop_assert!(ordered.is_none_or(|o| o.is_lt()), "{:?} before {:?} by {:?}", pair[0], pair[1], order);
        }
        ids.sort();
        all.sort();
        prop_assert_eq!(ids, all);
    }
}

/// A measure's filter with its values typed, as the binder types a query's.
pub fn retype(catalogue: &zonglan_catalog::Catalogue, dataset: &zonglan_catalog::Dataset, filter: &Filter) -> Filter {
    let value = |field: &str, v: &Value| typed(catalogue, dataset.field(field).expect("field"), v).expect("typed");
    match filter {
        Filter::Cmp { field, op, value: v } => Filter::Cmp { field: field.clone(), op: *op, value: value(field, v) },
        Filter::In { field, values } => {
            Filter::In { field: field.clone(), values: values.iter().map(|v| value(field, v)).collect() }
        }
        other => other.clone(),
    }
}
