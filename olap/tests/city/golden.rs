//! Golden queries over the demo city: rollups, rows, ClickHouse and the stored answers say the same.
//!
//! `golden/queries.jsonl` has a query a line, `golden/answers.jsonl` its answer. Answers belong to
//! the data whose checksums stand in the first line; where the generator has changed since, only
//! rollups and rows are compared, and the test says so. `ZONGLAN_UPDATE=1` writes the answers anew.

use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use zonglan_catalog::bind::{BoundQuery, bind};
use zonglan_catalog::traits::{Cancel, DemoSource, RowSink};
use zonglan_catalog::{Catalogue, Principal, Query, Table};
use zonglan_fixtures::{DemoCity, DemoOptions};
use zonglan_olap::clickhouse::Server;
use zonglan_olap::{Options, Store};

use crate::server::ClickHouse;

/// The last day of the data, and the moment of the questions.
const UNTIL: &str = "2025-11-30";

fn city(folder: &Path, catalogue: &Arc<Catalogue>, datasets: &[String], server: Option<Server>) -> Store {
    let options = Options { rollup_min_rows: 0, server, ..Options::default() };
    let store = Store::open(folder, options, catalogue.clone()).expect("opens");
    let until = UNTIL.parse().expect("a day");
    let city = DemoCity::new(DemoOptions { seed: 7, incidents: 4_000, until, narratives: false }).expect("a city");
    for name in city.datasets().into_iter().filter(|name| datasets.contains(name)) {
        let dataset = catalogue.dataset(&name).expect("a dataset").clone();
        let mut txn = store.begin(&dataset).expect("begins");
        city.generate(&dataset, &mut |batch| txn.upsert(&batch)).expect("makes rows");
        txn.commit(None).expect("commits");
        if store.segments(&name).0 > 0 {
            store.build_rollups(&name).expect("builds");
        }
    }
    store
}

fn bound(catalogue: &Catalogue, query: &Query) -> Result<BoundQuery, String> {
    let principal = Principal {
        user: "leader".into(),
        name: "leader".into(),
        roles: vec!["leader".into()],
        regions: vec!["310000".into()],
        purpose: None,
        grants: Vec::new(),
        grants_version: 0,
    };
    let now = zonglan_catalog::time::local_midnight(UNTIL.parse().expect("a day"));
    bind(catalogue, catalogue.policy(), &principal, query, now)
        .map_err(|e| format!("{}: {e}", serde_json::to_string(query).unwrap_or_default()))
}

fn shown(table: &Table) -> Json {
    let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    json!({"columns": columns, "rows": table.rows, "totals": table.totals, "total": table.meta.total})
}

#[test]
fn rollups_rows_and_golden_answers_agree() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = std::fs::read_to_string(golden.join("queries.jsonl")).expect("queries");
    let queries: Vec<Query> =
        text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect();
    assert!(queries.len() >= 150, "{} golden queries", queries.len());
    let catalogue = Arc::new(Catalogue::builtin().expect("the packs load"));
    let mut datasets: Vec<String> = Vec::new();
    let bounds: Vec<BoundQuery> =
        queries.iter().map(|q| bound(&catalogue, q).unwrap_or_else(|e| panic!("{e}"))).collect();
    for part in bounds.iter().flat_map(BoundQuery::parts) {
        if !datasets.contains(&part.dataset.name) {
            datasets.push(part.dataset.name.clone());
        }
    }
    let folder = tempfile::tempdir().expect("folder");
    let store = city(folder.path(), &catalogue, &datasets, None);
    let clickhouse = ClickHouse::start();
    let elsewhere = tempfile::tempdir().expect("folder");
    let remote = clickhouse.as_ref().map(|c| city(elsewhere.path(), &catalogue, &datasets, Some(c.database())));
    if let Some(remote) = &remote {
        for name in &datasets {
            assert_eq!(
                remote.checksum(name).expect("reads back"),
                store.checksum(name).expect("a sum"),
                "{name} on ClickHouse"
            );
            let (mut here, mut there) = (store.state(name), remote.state(name));
            (here.loaded_at, there.loaded_at) = (None, None);
            assert_eq!(here, there, "{name}");
        }
    }
    let sums: BTreeMap<&String, String> =
        datasets.iter().map(|name| (name, store.checksum(name).expect("a sum").1)).collect();

    let stored = std::fs::read_to_string(golden.join("answers.jsonl")).unwrap_or_default();
    let mut lines = stored.lines();
    let known: Json = lines.next().map_or(Json::Null, |l| serde_json::from_str(l).expect("checksums"));
    let old: Vec<&str> = lines.collect();
    let update = std::env::var("ZONGLAN_UPDATE").is_ok();
    let (mut fresh, mut rolled, mut compared) = (vec![serde_json::to_string(&sums).expect("json")], 0, 0);
    let mut differ = Vec::new();
    for (index, (query, bound)) in queries.iter().zip(&bounds).enumerate() {
        let name = serde_json::to_string(query).expect("json");
        let table = store.query_blocking(bound, &Cancel::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let raw = store.query_raw(bound, &Cancel::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        rolled += usize::from(table.meta.rollup.is_some());
        let (table, raw) = (shown(&table), shown(&raw));
        assert_eq!(table, raw, "rollup and rows differ: {name}");
        if let Some(remote) = &remote {
            match remote.query_blocking(bound, &Cancel::default()) {
                Ok(there) if there.meta.engine == "clickhouse" && shown(&there) == raw => {}
                Ok(there) => differ.push(format!("{name}\n  rows {raw}\n  clickhouse {}", shown(&there))),
                Err(error) => differ.push(format!("{name}: {error}")),
            }
        }
        let line = raw.to_string();
        let same =
            bound.parts().iter().all(|p| known[&p.dataset.name].as_str() == Some(sums[&p.dataset.name].as_str()));
        if !update && same {
            assert_eq!(old.get(index).copied(), Some(line.as_str()), "not the golden answer: {name}");
            compared += 1;
        }
        fresh.push(line);
    }
    assert!(differ.is_empty(), "{} of {}: {}", differ.len(), queries.len(), differ.join("\n"));
    assert!(rolled * 3 > queries.len(), "rollups answered {rolled} of {} queries", queries.len());
    if update {
        std::fs::write(golden.join("answers.jsonl"), fresh.join("\n") + "\n").expect("writes");
    } else if compared < queries.len() {
        println!("{} golden answers are of other data: ZONGLAN_UPDATE=1 writes them anew", queries.len() - compared);
    }
}
