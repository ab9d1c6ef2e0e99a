//! Figures about people, attacked by differencing.

use crate::world::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use zonglan_catalog::bind::{bind, bind_search};
use zonglan_catalog::query::Query;
use zonglan_catalog::search::SearchRequest;
use zonglan_catalog::traits::Cancel;
use zonglan_catalog::value::Value;
use zonglan_olap::Store;

const KINDS: [&str; 3] = ["theft", "fraud", "other"];

/// A person: street, kind, day of 2025, visits.
type Person = (usize, usize, u32, i64);

fn fill(store: &Store, people: &[Person]) {
    let rows: Vec<Fields> = people
        .iter()
        .enumerate()
        .map(|(id, (street, kind, day, visits))| {
            let at = instant("2025-01-01T08:00:00") + i64::from(*day) * 86_400_000;
            fields(&[
                ("id", Value::Text(id.to_string())),
                ("seen_at", Value::Instant(at)),
                ("street", Value::Text(STREETS[*street].into())),
                ("kind", Value::Text(KINDS[*kind].into())),
                ("visits", Value::Int(*visits)),
            ])
        })
        .collect();
    load(store, "patient", &rows, None);
}

fn crowd(street: usize, kind: usize, count: usize) -> Vec<Person> {
    (0..count).map(|i| (street, kind, i as u32 % 80, 1 + i as i64 % 3)).collect()
}

fn get(store: &Store, more: Json) -> Vec<Vec<Json>> {
    let mut query = json!({"dataset":"patient","measures":["count"]});
    query.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
    serde_json::from_value(rows(&ask(store, query))).expect("rows")
}

fn refused(more: Json) -> String {
    let mut query = json!({"dataset":"patient","measures":["count"]});
    query.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
    let query: Query = serde_json::from_value(query).expect("query");
    let catalogue = catalogue();
    let error = bind(&catalogue, catalogue.policy(), &principal(&["310000"]), &query, instant("2025-03-10T12:00:00"))
        .expect_err("refused");
    assert_eq!(error.code, "policy.people", "{error}");
    error.to_string()
}

#[test]
fn small_cells_go_together_with_what_gives_them_away() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    fill(&store, &[crowd(0, 0, 33), crowd(1, 0, 9), crowd(2, 0, 52)].concat());
    // Street 2 has nine. Street 1 lies in the same district, whose total would give them away.
    assert_eq!(
        get(&store, json!({"measures":["count","visits_sum"],"by":["street"]})),
        [json!(["310101001", null, null]), json!(["310101002", null, null]), json!(["310104003", 50, 105])]
            .map(|r| r.as_array().expect("row").clone())
    );
    assert_eq!(get(&store, json!({"by":[{"field":"street","level":"district"}]}))[0], [json!("310101"), json!(40)]);
    // Each part asked for alone looks as it does among the others.
    assert_eq!(get(&store, json!({"where":{"street":{"eq":"310101001"}}})), [[Json::Null]]);
    assert_eq!(get(&store, json!({"where":{"street":{"eq":"310104003"}}})), [[json!(50)]]);
    assert_eq!(get(&store, json!({"where":{"street":{"prefix":"310101"}}})), [[json!(40)]]);
    assert_eq!(get(&store, json!({"where":{"street":{"eq":"310101009"}}})), [[Json::Null]], "none looks like few");
    // Own figures are worked out from what is shown, and from nothing that is hidden.
    assert_eq!(
        get(
            &store,
            json!({"by":["street"],"calc":[{"name":"x","expr":"count * 0 + 7","digits":0},{"name":"y","expr":"count / 3"}]})
        ),
        [
            json!(["310101001", null, null, null]),
            json!(["310101002", null, null, null]),
            json!(["310104003", 50, 7, 16.67])
        ]
        .map(|r| r.as_array().expect("row").clone())
    );
    // Ratios and averages stand on rounded figures: 187 visits of 94 persons would be 1.99.
    assert_eq!(get(&store, json!({"measures":["theft_rate","visits_avg"]})), [[json!(100.0), json!(1.95)]]);
}

#[test]
fn questions_that_single_out_are_refused() {
    for more in [
        json!({"by":["visits"]}),
        json!({"where":{"visits":{"gt":3}}}),
        json!({"where":{"street":{"in":["310101001","310101002"]}}}),
        json!({"where":{"not":{"street":{"eq":"310101001"}}}}),
        json!({"where":{"or":[{"street":{"eq":"310101001"}},{"kind":{"eq":"theft"}}]}}),
        json!({"where":{"street":{"prefix":"3101010"}}}),
        json!({"where":{"seen_at":{"gte":"2025-01-02"}}}),
        json!({"where":{"seen_at":{"weekday":1}}}),
        json!({"by":[{"time":"day"}]}),
        json!({"by":[{"time":"weekday"}]}),
        json!({"measures":["visits_max"]}),
        json!({"by":[{"time":"month"}],"compute":[{"as":"cumulative","of":"count"}]}),
        json!({"by":["street"],"order":["-count"],"limit":1,"others":true}),
        // Through another dataset, too.
        json!({"dataset":"incident","measures":["patient.count"],"by":["street",{"time":"day"}]}),
    ] {
        refused(more);
    }
    let catalogue = catalogue();
    let facets: SearchRequest =
        serde_json::from_value(json!({"dataset":"patient","query":"","facets":["street"]})).expect("request");
    let bound = bind_search(&catalogue, catalogue.policy(), &principal(&["310000"]), &facets, 0);
    assert_eq!(bound.expect_err("refused").code, "policy.people");
}

