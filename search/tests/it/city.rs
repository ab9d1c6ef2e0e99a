//! A small catalogue, people who ask, and generated texts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use zonglan_catalog::batch::Batch;
use zonglan_catalog::load::SourceFile;
use zonglan_catalog::search::SearchRequest;
use zonglan_catalog::traits::{Cancel, Committed, Cursor, RowSink};
use zonglan_catalog::{BoundSearch, Catalogue, Principal, SearchPage, Value, bind_search};
use zonglan_search::{Indexes, Options};

const JUDGMENT: &str = r#"
name = "judgment"
label = { zh = "裁判文书", en = "Judgment" }
source = "import"
key = ["id"]
time = "decided"
region = "district"
owner = "法院"
title = "case_number"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text", search = "keyword" },
  { name = "case_number", label = { zh = "案号", en = "Number" }, type = "text", search = "zh" },
  { name = "court", label = { zh = "法院", en = "Court" }, type = "text", search = "keyword" },
  { name = "charge", label = { zh = "罪名", en = "Charge" }, type = "code", codes = "charge", search = "keyword" },
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district", search = "keyword" },
  { name = "decided", label = { zh = "日期", en = "Date" }, type = "date" },
  { name = "filed_at", label = { zh = "立案", en = "Filed" }, type = "instant" },
  { name = "months", label = { zh = "刑期", en = "Months" }, type = "int" },
  { name = "amount", label = { zh = "金额", en = "Amount" }, type = "decimal", scale = 2 },
  { name = "appealed", label = { zh = "上诉", en = "Appealed" }, type = "bool" },
  { name = "place", label = { zh = "地点", en = "Place" }, type = "point" },
  { name = "note", label = { zh = "秘注", en = "Note" }, type = "text", search = "zh", sensitivity = "secret" },
  { name = "suspect", label = { zh = "嫌疑人", en = "Suspect" }, type = "text", sensitivity = "personal", mask = "name", search = "keyword" },
  { name = "phone", label = { zh = "电话", en = "Telephone" }, type = "text", sensitivity = "personal", mask = "phone" },
  { name = "text", label = { zh = "全文", en = "Text" }, type = "text", search = "zh" },
]
"#;

/// Two registers with fields of the same names.
fn register(name: &str) -> String {
    format!(
        r#"
name = "{name}"
label = {{ zh = "{name}", en = "{name}" }}
source = "records"
key = ["id"]
region = "district"
owner = "所"
field = [
  {{ name = "id", label = {{ zh = "编号", en = "Id" }}, type = "text", search = "keyword" }},
  {{ name = "name", label = {{ zh = "名称", en = "Name" }}, type = "text", search = "zh" }},
  {{ name = "district", label = {{ zh = "区", en = "District" }}, type = "region", level = "district", search = "keyword" }},
]
"#
    )
}

/// A register whose records have files.
const DOSSIER: &str = r#"
name = "dossier"
label = { zh = "卷宗", en = "Dossier" }
source = "records"
key = ["id"]
region = "district"
owner = "所"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text", search = "keyword" },
  { name = "name", label = { zh = "名称", en = "Name" }, type = "text", search = "zh" },
  { name = "amount", label = { zh = "金额", en = "Amount" }, type = "decimal", scale = 2 },
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district", search = "keyword" },
]
[register]
numbering = "JZ{seq:4}"
lifecycle = ["register", "change"]
attachments = { max_count = 3 }
"#;

fn code(list: &str, items: &[(&str, &str)]) -> String {
    let mut text = format!("name = \"{list}\"\nlabel = {{ zh = \"表\", en = \"List\" }}\nbasis = \"test\"\n");
    for (code, zh) in items {
        text.push_str(&format!("[[item]]\ncode = \"{code}\"\nzh = \"{zh}\"\nen = \"{code}\"\n"));
    }
    text
}

fn role(name: &str, clear: &str, full: bool) -> String {
    format!(
        "name = \"{name}\"\nlabel = {{ zh = \"{name}\", en = \"{name}\" }}\nread = [\"*\"]\nclear = [{clear}]\nrows = true\nfull_view = {full}\n"
    )
}

pub fn catalogue() -> Arc<Catalogue> {
    catalogue_with(JUDGMENT)
}

/// With another definition of judgments: `from` replaced by `to` in the usual one.
pub fn catalogue_where(from: &str, to: &str) -> Arc<Catalogue> {
    assert!(JUDGMENT.contains(from), "{from}");
    catalogue_with(&JUDGMENT.replace(from, to))
}

fn catalogue_with(judgment: &str) -> Arc<Catalogue> {
    let file = |path: &str, text: String| SourceFile { path: path.into(), text };
    let files = [
        file("t/datasets/judgment.toml", judgment.into()),
        file("t/datasets/premises.toml", register("premises")),
        file("t/datasets/company.toml", register("company")),
        file("t/datasets/dossier.toml", DOSSIER.into()),
        file("t/codes/charge.toml", code("charge", &[("theft", "盗窃罪"), ("fraud", "诈骗罪")])),
        file(
            "t/codes/region.toml",
            code("region", &[("310000", "上海市"), ("310104", "徐汇区"), ("310105", "长宁区")]),
        ),
        file("t/synonyms/legal.toml", include_str!("../../../catalog/packs/politics_law/synonyms/legal.toml").into()),
        file("t/policy/all.toml", role("all", "\"public\", \"internal\", \"personal\", \"secret\"", true)),
        file("t/policy/plain.toml", role("plain", "\"public\", \"internal\"", false)),
    ];
    Arc::new(Catalogue::parse(&files).expect("the test catalogue is valid"))
}

