//! Tests of the stores on temporary directories.

mod flow;
mod identity;
mod lists;
mod protect;
mod rate;
mod records;
mod verify;
mod work;

use super::*;
use serde_json::{Map, Value as Json};
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;
use zonglan_catalog::load::SourceFile;
use zonglan_catalog::policy::Principal;

/// 2026-03-15 08:00 in Shanghai.
const START: i64 = 1_773_532_800_000;

/// A clock that tests move.
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn add(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub const PREMISES: &str = r#"
name = "premises"
label = { zh = "单位", en = "Premises" }
source = "records"
key = ["id"]
region = "district"
owner = "治安总队"
title = "name"
list = ["name", "kind", "district", "rooms", "opened", "owner_phone"]
[register]
numbering = "{prefix}{yyyy}{seq:6}"
lifecycle = ["register", "change", "close", "restore"]
unique = ["licence"]
[[field]]
name = "id"
label = { zh = "编号", en = "Id" }
type = "text"
required = true
[[field]]
name = "name"
label = { zh = "名称", en = "Name" }
type = "text"
required = true
max_length = 20
search = "zh"
[[field]]
name = "kind"
label = { zh = "类别", en = "Kind" }
type = "code"
codes = "kind"
required = true
[[field]]
name = "district"
label = { zh = "所属区", en = "District" }
type = "region"
codes = "district"
level = "district"
required = true
[[field]]
name = "licence"
label = { zh = "许可证号", en = "Licence" }
type = "text"
[[field]]
name = "rooms"
label = { zh = "房间数", en = "Rooms" }
type = "int"
min = 0
max = 5000
[[field]]
name = "area"
label = { zh = "面积", en = "Area" }
type = "decimal"
scale = 2
[[field]]
name = "opened"
label = { zh = "开业日期", en = "Opened" }
type = "date"
[[field]]
name = "checked_at"
label = { zh = "最近检查", en = "Checked" }
type = "instant"
[[field]]
name = "place"
label = { zh = "位置", en = "Place" }
type = "point"
[[field]]
name = "owner_phone"
label = { zh = "负责人电话", en = "Phone" }
type = "text"
sensitivity = "personal"
mask = "phone"
[[measure]]
name = "count"
label = { zh = "单位数", en = "Premises" }
agg = "count"
unit = "家"
definition = "登记在册的单位数"
"#;

const INSPECTION: &str = r#"
name = "inspection"
label = { zh = "检查", en = "Inspection" }
source = "records"
key = ["id"]
region = "district"
owner = "治安总队"
parent = { dataset = "premises", field = "premises_id" }
[register]
numbering = "JC{seq:4}"
[[field]]
name = "id"
label = { zh = "编号", en = "Id" }
type = "text"
required = true
[[field]]
name = "premises_id"
label = { zh = "单位编号", en = "Premises" }
type = "ref"
required = true
[[field]]
name = "district"
label = { zh = "所属区", en = "District" }
type = "region"
codes = "district"
level = "district"
required = true
[[field]]
name = "result"
label = { zh = "结果", en = "Result" }
type = "text"
[[measure]]
name = "count"
label = { zh = "检查数", en = "Inspections" }
agg = "count"
unit = "次"
definition = "检查次数"
"#;

const KIND: &str = r#"
name = "kind"
label = { zh = "单位类别", en = "Kind" }
basis = "test"
item = [{ code = "hotel", zh = "旅馆", en = "Hotel" }, { code = "bath", zh = "浴场", en = "Bath" }]
"#;

const DISTRICT: &str = r#"
name = "district"
label = { zh = "区", en = "District" }
basis = "GB/T 2260"
item = [{ code = "310104", zh = "徐汇区", en = "Xuhui" }, { code = "310105", zh = "长宁区", en = "Changning" }]
"#;

fn role(name: &str, rest: &str) -> String {
    format!("name = \"{name}\"\nlabel = {{ zh = \"{name}\", en = \"{name}\" }}\nread = [\"*\"]\n{rest}")
}

pub fn catalogue_with(premises: &str) -> Arc<Catalogue> {
    let file = |path: &str, text: String| SourceFile { path: path.into(), text };
    let files = [
        file("t/datasets/premises.toml", premises.into()),
        file("t/datasets/inspection.toml", INSPECTION.into()),
        file("t/codes/kind.toml", KIND.into()),
        file("t/codes/district.toml", DISTRICT.into()),
        file(
            "t/policy/clerk.toml",
            role(
                "clerk",
                "write = [\"*\"]\nimport = [\"premises\"]\nrows = true\nclear = [\"internal\", \"personal\"]",
            ),
        ),
        file("t/policy/desk.toml", role("desk", "write = [\"*\"]\nrows = true\nclear = [\"internal\"]")),
        file("t/policy/leader.toml", role("leader", "clear = [\"internal\"]")),
    ];
    Arc::new(Catalogue::parse(&files).expect("the test's catalogue"))
}

pub fn person(role: &str, region: &str) -> Principal {
    Principal {
        user: format!("{role}-{region}"),
        name: role.into(),
        roles: vec![role.into()],
        regions: vec![region.into()],
        purpose: None,
        grants: Vec::new(),
        grants_version: 1,
    }
}

pub fn city() -> Principal {
    person("clerk", "310000")
}

pub struct Rig {
    pub dir: TempDir,
    pub clock: Arc<TestClock>,
    pub store: Store,
}

pub async fn open(dir: &Path, clock: Arc<TestClock>) -> Result<Store> {
    let options = StoreOptions { address: "test".into(), clock, ..StoreOptions::default() };
    Store::open(dir, catalogue_with(PREMISES), options).await
}

pub async fn rig() -> Rig {
    let dir = tempfile::tempdir().expect("temp dir");
    let clock = Arc::new(TestClock(AtomicI64::new(START)));
    let store = open(dir.path(), clock.clone()).await.expect("opens");
    Rig { dir, clock, store }
}

pub fn fields(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

pub fn hotel(name: &str, district: &str) -> Map<String, Json> {
    fields(serde_json::json!({ "name": name, "kind": "hotel", "district": district }))
}

impl Rig {
    pub async fn add(&self, name: &str, district: &str) -> Record {
        self.store.records.create(&city(), "premises", &hotel(name, district), None).await.expect("created")
    }
}
