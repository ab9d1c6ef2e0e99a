//! Registers with stages: review with return and separation of duties, hand-over to another
//! district, conditions between fields, periodic tasks, files.

use super::*;
use serde_json::json;
use zonglan_catalog::error::{ErrorClass, Result};
use zonglan_catalog::value::Value;

const HOTEL: &str = r#"
name = "hotel"
label = { zh = "旅馆", en = "Hotel" }
source = "records"
key = ["id"]
region = "district"
owner = "治安总队"
title = "name"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text", required = true },
  { name = "name", label = { zh = "名称", en = "Name" }, type = "text", required = true },
  { name = "licence", label = { zh = "许可证号", en = "Licence" }, type = "text" },
  { name = "kind", label = { zh = "类别", en = "Kind" }, type = "code", options = [["inn", "客栈", "Inn"], ["hotel", "宾馆", "Hotel"]] },
  { name = "stars", label = { zh = "星级", en = "Stars" }, type = "int", required_when = { kind = { eq = "hotel" } } },
  { name = "opened", label = { zh = "开业", en = "Opened" }, type = "date" },
  { name = "closed", label = { zh = "歇业", en = "Closed" }, type = "date" },
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district", required = true },
]
[register]
numbering = "LG{seq:4}"
lifecycle = ["register", "change", "close", "restore"]
unique_together = [["name", "licence"]]
children = ["check"]
review = [{ role = "chief", due = "3wd" }]
attachments = { types = ["pdf"], max_count = 1 }
check = [{ field = "closed", rule = "closed >= opened", message = { zh = "歇业不能早于开业", en = "Not before opening" } }]
task = [{ name = "inspect", title = { zh = "到期检查", en = "Inspect" }, since = "hotel_check.checked", after = "90d", lead = "10d", who = ["role:clerk"] }]
[[register.action]]
name = "hand_over"
label = { zh = "移交", en = "Hand over" }
from = ["approved"]
who = ["role:clerk"]
input = ["district"]
require = ["district"]
moves = true
"#;

const CHECK: &str = r#"
name = "check"
label = { zh = "检查", en = "Check" }
field = [{ name = "checked", label = { zh = "检查日期", en = "Checked on" }, type = "date", required = true }]
"#;

fn catalogue() -> Arc<Catalogue> {
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
    let role = |name: &str, rest: &str| {
        format!(
            "name = \"{name}\"\nlabel = {{ zh = \"{name}\", en = \"{name}\" }}\nread = [\"*\"]\nrows = true\nclear = [\"internal\"]\n{rest}"
        )
    };
    let region = DISTRICT.replace("name = \"district\"", "name = \"region\"");
    let files = [
        file("t/datasets/hotel.toml", HOTEL),
        file("t/parts/check.toml", CHECK),
        file(
            "t/datasets/task.toml",
            &include_str!("../../../../catalog/packs/base/datasets/task.toml").replace("modules = ", "modules = [] # "),
        ),
        file("t/codes/region.toml", &region),
        file("t/policy/clerk.toml", &role("clerk", "write = [\"hotel\"]")),
        file("t/policy/chief.toml", &role("chief", "actions = [\"supervise\"]\nwrite = [\"hotel\"]")),
    ];
    Arc::new(Catalogue::parse(&files).unwrap_or_else(|e| panic!("{e}")))
}

async fn rig() -> Rig {
    let dir = tempfile::tempdir().expect("temp dir");
    let clock = Arc::new(TestClock(AtomicI64::new(START)));
    let options = StoreOptions { address: "test".into(), clock: clock.clone(), ..StoreOptions::default() };
    let store = Store::open(dir.path(), catalogue(), options).await.expect("opens");
    Rig { dir, clock, store }
}

fn input(value: Json) -> Map<String, Json> {
    fields(value)
}

impl Rig {
    async fn hotel(&self, who: &Principal, name: &str) -> Record {
        let values = input(json!({"name": name, "district": "310104"}));
        self.store.records.create(who, "hotel", &values, None).await.expect("registered")
    }

    async fn step(&self, who: &Principal, id: &str, action: &str, given: ActionInput) -> Result<Record> {
        self.store.records.act(who, "hotel", id, None, action, given).await
    }

    async fn mine(&self, who: &Principal) -> Vec<Task> {
        self.store.tasks.list(who, &TaskFilter { limit: 50, ..TaskFilter::default() }).await.expect("tasks").0
    }
}

fn because(reason: &str) -> ActionInput {
    ActionInput { reason: Some(reason.into()), ..ActionInput::default() }
}

