//! Tests of what declarations become.

use crate::load::{Catalogue, SourceFile};

const HOTEL: &str = r#"name = "hotel"
label = { zh = "旅馆", en = "Hotel" }
source = "records"
key = ["id"]
region = "district"
owner = "市公安局"
use = ["contact"]
field = [
  { name = "id", label = { zh = "编号", en = "Number" }, type = "text", required = true },
  { name = "kind", label = { zh = "类别", en = "Kind" }, type = "code", options = [["inn", "旅馆", "Inn"], ["spa", "浴场", "Spa"]] },
  { name = "opened_on", label = { zh = "开业日期", en = "Opened on" }, type = "date" },
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district", required = true },
]
[register]
numbering = "{prefix}{seq:4}"
lifecycle = ["register", "change", "close"]
children = ["staff_member"]
review = [{ role = "chief" }]
check = [{ field = "opened_on", rule = "opened_on <= today", message = { zh = "不能晚于今天", en = "Not after today" } }]
task = [{ name = "inspect", title = { zh = "检查", en = "Inspect" }, since = "opened_on", after = "90d", who = ["role:chief"] }]
"#;

const STAFF: &str = r#"name = "staff_member"
label = { zh = "从业人员", en = "Staff" }
field = [{ name = "name", label = { zh = "姓名", en = "Name" }, type = "text", sensitivity = "personal", mask = "name" }]
"#;

const CONTACT: &str = r#"name = "contact"
label = { zh = "联系", en = "Contact" }
field = [{ name = "phone", label = { zh = "电话", en = "Telephone" }, type = "text", format = "phone" }]
"#;

const CHIEF: &str = r#"name = "chief"
label = { zh = "所长", en = "Chief" }
read = ["hotel"]
rows = true
"#;

fn parse(hotel: &str) -> Result<Catalogue, String> {
    let region = "name = \"region\"\nlabel = { zh = \"区划\", en = \"Region\" }\nbasis = \"test\"\nitem = [{ code = \"310104\", zh = \"甲\", en = \"A\" }]\n";
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
    let files = [
        file("police/datasets/hotel.toml", hotel),
        file("police/parts/staff_member.toml", STAFF),
        file("police/parts/contact.toml", CONTACT),
        file("police/policy/chief.toml", CHIEF),
        file("base/codes/region.toml", region),
    ];
    Catalogue::parse(&files).map_err(|e| e.to_string())
}

#[test]
fn one_file_becomes_stages_code_lists_fields_and_children() {
    let catalogue = parse(HOTEL).unwrap_or_else(|e| panic!("{e}"));
    let hotel = catalogue.dataset("hotel").expect("hotel");
    let register = hotel.register.as_ref().expect("register");
    let stages: Vec<_> = register.stage.iter().map(|s| s.code.as_str()).collect();
    assert_eq!(stages, ["draft", "review_1", "returned", "approved"]);
    assert!(register.action("approve").is_some_and(|a| a.separate));
    assert!(hotel.field("stage").is_some_and(|f| f.by_action) && hotel.field("phone").is_some());
    assert!(catalogue.codes("hotel_kind").is_some_and(|c| c.get("spa").is_some()));
    assert_eq!(catalogue.codes("hotel_stage").and_then(|c| c.get("review_1")).map(|i| i.zh.as_str()), Some("待审核"));
    assert!(hotel.measure("count").is_some());
    let staff = catalogue.dataset("hotel_staff_member").expect("children");
    assert!(staff.made && staff.field("district").is_some() && staff.field("hotel_id").is_some());
    let chief = crate::Principal {
        user: "c".into(),
        name: "c".into(),
        roles: vec!["chief".into()],
        regions: vec!["310104".into()],
        purpose: None,
        grants: Vec::new(),
        grants_version: 1,
    };
    assert!(catalogue.policy().may_read(&chief, staff), "children go with their parent");
}

#[test]
fn wrong_names_are_told_with_their_line() {
    let wrong = |from: &str, to: &str| parse(&HOTEL.replace(from, to)).expect_err(to);
    assert!(wrong("children = [\"staff_member\"]", "children = [\"staff\"]").contains("unknown part 'staff'"));
    assert!(wrong("role = \"chief\"", "role = \"chef\"").contains("unknown role 'chef'; did you mean 'chief'?"));
    assert!(wrong("opened_on <= today", "opend_on <= today").contains("unknown field 'opend_on'; did you mean"));
    assert!(wrong("90d", "90 days").contains("police/datasets/hotel.toml:20: '90 days' is no length of time"));
    let stages = "stage = [{ code = \"a\", label = { zh = \"甲\", en = \"A\" } }]\nreview = [{ role = \"chief\" }]";
    assert!(wrong("review = [{ role = \"chief\" }]", stages).contains("no action leads out of stage 'a'"));
}
