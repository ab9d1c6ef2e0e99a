//! The home board's queries over a million incidents made in this process, and the sink's speed.
//! `cargo bench -p zonglan-olap --profile dev`; ZONGLAN_BENCH_ROWS changes the number of rows.

use std::sync::{Arc, OnceLock};
use zonglan_catalog::batch::{Batch, ColumnData, RowKey, TextColumn};
use zonglan_catalog::bind::bind;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::load::{Catalogue, SourceFile};
use zonglan_catalog::policy::Principal;
use zonglan_catalog::traits::{Cancel, RowSink};
use zonglan_olap::{Options, Store};

const INCIDENT: &str = r#"
name = "incident"
label = { zh = "警情", en = "Incident" }
source = "import"
key = ["id"]
time = "at"
shared = true
owner = "公安局"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text" },
  { name = "at", label = { zh = "时间", en = "At" }, type = "instant" },
  { name = "district", label = { zh = "区", en = "District" }, type = "text" },
  { name = "street", label = { zh = "街道", en = "Street" }, type = "text" },
  { name = "category", label = { zh = "类别", en = "Category" }, type = "text" },
  { name = "status", label = { zh = "状态", en = "Status" }, type = "text" },
  { name = "minutes", label = { zh = "分钟", en = "Minutes" }, type = "int" },
  { name = "person", label = { zh = "人", en = "Person" }, type = "text", person_key = true },
  { name = "place", label = { zh = "地点", en = "Place" }, type = "point" },
]
measure = [
  { name = "count", label = { zh = "数", en = "N" }, agg = "count" },
  { name = "minutes_avg", label = { zh = "均", en = "Avg" }, agg = "avg", field = "minutes" },
  { name = "persons", label = { zh = "人数", en = "Persons" }, agg = "distinct", field = "person" },
  { name = "closed", label = { zh = "办结", en = "Closed" }, agg = "count", where = { status = { eq = "closed" } } },
  { name = "closed_rate", label = { zh = "办结率", en = "Rate" }, agg = "ratio", numerator = "closed", denominator = "count", factor = 100 },
]
"#;
const ROLE: &str =
    "name = \"a\"\nlabel = { zh = \"a\", en = \"a\" }\nread = [\"*\"]\nrows = true\nclear = [\"internal\"]\n";
const YEARS: i64 = 3 * 365 * 86_400;
const START: i64 = 1_640_966_400;

fn rows() -> u64 {
    std::env::var("ZONGLAN_BENCH_ROWS").ok().and_then(|r| r.parse().ok()).unwrap_or(1_000_000)
}

fn catalogue() -> Arc<Catalogue> {
    let file = |path: &str, text: &str| SourceFile {
        path: path.into(),
        text: text.replace("agg =", "definition = \"d\", agg ="),
    };
    Arc::new(
        Catalogue::parse(&[file("t/datasets/incident.toml", INCIDENT), file("t/policy/a.toml", ROLE)])
            .unwrap_or_else(|e| panic!("{e}")),
    )
}

fn dataset() -> Arc<Dataset> {
    catalogue().dataset("incident").expect("dataset").clone()
}

fn mix(value: u64) -> u64 {
    let wide = u128::from(value ^ 0xa076_1d64_78bd_642f) * 0xe703_7ed1_a0b4_28db_u128;
    (wide >> 64) as u64 ^ wide as u64
}

/// Rows in no order of time, as exports of several systems come.
fn batches(total: u64) -> Vec<Batch> {
    (0..total)
        .step_by(50_000)
        .map(|first| {
            let ids = first..(first + 50_000).min(total);
            let text = |f: &dyn Fn(u64) -> String| {
                let mut column = TextColumn::default();
                ids.clone().for_each(|id| column.push(Some(&f(mix(id)))));
                ColumnData::Text(column)
            };
            let number = |f: &dyn Fn(u64) -> i64| ids.clone().map(|id| Some(f(mix(id)))).collect::<Vec<_>>();
            Batch {
                keys: ids.clone().map(|id| RowKey::of([id.to_string().as_str()])).collect(),
                columns: vec![
                    text(&|h| format!("A{h:016x}")),
                    ColumnData::Instant(number(&|h| (START + (h % YEARS as u64) as i64) * 1000)),
                    text(&|h| format!("3101{:02}", h % 16)),
                    text(&|h| format!("3101{:02}{:03}", h % 16, (h >> 9) % 14)),
                    text(&|h| format!("c{}", (h >> 20) % 24)),
                    text(&|h| if (h >> 30) % 10 < 7 { "closed".into() } else { "open".into() }),
                    ColumnData::Int(number(&|h| ((h >> 13) % 300) as i64)),
                    text(&|h| format!("{:032x}", mix(h % 400_000))),
                    ColumnData::Point(
                        ids.clone()
                            .map(|id| {
                                Some((121.0 + (mix(id) % 10_000) as f64 / 1e4, 31.0 + (mix(id) >> 32) as f64 / 1e10))
                            })
                            .collect(),
                    ),
                ],
            }
        })
        .collect()
}