#[tokio::test]
async fn a_record_is_reviewed_by_somebody_else() {
    let rig = rig().await;
    let (clerk, chief) = (person("clerk", "310104"), person("chief", "310104"));
    let other = Principal { user: "chief-2".into(), ..person("chief", "310104") };
    let made = rig.hotel(&chief, "和平").await;
    assert_eq!(made.fields["stage"], Value::Text("draft".into()));
    let names: Vec<&str> = made.actions.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["submit"]);
    let forged =
        rig.store.records.patch(&clerk, "hotel", &made.id, 1, &input(json!({"stage": "approved"})), None).await;
    assert_eq!(forged.expect_err("stages are set by actions").fields[0].field, "stage");

    rig.step(&chief, &made.id, "submit", ActionInput::default()).await.expect("submitted");
    // The deadline: three working days after Sunday 15 March.
    let tasks = rig.mine(&other).await;
    assert_eq!((tasks.len(), tasks[0].kind.as_str(), tasks[0].automatic), (1, "review", true));
    assert_eq!(
        tasks[0].due_at.map(|ms| zonglan_catalog::time::to_local(ms).to_string()).as_deref(),
        Some("2026-03-18 23:59:59.999")
    );
    let locked = rig.store.records.patch(&clerk, "hotel", &made.id, 2, &input(json!({"name": "x"})), None).await;
    assert_eq!(locked.expect_err("under review").code, "records.locked");
    assert_eq!(
        rig.step(&clerk, &made.id, "approve", ActionInput::default()).await.expect_err("no chief").code,
        "records.turn"
    );
    assert_eq!(
        rig.step(&chief, &made.id, "approve", ActionInput::default()).await.expect_err("own entry").code,
        "records.separation"
    );

    assert_eq!(
        rig.step(&other, &made.id, "return", ActionInput::default()).await.expect_err("says why").code,
        "records.reason"
    );
    let back = ActionInput { remarks: input(json!({"name": "与执照不符"})), ..because("请更正名称") };
    let returned = rig.step(&other, &made.id, "return", back).await.expect("returned");
    assert_eq!(returned.fields["return_remarks"], Value::Text("{\"name\":\"与执照不符\"}".into()));
    assert_eq!(rig.mine(&chief).await[0].kind, "correct");
    let fixed = rig
        .store
        .records
        .patch(&clerk, "hotel", &made.id, 3, &input(json!({"name": "和平饭店"})), None)
        .await
        .expect("fixed");
    assert_eq!(fixed.version, 4);
    rig.step(&chief, &made.id, "submit", ActionInput::default()).await.expect("again");
    let approved = rig.step(&other, &made.id, "approve", ActionInput::default()).await.expect("approved");
    assert_eq!(
        (&approved.fields["stage"], approved.fields.get("return_remarks")),
        (&Value::Text("approved".into()), None)
    );
    assert!(rig.mine(&other).await.is_empty() && rig.mine(&chief).await.is_empty(), "nothing is left to do");

    // A change of an approved record is reviewed again.
    let again = rig
        .store
        .records
        .patch(&clerk, "hotel", &made.id, approved.version, &input(json!({"name": "和平北楼"})), None)
        .await;
    assert_eq!(again.expect("changed").fields["stage"], Value::Text("review_1".into()));
    assert_eq!(rig.mine(&other).await.len(), 1);
    let closed = rig.step(&clerk, &made.id, "close", because("停业")).await.expect("closed");
    assert_eq!(closed.state, State::Closed);
    assert!(rig.mine(&other).await.is_empty(), "the task went with the record");
}