pub fn person(role: &str, region: &str) -> Principal {
    Principal {
        user: format!("{role}-{region}"),
        name: role.into(),
        roles: vec![role.into()],
        regions: vec![region.into()],
        purpose: None,
        grants: Vec::new(),
        grants_version: 0,
    }
}

pub fn everyone() -> Principal {
    person("all", "310000")
}

/// Indexes in a folder of their own.
pub struct City {
    pub catalogue: Arc<Catalogue>,
    pub indexes: Indexes,
    _dir: tempfile::TempDir,
}

impl City {
    pub fn new() -> Self {
        Self::with(small())
    }

    pub fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let catalogue = catalogue();
        let indexes = Indexes::open(dir.path(), catalogue.clone(), options).expect("the indexes open");
        Self { catalogue, indexes, _dir: dir }
    }

    pub fn bind(&self, who: &Principal, request: &SearchRequest) -> BoundSearch {
        bind_search(&self.catalogue, self.catalogue.policy(), who, request, 0).expect("the request binds")
    }

    pub fn ask(&self, who: &Principal, request: &SearchRequest) -> SearchPage {
        self.indexes.search_blocking(&self.bind(who, request), &Cancel::default()).expect("the search answers")
    }

    pub fn put(&self, dataset: &str, rows: &[BTreeMap<String, Value>], cursor: Option<&Cursor>) -> Committed {
        put(&self.indexes, &self.catalogue, dataset, rows, cursor)
    }

    /// Ids of the hits of a query, in order.
    pub fn ids(&self, query: &str) -> Vec<String> {
        let page = self.ask(&everyone(), &request(query));
        assert_eq!(page.total as usize, page.hits.len(), "{query}");
        page.hits.into_iter().map(|h| h.id).collect()
    }
}

/// Small buffers: many segments from few texts.
fn small() -> Options {
    Options { writer_memory: 32 << 20, ..Options::default() }
}

pub fn open(dir: &Path, catalogue: &Arc<Catalogue>) -> Indexes {
    Indexes::open(dir, catalogue.clone(), small()).expect("the indexes open")
}

pub fn put(
    indexes: &Indexes,
    catalogue: &Catalogue,
    dataset: &str,
    rows: &[BTreeMap<String, Value>],
    cursor: Option<&Cursor>,
) -> Committed {
    let dataset = catalogue.dataset(dataset).expect("a dataset");
    let mut batch = Batch::new(dataset);
    rows.iter().for_each(|row| batch.push_fields(dataset, row));
    let mut txn = indexes.begin(dataset).expect("begins");
    txn.upsert(&batch).expect("upserts");
    txn.commit(cursor).expect("commits")
}

pub fn request(query: &str) -> SearchRequest {
    SearchRequest { dataset: "judgment".into(), query: query.into(), limit: 1_000, ..SearchRequest::default() }
}

pub fn row(id: &str, fields: &[(&str, Value)]) -> BTreeMap<String, Value> {
    let mut row: BTreeMap<String, Value> =
        fields.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    row.insert("id".into(), text(id));
    row
}

pub fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A small generator of numbers (splitmix64), so that tests say the same every time.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

const WORDS: &[&str] = &[
    "被告人",
    "张三",
    "李四",
    "王大锤",
    "盗窃",
    "诈骗",
    "电动车",
    "电动自行车",
    "人民币",
    "元",
    "上海市",
    "徐汇区",
    "长宁区",
    "人民法院",
    "经审理查明",
    "本院认为",
    "判决如下",
    "有期徒刑",
    "六个月",
    "缓刑",
    "自首",
    "累犯",
    "的",
    "了",
    "在",
    "于",
    "其",
    "并",
    "事逃不掉",
    "逃逸之后",
    "交通肇事",
    "肇事逃逸",
    "哈哈哈",
    "手机",
    "iPhone X",
    "ＡＢＣ",
    "WIFI",
    "車輛",
    "損壞",
];
const MARKS: &[&str] =
    &["，", "。", "、", "；", "：", "“", "”", "《刑法》", "\n", "　", " ", "——", "…", "（", "）", "第264条", "％"];
const BRACKETS: &[(&str, &str)] = &[("（", "）"), ("(", ")"), ("〔", "〕"), ("［", "］"), ("[", "]"), ("【", "】")];

/// A text like those of courts: words, digits, punctuation, case numbers in all brackets, and now
/// and then any character.
pub fn judgment(dice: &mut Dice, words: usize) -> String {
    let mut text = String::new();
    for _ in 0..words {
        match dice.below(20) {
            0 => {
                let (open, close) = dice.pick(BRACKETS);
                let year = 2010 + dice.below(15);
                let (court, number) = (101 + dice.below(20), 1 + dice.below(900));
                text.push_str(&format!("{open}{year}{close}沪0{court}刑初{number}号"));
            }
            1 => text.push_str(&format!("{}年{}月{}日", 2010 + dice.below(15), 1 + dice.below(12), 1 + dice.below(28))),
            2 => text.push_str(&format!("{}.{:02}", dice.below(10_000), dice.below(100))),
            3..=7 => text.push_str(dice.pick(MARKS)),
            8 => text.extend(char::from_u32(0x4E00 + dice.below(0x51A5) as u32)),
            9 if dice.below(4) == 0 => text.extend(char::from_u32(0x20000 + dice.below(0x2000) as u32)),
            _ => text.push_str(dice.pick(WORDS)),
        }
    }
    text
}
