//! A small city: datasets with every kind of field and measure, and rows for them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use zonglan_catalog::batch::{Batch, RowKey};
use zonglan_catalog::bind::{BoundQuery, bind};
use zonglan_catalog::load::{Catalogue, SourceFile};
use zonglan_catalog::policy::Principal;
use zonglan_catalog::table::Table;
use zonglan_catalog::time::local_instant;
use zonglan_catalog::traits::{Cancel, Committed, Cursor, RowSink};
use zonglan_catalog::value::Value;
use zonglan_olap::{Options, Store};

pub type Fields = BTreeMap<String, Value>;

const INCIDENT: &str = r#"
name = "incident"
label = { zh = "警情", en = "Incident" }
source = "import"
key = ["id"]
time = "at"
region = "street"
owner = "公安局"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text" },
  { name = "at", label = { zh = "时间", en = "At" }, type = "instant" },
  { name = "closed_at", label = { zh = "办结", en = "Closed" }, type = "instant" },
  { name = "day", label = { zh = "日", en = "Day" }, type = "date" },
  { name = "street", label = { zh = "街道", en = "Street" }, type = "region", level = "street" },
  { name = "category", label = { zh = "类别", en = "Category" }, type = "code", codes = "category" },
  { name = "person", label = { zh = "人", en = "Person" }, type = "text", person_key = true },
  { name = "minutes", label = { zh = "分钟", en = "Minutes" }, type = "int" },
  { name = "loss", label = { zh = "损失", en = "Loss" }, type = "decimal", scale = 2 },
  { name = "injured", label = { zh = "受伤", en = "Injured" }, type = "bool" },
  { name = "phone", label = { zh = "电话", en = "Phone" }, type = "text", sensitivity = "personal", mask = "phone" },
  { name = "place", label = { zh = "地点", en = "Place" }, type = "point" },
  { name = "text", label = { zh = "内容", en = "Text" }, type = "text", search = "zh" },
]
"#;

const MEASURES: &str = r#"
[[measure]]
name = "count"
agg = "count"
unit = "件"
[[measure]]
name = "loss_sum"
agg = "sum"
field = "loss"
[[measure]]
name = "loss_avg"
agg = "avg"
field = "loss"
[[measure]]
name = "minutes_avg"
agg = "avg"
field = "minutes"
digits = 1
[[measure]]
name = "minutes_min"
agg = "min"
field = "minutes"
[[measure]]
name = "last_at"
agg = "max"
field = "at"
[[measure]]
name = "minutes_p90"
agg = "quantile"
field = "minutes"
q = 0.9
[[measure]]
name = "loss_median"
agg = "quantile"
field = "loss"
q = 0.5
digits = 1
[[measure]]
name = "persons"
agg = "distinct"
field = "person"
[[measure]]
name = "lengths"
agg = "distinct"
field = "minutes"
[[measure]]
name = "theft"
agg = "count"
where = { category = { in = ["theft"] } }
[[measure]]
name = "slow_loss"
agg = "sum"
field = "loss"
where = { minutes = { gte = 20 } }
[[measure]]
name = "theft_rate"
agg = "ratio"
numerator = "theft"
denominator = "count"
factor = 100
digits = 1
[[measure]]
name = "open"
agg = "stock"
start = "at"
end = "closed_at"
[[measure]]
name = "per_10k"
agg = "ratio"
numerator = "count"
denominator = "population.residents"
factor = 10000
"#;

const ROLLUPS: &str = r#"
[[rollup]]
name = "day"
grain = "day"
dimensions = ["street", "category"]
measures = ["count", "loss_sum", "loss_avg", "slow_loss", "theft", "persons"]
[[rollup]]
name = "month"
grain = "month"
dimensions = ["street"]
measures = ["count", "minutes_avg"]
[[rollup]]
name = "hour"
grain = "hour"
dimensions = ["street"]
measures = ["count"]
"#;

