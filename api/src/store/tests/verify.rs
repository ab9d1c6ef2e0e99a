//! Whoever alters, removes, reorders or cuts is named; a crash loses nothing that was confirmed.

use super::*;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

/// Runs SQL past the store.
async fn tamper(dir: &Path, statements: &[&str]) {
    let mut conn = SqliteConnection::connect(&format!("sqlite:{}", dir.join(DATABASE).display())).await.expect("opens");
    for sql in statements {
        sqlx::query(sql).execute(&mut conn).await.expect(sql);
    }
    conn.close().await.expect("closes");
}

async fn written() -> Rig {
    let rig = rig().await;
    for i in 0..20 {
        let made = rig.add(&format!("单位{i}"), "310104").await;
        if i % 4 == 0 {
            let change = fields(json!({ "rooms": i }));
            rig.store.records.patch(&city(), "premises", &made.id, 1, &change, None).await.expect("changed");
        }
    }
    rig.store.log.audit(AuditEvent::new("auditor", "export").dataset("premises")).await.expect("audited");
    rig.store.close().await;
    rig
}

async fn check(rig: &Rig) -> VerifyReport {
    verify(rig.dir.path(), Some(&catalogue_with(PREMISES)), &[]).await.expect("runs")
}

#[tokio::test]
async fn an_untouched_store_verifies() {
    let rig = written().await;
    let report = check(&rig).await;
    assert!(report.ok(), "{report}");
    assert_eq!((report.streams[0].entries, report.streams[0].open_window), (25, 0), "{report}");
    assert_eq!(
        (report.records[1].dataset.as_str(), report.records[1].rows, report.records[1].agree),
        ("premises", 20, 20)
    );
    let other = || vec!["segment 7: checksum differs".to_string()];
    let report = verify(rig.dir.path(), None, &[("columns", &other)]).await.expect("runs");
    assert_eq!(report.findings, ["columns: segment 7: checksum differs"]);
}

#[tokio::test]
async fn tampering_is_named() {
    let cases: [(&[&str], &str); 10] = [
        (&["UPDATE change_log SET actor = 'somebody' WHERE id = 3"], "change 3 (premises/"),
        (&["UPDATE change_log SET after = replace(after, '单位', '别的') WHERE id = 5"], "change 5 (premises/"),
        (&["DELETE FROM change_log WHERE id = 4"], "change 4: removed from block"),
        (
            &[
                "UPDATE change_log SET id = -1 WHERE id = 1",
                "UPDATE change_log SET id = 1 WHERE id = 2",
                "UPDATE change_log SET id = 2 WHERE id = -1",
            ],
            "reordered (this is entry",
        ),
        (&["DELETE FROM change_block WHERE number = 1"], "change block 1: removed"),
        (
            &[
                "DELETE FROM change_log WHERE block = (SELECT max(number) FROM change_block)",
                "DELETE FROM change_block WHERE number = (SELECT max(number) FROM change_block)",
            ],
            "the end was cut",
        ),
        (&["UPDATE change_block SET hash = zeroblob(32) WHERE number = 1"], "change block 1: altered"),
        (&["UPDATE audit_log SET action = 'nothing' WHERE id = (SELECT max(id) FROM audit_log)"], "audit "),
        (
            &["UPDATE r_premises SET doc = json_set(doc, '$.rooms', 99) WHERE id = 'PR2026000003'"],
            "record premises/PR2026000003: differs",
        ),
        (
            &["DELETE FROM r_premises WHERE id = 'PR2026000004'"],
            "record premises/PR2026000004: is in the log but not in the register",
        ),
    ];
    for (statements, expect) in cases {
        let rig = written().await;
        tamper(rig.dir.path(), statements).await;
        let report = check(&rig).await;
        assert!(report.findings.iter().any(|f| f.contains(expect)), "{statements:?}: {report}");
    }
}

#[tokio::test]
async fn a_forged_checkpoint_is_refused() {
    let rig = written().await;
    let folder = rig.dir.path().join(CHECKPOINTS);
    let file = std::fs::read_dir(&folder).expect("folder").next().expect("a file").expect("entry").path();
    let text = std::fs::read_to_string(&file).expect("text");
    std::fs::write(&file, text.replacen("\"entries\":25", "\"entries\":24", 1)).expect("written");
    let report = check(&rig).await;
    assert!(report.findings.iter().any(|f| f.contains("the signature does not hold")), "{report}");
}

/// The writer's runtime is torn down in the middle of writes; what was confirmed is there after.
#[test]
fn what_was_confirmed_survives_a_stop() {
    let dir = tempfile::tempdir().expect("temp dir");
    let clock = Arc::new(TestClock(AtomicI64::new(START)));
    let mut confirmed = Vec::new();
    for round in 0..5 {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
        let done = Arc::new(Mutex::new(Vec::new()));
        let (path, clock, log) = (dir.path().to_path_buf(), clock.clone(), done.clone());
        runtime.block_on(async move {
            let store = open(&path, clock).await.expect("opens again");
            for writer in 0..8 {
                let (store, log) = (store.clone(), log.clone());
                tokio::spawn(async move {
                    for i in 0.. {
                        let input = hotel(&format!("单位{round}-{writer}-{i}"), "310104");
                        let Ok(made) = store.records.create(&city(), "premises", &input, None).await else { return };
                        log.lock().expect("lock").push(made.id);
                    }
                });
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        });
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        confirmed.append(&mut done.lock().expect("lock"));
    }
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(async {
        let store = open(dir.path(), clock).await.expect("opens");
        for id in &confirmed {
            store.records.get(&city(), "premises", id).await.expect("a confirmed record is there");
        }
        let distinct: std::collections::BTreeSet<_> = confirmed.iter().collect();
        assert_eq!(distinct.len(), confirmed.len(), "no number was given twice");
        store.close().await;
        let report = verify(dir.path(), Some(&store.catalogue()), &[]).await.expect("runs");
        assert!(report.ok(), "{report}");
        println!("{} writes confirmed in five rounds", confirmed.len());
    });
}

#[tokio::test]
async fn lost_keys_are_not_made_anew() {
    let rig = written().await;
    let path = rig.dir.path().to_path_buf();
    drop(rig.store);
    std::fs::remove_dir_all(path.join(KEYS)).expect("removed");
    // The lock goes with the writer's task, which ends on its own.
    let mut error = open(&path, rig.clock.clone()).await.expect_err("no keys");
    for _ in 0..50 {
        if error.code != "store.locked" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        error = open(&path, rig.clock.clone()).await.expect_err("no keys");
    }
    assert!(error.message.contains("key file"), "{error}");
}
