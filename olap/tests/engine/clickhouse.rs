//! The same store on ClickHouse: random queries with writes between them on all engines, tables
//! from the catalogue, and what happens when the server fails or is away.

use crate::random::{filter, query, row};
use crate::server::ClickHouse;
use crate::world::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use zonglan_catalog::error::ErrorClass;
use zonglan_catalog::table::Table;
use zonglan_catalog::traits::{Cancel, Cursor, RowSink};
use zonglan_catalog::value::Value;
use zonglan_olap::clickhouse::ddl::{Layout, Step, plan};
use zonglan_olap::{Options, Store};

/// One engine for the tests of this process; it ends when the process does.
static SERVER: LazyLock<Option<ClickHouse>> = LazyLock::new(ClickHouse::start);

fn remote(server: &ClickHouse, folder: &Path) -> Store {
    let options = Options { server: Some(server.database()), ..Options::default() };
    Store::open(folder, options, catalogue()).expect("opens")
}

fn shown(table: &Table) -> Json {
    let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    json!({"columns": columns, "rows": table.rows, "totals": table.totals, "total": table.meta.total, "cursor": table.meta.cursor})
}

/// Groups with order, "others", totals, shares and comparisons, and pages of rows.
fn asked() -> impl Strategy<Value = Json> {
    let groups = (query(), any::<bool>(), any::<bool>(), prop::option::of(1usize..6), 0usize..4).prop_map(
        |(mut query, totals, others, limit, more)| {
            let first = query["measures"][0].as_str().unwrap_or_default().to_string();
            if totals {
                query["totals"] = json!(true);
            }
            if let Some(limit) = limit {
                query["order"] = json!([format!("-{first}")]);
                query["limit"] = json!(limit);
                query["others"] = json!(others);
            }
            match more {
                1 => {
                    query["range"] = json!({"from":"2025-01-01","to":"2025-03-01"});
                    query["compare"] = json!("yoy");
                }
                2 => {
                    query["measures"] = json!(["count", "open"]);
                    query["order"] = json!([]);
                    query["range"] = json!({"from":"2025-01-01","to":"2025-03-01"});
                    query["by"] = json!(["street", {"time":"week"}]);
                    query["others"] = json!(false);
                }
                3 => query["compute"] = json!([{"as":"rank","of":first}]),
                _ => {}
            }
            query
        },
    );
    let order = prop::sample::select(vec![
        vec![],
        vec!["category"],
        vec!["-loss"],
        vec!["-street", "minutes"],
        vec!["at", "-loss", "id"],
    ]);
    let page = (filter(), order, 1usize..20).prop_map(|(filter, order, limit)| {
        json!({"dataset":"incident","rows":["id","category","loss","injured","day","at"],"order":order,"limit":limit,"where":filter})
    });
    prop_oneof![3 => groups, 1 => page]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("ZONGLAN_CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(3), max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn three_engines_agree(first in prop::collection::vec(row(), 1..200), then in prop::collection::vec(row(), 0..80), gone in prop::collection::vec(0u32..400, 0..40), queries in prop::collection::vec(asked(), 3..9)) {
        let Some(server) = SERVER.as_ref() else { return Ok(()) };
        let (here, there) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let (local, remote) = (open_rolled(here.path()), remote(server, there.path()));
        let catalogue = catalogue();
        let dataset = catalogue.dataset("incident").expect("dataset").clone();
        for round in 0..2 {
            let rows = if round == 0 { &first } else { &then };
            let done = [&local, &remote].map(|store| {
                let mut done = load(store, "incident", rows, Some(Cursor { stream: "log".into(), position: round }));
                if round == 1 {
                    let mut txn = store.begin(&dataset).expect("begins");
                    txn.delete(&gone.iter().map(|id| key(&format!("n{id}"))).collect::<Vec<_>>()).expect("takes");
                    done = txn.commit(None).expect("commits");
                }
                (done.inserted, done.updated, done.unchanged, done.deleted)
            });
            prop_assert_eq!(done[0], done[1]);
            local.build_rollups("incident").expect("builds");
            prop_assert_eq!(local.checksum("incident").expect("a sum"), remote.checksum("incident").expect("a sum"));
            for json in &queries {
                // What the language refuses no engine sees.
                let Some(bound) = bound_if_valid(&catalogue, json) else { continue };
                let raw = local.query_raw(&bound, &Cancel::default());
                let rolled = local.query_blocking(&bound, &Cancel::default());
                let far = remote.query_blocking(&bound, &Cancel::default());
                match raw {
                    Ok(raw) => {
                        let raw = shown(&raw);
                        prop_assert_eq!(&shown(&rolled.unwrap_or_else(|e| panic!("{json}: {e}"))), &raw, "rollups: {}", json);
                        prop_assert_eq!(&shown(&far.unwrap_or_else(|e| panic!("{json}: {e}"))), &raw, "ClickHouse: {}", json);
                    }
                    Err(error) => prop_assert_eq!(far.map(|t| shown(&t)).map_err(|e| e.to_string()), Err(error.to_string())),
                }
            }
        }
    }
}