const POPULATION: &str = r#"
name = "population"
label = { zh = "人口", en = "Population" }
source = "import"
key = ["street"]
region = "street"
owner = "统计局"
field = [
  { name = "street", label = { zh = "街道", en = "Street" }, type = "region", level = "street" },
  { name = "people", label = { zh = "人", en = "People" }, type = "int" },
]
[[measure]]
name = "residents"
agg = "sum"
field = "people"
"#;

const REQUEST: &str = r#"
name = "request"
label = { zh = "诉件", en = "Request" }
source = "import"
key = ["id"]
time = "day"
region = "street"
owner = "热线"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text" },
  { name = "day", label = { zh = "日", en = "Day" }, type = "date" },
  { name = "street", label = { zh = "街道", en = "Street" }, type = "region", level = "street" },
]
[[measure]]
name = "count"
agg = "count"
"#;

const PATIENT: &str = r#"
name = "patient"
label = { zh = "人员", en = "People" }
source = "import"
key = ["id"]
time = "seen_at"
region = "street"
owner = "卫健委"
people = true
people_dimensions = [["street", "kind"]]
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text", search = "keyword" },
  { name = "seen_at", label = { zh = "时间", en = "Seen at" }, type = "instant" },
  { name = "street", label = { zh = "街道", en = "Street" }, type = "region", level = "street" },
  { name = "kind", label = { zh = "类", en = "Kind" }, type = "code", codes = "category" },
  { name = "visits", label = { zh = "次", en = "Visits" }, type = "int" },
]
[[measure]]
name = "count"
agg = "count"
[[measure]]
name = "visits_sum"
agg = "sum"
field = "visits"
[[measure]]
name = "visits_max"
agg = "max"
field = "visits"
[[measure]]
name = "visits_avg"
agg = "avg"
field = "visits"
[[measure]]
name = "thefts"
agg = "count"
where = { kind = { eq = "theft" } }
[[measure]]
name = "theft_rate"
agg = "ratio"
numerator = "thefts"
denominator = "count"
factor = 100
"#;

const REGION: &str = r#"
name = "region"
label = { zh = "区域", en = "Region" }
basis = "demo"
item = [
  { code = "310101", zh = "黄浦", en = "Huangpu" },
  { code = "310104", zh = "徐汇", en = "Xuhui" },
  { code = "310101001", zh = "甲", en = "A", parent = "310101" },
  { code = "310101002", zh = "乙", en = "B", parent = "310101" },
  { code = "310104003", zh = "丙", en = "C", parent = "310104" },
]
"#;

const CATEGORY: &str = r#"
name = "category"
label = { zh = "类别", en = "Category" }
basis = "demo"
item = [
  { code = "theft", zh = "盗窃", en = "Theft" },
  { code = "fraud", zh = "诈骗", en = "Fraud" },
  { code = "other", zh = "其他", en = "Other" },
]
"#;

const ROLE: &str = "name = \"analyst\"\nlabel = { zh = \"分析\", en = \"Analyst\" }\nread = [\"*\"]\nrows = true\nclear = [\"internal\"]\n";

const CALENDAR: [&str; 2] = [
    "year = 2024\nbasis = \"demo\"\noff = [\"2024-01-01\"]\nwork = [\"2024-02-04\"]\n",
    "year = 2025\nbasis = \"demo\"\noff = [\"2025-01-01\"]\nwork = [\"2025-01-26\"]\n",
];

pub const STREETS: [&str; 3] = ["310101001", "310101002", "310104003"];

pub fn catalogue() -> Arc<Catalogue> {
    catalogue_with("")
}

/// The catalogue with one more field in `incident`.
pub fn catalogue_with(more: &str) -> Arc<Catalogue> {
    build(more, REGION)
}

/// The catalogue in which districts were replaced by others.
pub fn catalogue_of(replaced: &[(&str, &str)]) -> Arc<Catalogue> {
    let items: String = replaced
        .iter()
        .map(|(old, new)| format!("  {{ code = \"{old}\", zh = \"原\", en = \"Former\", replaced_by = \"{new}\" }},\n"))
        .collect();
    build("", &REGION.replacen("item = [\n", &format!("item = [\n{items}"), 1))
}