#[test]
fn a_range_is_whole_months() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    fill(&store, &[crowd(0, 0, 62), crowd(2, 1, 31)].concat());
    let month = get(&store, json!({"range":{"from":"2025-01-01","to":"2025-02-01"}}));
    for (from, to) in [("2025-01-01", "2025-01-31"), ("2025-01-02", "2025-02-01"), ("2025-01-07", "2025-01-08")] {
        assert_eq!(get(&store, json!({"range":{"from":from,"to":to}})), month, "{from} to {to}");
    }
}

#[test]
fn figures_follow_the_day_not_each_write() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    fill(&store, &crowd(2, 0, 12));
    assert_eq!(get(&store, json!({})), [[json!(10)]]);
    // One more row each time tells when the rounding tips, and so who was written.
    fill(&store, &crowd(2, 0, 13));
    assert_eq!(get(&store, json!({})), [[json!(10)]]);
    store.refresh_people();
    assert_eq!(get(&store, json!({})), [[json!(15)]]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Siblings and totals, having, top-N and ratios tell no more than the table shows, and no
    /// total minus what it shows of its parts is a small group.
    #[test]
    fn differencing_finds_no_small_group(cells in prop::collection::vec((0usize..3, 0usize..3, 1usize..40), 1..9)) {
        let folder = tempfile::tempdir().expect("folder");
        let store = open(folder.path());
        let mut people = Vec::new();
        let mut truth: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (street, kind, count) in cells {
            people.extend(crowd(street, kind, count));
            *truth.entry((street, kind)).or_default() += count;
        }
        fill(&store, &people);
        let street = |s: &Json| STREETS.iter().position(|k| Some(*k) == s.as_str()).expect("street");
        let kind = |s: &Json| KINDS.iter().position(|k| Some(*k) == s.as_str()).expect("kind");
        let table = get(&store, json!({"by":["street","kind"]}));
        let shown: BTreeMap<(usize, usize), Option<i64>> = table.iter().map(|r| ((street(&r[0]), kind(&r[1])), r[2].as_i64())).collect();
        for (cell, figure) in &shown {
            let real = truth[cell] as i64;
            prop_assert!(figure.is_none_or(|f| f % 5 == 0 && f >= 10 && (f - real).abs() <= 2), "{:?}: {} shown as {:?}", cell, real, figure);
        }
        // Every total that can be asked for, against the cells that it is made of.
        type Part = dyn Fn(&(usize, usize)) -> bool;
        let mut totals: Vec<Box<Part>> = vec![Box::new(|c| c.0 < 2), Box::new(|c| c.0 == 2)];
        for i in 0..3usize {
            totals.push(Box::new(move |c| c.0 == i));
            totals.push(Box::new(move |c| c.1 == i));
            totals.push(Box::new(move |c| c.0 < 2 && c.1 == i));
        }
        for part in totals {
            let hidden: Vec<usize> = truth.iter().filter(|(c, _)| part(c) && shown[c].is_none()).map(|(_, n)| *n).collect();
            let all = truth.iter().filter(|(c, _)| part(c)).count();
            let sum: usize = hidden.iter().sum();
            prop_assert!(sum == 0 || sum >= 10 || hidden.len() == all, "{:?} can be worked out of {:?}", hidden, shown);
        }
        for ((s, k), figure) in &shown {
            let alone = get(&store, json!({"where":{"street":{"eq":STREETS[*s]},"kind":{"eq":KINDS[*k]}}}));
            prop_assert_eq!(alone[0][0].as_i64(), *figure, "a cell looks the same in every question");
        }
        for limit in [0, 8, 9, 10, 11, 12, 20] {
            let passing = get(&store, json!({"by":["street","kind"],"having":{"count":{"gte":limit}}}));
            let expected = shown.values().filter(|f| f.is_some_and(|f| f >= limit)).count();
            prop_assert_eq!(passing.len(), expected, "having sees what is shown");
        }
        let top = get(&store, json!({"by":["street","kind"],"order":["-count"]}));
        let order: Vec<Option<i64>> = top.iter().map(|r| r[2].as_i64()).collect();
        let descending = |w: &[Option<i64>]| w[1].is_none() || w[0] >= w[1];
        prop_assert!(order.windows(2).all(descending), "hidden cells come last");
        let ties: Vec<_> = top.windows(2).filter(|w| w[0][2] == w[1][2]).collect();
        prop_assert!(ties.iter().all(|w| (street(&w[0][0]), w[0][1].as_str()) <= (street(&w[1][0]), w[1][1].as_str())), "ties tell nothing");
        for row in get(&store, json!({"measures":["count","thefts","theft_rate"],"by":["street"]})) {
            if let (Some(count), Some(thefts)) = (row[1].as_f64(), row[2].as_f64()) {
                let rate = row[3].as_f64().expect("both are shown");
                prop_assert!((rate - thefts / count * 100.0).abs() <= 0.005001, "{:?}", row);
            } else {
                prop_assert!(row[3].is_null(), "{:?}", row);
            }
        }
    }

    /// A leader of one district sees its cells as the city does.
    #[test]
    fn a_district_sees_its_own(counts in prop::collection::vec(1usize..30, 3)) {
        let folder = tempfile::tempdir().expect("folder");
        let store = open(folder.path());
        fill(&store, &counts.iter().enumerate().flat_map(|(s, n)| crowd(s, 0, *n)).collect::<Vec<_>>());
        let catalogue = catalogue();
        let by = json!({"dataset":"patient","measures":["count"],"by":["street"]});
        let mine = store.query_blocking(&bound_in(&catalogue, &by, &["310101"]), &Cancel::default()).expect("answers");
        let city = ask(&store, by);
        for row in mine.rows {
            let there = city.rows.iter().find(|r| r[0] == row[0]).expect("the street");
            prop_assert!(there[1] == row[1] || there[1].is_null(), "{:?} {:?}", row, there);
        }
    }
}
