//! Rollups: which questions they answer, and that their answers are those of the rows.

use crate::random::row;
use crate::world::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use zonglan_catalog::batch::RowKey;
use zonglan_catalog::traits::{Cancel, QueryEngine, RowSink};
use zonglan_catalog::value::Value;
use zonglan_olap::Store;

fn sample(count: usize) -> Vec<Fields> {
    (0..count)
        .map(|i| {
            let mut row = fields(&[
                ("id", Value::Text(format!("n{i}"))),
                ("at", Value::Instant(instant("2024-11-20T00:00:00") + i as i64 * 7_200_000)),
                ("street", Value::Text(STREETS[i % 3].into())),
                ("category", Value::Text(["theft", "fraud", "other"][i / 2 % 3].into())),
                ("person", Value::Text(format!("p{}", i % 7))),
                ("loss", Value::Decimal { units: (i as i64 * 37) % 500 - 60, scale: 2 }),
            ]);
            if i % 4 > 0 {
                row.insert("minutes".into(), Value::Int(i as i64 % 45));
            }
            row
        })
        .collect()
}

fn both(store: &Store, query: &Json) -> (Option<String>, Json) {
    let bound = bound(&catalogue(), query);
    let rolled = store.query_blocking(&bound, &Cancel::default()).unwrap_or_else(|e| panic!("{query}: {e}"));
    let raw = store.query_raw(&bound, &Cancel::default()).unwrap_or_else(|e| panic!("{query}: {e}"));
    assert_eq!(raw.meta.rollup, None);
    assert_eq!(rolled.meta.total, raw.meta.total, "{query}");
    assert_eq!(rolled.totals, raw.totals, "{query}");
    let shown = rows(&rolled);
    assert_eq!(shown, rows(&raw), "{query}");
    (rolled.meta.rollup, shown)
}

#[test]
fn rollups_answer_what_they_hold() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open_rolled(folder.path());
    let all = sample(900);
    load(&store, "incident", &all[..500], None);
    load(&store, "incident", &all[500..], None);
    store.build_rollups("incident").expect("builds");
    let used = |query: Json| both(&store, &query).0;
    let year = json!({"from":"2025-01-01","to":"2026-01-01"});
    let cases = [
        (json!({"measures":["count"]}), Some("incident.month")),
        (json!({"measures":["count"],"by":["category"]}), Some("incident.day")),
        (
            json!({"measures":["count"],"by":[{"field":"street","level":"district"},{"time":"quarter"}],"range":year}),
            Some("incident.month"),
        ),
        (json!({"measures":["count"],"by":[{"time":"week"}],"range":year}), Some("incident.day")),
        (json!({"measures":["count"],"by":[{"time":"hour_of_day"}]}), Some("incident.hour")),
        (
            json!({"measures":["loss_avg","slow_loss","loss_sum"],"by":["street"],"range":{"last":"30d"},"compare":"yoy"}),
            Some("incident.day"),
        ),
        // Conditions on dimensions, and a conditional measure from the unconditional one.
        (
            json!({"measures":["theft_rate"],"where":{"category":{"in":["theft","fraud"]}},"by":[{"time":"month"}],"range":year,"totals":true}),
            Some("incident.day"),
        ),
        (json!({"measures":["minutes_avg"],"by":[{"time":"year"}]}), Some("incident.month")),
        (json!({"measures":["count"],"where":{"at":{"weekday":[6,7]}}}), Some("incident.day")),
        (
            json!({"measures":["count"],"by":["category"],"order":["-count"],"limit":1,"others":true,"compute":[{"as":"share","of":"count"}]}),
            Some("incident.day"),
        ),
        (
            json!({"measures":["count"],"by":[{"time":"month"}],"range":year,"compute":[{"as":"year_to_date","of":"count"}]}),
            Some("incident.month"),
        ),
        // An end beyond the data is no matter; one within a day is.
        (
            json!({"measures":["count"],"range":{"from":"2024-01-01","to":"2026-05-05T05:05:00+08:00"}}),
            Some("incident.month"),
        ),
        (json!({"measures":["count"],"range":{"from":"2024-12-03T05:00:00+08:00"}}), Some("incident.hour")),
        (json!({"measures":["count"],"range":{"from":"2024-12-03T05:30:00+08:00"}}), None),
        (json!({"measures":["persons"]}), None),
        (json!({"measures":["count"],"by":["injured"]}), None),
        (json!({"measures":["count"],"where":{"minutes":{"gt":3}}}), None),
    ];
    for (mut query, expected) in cases {
        query["dataset"] = json!("incident");
        assert_eq!(used(query.clone()).as_deref(), expected, "{query}");
    }
}

