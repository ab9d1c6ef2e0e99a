//! Tests of binding: what each role may ask, and what it gets.

use super::*;
use crate::error::ErrorClass;
use crate::load::SourceFile;
use crate::policy::Grant;

const DATASET: &str = r#"
name = "incident"
label = { zh = "警情", en = "Incident" }
source = "import"
key = ["id"]
time = "at"
region = "district"
owner = "公安局"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text" },
  { name = "at", label = { zh = "时间", en = "At" }, type = "instant" },
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district" },
  { name = "text", label = { zh = "内容", en = "Text" }, type = "text", search = "zh" },
  { name = "loss", label = { zh = "损失", en = "Loss" }, type = "decimal", scale = 2 },
  { name = "caller", label = { zh = "报警人", en = "Caller" }, type = "text", sensitivity = "personal", mask = "name" },
]
[[measure]]
name = "count"
label = { zh = "数", en = "Count" }
agg = "count"
definition = "全部"
[[measure]]
name = "per_10k"
label = { zh = "万人数", en = "Per 10k" }
agg = "ratio"
numerator = "count"
denominator = "population.residents"
factor = 10000
definition = "每万人"
"#;

const POPULATION: &str = r#"
name = "population"
label = { zh = "人口", en = "Population" }
source = "import"
key = ["district"]
region = "district"
owner = "统计局"
field = [
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district" },
  { name = "people", label = { zh = "人", en = "People" }, type = "int" },
]
[[measure]]
name = "residents"
label = { zh = "常住人口", en = "Residents" }
agg = "sum"
field = "people"
definition = "常住"
"#;

const REGION: &str = r#"
name = "region"
label = { zh = "区域", en = "Region" }
basis = "GB/T 2260"
item = [
  { code = "310104", zh = "徐汇区", en = "Xuhui" },
  { code = "310101", zh = "黄浦区", en = "Huangpu" },
  { code = "310103", zh = "卢湾区", en = "Luwan", replaced_by = "310101" },
]
"#;

fn role(name: &str, rest: &str) -> SourceFile {
    file(
        &format!("policy/{name}.toml"),
        &format!("name = \"{name}\"\nlabel = {{ zh = \"{name}\", en = \"{name}\" }}\n{rest}"),
    )
}

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: format!("t/{path}"), text: text.to_string() }
}

fn catalogue() -> Catalogue {
    Catalogue::parse(&[
        file("datasets/incident.toml", DATASET),
        file("datasets/population.toml", POPULATION),
        file("codes/region.toml", REGION),
        role("leader", "read = [\"*\"]\nrows = true\nclear = [\"internal\"]\nfull_view = true"),
        role("counter", "read = [\"incident\"]"),
    ])
    .expect("the test catalogue is valid")
}

fn principal(role: &str, region: &str) -> Principal {
    Principal {
        user: format!("{role}-{region}"),
        name: role.to_string(),
        roles: vec![role.to_string()],
        regions: vec![region.to_string()],
        purpose: None,
        grants: Vec::new(),
        grants_version: 0,
    }
}

fn query(json: &str) -> Query {
    serde_json::from_str(json).expect("the query reads")
}

const COUNT: &str = r#"{"dataset":"incident","measures":["count"],"by":["district"]}"#;
const ROWS: &str = r#"{"dataset":"incident","rows":["id","caller"]}"#;

fn bound(who: &Principal, json: &str) -> Result<BoundQuery> {
    let catalogue = catalogue();
    bind(&catalogue, catalogue.policy(), who, &query(json), 1_000)
}

fn refusal(who: &Principal, json: &str) -> Error {
    bound(who, json).expect_err("must be refused")
}