fn store() -> &'static (tempfile::TempDir, Store, Arc<Catalogue>) {
    static STORE: OnceLock<(tempfile::TempDir, Store, Arc<Catalogue>)> = OnceLock::new();
    STORE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("folder");
        let catalogue = catalogue();
        let store = Store::open(folder.path(), Options::default(), catalogue.clone()).expect("opens");
        let mut txn = store.begin(&dataset()).expect("begins");
        batches(rows()).iter().for_each(|b| txn.upsert(b).expect("takes"));
        txn.commit(None).expect("commits");
        (folder, store, catalogue)
    })
}

const QUERIES: [(&str, &str); 9] = [
    (
        "district_yoy",
        r#"{"dataset":"incident","measures":["count"],"by":["district"],"range":{"this":"year"},"compare":"yoy"}"#,
    ),
    ("daily_30d", r#"{"dataset":"incident","measures":["count"],"by":[{"time":"day"}],"range":{"last":"30d"}}"#),
    ("category", r#"{"dataset":"incident","measures":["count","minutes_avg"],"by":["category"],"order":["-count"]}"#),
    ("hour_weekday", r#"{"dataset":"incident","measures":["count"],"by":[{"time":"hour_of_day"},{"time":"weekday"}]}"#),
    (
        "newest_20",
        r#"{"dataset":"incident","rows":["id","at","district","street","category","minutes","place"],"where":{"category":{"in":["c1","c2"]}},"limit":20}"#,
    ),
    ("daily_all", r#"{"dataset":"incident","measures":["count"],"by":[{"time":"day"}]}"#),
    (
        "month_category",
        r#"{"dataset":"incident","measures":["count"],"by":[{"time":"month"},"category"],"where":{"district":{"eq":"310104"}}}"#,
    ),
    ("closed_rate", r#"{"dataset":"incident","measures":["closed_rate"],"by":["district"]}"#),
    ("persons_street", r#"{"dataset":"incident","measures":["persons"],"by":["street"]}"#),
];

#[divan::bench(args = QUERIES.map(|q| q.0), sample_count = 20, sample_size = 1)]
fn warm(bencher: divan::Bencher, name: &str) {
    let (_, store, catalogue) = store();
    let text = QUERIES.iter().find(|q| q.0 == name).expect("query").1;
    let principal = Principal {
        user: "a".into(),
        name: "a".into(),
        roles: vec!["a".into()],
        regions: vec!["310000".into()],
        purpose: None,
        grants: Vec::new(),
        grants_version: 0,
    };
    let now = store.state("incident").watermark.expect("rows");
    let query = bind(catalogue, catalogue.policy(), &principal, &serde_json::from_str(text).expect("query"), now)
        .expect("binds");
    store.query_blocking(&query, &Cancel::default()).expect("answers");
    bencher.bench_local(|| store.query_blocking(&query, &Cancel::default()).expect("answers"));
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn sink(bencher: divan::Bencher) {
    let batches = batches(rows());
    bencher
        .counter(divan::counter::ItemsCount::new(rows()))
        .with_inputs(|| tempfile::tempdir().expect("folder"))
        .bench_local_values(|folder| {
            let store = Store::open(folder.path(), Options::default(), catalogue()).expect("opens");
            let mut txn = store.begin(&dataset()).expect("begins");
            batches.iter().for_each(|b| txn.upsert(b).expect("takes"));
            txn.commit(None).expect("commits");
        });
}

/// Queries of the warm list with nothing in memory but the page cache.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn cold_board(bencher: divan::Bencher) {
    let (folder, _, catalogue) = store();
    let principal = Principal {
        user: "a".into(),
        name: "a".into(),
        roles: vec!["a".into()],
        regions: vec!["310000".into()],
        purpose: None,
        grants: Vec::new(),
        grants_version: 0,
    };
    bencher.bench_local(|| {
        let store = Store::read_only(folder.path(), Options::default(), catalogue.clone()).expect("opens");
        let now = store.state("incident").watermark.expect("rows");
        for (_, text) in &QUERIES[..5] {
            let query =
                bind(catalogue, catalogue.policy(), &principal, &serde_json::from_str(text).expect("query"), now)
                    .expect("binds");
            store.query_blocking(&query, &Cancel::default()).expect("answers");
        }
    });
}

fn main() {
    divan::main();
}