#[test]
fn explanations_name_the_reason() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open_rolled(folder.path());
    load(&store, "incident", &sample(300), None);
    store.build_rollups("incident").expect("builds");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let reasons = |query: Json| {
        let bound = bound(&catalogue(), &query);
        let plan = runtime.block_on(store.explain(&bound)).expect("explains");
        let rollups = plan["parts"][0]["rollups"].as_array().expect("rollups").clone();
        rollups
            .iter()
            .map(|r| match r["used"].as_bool() {
                Some(true) => format!("{} used", r["name"].as_str().expect("name")),
                _ => format!(
                    "{} {} {}",
                    r["name"].as_str().expect("name"),
                    r["reason"].as_str().expect("reason"),
                    r["detail"].as_str().unwrap_or("-")
                ),
            })
            .collect::<Vec<_>>()
    };
    let ask = |more: Json| {
        let mut query = json!({"dataset":"incident","measures":["count"]});
        query.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        reasons(query)
    };
    assert_eq!(ask(json!({})), ["day larger month", "month used", "hour larger month"]);
    assert_eq!(
        ask(json!({"by":["category"]})),
        ["day used", "month dimension_missing category", "hour dimension_missing category"]
    );
    assert_eq!(ask(json!({"by":[{"time":"day"}]})), ["day used", "month grain_not_derivable day", "hour larger day"]);
    assert_eq!(
        ask(json!({"range":{"from":"2024-11-25T10:30:00+08:00"}})),
        ["day range_not_aligned -", "month range_not_aligned -", "hour range_not_aligned -"]
    );
    assert_eq!(
        ask(json!({"where":{"minutes":{"gt":3}}})),
        [
            "day filter_dimension_missing minutes",
            "month filter_dimension_missing minutes",
            "hour filter_dimension_missing minutes"
        ]
    );
    assert_eq!(
        ask(json!({"measures":["persons"]})),
        ["day measure_not_additive persons", "month measure_not_additive persons", "hour measure_not_additive persons"]
    );
    assert_eq!(
        ask(json!({"measures":["minutes_avg"]})),
        ["day measure_missing minutes_avg", "month used", "hour measure_missing minutes_avg"]
    );
    let off = open(folder.path());
    let plan = runtime
        .block_on(off.explain(&bound(&catalogue(), &json!({"dataset":"incident","measures":["count"]}))))
        .expect("explains");
    assert_eq!(plan["parts"][0]["rollups"][0]["reason"], "small_dataset");
}

#[test]
fn row_rules_are_conditions_of_the_rollup() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open_rolled(folder.path());
    load(&store, "incident", &sample(300), None);
    store.build_rollups("incident").expect("builds");
    let catalogue = catalogue();
    let query = json!({"dataset":"incident","measures":["count"],"by":["street"]});
    let table = store.query_blocking(&bound_in(&catalogue, &query, &["310104"]), &Cancel::default()).expect("answers");
    assert_eq!(table.meta.rollup.as_deref(), Some("incident.month"));
    assert_eq!(rows(&table), json!([["310104003", 100]]));
}

#[test]
fn rollups_survive_the_process() {
    let folder = tempfile::tempdir().expect("folder");
    let query = json!({"dataset":"incident","measures":["count","loss_sum"],"by":["category"]});
    let mut all = sample(600);
    {
        let store = open_rolled(folder.path());
        load(&store, "incident", &all[..400], None);
        load(&store, "incident", &all[400..500], None);
        store.build_rollups("incident").expect("builds");
        store.save_rollups("incident").expect("writes");
    }
    let file = folder.path().join("rollups/incident/day.rollup");
    let whole = std::fs::read(&file).expect("kept");
    // Read as it is: a reader builds nothing itself.
    {
        let options = zonglan_olap::Options { rollup_min_rows: 0, ..zonglan_olap::Options::default() };
        let reader = Store::read_only(folder.path(), options, catalogue()).expect("opens");
        reader.build_rollups("incident").expect("reads");
        assert_eq!(both(&reader, &query).0.as_deref(), Some("incident.day"));
    }
    // Rows that came and went after the file was written, as a kill leaves it.
    {
        let store = open_rolled(folder.path());
        all[3].insert("category".into(), Value::Text("other".into()));
        load(&store, "incident", &all[..20], None);
        load(&store, "incident", &all[500..], None);
        let dataset = catalogue().dataset("incident").expect("dataset").clone();
        let mut txn = store.begin(&dataset).expect("begins");
        txn.delete(&(100..150).map(|i| RowKey::of([format!("n{i}").as_str()])).collect::<Vec<_>>()).expect("deletes");
        txn.commit(None).expect("commits");
    }
    std::fs::write(&file, &whole).expect("the old file");
    {
        let store = open_rolled(folder.path());
        store.build_rollups("incident").expect("catches up");
        assert_eq!(both(&store, &query).0.as_deref(), Some("incident.day"));
    }
    // Half a file is computed anew, and so is one whose segments were merged away.
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("half");
    {
        let store = open_rolled(folder.path());
        store.build_rollups("incident").expect("builds");
        assert_eq!(both(&store, &query).0.as_deref(), Some("incident.day"));
        store.compact("incident").expect("compacts");
        assert_eq!(both(&store, &query).0.as_deref(), Some("incident.day"));
        assert!(store.check_rollups(7).expect("checks").iter().all(|c| c.difference.is_none()));
    }
    std::fs::write(&file, &whole).expect("the old file");
    let store = open_rolled(folder.path());
    store.build_rollups("incident").expect("builds");
    both(&store, &query);
    assert_eq!(store.rollup_checks().1, 0);
    let status = store.rollups().expect("status");
    assert_eq!((status[0].state.as_str(), status[0].left_out.as_slice()), ("ready", &["persons".to_string()][..]));
}

