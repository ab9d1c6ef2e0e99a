//! Writes: upserts, deletes and merges against a map; what a crash leaves; readers beside a writer.

use crate::world::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use zonglan_catalog::batch::Batch;
use zonglan_catalog::traits::{Cancel, Cursor, RowSink};
use zonglan_catalog::value::Value;
use zonglan_olap::{Options, Store};

fn row(id: u32, version: i64) -> Fields {
    fields(&[
        ("id", Value::Text(format!("n{id}"))),
        ("at", Value::Instant(instant("2025-01-01T00:00:00") + version * 3_600_000)),
        ("minutes", Value::Int(version)),
        ("street", Value::Text(STREETS[id as usize % 3].into())),
        ("text", Value::Text(format!("第{version}版"))),
    ])
}

#[derive(Debug, Clone)]
enum Step {
    Put(u32, i64),
    Delete(u32),
    Commit,
    Drop,
    Reopen,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0u32..20, 0i64..4).prop_map(|(id, v)| Step::Put(id, v)),
        3 => (0u32..20).prop_map(Step::Delete),
        4 => Just(Step::Commit),
        1 => Just(Step::Drop),
        1 => Just(Step::Reopen),
        1 => Just(Step::Compact),
    ]
}

fn contents(store: &Store) -> BTreeMap<String, (i64, String)> {
    let table = ask(store, json!({"dataset":"incident","rows":["id","minutes","text"],"limit":10_000}));
    let number = |v: &Value| match v {
        Value::Int(i) => *i,
        other => panic!("{other:?}"),
    };
    assert_eq!(table.meta.total, Some(table.rows.len() as u64));
    table.rows.iter().map(|r| (r[0].to_text(), (number(&r[1]), r[2].to_text()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_store_is_a_map(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().expect("folder");
        let catalogue = catalogue();
        let dataset = catalogue.dataset("incident").expect("dataset").clone();
        let mut store = open(folder.path());
        let mut map: BTreeMap<u32, i64> = BTreeMap::new();
        let mut open_steps: Vec<Step> = Vec::new();
        for step in steps.into_iter().chain([Step::Commit]) {
            match step {
                Step::Put(..) | Step::Delete(_) => open_steps.push(step),
                Step::Commit | Step::Drop => {
                    let mut txn = store.begin(&dataset).expect("begins");
                    let (mut next, mut counts) = (map.clone(), [0u64; 4]);
                    for step in open_steps.drain(..) {
                        match step {
                            Step::Put(id, version) => {
                                let mut batch = Batch::new(&dataset);
                                batch.push_fields(&dataset, &row(id, version));
                                txn.upsert(&batch).expect("takes");
                                match next.insert(id, version) {
                                    None => counts[0] += 1,
                                    Some(v) if v == version => counts[2] += 1,
                                    Some(_) => counts[1] += 1,
                                }
                            }
                            Step::Delete(id) => {
                                txn.delete(&[key(&format!("n{id}"))]).expect("deletes");
                                counts[3] += u64::from(next.remove(&id).is_some());
                            }
                            _ => {}
                        }
                    }
                    if matches!(step, Step::Commit) {
                        let done = txn.commit(None).expect("commits");
                        prop_assert_eq!([done.inserted, done.updated, done.unchanged, done.deleted], counts);
                        map = next;
                    }
                }
                Step::Reopen => {
                    drop(store);
                    store = open(folder.path());
                }
                Step::Compact => store.compact("incident").expect("compacts"),
            }
            let expected: BTreeMap<String, (i64, String)> = map.iter().map(|(id, v)| (format!("n{id}"), (*v, format!("第{v}版")))).collect();
            prop_assert_eq!(contents(&store), expected);
        }
        // The same rows loaded into an empty store give the same checksum.
        let other = tempfile::tempdir().expect("folder");
        let second = open(other.path());
        load(&second, "incident", &map.iter().map(|(id, v)| row(*id, *v)).collect::<Vec<_>>(), None);
        prop_assert_eq!(store.checksum("incident").expect("a sum"), second.checksum("incident").expect("a sum"));
        let newest = map.values().max().map(|v| instant("2025-01-01T00:00:00") + v * 3_600_000);
        prop_assert_eq!(store.state("incident").watermark, newest);
        prop_assert_eq!(store.state("incident").rows, map.len() as u64);
    }
}

#[test]
fn a_file_loaded_twice_changes_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let rows: Vec<Fields> = (0..1000).map(|i| row(i, i64::from(i) % 7)).collect();
    let cursor = Cursor { stream: "import:a".into(), position: 1000 };
    let first = load(&store, "incident", &rows, Some(cursor.clone()));
    assert_eq!((first.inserted, first.version), (1000, 1));
    let before = store.checksum("incident").expect("a sum");
    let again = load(&store, "incident", &rows, Some(cursor));
    assert_eq!((again.inserted, again.updated, again.unchanged, again.version), (0, 0, 1000, 1));
    assert_eq!(store.checksum("incident").expect("a sum"), before);
    let dataset = catalogue().dataset("incident").expect("dataset").clone();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.cursor(&dataset, "import:a").expect("cursor"), Some(1000));
    assert_eq!(store.cursor(&dataset, "log").expect("cursor"), None);
    assert_eq!(store.checksum("incident").expect("a sum"), before);
}

#[test]
fn a_dead_transaction_leaves_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let columns = folder.path().join("columns/incident");
    let files = || {
        let mut names: Vec<String> = std::fs::read_dir(&columns)
            .expect("folder")
            .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let store = open(folder.path());
    load(&store, "incident", &(0..10).map(|i| row(i, 1)).collect::<Vec<_>>(), None);
    let (before, sum) = (files(), store.checksum("incident").expect("a sum"));
    drop(store);
    // What a kill in the middle of a commit leaves: segments that no manifest names, halves of
    // files, a manifest not yet renamed.
    for name in ["9.parquet", "9.side", "1.7.deleted", "manifest.json.tmp", "1.8.deleted.tmp"] {
        std::fs::write(columns.join(name), b"half").expect("writes");
    }
    let reader = Store::read_only(folder.path(), Options::default(), catalogue()).expect("opens");
    assert_eq!(reader.checksum("incident").expect("a sum"), sum);
    assert_eq!(files().len(), before.len() + 5, "a reader removes nothing");
    let store = open(folder.path());
    assert_eq!((files(), store.checksum("incident").expect("a sum")), (before, sum));
    let dataset = catalogue().dataset("incident").expect("dataset").clone();
    assert!(reader.begin(&dataset).is_err(), "a reader takes no rows");
    assert_eq!(ask(&reader, json!({"dataset":"incident","measures":["count"]})).rows[0][0], Value::Int(10));
}

#[test]
fn a_damaged_manifest_is_an_error_not_an_empty_store() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    load(&store, "incident", &[row(1, 1)], None);
    drop(store);
    let manifest = folder.path().join("columns/incident/manifest.json");
    let whole = std::fs::read(&manifest).expect("reads");
    std::fs::write(&manifest, &whole[..whole.len() / 2]).expect("writes");
    let error = Store::open(folder.path(), Options::default(), catalogue()).err().expect("refused");
    assert!(error.to_string().contains("manifest.json"), "{error}");
}

