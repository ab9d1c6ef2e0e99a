//! The real files, where ZONGLAN_SHARED names them: loaded with the example mappings, counted and searched.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use zonglan_tests::workspace;

/// The program's command line on one data directory with the example catalogue.
struct Line<'a> {
    data: &'a Path,
}

impl Line<'_> {
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(zonglan_tests::binary())
            .args(arguments)
            .env("ZONGLAN_DATA_DIR", self.data)
            .env("ZONGLAN_OVERLAYS", workspace().join("docs/examples/catalogue"))
            .env_remove("ZONGLAN_SHARED")
            .output()?;
        let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{arguments:?}: {out}{log}");
        Ok(out.into_owned())
    }

    fn load(&self, dataset: &str, mapping: &str, file: &Path) -> Result<()> {
        let mapping = workspace().join("docs/examples/mappings").join(format!("{mapping}.toml"));
        self.run(&[
            "ingest",
            "--dataset",
            dataset,
            "--mapping",
            &mapping.display().to_string(),
            &file.display().to_string(),
        ])?;
        Ok(())
    }

    fn count(&self, dataset: &str, filter: &Value) -> Result<u64> {
        let filter = filter.to_string();
        let text =
            self.run(&["query", "--dataset", dataset, "--measures", "count", "--where", &filter, "--format", "json"])?;
        let answer: Value = serde_json::from_str(&text)?;
        answer["rows"][0][0].as_u64().with_context(|| format!("a count in {answer}"))
    }
}

#[test]
fn west_yorkshire_keeps_every_row_and_loading_twice_changes_nothing() -> Result<()> {
    let Some(shared) = zonglan_tests::shared() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let line = Line { data: dir.path() };
    for _ in 0..2 {
        for year in [2016, 2017, 2018] {
            let file = shared.join(format!("data/incidents/{year}-07-west-yorkshire-street.csv.gz"));
            line.load("west_yorkshire_crime", "west_yorkshire", &file)?;
        }
        ensure!(line.count("west_yorkshire_crime", &json!({}))? == 87_348);
        ensure!(line.count("west_yorkshire_crime", &json!({"crime_id": {"is_null": true}}))? == 18_826);
        ensure!(line.count("west_yorkshire_crime", &json!({"location": {"is_null": true}}))? == 3_771);
    }
    Ok(())
}

#[test]
fn chicago_loads_from_parquet() -> Result<()> {
    let Some(shared) = zonglan_tests::shared() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let line = Line { data: dir.path() };
    line.load("chicago_crime", "chicago", &shared.join("data/incidents/chicago_2018.parquet"))?;
    ensure!(line.count("chicago_crime", &json!({}))? == 156_385);
    Ok(())
}

#[test]
fn judgments_and_statutes_are_found_and_marked() -> Result<()> {
    let Some(shared) = zonglan_tests::shared() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let line = Line { data: dir.path() };
    line.load("judgment", "judgments", &shared.join("data/judgments/judge.jsonl.gz"))?;
    ensure!(line.count("judgment", &json!({}))? == 501);
    let text = line.run(&["search", "--dataset", "judgment", "\"（2017）沪0120刑初684号\"", "--format", "json"])?;
    let page: Value = serde_json::from_str(&text)?;
    ensure!(page["total"].as_u64() >= Some(1) && page["hits"][0]["highlights"][0]["marks"].is_array(), "{page}");
    line.load("statute", "statutes", &shared.join("data/statutes/articles.jsonl.gz"))?;
    ensure!(line.count("statute", &json!({}))? == 60_490);
    let text = line.run(&["search", "--dataset", "statute", "\"个体工商户\"", "--format", "json"])?;
    let page: Value = serde_json::from_str(&text)?;
    ensure!(page["total"].as_u64() > Some(20), "{}", page["total"]);
    Ok(())
}
