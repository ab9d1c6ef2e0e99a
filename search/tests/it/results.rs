//! Ranking, filters against a plain evaluation, facets, sorting, pages and hits.

use crate::city::{City, Dice, everyone, judgment, person, request, row, text};
use chrono::NaiveDate;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use zonglan_catalog::filter::{Filter, Op};
use zonglan_catalog::search::SearchRequest;
use zonglan_catalog::traits::{Cancel, SearchIndex, TextResolver};
use zonglan_catalog::{RowKey, Value};

type Rows = Vec<BTreeMap<String, Value>>;

static CORPUS: LazyLock<(City, Rows)> = LazyLock::new(|| {
    let mut dice = Dice(5);
    let rows: Rows = (0..200)
        .map(|i| {
            let mut fields = vec![("text", text(&judgment(&mut dice, 50)))];
            let mut maybe = |dice: &mut Dice, name, value| {
                if dice.below(4) > 0 {
                    fields.push((name, value));
                }
            };
            let n = dice.below(8) as i64;
            let court = dice.pick(&["徐汇法院", "徐家汇法庭", "长宁法院", "a", &"长".repeat(100)]).to_string();
            let district = dice.pick(&["310104", "310104001", "310105"]);
            maybe(&mut dice, "months", Value::Int(n - 3));
            maybe(&mut dice, "amount", Value::Decimal { units: n * 150, scale: 2 });
            maybe(&mut dice, "appealed", Value::Bool(n % 2 == 0));
            maybe(&mut dice, "decided", Value::Date(NaiveDate::from_ymd_opt(2020, 1, 1 + n as u32).expect("a day")));
            maybe(&mut dice, "filed_at", Value::Instant(1_600_000_000_000 + n * 1_000));
            maybe(&mut dice, "court", text(&court));
            maybe(&mut dice, "district", text(district));
            maybe(&mut dice, "place", Value::Point(121.0, 31.0));
            row(&format!("j{i:03}"), &fields)
        })
        .collect();
    let city = City::new();
    for part in rows.chunks(60) {
        city.put("judgment", part, None);
    }
    (city, rows)
});

/// The plain meaning of a filter.
fn holds(filter: &Filter, row: &BTreeMap<String, Value>) -> bool {
    match filter {
        Filter::True => true,
        Filter::And(list) => list.iter().all(|f| holds(f, row)),
        Filter::Or(list) => list.iter().any(|f| holds(f, row)),
        Filter::Not(f) => !holds(f, row),
        Filter::IsNull { field } => !row.contains_key(field),
        Filter::Clock { field, part, values } => row.get(field).is_some_and(|v| part.holds(values, v)),
        Filter::In { field, values } => row.get(field).is_some_and(|v| values.contains(v)),
        Filter::Text { field, query } => row.get(field).is_some_and(|v| v.to_text().contains(query.as_str())),
        Filter::Cmp { field, op, value } => row.get(field).is_some_and(|v| {
            let order = v.total_cmp(value);
            match op {
                Op::Eq => order.is_eq(),
                Op::Gt => order.is_gt(),
                Op::Gte => order.is_ge(),
                Op::Lt => order.is_lt(),
                Op::Lte => order.is_le(),
                Op::Prefix => v.to_text().starts_with(&value.to_text()),
            }
        }),
    }
}