#[test]
fn many_small_commits_are_merged() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    for i in 0..200 {
        load(&store, "incident", &[row(i, i64::from(i)), row(i / 2, 1)], None);
    }
    // The merges run beside the commits; one of them waits for both.
    store.compact("incident").expect("compacts");
    assert_eq!(store.segments("incident").0, 1);
    assert_eq!(store.state("incident").rows, 200);
    assert_eq!(store.state("incident").version, 200);
    let folder_files = std::fs::read_dir(folder.path().join("columns/incident")).expect("folder").count();
    assert_eq!(folder_files, 3, "manifest, one segment and its sidecar");
}

#[test]
fn a_field_that_joins_later_reads_as_null() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    load(&store, "incident", &[row(1, 1), row(2, 2)], None);
    let sum = store.checksum("incident").expect("a sum");
    let wider = catalogue_with(r#"{ name = "note", label = { zh = "备注", en = "Note" }, type = "text" },"#);
    store.set_catalogue(wider.clone());
    let dataset = wider.dataset("incident").expect("dataset").clone();
    let ask = |query: serde_json::Value| {
        rows(&store.query_blocking(&bound(&wider, &query), &Cancel::default()).expect("answers"))
    };
    assert_eq!(ask(json!({"dataset":"incident","measures":["count"],"by":["note"]})), json!([[null, 2]]));
    let put = |note: Option<&str>| {
        let mut fields = row(1, 1);
        if let Some(note) = note {
            fields.insert("note".into(), Value::Text(note.into()));
        }
        let mut batch = Batch::new(&dataset);
        batch.push_fields(&dataset, &fields);
        let mut txn = store.begin(&dataset).expect("begins");
        txn.upsert(&batch).expect("takes");
        txn.commit(None).expect("commits")
    };
    assert_eq!(put(None).unchanged, 1, "an old row without the new field is the same row");
    assert_eq!(store.checksum("incident").expect("a sum"), sum);
    assert_eq!(put(Some("x")).updated, 1);
    assert_eq!(
        ask(json!({"dataset":"incident","rows":["id","note"],"order":["id"]})),
        json!([["n1", "x"], ["n2", null]])
    );
    store.compact("incident").expect("compacts");
    assert_eq!(ask(json!({"dataset":"incident","measures":["count"],"where":{"note":{"is_null":true}}})), json!([[1]]));
}

#[test]
fn large_transactions_spill_and_stay_invisible() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let catalogue = catalogue();
    let dataset = catalogue.dataset("request").expect("dataset").clone();
    let day: Value = Value::Date("2025-01-01".parse().expect("date"));
    let mut txn = store.begin(&dataset).expect("begins");
    let batch = |from: u32, to: u32| {
        let mut batch = Batch::new(&dataset);
        for id in from..to {
            batch.push_fields(
                &dataset,
                &fields(&[
                    ("id", Value::Text(id.to_string())),
                    ("day", day.clone()),
                    ("street", Value::Text(STREETS[id as usize % 3].into())),
                ]),
            );
        }
        batch
    };
    let total = 1_100_000;
    for from in (0..total).step_by(100_000) {
        txn.upsert(&batch(from, from + 100_000)).expect("takes");
    }
    txn.upsert(&batch(0, 10)).expect("takes");
    assert_eq!(store.state("request").rows, 0);
    let done = txn.commit(None).expect("commits");
    assert_eq!((done.inserted, done.unchanged), (u64::from(total), 10));
    assert_eq!(store.segments("request").0, 2);
    let table = ask(&store, json!({"dataset":"request","measures":["count"],"by":["street"]}));
    assert_eq!(table.rows.iter().map(|r| r[1].as_f64().expect("number")).sum::<f64>(), f64::from(total));
}
