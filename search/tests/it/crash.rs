//! Rows and cursors are committed together: whatever is interrupted is done again, once.

use crate::city::{City, catalogue, everyone, open, put, request, row, text};
use zonglan_catalog::batch::{Batch, RowKey};
use zonglan_catalog::search::SearchRequest;
use zonglan_catalog::traits::{Cursor, RowSink, SearchIndex};
use zonglan_search::Indexes;

fn at(stream: &str, position: u64) -> Cursor {
    Cursor { stream: stream.into(), position }
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    let city = City::new();
    city.put("judgment", &[row("a", &[("text", text("甲"))])], Some(&at("import:1", 1)));
    let dataset = city.catalogue.dataset("judgment").expect("there").clone();
    let mut batch = Batch::new(&dataset);
    // More than is kept back, so that the writer has it already.
    let big = "乙".repeat(300_000);
    for i in 0..12 {
        batch.push_fields(&dataset, &row(&format!("b{i}"), &[("text", text(&big))]));
    }
    batch.push_fields(&dataset, &row("a", &[("text", text("丙"))]));
    let mut txn = city.indexes.begin(&dataset).expect("begins");
    txn.upsert(&batch).expect("upserts");
    txn.delete(&[RowKey::of(["a"])]).expect("deletes");
    drop(txn);
    assert_eq!(city.ids("甲"), ["a"]);
    assert!(city.ids("乙").is_empty());
    assert_eq!(city.indexes.cursor(&dataset, "import:1").expect("reads"), Some(1));
    // The writer still works, and nothing of the dropped transaction comes with the next.
    city.put("judgment", &[row("c", &[("text", text("丁"))])], Some(&at("import:1", 2)));
    assert_eq!(city.indexes.state("judgment").rows, 2);
}

#[test]
fn cursors_and_rows_survive_together() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalogue = catalogue();
    let dataset = catalogue.dataset("judgment").expect("there").clone();
    for round in 0..5u64 {
        let indexes = open(dir.path(), &catalogue);
        let done = indexes.cursor(&dataset, "log").expect("reads").unwrap_or(0);
        assert_eq!(done, round);
        assert_eq!(indexes.state("judgment").rows, round);
        put(
            &indexes,
            &catalogue,
            "judgment",
            &[row(&format!("r{round}"), &[("text", text("甲"))])],
            Some(&at("log", done + 1)),
        );
        // An unfinished transaction when the program ends.
        let mut batch = Batch::new(&dataset);
        batch.push_fields(&dataset, &row(&format!("lost{round}"), &[("text", text("甲"))]));
        let mut txn = indexes.begin(&dataset).expect("begins");
        txn.upsert(&batch).expect("upserts");
    }
    let reader = Indexes::read_only(dir.path(), catalogue.clone());
    assert_eq!(reader.state("judgment").rows, 5);
    assert_eq!(reader.cursor(&dataset, "log").expect("reads"), Some(5));
    assert!(reader.begin(&dataset).is_err());
}

#[test]
fn loading_twice_changes_nothing_and_changes_are_counted() {
    let city = City::new();
    let rows: Vec<_> = (0..50).map(|i| row(&format!("r{i}"), &[("text", text("甲乙"))])).collect();
    let first = city.put("judgment", &rows, None);
    assert_eq!((first.inserted, first.version), (50, 1));
    let again = city.put("judgment", &rows, Some(&at("import:2", 50)));
    assert_eq!((again.inserted, again.updated, again.unchanged, again.version), (0, 0, 50, 1));
    let mut changed = rows.clone();
    changed[3] = row("r3", &[("text", text("丙丁"))]);
    changed.push(row("r50", &[("text", text("戊"))]));
    // The same key twice in one transaction: the last one stands.
    changed.push(row("r50", &[("text", text("己"))]));
    let third = city.put("judgment", &changed, None);
    assert_eq!((third.inserted, third.updated, third.unchanged), (1, 2, 49));
    assert_eq!(city.ids("丙丁"), ["r3"]);
    assert!(city.ids("戊").is_empty());
    assert_eq!(city.ids("己"), ["r50"]);
    let dataset = city.catalogue.dataset("judgment").expect("there").clone();
    let mut txn = city.indexes.begin(&dataset).expect("begins");
    txn.delete(&[RowKey::of(["r3"]), RowKey::of(["not there"])]).expect("deletes");
    assert_eq!(txn.commit(None).expect("commits").deleted, 1);
    assert!(city.ids("丙丁").is_empty());
    assert_eq!(city.indexes.state("judgment").rows, 50);
}

