//! Indexes of older formats and definitions: they answer until what replaces them is complete.

use crate::city::{catalogue, catalogue_where, everyone, open, put, request, row, text};
use std::path::Path;
use std::sync::Arc;
use zonglan_catalog::traits::Cancel;
use zonglan_catalog::{Catalogue, Value, bind_search};
use zonglan_search::Indexes;

fn found(indexes: &Indexes, catalogue: &Arc<Catalogue>, query: &str) -> u64 {
    let bound = bind_search(catalogue, catalogue.policy(), &everyone(), &request(query), 0).expect("binds");
    indexes.search_blocking(&bound, &Cancel::default()).expect("answers").total
}

fn rows() -> Vec<std::collections::BTreeMap<String, Value>> {
    (0..20)
        .map(|i| row(&format!("r{i}"), &[("text", text(&format!("甲案第{i}号"))), ("court", text("静安法院"))]))
        .collect()
}

/// Makes the index in a folder one of the format before.
fn age(dir: &Path) {
    let now = std::fs::read_dir(dir).expect("reads").flatten().map(|e| e.file_name().into_string().expect("a name"));
    let name = now.filter(|n| n.starts_with("judgment.")).max().expect("an index");
    let format: u32 = name.trim_start_matches("judgment.").parse().expect("a number");
    std::fs::rename(dir.join(&name), dir.join(format!("judgment.{}", format - 1))).expect("renamed");
}

#[test]
fn an_older_index_serves_until_the_new_one_is_complete() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalogue = catalogue();
    let dataset = catalogue.dataset("judgment").expect("there").clone();
    let indexes = open(dir.path(), &catalogue);
    put(&indexes, &catalogue, "judgment", &rows(), None);
    assert!(!indexes.outdated(&dataset, 20).expect("asks"), "all rows are there");
    indexes.close();
    drop(indexes);
    age(dir.path());

    // Two starts: the first one is interrupted half way.
    for start in 0..2 {
        let indexes = open(dir.path(), &catalogue);
        assert!(indexes.serves_older(&dataset));
        assert_eq!(found(&indexes, &catalogue, "\"甲案\""), 20, "the old one answers at once");
        assert!(indexes.outdated(&dataset, 20).expect("asks"));
        put(&indexes, &catalogue, "judgment", &rows()[..10 + start * 10], None);
        assert_eq!(found(&indexes, &catalogue, "\"甲案\""), 20, "and while rows are written");
        if start == 1 {
            put(&indexes, &catalogue, "judgment", &[row("new", &[("text", text("甲案新件"))])], None);
            indexes.rebuilt(&dataset).expect("ends");
            assert!(!indexes.serves_older(&dataset));
            assert_eq!(found(&indexes, &catalogue, "\"甲案\""), 21);
        }
        indexes.close();
    }
    let indexes = open(dir.path(), &catalogue);
    assert!(!indexes.outdated(&dataset, 21).expect("asks"));
    assert!(!indexes.serves_older(&dataset));
    let left = std::fs::read_dir(dir.path()).expect("reads").flatten();
    assert_eq!(left.filter(|e| e.file_name().to_string_lossy().starts_with("judgment.")).count(), 1);
}

#[test]
fn an_index_that_cannot_be_read_is_filled_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalogue = catalogue();
    let dataset = catalogue.dataset("judgment").expect("there").clone();
    std::fs::create_dir(dir.path().join("judgment.1")).expect("made");
    std::fs::write(dir.path().join("judgment.1/meta.json"), "{").expect("written");
    let indexes = open(dir.path(), &catalogue);
    assert!(indexes.outdated(&dataset, 20).expect("asks"));
    put(&indexes, &catalogue, "judgment", &rows(), None);
    indexes.rebuilt(&dataset).expect("ends");
    assert_eq!(found(&indexes, &catalogue, "\"甲案\""), 20);
    assert!(!dir.path().join("judgment.1").exists());
    // Rows that were lost are missed.
    assert!(indexes.outdated(&dataset, 21).expect("asks"));
}

#[test]
fn rows_of_an_older_definition_are_replaced_one_by_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let before = catalogue();
    let indexes = open(dir.path(), &before);
    put(&indexes, &before, "judgment", &rows(), None);
    indexes.close();
    drop(indexes);
    let after = catalogue_where(
        "name = \"court\", label = { zh = \"法院\", en = \"Court\" }, type = \"text\", search = \"keyword\"",
        "name = \"court\", label = { zh = \"法院\", en = \"Court\" }, type = \"text\", search = \"zh\"",
    );
    let dataset = after.dataset("judgment").expect("there").clone();
    let indexes = open(dir.path(), &after);
    assert!(indexes.outdated(&dataset, 20).expect("asks"));
    assert_eq!(found(&indexes, &after, "court:\"静安\""), 0);
    assert_eq!(found(&indexes, &after, "\"甲案\""), 20);
    let done = put(&indexes, &after, "judgment", &rows(), None);
    assert_eq!(done.updated, 20);
    indexes.rebuilt(&dataset).expect("ends");
    assert_eq!(found(&indexes, &after, "court:\"静安\""), 20);
    assert!(!indexes.outdated(&dataset, 20).expect("asks"));
}