#[test]
fn the_row_rule_follows_the_region() {
    let city = bound(&principal("leader", "310000"), COUNT).expect("bound");
    assert!(city.parts()[0].row_rule.is_true());
    let district = bound(&principal("leader", "310104"), COUNT).expect("bound");
    assert_eq!(district.parts()[0].row_rule.to_json().to_string(), r#"{"district":{"prefix":"310104"}}"#);
    let nowhere = Principal { regions: Vec::new(), ..principal("leader", "") };
    assert_eq!(refusal(&nowhere, COUNT).class, ErrorClass::Forbidden);
}

#[test]
fn equal_rights_share_a_fingerprint_and_others_do_not() {
    let print = |who: &Principal| bound(who, COUNT).expect("bound").fingerprint();
    let leader = principal("leader", "310104");
    let colleague = Principal { user: "another".into(), name: "x".into(), ..leader.clone() };
    assert_eq!(print(&leader), print(&colleague));
    assert_ne!(print(&leader), print(&principal("leader", "310101")));
    let versions = BTreeMap::from([("incident".to_string(), 1)]);
    let key = |who: &Principal, json: &str| bound(who, json).expect("bound").cache_key(&versions);
    assert_ne!(key(&leader, COUNT), key(&principal("leader", "310101"), COUNT));
    assert_ne!(key(&leader, COUNT), key(&leader, r#"{"dataset":"incident","measures":["count"]}"#));
}

#[test]
fn rows_and_personal_fields_need_the_role() {
    assert_eq!(refusal(&principal("counter", "310000"), ROWS).code, "policy.rows");
    let leader = principal("leader", "310000");
    assert_eq!(bound(&leader, ROWS).expect("bound").masks().get("caller"), Some(&Mask::Name));
    let filtered = r#"{"dataset":"incident","measures":["count"],"where":{"caller":{"eq":"张三"}}}"#;
    assert_eq!(refusal(&leader, filtered).code, "policy.personal");
    let grouped = r#"{"dataset":"incident","measures":["count"],"by":["caller"]}"#;
    assert_eq!(refusal(&leader, grouped).code, "policy.personal");
}

#[test]
fn a_grant_opens_a_field_until_it_expires() {
    let grant = Grant {
        id: "g1".into(),
        dataset: "incident".into(),
        regions: vec!["310101".into()],
        fields: vec!["caller".into()],
        records: Vec::new(),
        purpose: "核查".into(),
        expires: 2_000,
    };
    let who = Principal { grants: vec![grant], ..principal("leader", "310104") };
    let catalogue = catalogue();
    let at = |now| bind(&catalogue, catalogue.policy(), &who, &query(ROWS), now).expect("bound");
    assert!(at(1_000).masks().is_empty());
    assert_eq!(at(1_000).valid_until(), Some(2_000));
    assert!(matches!(&at(1_000).parts()[0].row_rule, Filter::Or(rules) if rules.len() == 2));
    assert!(at(3_000).masks().contains_key("caller"));
    assert!(matches!(&at(3_000).parts()[0].row_rule, Filter::Cmp { .. }));
}

#[test]
fn a_ratio_over_two_datasets_asks_both_under_their_own_rules() {
    let json =
        r#"{"dataset":"incident","measures":["per_10k"],"by":["district"],"where":{"district":{"in":["310103"]}}}"#;
    let q = bound(&principal("leader", "310104"), json).expect("bound");
    assert_eq!(q.parts().len(), 2);
    assert!(q.parts().iter().all(|p| !p.row_rule.is_true()));
    // The old code is read as today's.
    assert_eq!(q.parts()[1].filter.to_json().to_string(), r#"{"district":{"in":["310101"]}}"#);
    // A dataset that the role may not read is not reached through a ratio either.
    assert_eq!(refusal(&principal("counter", "310000"), json).class, ErrorClass::Forbidden);
    let own_filter = r#"{"dataset":"incident","measures":["per_10k"],"where":{"loss":{"gte":5}}}"#;
    assert_eq!(refusal(&principal("leader", "310000"), own_filter).code, "query.drill_across");
}

#[test]
fn mistakes_are_named_with_what_would_be_right() {
    let who = principal("leader", "310000");
    let check = |json: &str, code: &str, word: &str| {
        let error = refusal(&who, json);
        assert_eq!(error.code, code, "{json}");
        assert!(error.to_string().contains(word), "{error}");
    };
    check(r#"{"dataset":"incidents","measures":["count"]}"#, "query.unknown_dataset", "incidents");
    check(r#"{"dataset":"incident","measures":["counts"]}"#, "query.unknown_name", "count, per_10k");
    check(r#"{"dataset":"incident"}"#, "query.empty", "measures");
    check(r#"{"dataset":"incident","measures":["count"],"rows":["id"]}"#, "query.both", "rows");
    check(r#"{"dataset":"incident","measures":["count"],"order":["-counts"]}"#, "query.unknown_column", "count");
    check(r#"{"dataset":"incident","measures":["count"],"where":{"loss":{"gte":"x"}}}"#, "query.value", "loss");
    check(r#"{"dataset":"incident","measures":["count"],"by":["text"]}"#, "query.by", "text");
    check(r#"{"dataset":"incident","measures":["count"],"limit":100000}"#, "query.limit", "10000");
    check(r#"{"dataset":"population","measures":["residents"],"range":{"last":"7d"}}"#, "query.range", "population");
}

#[test]
fn masks_hide_what_they_should() {
    let text = |s: &str| Value::Text(s.to_string());
    let check = |value: &str, rule, expect: &str| assert_eq!(mask(&text(value), rule), text(expect));
    check("张三丰", Mask::Name, "张**");
    check("13812345678", Mask::Phone, "138****5678");
    check("11010519491231002X", Mask::IdNumber, "110***********002X");
    check("华山路88号", Mask::Address, "华山路***");
    check("任何", Mask::Hidden, "***");
    assert_eq!(mask(&Value::Null, Mask::Hidden), Value::Null);
    assert_eq!(mask(&Value::Int(5), Mask::Hidden), text("***"));
}

#[test]
fn guests_are_seen_within_one_hotel_only() {
    let catalogue = Catalogue::builtin().unwrap_or_else(|e| panic!("{e}"));
    let clerk = Principal {
        user: "c".into(),
        name: "c".into(),
        roles: vec!["clerk".into()],
        regions: vec!["310104".into()],
        purpose: None,
        grants: Vec::new(),
        grants_version: 1,
    };
    let guests = catalogue.dataset("hotel_lodger").expect("the register of guests");
    assert!(guests.within_parent && guests.people && !guests.is_searchable());
    let rows =
        |filter: Filter| Query { dataset: "hotel_lodger".into(), rows: vec!["id".into()], filter, ..Query::default() };
    let ask = |query: &Query| bind(&catalogue, catalogue.policy(), &clerk, query, 0);
    let hotel = || Filter::eq("hotel_id", "LG2026000001");
    assert!(ask(&rows(hotel())).is_ok());
    assert!(ask(&rows(hotel().and(Filter::eq("room", "301")))).is_ok());
    for open in [
        Filter::True,
        Filter::eq("room", "301"),
        Filter::Or(vec![hotel(), Filter::eq("room", "301")]),
        Filter::Not(Box::new(hotel())),
    ] {
        let refused = ask(&rows(open.clone())).expect_err("rows of every hotel");
        assert_eq!(refused.code, "policy.within_parent", "{open:?}");
    }
    // A business area of a role reaches the registers in it and their children.
    assert!(catalogue.policy().may_write(&clerk, guests));
    let case = catalogue.dataset("case").expect("cases");
    assert!(!catalogue.policy().may_read(&clerk, case));
}

const RATE: &str = r#"
name = "rate"
label = { zh = "到场", en = "Attendance" }
source = "import"
shared = true
key = ["id"]
time = "at"
owner = "公安局"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text" },
  { name = "at", label = { zh = "时间", en = "At" }, type = "instant" },
  { name = "minutes", label = { zh = "用时", en = "Minutes" }, type = "int" },
]
[[measure]]
name = "count"
label = { zh = "数", en = "Count" }
agg = "count"
definition = "全部"
[[measure]]
name = "on_time"
label = { zh = "及时", en = "On time" }
agg = "count"
where = { minutes = { lte = 10 } }
definition = "十分钟内"
effective_from = "2025-01-01"
version = [
  { from = "2023-01-01", to = "2024-01-01", definition = "二十分钟内，按电台记录" },
  { from = "2024-01-01", to = "2025-01-01", definition = "十五分钟内", computed_by = "on_time_15" },
]
[[measure]]
name = "on_time_15"
label = { zh = "十五分钟", en = "Within 15" }
agg = "count"
where = { minutes = { lte = 15 } }
definition = "十五分钟内"
[[measure]]
name = "on_time_rate"
label = { zh = "及时率", en = "Share" }
agg = "ratio"
numerator = "on_time"
denominator = "count"
definition = "及时 ÷ 数"
"#;

fn rate_bound(json: &str) -> Result<BoundQuery> {
    let leader = role("leader", "read = [\"*\"]\nrows = true");
    let catalogue = Catalogue::parse(&[file("datasets/rate.toml", RATE), file("codes/region.toml", REGION), leader])
        .expect("valid");
    bind(&catalogue, catalogue.policy(), &principal("leader", "310000"), &query(json), 0)
}

#[test]
fn a_question_about_2024_is_answered_as_defined_in_2024() {
    let ask = |from: &str, to: &str, more: &str| {
        rate_bound(&format!(
            r#"{{"dataset":"rate","measures":["on_time_rate"],"range":{{"from":"{from}","to":"{to}"}}{more}}}"#
        ))
        .expect("binds")
    };
    let filter = |bound: &BoundQuery| {
        let measures = &bound.parts()[0].measures;
        let terms: Vec<&str> = measures.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(terms, ["on_time_rate", "on_time", "count"], "the names stay");
        measures[1].filter.to_json().to_string()
    };
    let codes = |bound: &BoundQuery| bound.notes().iter().map(|n| (n.code, n.version)).collect::<Vec<_>>();

    let newest = ask("2025-01-01", "2026-01-01", "");
    assert!(filter(&newest).contains("10") && newest.notes().is_empty());
    let then = ask("2024-03-01", "2024-06-01", "");
    assert!(filter(&then).contains("15"), "as it was defined");
    assert_eq!(codes(&then), [("definition.earlier", 2)]);
    assert!(then.notes()[0].zh.contains("十五分钟内"));
    let mixed = ask("2024-06-01", "2025-06-01", "");
    assert!(filter(&mixed).contains("10"));
    assert_eq!(codes(&mixed), [("definition.mixed", 3)]);
    let lost = ask("2023-03-01", "2023-06-01", "");
    assert!(filter(&lost).contains("10"));
    assert_eq!(codes(&lost), [("definition.newest", 3)]);
    assert!(lost.notes()[0].zh.contains("按电台记录"));
    let compared = ask("2025-03-01", "2025-06-01", r#","compare":"yoy""#);
    assert_eq!(codes(&compared), [("definition.compared", 3)]);
    assert_eq!(codes(&ask("2027-03-01", "2027-06-01", r#","compare":"yoy""#)), []);
}

#[test]
fn calculated_measures_read_measures_of_the_query_only() {
    let ask =
        |calc: &str| rate_bound(&format!(r#"{{"dataset":"rate","measures":["count","on_time"],"calc":[{calc}]}}"#));
    ask(r#"{"name":"late","expr":"count - on_time"},{"name":"late_share","expr":"late / count * 100","unit":"%"}"#)
        .expect("binds");
    for (calc, what) in [
        (r#"{"name":"x","expr":"on_time_rate * 2"}"#, "不在本查询"),
        (r#"{"name":"x","expr":"y"},{"name":"y","expr":"1"}"#, "不在本查询"),
        (r#"{"name":"x","expr":"count +"}"#, "缺少"),
        (r#"{"name":"count","expr":"1"}"#, "两次"),
        (r#"{"name":"比率","expr":"1"}"#, "名称"),
        (r#"{"name":"x","expr":"1","digits":9}"#, "小数"),
    ] {
        let error = ask(calc).expect_err(calc);
        assert!(error.class == ErrorClass::User && error.message.contains(what), "{calc}: {}", error.message);
    }
    let rows = rate_bound(r#"{"dataset":"rate","rows":["id"],"calc":[{"name":"x","expr":"1"}]}"#);
    assert_eq!(rows.expect_err("rows have no figures").code, "query.rows");
}