#[test]
fn tables_come_from_the_catalogue() {
    let catalogue = catalogue();
    let incident = catalogue.dataset("incident").expect("dataset");
    let single = Layout { database: "zonglan".into(), cluster: None };
    let cluster = Layout { database: "zonglan".into(), cluster: Some("city".into()) };
    for (name, layout) in [("single", single), ("cluster", cluster)] {
        let mut all = vec![layout.create_database()];
        all.extend(layout.create_commits());
        all.extend(layout.create(incident));
        insta::assert_snapshot!(name, all.join(";\n\n"));
    }
}

#[test]
fn a_changed_catalogue_is_a_plan() {
    let catalogue = catalogue_with(r#"{ name = "grade", label = { zh = "级", en = "Grade" }, type = "int" },"#);
    let incident = catalogue.dataset("incident").expect("dataset");
    let layout = Layout { database: "d".into(), cluster: None };
    let mut have = std::collections::BTreeMap::new();
    assert!(matches!(&plan(&layout, [&**incident].into_iter(), &have)[..], [Step::Create { .. }]));
    let columns = incident.field.iter().filter(|f| f.name != "grade").map(|f| {
        let kind = zonglan_olap::clickhouse::ddl::column_type(f);
        (f.name.clone(), if f.name == "minutes" { "Nullable(String)".to_string() } else { kind.to_string() })
    });
    have.insert("incident".to_string(), columns.collect());
    let steps = plan(&layout, [&**incident].into_iter(), &have);
    assert!(
        matches!(&steps[..], [Step::Refused { field, .. }, Step::AddColumn { field: joined, .. }] if field == "minutes" && joined == "grade"),
        "{steps:?}"
    );
}

fn one(id: &str, minutes: i64) -> Fields {
    let at = Value::Instant(instant("2025-01-05T10:00:00"));
    fields(&[("id", Value::Text(id.into())), ("at", at), ("minutes", Value::Int(minutes))])
}

fn count(store: &Store) -> Result<Table, zonglan_olap::OlapError> {
    let query = json!({"dataset":"incident","measures":["count","minutes_avg"]});
    store.query_blocking(&bound(&catalogue(), &query), &Cancel::default())
}

fn behave(server: &ClickHouse, failures: &Json) {
    ureq::post(format!("{}/behave", server.url)).send(failures.to_string()).expect("tells the engine");
}

#[test]
fn a_field_that_joins_reads_as_null_in_old_rows() {
    let Some(server) = SERVER.as_ref() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let store = remote(server, folder.path());
    load(&store, "incident", &[one("1", 5)], None);
    let wider = catalogue_with(r#"{ name = "grade", label = { zh = "级", en = "Grade" }, type = "int" },"#);
    store.set_catalogue(wider.clone());
    let query = json!({"dataset":"incident","rows":["id","grade"]});
    let table = store.query_blocking(&bound(&wider, &query), &Cancel::default()).expect("answers");
    assert_eq!(rows(&table), json!([["1", null]]));
}

#[test]
fn a_server_that_fails_is_asked_again_and_one_that_is_away_leaves_the_last_answer() {
    // The engine of this test fails as told, so it has one of its own.
    if SERVER.is_none() {
        return;
    }
    let server = ClickHouse::engine();
    let folder = tempfile::tempdir().expect("folder");
    let options = Options { server: Some(server.database()), ..Options::default() };
    let store = Store::open(folder.path(), options.clone(), catalogue()).expect("opens");
    let cursor = |position| Some(Cursor { stream: "log".into(), position });
    load(&store, "incident", &[one("1", 10)], cursor(1));
    // Overloaded (202) and a bad gateway: both pass by.
    behave(&server, &json!([[500, 202], [502, null]]));
    let good = count(&store).expect("answers at the third try");
    assert_eq!((rows(&good), good.meta.stale), (json!([[1, 10.0]]), false));
    // A statement that is too large is not sent again.
    behave(&server, &json!([[500, 241], [500, 241]]));
    let error = zonglan_catalog::Error::from(count(&store).expect_err("too large"));
    assert_eq!(error.class, ErrorClass::TooLarge);
    behave(&server, &json!([]));

    // Away: the same question has its last answer, another has none, writes are refused whole.
    behave(&server, &json!(vec![json!([503, null]); 40]));
    let stale = count(&store).expect("the last good answer");
    assert_eq!((rows(&stale), stale.meta.stale), (rows(&good), true));
    let other = bound(&catalogue(), &json!({"dataset":"incident","measures":["theft"]}));
    let error =
        zonglan_catalog::Error::from(store.query_blocking(&other, &Cancel::default()).expect_err("no answer yet"));
    assert_eq!((error.class, error.code), (ErrorClass::Unavailable, "store.away"));
    let definition = catalogue().dataset("incident").expect("dataset").clone();
    let write = |store: &Store| -> zonglan_catalog::Result<()> {
        let mut txn = store.begin(&definition)?;
        let mut batch = zonglan_catalog::Batch::new(&definition);
        batch.push_fields(&definition, &one("2", 30));
        txn.upsert(&batch)?;
        txn.commit(cursor(2).as_ref()).map(drop)
    };
    assert_eq!(write(&store).expect_err("away").class, ErrorClass::Unavailable);
    assert_eq!(store.cursor(&definition, "log").expect("known"), Some(1), "the log will be read again from here");

    // Back: what waited is written once.
    behave(&server, &json!([]));
    std::thread::sleep(Duration::from_millis(2_100));
    write(&store).expect("catches up");
    write(&store).expect("doing it again changes nothing");
    let fresh = count(&store).expect("answers");
    assert_eq!((rows(&fresh), fresh.meta.stale), (json!([[2, 20.0]]), false));
    // Whoever opens it next finds rows and cursor.
    let again = Store::open(folder.path(), options, catalogue()).expect("opens");
    assert_eq!((again.state("incident").rows, again.cursor(&definition, "log").expect("known")), (2, Some(2)));
}

#[test]
fn a_query_that_nobody_waits_for_is_killed() {
    if SERVER.is_none() {
        return;
    }
    let server = ClickHouse::engine();
    let folder = tempfile::tempdir().expect("folder");
    let options = Options { server: Some(server.database()), ..Options::default() };
    let store = Store::open(folder.path(), options, catalogue()).expect("opens");
    load(&store, "incident", &[one("1", 10)], None);
    behave(&server, &json!([[0, 3000]]));
    let cancel = Cancel::default();
    let (asker, later) = (cancel.clone(), std::time::Instant::now());
    let waiting = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        asker.cancel();
    });
    let query = bound(&catalogue(), &json!({"dataset":"incident","measures":["count"]}));
    let error = store.query_blocking(&query, &cancel).expect_err("cancelled");
    assert!(matches!(error, zonglan_olap::OlapError::Cancelled), "{error}");
    assert!(later.elapsed() < Duration::from_secs(2), "the asker waited {:?}", later.elapsed());
    waiting.join().expect("ends");
    for _ in 0..50 {
        let mut reply = ureq::get(format!("{}/statements", server.url)).call().expect("the list");
        let sent: Vec<(Option<String>, String)> =
            serde_json::from_str(&reply.body_mut().read_to_string().expect("text")).expect("json");
        let asked = sent.iter().rev().find(|s| s.1.contains("SELECT count()") && s.1.contains("incident"));
        let id = asked.and_then(|s| s.0.clone()).expect("the question has an id");
        if sent.iter().any(|s| s.1.contains("KILL QUERY") && s.1.contains(&id)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody told the server to stop");
}
