//! Personal fields in the files of the store, their search, their move to sealed form, and keys.

use super::*;
use serde_json::json;
use zonglan_catalog::filter::Filter;
use zonglan_catalog::traits::ChangeSource;
use zonglan_catalog::value::Value;

const PHONE: &str = "13800001234";

fn with_phone(name: &str) -> Map<String, Json> {
    let mut input = hotel(name, "310104");
    input.insert("owner_phone".into(), json!(PHONE));
    input
}

/// Whether any file of the data directory holds the text.
fn on_disk(dir: &Path, text: &str) -> bool {
    std::fs::read_dir(dir).expect("folder").flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return on_disk(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    })
}

async fn ids(store: &Store, who: &Principal, request: ListRequest) -> Vec<String> {
    let page = store.records.list(who, "premises", &request).await.expect("a list");
    page.records.into_iter().map(|r| r.id).collect()
}

fn by_phone(phone: &str) -> ListRequest {
    ListRequest { filter: Filter::eq("owner_phone", phone), ..ListRequest::default() }
}

#[tokio::test]
async fn personal_fields_are_on_disk_sealed_only_and_found_whole() {
    let rig = rig().await;
    let made = rig.store.records.create(&city(), "premises", &with_phone("甲旅馆"), None).await.expect("made");
    rig.store.records.create(&city(), "premises", &hotel("乙旅馆", "310104"), None).await.expect("made");
    rig.store.log.flush_audit().await;
    assert!(on_disk(rig.dir.path(), "甲旅馆"), "the search of files works");
    assert!(!on_disk(rig.dir.path(), PHONE), "a personal field lies on disk in clear");
    let read = rig.store.records.get(&city(), "premises", &made.id).await.expect("there");
    assert_eq!(read.fields["owner_phone"], Value::Text(PHONE.into()));
    let masked = rig.store.records.get(&person("desk", "310104"), "premises", &made.id).await.expect("there");
    assert_eq!(masked.fields["owner_phone"], Value::Text("138****1234".into()));

    assert_eq!(ids(&rig.store, &city(), by_phone(PHONE)).await, [made.id.as_str()]);
    assert_eq!(ids(&rig.store, &city(), by_phone("13800001235")).await, [""; 0]);
    let q = |words: &str| ListRequest { q: Some(words.into()), ..ListRequest::default() };
    assert_eq!(ids(&rig.store, &city(), q(PHONE)).await, [made.id.as_str()]);
    assert_eq!(ids(&rig.store, &city(), q("13800")).await, [""; 0], "whole only");
    assert_eq!(ids(&rig.store, &person("desk", "310104"), q(PHONE)).await, [""; 0], "whoever sees it masked");
    let error = rig.store.records.list(&person("desk", "310104"), "premises", &by_phone(PHONE)).await.expect_err("no");
    assert_eq!(error.code, "policy.personal");
    let sorted = ListRequest { sort: vec!["owner_phone".into()], ..ListRequest::default() };
    assert_eq!(rig.store.records.list(&city(), "premises", &sorted).await.expect_err("sealed").code, "records.sort");

    // What follows the log gets the masked form.
    let mut sealed = rig.store.log.sealed();
    while *sealed.borrow_and_update() == 0 {
        sealed.changed().await.expect("sealed");
    }
    let blocks = rig.store.log.blocks_after(0, 10).await.expect("blocks");
    let after = blocks[0].changes[0].after.as_ref().expect("open");
    assert_eq!(after["owner_phone"], Value::Text("138****1234".into()));
    // History tells of the change to whoever may see it.
    let patch = fields(json!({"owner_phone": "13900000000"}));
    rig.store.records.patch(&city(), "premises", &made.id, 1, &patch, None).await.expect("changed");
    let history = rig.store.records.history(&city(), "premises", &made.id).await.expect("history");
    assert_eq!(history[1].changes[0].before, Value::Text(PHONE.into()));
}