#[tokio::test]
async fn a_delegate_counts_as_the_same_person() {
    let rig = rig().await;
    for (user, role) in [("chief-a", "chief"), ("chief-b", "chief")] {
        let new = NewUser {
            username: user.into(),
            name: user.into(),
            password: "Lang-genug-7391".into(),
            roles: vec![role.into()],
            regions: vec!["310104".into()],
            must_change: false,
        };
        rig.store.identity.create_user("test", new).await.expect("made");
    }
    let a = rig.store.identity.principal("chief-a").expect("there");
    let b = rig.store.identity.principal("chief-b").expect("there");
    let made = rig.hotel(&a, "和平").await;
    rig.step(&a, &made.id, "submit", ActionInput::default()).await.expect("submitted");
    rig.store.tasks.hand_over(&a, None, "chief-b", None, "休假").await.expect("handed over");
    let refused = rig.step(&b, &made.id, "approve", ActionInput::default()).await.expect_err("the delegate");
    assert_eq!(refused.code, "records.separation");
    // What is returned to the creator comes to the delegate.
    let other = person("chief", "310104");
    rig.step(&other, &made.id, "return", because("补正")).await.expect("returned");
    assert_eq!(rig.mine(&b).await.iter().map(|t| t.handed_from.as_str()).collect::<Vec<_>>(), ["chief-a"]);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_record_is_told_at_once() {
    let rig = rig().await;
    let clerk = person("clerk", "310104");
    let wrong = json!({"kind": "hotel", "opened": "2026-03-10", "closed": "2026-03-01", "district": "310104"});
    let error = rig.store.records.create(&clerk, "hotel", &input(wrong), None).await.expect_err("refused");
    let told: Vec<&str> = error.fields.iter().map(|e| e.field.as_str()).collect();
    assert_eq!(told, ["name", "stars", "closed"], "{:?}", error.fields);
    assert!(
        error.fields[2].message.contains("歇业不能早于开业") && error.fields[2].message.contains("Not before opening")
    );
    let twice = json!({"name": "甲", "licence": "1", "district": "310104"});
    rig.store.records.create(&clerk, "hotel", &input(twice.clone()), None).await.expect("first");
    let error = rig.store.records.create(&clerk, "hotel", &input(twice), None).await.expect_err("second");
    assert_eq!(error.fields[0].field, "licence");
}

#[tokio::test]
async fn inspections_come_due_and_are_done_by_inspecting() {
    let rig = rig().await;
    let (clerk, elsewhere) = (person("clerk", "310104"), person("clerk", "310105"));
    let made = rig.hotel(&clerk, "和平").await;
    assert_eq!(rig.store.records.sync_tasks().await.expect("walked"), 0, "ninety days are long");
    rig.clock.add(81 * 86_400_000);
    assert_eq!(rig.store.records.sync_tasks().await.expect("walked"), 1);
    assert_eq!(rig.store.records.sync_tasks().await.expect("walked"), 0, "once is enough");
    let task = &rig.mine(&clerk).await[0];
    assert_eq!((task.kind.as_str(), task.record.as_str()), ("inspection", made.id.as_str()));
    assert!(rig.mine(&elsewhere).await.is_empty());

    // The child is where its parent is; the inspection ends the task.
    let visit = input(json!({"hotel_id": made.id, "checked": "2026-06-04"}));
    let visit = rig.store.records.create(&clerk, "hotel_check", &visit, None).await.expect("inspected");
    assert_eq!(visit.fields["district"], Value::Text("310104".into()));
    assert!(rig.mine(&clerk).await.is_empty());
    rig.clock.add(85 * 86_400_000);
    rig.store.records.sync_tasks().await.expect("walked");
    assert_eq!(rig.mine(&clerk).await.len(), 1);
    // Reminded when it is due soon, and when it is overdue.
    rig.clock.add(5 * 86_400_000 + 3_600_000);
    assert_eq!(rig.store.tasks.remind().await.expect("reminded"), 1);
    rig.clock.add(86_400_000);
    rig.store.tasks.remind().await.expect("reminded");
    assert_eq!(rig.store.tasks.counts(&clerk).await.expect("counts").overdue, 1);
}

#[tokio::test]
async fn a_hand_over_leaves_the_district_and_files_are_checked() {
    let rig = rig().await;
    let (clerk, chief) = (person("clerk", "310104"), person("chief", "310104"));
    let made = rig.hotel(&clerk, "和平").await;
    let records = &rig.store.records;
    let pdf = |name: &str| NewFile { name: name.into(), kind: None, note: None, content: b"%PDF-1.7 ...".to_vec() };
    let kept = records.add_file(&clerk, "hotel", &made.id, pdf("执照.pdf")).await.expect("attached");
    assert_eq!(
        records.add_file(&clerk, "hotel", &made.id, pdf("二.pdf")).await.expect_err("one at most").code,
        "files.count"
    );
    let (info, content) = records.open_file(&chief, "hotel", &made.id, kept.id).await.expect("opened");
    assert_eq!((info.media.as_str(), content.as_slice()), ("application/pdf", &b"%PDF-1.7 ..."[..]));
    let stranger = person("clerk", "310105");
    assert_eq!(
        records.open_file(&stranger, "hotel", &made.id, kept.id).await.expect_err("elsewhere").class,
        ErrorClass::NotFound
    );

    rig.step(&clerk, &made.id, "submit", ActionInput::default()).await.expect("submitted");
    rig.step(&chief, &made.id, "approve", ActionInput::default()).await.expect("approved");
    let moved = ActionInput { fields: input(json!({"district": "310105", "name": "x"})), ..ActionInput::default() };
    assert_eq!(
        rig.step(&clerk, &made.id, "hand_over", moved).await.expect_err("asks for the district only").fields[0].field,
        "name"
    );
    let moved = ActionInput { fields: input(json!({"district": "310105"})), ..ActionInput::default() };
    rig.step(&clerk, &made.id, "hand_over", moved).await.expect("handed over");
    assert_eq!(records.get(&clerk, "hotel", &made.id).await.expect_err("gone from here").class, ErrorClass::NotFound);
    assert!(records.get(&stranger, "hotel", &made.id).await.is_ok());
    rig.store.log.flush_audit().await;
    let seen = rig.store.log.audit_page(None, 50).await.expect("audit");
    assert!(["file_added", "file_read"].iter().all(|a| seen.iter().any(|e| e.action == *a)));
}