#[test]
fn registers_share_an_index_and_stay_apart() {
    let city = City::new();
    let premises = city.catalogue.dataset("premises").expect("there").clone();
    let company = city.catalogue.dataset("company").expect("there").clone();
    // Both transactions open at the same time, as a follower may have them.
    let mut a = city.indexes.begin(&premises).expect("begins");
    let mut b = city.indexes.begin(&company).expect("begins");
    let batch = |dataset, id: &str, name: &str| {
        let mut batch = Batch::new(dataset);
        batch.push_fields(dataset, &row(id, &[("name", text(name)), ("district", text("310104"))]));
        batch
    };
    a.upsert(&batch(&premises, "p1", "和平饭店")).expect("upserts");
    b.upsert(&batch(&company, "c1", "和平饭店管理公司")).expect("upserts");
    a.commit(Some(&at("log", 1))).expect("commits");
    b.commit(Some(&at("log", 2))).expect("commits");
    assert_eq!(city.indexes.cursor(&premises, "log").expect("reads"), Some(1));
    assert_eq!(city.indexes.cursor(&company, "log").expect("reads"), Some(2));
    for (dataset, id) in [("premises", "p1"), ("company", "c1")] {
        for query in ["", "和平饭店", "\"饭店\"", "和平"] {
            let page = city.ask(
                &everyone(),
                &SearchRequest { dataset: dataset.into(), facets: vec!["district".into()], ..request(query) },
            );
            assert_eq!((page.total, page.hits[0].id.as_str()), (1, id), "{dataset} {query}");
            assert_eq!(page.facets["district"][0].count, 1);
            assert_eq!(page.facets["district"][0].label.as_deref(), Some("徐汇区"));
        }
        assert_eq!(city.indexes.state(dataset).rows, 1);
    }
    city.indexes.clear(&premises).expect("clears");
    assert_eq!((city.indexes.state("premises").rows, city.indexes.state("company").rows), (0, 1));
    assert_eq!(city.indexes.cursor(&premises, "log").expect("reads"), None);
}

#[test]
fn writers_are_closed_and_opened_as_needed() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalogue = catalogue();
    let options = zonglan_search::Options { writer_memory: 32 << 20, writers: 1, ..Default::default() };
    let indexes = Indexes::open(dir.path(), catalogue.clone(), options).expect("opens");
    for i in 0..3 {
        let id = format!("r{i}");
        put(&indexes, &catalogue, "judgment", &[row(&id, &[("text", text("甲"))])], None);
        put(&indexes, &catalogue, "premises", &[row(&id, &[("name", text("乙"))])], None);
    }
    indexes.close();
    assert_eq!((indexes.state("judgment").rows, indexes.state("premises").rows), (3, 3));
    // Closed writers give their lock back: another process could write now.
    let other = open(dir.path(), &catalogue);
    put(&other, &catalogue, "judgment", &[row("r9", &[("text", text("甲"))])], None);
}

const CHILD: &str = "ZONGLAN_TEST_CRASH_DIR";

/// Not a test of its own: writes until it is killed, when the one below starts it.
#[test]
fn writes_until_killed() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let catalogue = catalogue();
    let indexes = open(std::path::Path::new(&dir), &catalogue);
    let dataset = catalogue.dataset("judgment").expect("there").clone();
    let mut done = indexes.cursor(&dataset, "log").expect("reads").unwrap_or(0);
    let body = "盗窃电动车".repeat(2_000);
    loop {
        let rows: Vec<_> = (0..10).map(|i| row(&format!("r{}", done * 10 + i), &[("text", text(&body))])).collect();
        put(&indexes, &catalogue, "judgment", &rows, Some(&at("log", done + 1)));
        done += 1;
    }
}

#[test]
fn a_killed_writer_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalogue = catalogue();
    let dataset = catalogue.dataset("judgment").expect("there").clone();
    let mut before = 0;
    for round in 0..6u64 {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "crash::writes_until_killed"])
            .env(CHILD, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        std::thread::sleep(std::time::Duration::from_millis(200 + 130 * round));
        child.kill().expect("kills");
        child.wait().expect("ends");
        let indexes = open(dir.path(), &catalogue);
        let done = indexes.cursor(&dataset, "log").expect("reads").unwrap_or(0);
        assert!(done >= before, "the cursor goes forward");
        assert_eq!(indexes.state("judgment").rows, done * 10);
        before = done;
        // What was found before is found again, and writing goes on.
        put(&indexes, &catalogue, "judgment", &[row("r0", &[("text", text("盗窃"))])], None);
        assert_eq!(indexes.state("judgment").rows, (done * 10).max(1));
        if done == 0 {
            indexes.clear(&dataset).expect("clears");
        }
    }
    assert!(before > 0);
}
