//! Speed on generated judgments: indexing in bytes of text, and searches by kind.
//!
//! `ZONGLAN_BENCH_DOCS` sets the number of texts (20,000 unless set), each of about 700 bytes.

#[path = "../tests/it/city.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod city;

use city::{Dice, catalogue, everyone, judgment, person, request, row, text};
use divan::counter::BytesCount;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use zonglan_catalog::batch::Batch;
use zonglan_catalog::search::SearchRequest;
use zonglan_catalog::traits::{Cancel, RowSink};
use zonglan_catalog::{Catalogue, Principal, Value, bind_search};
use zonglan_search::{Indexes, Options};

fn main() {
    divan::main();
}

fn docs() -> usize {
    std::env::var("ZONGLAN_BENCH_DOCS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000)
}

/// Texts made of 20,000 different sentences, so that terms repeat as in real ones.
fn rows(count: usize) -> (Vec<BTreeMap<String, Value>>, usize) {
    let mut dice = Dice(9);
    let sentences: Vec<String> = (0..20_000).map(|_| judgment(&mut dice, 12)).collect();
    let mut bytes = 0;
    let rows = (0..count)
        .map(|i| {
            let body: String = (0..8).map(|_| dice.pick(&sentences)).collect();
            bytes += body.len();
            let fields = [
                ("text", text(&body)),
                ("case_number", text(&format!("（2020）沪0104刑初{i}号"))),
                ("court", text(dice.pick(&["徐汇法院", "长宁法院", "静安法院"]))),
                ("charge", text(dice.pick(&["theft", "fraud"]))),
                ("district", text(dice.pick(&["310104", "310105"]))),
                ("months", Value::Int(dice.below(60) as i64)),
            ];
            row(&format!("j{i}"), &fields)
        })
        .collect();
    (rows, bytes)
}

fn fill(indexes: &Indexes, catalogue: &Catalogue, rows: &[BTreeMap<String, Value>]) {
    let dataset = catalogue.dataset("judgment").expect("there");
    let mut txn = indexes.begin(dataset).expect("begins");
    for part in rows.chunks(2_000) {
        let mut batch = Batch::new(dataset);
        part.iter().for_each(|row| batch.push_fields(dataset, row));
        txn.upsert(&batch).expect("upserts");
    }
    txn.commit(None).expect("commits");
}

static FILLED: LazyLock<(Indexes, Arc<Catalogue>, tempfile::TempDir)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder");
    let catalogue = catalogue();
    let indexes = Indexes::open(dir.path(), catalogue.clone(), Options::default()).expect("opens");
    fill(&indexes, &catalogue, &rows(docs()).0);
    indexes.close();
    (indexes, catalogue, dir)
});

#[divan::bench(sample_count = 2)]
fn index(bencher: divan::Bencher) {
    let (rows, bytes) = rows(docs());
    let catalogue = catalogue();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let indexes = Indexes::open(dir.path(), catalogue.clone(), Options::default()).expect("opens");
        fill(&indexes, &catalogue, &rows);
    });
}

fn search(bencher: divan::Bencher, who: &Principal, query: &str) {
    let (indexes, catalogue, _dir) = &*FILLED;
    let request = SearchRequest {
        facets: vec!["court".into(), "charge".into(), "district".into(), "months".into()],
        limit: 20,
        ..request(query)
    };
    let bound = bind_search(catalogue, catalogue.policy(), who, &request, 0).expect("binds");
    bencher.bench(|| indexes.search_blocking(&bound, &Cancel::default()).expect("answers").total);
}

const QUERIES: &[&str] = &[
    "",
    "\"交通肇事\"",
    "“被告人张三”",
    "\"的\"",
    "盗窃 电动车",
    "盗窃 \"本院认为\" -自首",
    "（2020）沪0104刑初684号",
    "朋友借了我的电动车以后发生交通肇事逃逸，我应该怎么起诉他要求赔偿",
];

#[divan::bench(args = QUERIES)]
fn full_view(bencher: divan::Bencher, query: &str) {
    search(bencher, &everyone(), query);
}

#[divan::bench(args = QUERIES)]
fn one_district(bencher: divan::Bencher, query: &str) {
    search(bencher, &person("plain", "310104"), query);
}