fn query() -> impl Strategy<Value = Json> {
    let dim = prop_oneof![
        Just(json!("street")),
        Just(json!("category")),
        Just(json!({"field":"street","level":"district"})),
        prop::sample::select(vec!["hour", "day", "week", "month", "quarter", "year", "hour_of_day", "weekday"])
            .prop_map(|g| json!({"time":g})),
    ];
    let condition = prop_oneof![
        3 => Just(json!({})),
        1 => Just(json!({"category":{"in":["theft","other"]}})),
        1 => Just(json!({"not":{"category":{"eq":"fraud"}}})),
        1 => Just(json!({"street":{"prefix":"310101"}})),
        1 => Just(json!({"street":{"is_null":true}})),
        1 => Just(json!({"at":{"weekday":[1,7]}})),
        1 => Just(json!({"minutes":{"gte":10}})),
    ];
    let range = prop_oneof![
        2 => Just(json!({})),
        1 => Just(json!({"from":"2025-01-01","to":"2025-03-01"})),
        1 => Just(json!({"from":"2025-02-03"})),
        1 => Just(json!({"to":"2025-01-15T12:00:00+08:00"})),
        1 => Just(json!({"to":"2025-01-15T12:20:00+08:00"})),
        1 => Just(json!({"this":"year"})),
    ];
    let measures = prop::sample::subsequence(
        vec!["count", "loss_sum", "loss_avg", "minutes_avg", "theft", "slow_loss", "theft_rate", "persons"],
        1..4,
    );
    (measures, prop::collection::vec(dim, 0..4), condition, range, any::<bool>(), 0u8..4).prop_map(|(measures, mut by, condition, range, compare, extra)| {
        let mut seen = std::collections::BTreeSet::new();
        by.retain(|d| seen.insert(d.to_string()));
        let mut query = json!({"dataset":"incident","measures":measures,"by":by,"where":condition,"range":range,"limit":10_000});
        if compare && (query["range"]["this"].is_string() || query["range"]["from"].is_string() && query["range"]["to"].is_string()) {
            query["compare"] = json!("yoy");
        }
        if extra == 1 {
            query["totals"] = json!(true);
        }
        if extra == 2 && !by.is_empty() {
            query["limit"] = json!(2);
            query["others"] = json!(true);
        }
        query
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("ZONGLAN_CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(8), max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Random writes between random questions: rollups and rows say the same at every moment.
    #[test]
    fn rollups_and_rows_agree(steps in prop::collection::vec((prop::collection::vec(row(), 0..40), prop::collection::vec(0u32..400, 0..12), 0u8..5, prop::collection::vec(query(), 1..5)), 1..4)) {
        let folder = tempfile::tempdir().expect("folder");
        let store = open_rolled(folder.path());
        let dataset = catalogue().dataset("incident").expect("dataset").clone();
        let mut model: BTreeMap<String, Fields> = BTreeMap::new();
        for (rows_in, gone, act, queries) in steps {
            load(&store, "incident", &rows_in, None);
            model.extend(rows_in.iter().map(|r| (r["id"].to_text(), r.clone())));
            let mut txn = store.begin(&dataset).expect("begins");
            txn.delete(&gone.iter().map(|id| key(&format!("n{id}"))).collect::<Vec<_>>()).expect("deletes");
            txn.commit(None).expect("commits");
            gone.iter().for_each(|id| { model.remove(&format!("n{id}")); });
            match act {
                0 => store.compact("incident").expect("compacts"),
                1 | 2 => store.build_rollups("incident").expect("builds"),
                _ => {}
            }
            for query in queries {
                both(&store, &query);
            }
            let all = both(&store, &json!({"dataset":"incident","measures":["count"]})).1;
            prop_assert_eq!(all, json!([[model.len()]]));
        }
        for seed in 0..4 {
            for checked in store.check_rollups(seed).expect("checks") {
                prop_assert_eq!(checked.difference, None);
            }
        }
    }
}
