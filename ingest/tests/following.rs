//! The change log reaches every store once.

mod common;

use common::Memory;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zonglan_catalog::Value;
use zonglan_catalog::traits::{Change, ChangeBlock, RowSink};
use zonglan_ingest::Follower;

const REGISTER: &str = r#"
name = "premises"
label = { zh = "场所", en = "Premises" }
source = "records"
owner = "t"
shared = true
key = ["id"]
field = [
  { name = "id", label = { zh = "编号", en = "No" }, type = "text" },
  { name = "name", label = { zh = "名称", en = "Name" }, type = "text" },
]
"#;

fn change(id: &str, name: Option<&str>, at: i64) -> Change {
    let after = name.map(|n| BTreeMap::from([("name".to_string(), Value::Text(n.to_string()))]));
    Change { dataset: "premises".into(), id: id.into(), after, version: 1, at }
}

fn names(sink: &Memory) -> Vec<String> {
    sink.texts("premises").into_iter().map(|r| r.join("=")).collect()
}

#[test]
fn blocks_apply_once_and_stores_do_not_wait_for_each_other() {
    let catalogue = Arc::new(common::catalogue(&[REGISTER]));
    let (columns, index) = (Memory::new("columns"), Memory::new("index"));
    let sinks: Vec<Arc<dyn RowSink>> = vec![columns.clone(), index.clone()];
    let blocks = vec![
        ChangeBlock { number: 1, changes: vec![change("a", Some("x"), 10), change("b", Some("y"), 11)] },
        ChangeBlock { number: 2, changes: vec![change("a", Some("z"), 12), change("b", None, 13)] },
        ChangeBlock { number: 3, changes: vec![change("c", Some("w"), 14)] },
    ];
    let follower = Follower::new(catalogue.clone(), sinks.clone());
    let applied = follower.apply(&*columns, &blocks[..2]).expect("applies");
    assert_eq!((applied.position, applied.blocks, applied.changes, applied.last_change_at), (2, 2, 4, Some(13)));
    assert_eq!(names(&columns), ["a=z"]);
    // A failing store keeps its position, and the other goes on.
    index.fail_commit.store(true, Ordering::Relaxed);
    assert!(follower.apply(&*index, &blocks).is_err());
    follower.apply(&*columns, &blocks[2..]).expect("applies");
    assert_eq!(names(&columns), ["a=z", "c=w"]);
    assert_eq!(follower.position(&*index).expect("position"), 0);
    follower.apply(&*index, &blocks).expect("applies");
    assert_eq!(names(&index), names(&columns));
    // After a restart the position comes from the store, and blocks seen before change nothing.
    let follower = Follower::new(catalogue, sinks);
    assert_eq!(follower.position(&*columns).expect("position"), 3);
    let commits = columns.state.lock().expect("lock").commits;
    let applied = follower.apply(&*columns, &blocks).expect("applies");
    assert_eq!((applied.blocks, applied.changes), (0, 0));
    assert_eq!(columns.state.lock().expect("lock").commits, commits);
}