fn build(more: &str, region: &str) -> Arc<Catalogue> {
    let labelled =
        |text: &str| text.replace("agg =", "label = { zh = \"数\", en = \"N\" }\ndefinition = \"按定义\"\nagg =");
    let incident = INCIDENT.replace("]\n\"#", "").trim_end().trim_end_matches(']').to_string() + more + "]\n";
    let file = |path: &str, text: &str| SourceFile { path: format!("t/{path}.toml"), text: text.to_string() };
    let files = [
        file("datasets/incident", &labelled(&(incident + MEASURES + ROLLUPS))),
        file("datasets/population", &labelled(POPULATION)),
        file("datasets/request", &labelled(REQUEST)),
        file("datasets/patient", &labelled(PATIENT)),
        file("codes/region", region),
        file("codes/category", CATEGORY),
        file("policy/analyst", ROLE),
        file("calendar/2024", CALENDAR[0]),
        file("calendar/2025", CALENDAR[1]),
    ];
    Arc::new(Catalogue::parse(&files).unwrap_or_else(|e| panic!("{e}")))
}

pub fn principal(regions: &[&str]) -> Principal {
    Principal {
        user: "a".into(),
        name: "a".into(),
        roles: vec!["analyst".into()],
        regions: regions.iter().map(ToString::to_string).collect(),
        purpose: None,
        grants: Vec::new(),
        grants_version: 0,
    }
}

pub fn bound(catalogue: &Catalogue, query: &serde_json::Value) -> BoundQuery {
    bound_in(catalogue, query, &["310000"])
}

pub fn bound_in(catalogue: &Catalogue, query: &serde_json::Value, regions: &[&str]) -> BoundQuery {
    let query = serde_json::from_value(query.clone()).expect("a query");
    bind(catalogue, catalogue.policy(), &principal(regions), &query, instant("2025-03-10T12:00:00"))
        .unwrap_or_else(|e| panic!("{e}"))
}

pub fn bound_if_valid(catalogue: &Catalogue, query: &serde_json::Value) -> Option<BoundQuery> {
    let query = serde_json::from_value(query.clone()).ok()?;
    bind(catalogue, catalogue.policy(), &principal(&["310000"]), &query, instant("2025-03-10T12:00:00")).ok()
}

pub fn open(dir: &Path) -> Store {
    open_as(dir, catalogue())
}

pub fn open_as(dir: &Path, catalogue: Arc<Catalogue>) -> Store {
    let options = Options { memory_budget: 64 << 20, threads: 2, rollup_min_rows: u64::MAX, ..Options::default() };
    Store::open(dir, options, catalogue).expect("opens")
}

/// A store that keeps rollups of the smallest datasets.
pub fn open_rolled(dir: &Path) -> Store {
    let options = Options { memory_budget: 64 << 20, threads: 2, rollup_min_rows: 0, ..Options::default() };
    Store::open(dir, options, catalogue()).expect("opens")
}

pub fn ask(store: &Store, query: serde_json::Value) -> Table {
    let catalogue = catalogue();
    store.query_blocking(&bound(&catalogue, &query), &Cancel::default()).unwrap_or_else(|e| panic!("{query}: {e}"))
}

/// The answer as JSON rows, for comparison with what a person worked out.
pub fn rows(table: &Table) -> serde_json::Value {
    serde_json::to_value(&table.rows).expect("json")
}

pub fn instant(text: &str) -> i64 {
    local_instant(text.parse().expect("a local time"))
}

pub fn fields(pairs: &[(&str, Value)]) -> Fields {
    pairs.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
}

pub fn key(id: &str) -> RowKey {
    RowKey::of([id])
}

/// One commit of rows into a dataset.
pub fn load(store: &Store, dataset: &str, rows: &[Fields], cursor: Option<Cursor>) -> Committed {
    let catalogue = catalogue();
    let dataset = catalogue.dataset(dataset).expect("dataset");
    let mut txn = store.begin(dataset).expect("begins");
    let mut batch = Batch::new(dataset);
    rows.iter().for_each(|row| batch.push_fields(dataset, row));
    txn.upsert(&batch).expect("takes rows");
    txn.commit(cursor.as_ref()).expect("commits")
}