fn leaf() -> impl Strategy<Value = Filter> {
    let op = prop::sample::select(vec![Op::Eq, Op::Gt, Op::Gte, Op::Lt, Op::Lte]);
    let number = (-4i64..10).prop_flat_map(|n| {
        prop::sample::select(vec![
            ("months", Value::Int(n)),
            ("amount", Value::Decimal { units: n * 150, scale: 2 }),
            ("decided", Value::Date(NaiveDate::from_ymd_opt(2020, 1, (n + 5) as u32).expect("a day"))),
            ("filed_at", Value::Instant(1_600_000_000_000 + n * 1_000)),
        ])
    });
    let court = prop::sample::select(vec![
        "徐汇法院".to_string(),
        "徐".into(),
        "a".into(),
        "长宁".into(),
        "长".repeat(100),
        "无".into(),
    ]);
    prop_oneof![
        (number, op.clone()).prop_map(|((field, value), op)| Filter::Cmp { field: field.into(), op, value }),
        (court.clone(), op).prop_map(|(court, op)| {
            // Long values are ordered by their start only.
            let op = if court.chars().count() > 20 { Op::Eq } else { op };
            Filter::Cmp { field: "court".into(), op, value: Value::Text(court) }
        }),
        court.prop_map(|court| {
            let prefix: String = court.chars().take(20).collect();
            Filter::Cmp { field: "court".into(), op: Op::Prefix, value: Value::Text(prefix) }
        }),
        any::<bool>().prop_map(|b| Filter::Cmp { field: "appealed".into(), op: Op::Eq, value: Value::Bool(b) }),
        prop::sample::select(vec!["310104", "31", "310105", "9"]).prop_map(|code| Filter::Cmp {
            field: "district".into(),
            op: Op::Prefix,
            value: text(code)
        }),
        prop::collection::vec(-3i64..6, 0..3)
            .prop_map(|list| Filter::In { field: "months".into(), values: list.into_iter().map(Value::Int).collect() }),
        prop::sample::select(vec!["months", "court", "text", "place", "case_number"])
            .prop_map(|field| Filter::IsNull { field: field.into() }),
        prop::sample::select(vec!["盗窃", "被告人张三", "的", "电动车"])
            .prop_map(|query| Filter::Text { field: "text".into(), query: query.into() }),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|f| Filter::Not(Box::new(f))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn filters_mean_what_they_say(filter in filters()) {
        let (city, rows) = &*CORPUS;
        let page = city.ask(&everyone(), &SearchRequest { filters: filter.clone(), facets: vec!["court".into()], ..request("") });
        let truth: BTreeSet<String> = rows.iter().filter(|r| holds(&filter, r)).map(|r| r["id"].to_text()).collect();
        prop_assert_eq!(page.total as usize, truth.len());
        prop_assert_eq!(page.hits.iter().map(|h| h.id.clone()).collect::<BTreeSet<_>>(), truth.clone());
        let counted: u64 = page.facets["court"].iter().map(|f| f.count).sum();
        prop_assert_eq!(counted as usize, rows.iter().filter(|r| truth.contains(&r["id"].to_text()) && r.contains_key("court")).count());
    }

    #[test]
    fn no_query_fails(query in "\\PC{0,30}|[-“”\"「」非 NOT张，。盗窃电动车]{0,20}|[\\s\\S]{0,10}") {
        let (city, _) = &*CORPUS;
        let page = city.ask(&everyone(), &request(&query));
        prop_assert!(page.hits.iter().all(|h| h.score.is_finite()));
        city.ask(&person("plain", "310104"), &request(&query));
    }
}

#[test]
fn pages_follow_on_without_gaps_in_any_order() {
    let (city, rows) = &*CORPUS;
    for sort in
        [None, Some("months"), Some("-months"), Some("court"), Some("-court"), Some("decided"), Some("-filed_at")]
    {
        for query in ["", "的 在"] {
            let ask = |offset, limit| {
                let request = SearchRequest { sort: sort.map(String::from), offset, limit, ..request(query) };
                city.ask(&everyone(), &request)
            };
            let all = ask(0, 1_000);
            let paged: Vec<String> =
                (0..all.total as usize).step_by(7).flat_map(|at| ask(at, 7).hits).map(|h| h.id).collect();
            assert_eq!(paged, all.hits.iter().map(|h| h.id.clone()).collect::<Vec<_>>(), "{sort:?} {query}");
            if let Some(sort) = sort {
                let name = sort.trim_start_matches('-');
                let values: Vec<Value> =
                    all.hits.iter().map(|h| h.fields.get(name).cloned().unwrap_or_default()).collect();
                for pair in values.windows(2) {
                    let nulls_last = pair[1].is_null() || !pair[0].is_null();
                    let order =
                        if sort.starts_with('-') { pair[1].total_cmp(&pair[0]) } else { pair[0].total_cmp(&pair[1]) };
                    assert!(nulls_last && (pair[1].is_null() || order.is_le()), "{sort}: {pair:?}");
                }
            }
        }
    }
    assert_eq!(city.ask(&everyone(), &SearchRequest { limit: 0, ..request("") }).total as usize, rows.len());
}

#[test]
fn the_exact_words_come_first_and_some_alike_after() {
    let city = City::new();
    city.put(
        "judgment",
        &[
            row("exact", &[("text", text("因交通肇事赔偿纠纷一案"))]),
            row("near", &[("text", text("交通肇事后未赔偿"))]),
            row("both", &[("text", text("盗窃电动车一辆"))]),
            row("one", &[("text", text("电动车充电引发火灾，电动车，电动车，电动车"))]),
            row("far", &[("text", text("通过事后付款"))]),
        ],
        None,
    );
    assert_eq!(city.ids("交通肇事赔偿"), ["exact", "near"]);
    assert_eq!(city.ids("盗窃　电动车"), ["both", "one"]);
    assert_eq!(city.ids("电动车 -盗窃"), ["one"]);
    assert_eq!(city.ids("“电动车” 火灾"), ["one", "both"]);
    // One word that nowhere is does not hide the others.
    assert_eq!(city.ids("魑魅魍魉 盗窃"), ["both"]);
    // A question in words nobody wrote still finds what is alike.
    assert_eq!(city.ids("请问我的朋友骑车发生了交通肇事以后，他应该怎么样赔偿给我们呢")[..2], ["near", "exact"]);
    assert!(city.ids("怎么赔偿呢").contains(&"near".to_string()));
    assert!(city.ids("饕餮").is_empty());
}

#[test]
fn hits_have_typed_fields_and_passages() {
    let city = City::new();
    let long = format!("{}经审理查明，被告人张三盗窃电动车一辆。{}", "甲".repeat(400), "乙".repeat(400));
    city.put(
        "judgment",
        &[row(
            "a",
            &[
                ("text", text(&long)),
                ("case_number", text("（2020）沪0104刑初1号")),
                ("amount", Value::Decimal { units: 120_550, scale: 2 }),
                ("decided", Value::Date(NaiveDate::from_ymd_opt(2020, 5, 6).expect("a day"))),
                ("filed_at", Value::Instant(1_588_700_000_000)),
                ("appealed", Value::Bool(false)),
                ("place", Value::Point(121.5, 31.25)),
                ("charge", text("theft")),
            ],
        )],
        None,
    );
    let request =
        SearchRequest { facets: vec!["charge".into(), "decided".into(), "appealed".into()], ..request("盗窃") };
    let page = city.ask(&everyone(), &request);
    let hit = &page.hits[0];
    assert_eq!(hit.fields["amount"], Value::Decimal { units: 120_550, scale: 2 });
    assert_eq!(hit.fields["place"], Value::Point(121.5, 31.25));
    assert_eq!(hit.fields["appealed"], Value::Bool(false));
    assert!(!hit.fields.contains_key("text"), "long texts are shown by passages");
    let passage = &hit.highlights[0];
    assert!(passage.field == "text" && passage.text.chars().count() <= 120);
    assert_eq!(long.chars().skip(passage.offset).take(passage.text.chars().count()).collect::<String>(), passage.text);
    assert_eq!(page.facets["charge"][0].label.as_deref(), Some("盗窃罪"));
    assert_eq!(page.facets["decided"][0].value, "2020-05-06");
    assert_eq!(page.facets["appealed"][0].value, "false");
    // Without words the beginning is shown.
    assert_eq!(city.ask(&everyone(), &self::request("")).hits[0].highlights[0].offset, 0);
    assert_eq!(
        city.indexes.state("judgment").watermark,
        Some(zonglan_catalog::time::local_midnight(NaiveDate::from_ymd_opt(2020, 5, 6).expect("a day")))
    );
    let keys = city.indexes.matching_keys("judgment", "text", "盗窃 电动车", 10).expect("answers");
    assert_eq!(keys, [RowKey::of(["a"])]);
    assert!(city.indexes.matching_keys("judgment", "text", "盗窃", 0).is_err());
}

#[tokio::test]
async fn a_cancelled_search_says_so() {
    let (city, _) = &*CORPUS;
    let cancel = Cancel::default();
    let bound = city.bind(&everyone(), &request("盗窃"));
    assert!(city.indexes.search(&bound, &cancel).await.is_ok());
    cancel.cancel();
    assert!(city.indexes.search(&bound, &cancel).await.is_err());
}
