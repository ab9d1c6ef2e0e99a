//! The marks of tests (`// modules: L077, L078` over a test) and the modules that files claim.
//!
//! `ZONGLAN_UPDATE=1` rewrites catalog/coverage.json from the marks; the program carries that file.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::tidy::rust_files;

type Marks = BTreeMap<String, BTreeSet<String>>;

const MARK: &str = "// modules:";

/// Reads the marks of a file. A mark stands over a test, with nothing but attributes between.
fn read_marks(name: &str, text: &str, marks: &mut Marks) -> Result<()> {
    let mut pending: Vec<(String, usize)> = Vec::new();
    let mut is_test = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(list) = line.strip_prefix(MARK) {
            let ids = list.split([',', ' ']).map(str::trim).filter(|id| !id.is_empty());
            pending.extend(ids.map(|id| (id.to_string(), number + 1)));
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some(head) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))
            && is_test
        {
            let test = head.split('(').next().unwrap_or_default();
            for (id, _) in pending.drain(..) {
                marks.entry(id).or_default().insert(format!("{name}::{test}"));
            }
            is_test = false;
        } else if !line.starts_with("//") {
            if let Some((id, number)) = pending.first() {
                bail!("{name}:{number}: the mark of {id} does not stand over a test");
            }
            is_test = false;
        }
    }
    ensure!(pending.is_empty(), "{name}: a mark at the end of the file stands over no test");
    Ok(())
}

/// `zonglan catalog coverage` of the packs in the binary.
fn coverage() -> Result<Value> {
    let output = Command::new(zonglan_tests::binary())
        .args(["catalog", "coverage", "--format", "json"])
        .env_remove("ZONGLAN_UPDATE")
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("coverage is JSON")
}

fn ids(list: &Value) -> Vec<String> {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|entry| entry["id"].as_str().map(str::to_string)).collect()
}

#[test]
fn every_claimed_module_has_a_test() -> Result<()> {
    let root = zonglan_tests::workspace().canonicalize()?;
    let mut files = Vec::new();
    rust_files(&root, &mut files)?;
    let mut marks = Marks::new();
    for file in &files {
        let name = file.strip_prefix(&root)?.display().to_string();
        read_marks(&name, &std::fs::read_to_string(file)?, &mut marks)?;
    }
    let path = root.join("catalog/coverage.json");
    let text = serde_json::to_string_pretty(&marks)? + "\n";
    let coverage = coverage()?;
    let (served, untested) = (ids(&coverage["served"]), ids(&coverage["untested"]));
    let claimed: Vec<&String> = served.iter().chain(&untested).collect();
    ensure!(!claimed.is_empty(), "no module is claimed: {coverage}");
    let bare: Vec<_> = claimed.into_iter().filter(|id| !marks.contains_key(*id)).collect();
    ensure!(bare.is_empty(), "claimed by a file, but no test is marked with `{MARK} ...`: {bare:?}");
    if std::env::var_os("ZONGLAN_UPDATE").is_some() {
        std::fs::write(&path, text)?;
        eprintln!("written: {}", path.display());
        return Ok(());
    }
    ensure!(
        std::fs::read_to_string(&path)? == text,
        "catalog/coverage.json is not what the tests' marks say; run with ZONGLAN_UPDATE=1"
    );
    ensure!(untested.is_empty(), "the program carries an old coverage.json; build it again: {untested:?}");
    Ok(())
}

#[test]
fn coverage_adds_up_and_serves_nothing_excluded() -> Result<()> {
    let coverage = coverage()?;
    let sum = |groups: &Value, key: &str| -> u64 {
        groups.as_object().into_iter().flatten().filter_map(|(_, group)| group[key].as_u64()).sum()
    };
    let served = ids(&coverage["served"]);
    let excluded = ids(&coverage["excluded"]);
    for key in ["kinds", "systems"] {
        ensure!(sum(&coverage[key], "served") == served.len() as u64, "{key}: {coverage}");
        ensure!(sum(&coverage[key], "of") == coverage["total"]["of"].as_u64().context("total")?, "{key}");
    }
    ensure!(coverage["kinds"]["excluded"].is_null() && excluded.len() == 15, "{excluded:?}");
    ensure!(!excluded.iter().any(|id| served.contains(id)));
    let text = Command::new(zonglan_tests::binary()).args(["catalog", "coverage"]).output()?.stdout;
    let text = String::from_utf8(text)?;
    ensure!(served.iter().all(|id| text.contains(id.as_str())) && text.contains("派出所基础工作"), "{text}");
    Ok(())
}

#[test]
fn a_mark_belongs_to_the_test_under_it() -> Result<()> {
    let mut marks = Marks::new();
    let text = format!("{MARK} A1, A2\n#[test]\n#[ignore]\nfn one() {{}}\n#[test]\nfn two() {{}}\n");
    read_marks("t.rs", &text, &mut marks)?;
    ensure!(marks.keys().collect::<Vec<_>>() == ["A1", "A2"] && marks["A1"].contains("t.rs::one"), "{marks:?}");
    ensure!(read_marks("t.rs", &format!("{MARK} A1\nfn helper() {{}}\n"), &mut marks).is_err());
    Ok(())
}