#[tokio::test]
async fn what_was_in_clear_is_sealed_and_keys_can_change() {
    let dir = tempfile::tempdir().expect("temp dir");
    let clock = Arc::new(TestClock(AtomicI64::new(START)));
    let open_with = |text: String| {
        let options = StoreOptions { address: "test".into(), clock: clock.clone(), ..StoreOptions::default() };
        let dir = dir.path().to_path_buf();
        async move { Store::open(&dir, catalogue_with(&text), options).await.expect("opens") }
    };
    let verified = || async {
        let report = verify(dir.path(), Some(&catalogue_with(PREMISES)), &[]).await.expect("verifies");
        assert!(report.ok(), "{report}");
    };
    // Kept while the field was no personal one.
    let store = open_with(PREMISES.replace("sensitivity = \"personal\"\n", "")).await;
    let made = store.records.create(&city(), "premises", &with_phone("甲旅馆"), None).await.expect("made");
    store.close().await;
    drop(store);
    let count = |text: &'static str| {
        let path = dir.path().join(DATABASE);
        let sql = format!("SELECT count(*) FROM r_premises WHERE doc LIKE '%{text}%'");
        async move {
            let mut conn = sqlx::Connection::connect(&format!("sqlite:{}", path.display())).await.expect("opens");
            let count: i64 =
                sqlx::query_scalar(&sql).fetch_one::<&mut sqlx::SqliteConnection>(&mut conn).await.expect("counts");
            count
        }
    };
    assert_eq!(count(PHONE).await, 1);

    let store = open_with(PREMISES.into()).await;
    let read = store.records.get(&city(), "premises", &made.id).await.expect("there");
    assert_eq!((read.version, &read.fields["owner_phone"]), (2, &Value::Text(PHONE.into())));
    assert_eq!(ids(&store, &city(), by_phone(PHONE)).await, [made.id.as_str()]);
    store.close().await;
    drop(store);
    assert_eq!((count(PHONE).await, count("\"k\":1").await), (0, 1));
    verified().await;

    SoftCrypto::rotate(&dir.path().join(KEYS)).expect("rotated");
    let store = open_with(PREMISES.into()).await;
    assert_eq!(ids(&store, &city(), by_phone(PHONE)).await, [made.id.as_str()]);
    assert_eq!(store.records.get(&city(), "premises", &made.id).await.expect("there").version, 3);
    let history = store.records.history(&city(), "premises", &made.id).await.expect("older keys open older entries");
    assert_eq!(history.iter().map(|h| h.action.as_str()).collect::<Vec<_>>(), ["create", "protect", "protect"]);
    assert!(history[2].changes.is_empty());
    store.close().await;
    drop(store);
    assert_eq!((count("\"k\":1").await, count("\"k\":2").await), (0, 1));
    verified().await;
    // Once more is nothing to do.
    let store = open_with(PREMISES.into()).await;
    assert_eq!(store.records.get(&city(), "premises", &made.id).await.expect("there").version, 3);
    store.close().await;
    drop(store);
}

#[tokio::test]
async fn a_sealed_field_opens_in_its_record_only() {
    let rig = rig().await;
    let first = rig.store.records.create(&city(), "premises", &with_phone("甲"), None).await.expect("made");
    let second = rig.store.records.create(&city(), "premises", &hotel("乙", "310104"), None).await.expect("made");
    let path = rig.dir.path().join(DATABASE);
    let mut conn: sqlx::SqliteConnection =
        sqlx::Connection::connect(&format!("sqlite:{}", path.display())).await.expect("opens");
    sqlx::query("UPDATE r_premises SET doc = json_set(doc, '$.owner_phone', (SELECT json_extract(doc, '$.owner_phone') FROM r_premises WHERE id = ?1)) WHERE id = ?2")
        .bind(&first.id).bind(&second.id).execute(&mut conn).await.expect("moved");
    let error = rig.store.records.get(&city(), "premises", &second.id).await.expect_err("moved");
    assert!(error.to_string().contains("owner_phone"), "{error}");
}
