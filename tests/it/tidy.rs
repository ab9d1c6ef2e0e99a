//! The shape of the workspace: allowed edges between crates, owners of dependencies, module heads.

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which of our crates a crate may use. ARCHITECTURE.md shows the same table.
const EDGES: [(&str, &[&str]); 10] = [
    ("catalog", &[]),
    ("geo", &[]),
    ("ingest", &["catalog", "geo"]),
    ("olap", &["catalog", "geo"]),
    ("search", &["catalog"]),
    ("models", &["catalog"]),
    ("dashboards", &["catalog", "geo", "models"]),
    ("fixtures", &["catalog", "geo", "ingest"]),
    ("api", &["catalog", "geo", "ingest", "olap", "search", "models", "dashboards", "fixtures"]),
    ("tests", &["catalog", "geo", "ingest", "olap", "search", "models", "dashboards", "fixtures", "api"]),
];

/// Heavy dependencies and the crates that may name them. Polars reads Parquet in `ingest` too.
const OWNERS: [(&str, &[&str]); 21] = [
    ("toml", &["catalog", "api", "ingest", "fixtures"]),
    ("schemars", &["catalog"]),
    ("proj", &["geo"]),
    ("geo", &["geo"]),
    ("rstar", &["geo"]),
    ("calamine", &["ingest"]),
    ("encoding_rs", &["ingest"]),
    ("polars", &["olap", "ingest"]),
    ("clickhouse", &["olap"]),
    ("tantivy", &["search"]),
    ("plotters", &["dashboards"]),
    ("plotters-backend", &["dashboards"]),
    ("askama", &["dashboards"]),
    ("rust_xlsxwriter", &["dashboards", "ingest"]),
    ("axum", &["api"]),
    ("sqlx", &["api"]),
    ("utoipa", &["api"]),
    ("sm2", &["api"]),
    ("sm4", &["api"]),
    ("aes-gcm", &["api"]),
    ("fantoccini", &["tests"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn packages() -> Result<Vec<Package>> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec()?;
    Ok(metadata.packages)
}

fn short(name: &str) -> Option<&str> {
    name.strip_prefix("zonglan-")
}

#[test]
fn crates_use_only_the_crates_they_may() -> Result<()> {
    let allowed: BTreeMap<_, _> = EDGES.into_iter().collect();
    let mut wrong = Vec::new();
    for package in packages()? {
        let name = short(&package.name).context("packages are named zonglan-<folder>")?.to_string();
        let may = allowed.get(name.as_str()).with_context(|| format!("crate {name} is not in the table of edges"))?;
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            if let Some(other) = short(&dependency.name)
                && !may.contains(&other)
            {
                wrong.push(format!("{name} -> {other}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "edges that the design forbids: {}", wrong.join(", "));
    Ok(())
}

#[test]
fn a_dependency_has_one_owner() -> Result<()> {
    let mut wrong = Vec::new();
    for package in packages()? {
        let name = short(&package.name).unwrap_or_default().to_string();
        for (dependency, owners) in OWNERS {
            let named = package.dependencies.iter().any(|d| d.name == dependency && d.kind == DependencyKind::Normal);
            if named && !owners.contains(&name.as_str()) {
                wrong.push(format!("{name} uses {dependency}, which belongs to {}", owners.join(", ")));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The Rust files below a folder, without those that tools made.
pub fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() && !matches!(name, "target" | "node_modules" | ".git" | "dist" | "data") {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn every_module_says_what_it_is_and_stays_short() -> Result<()> {
    let mut files = Vec::new();
    rust_files(&root(), &mut files)?;
    ensure!(files.len() > 50, "the walk found only {} files", files.len());
    let mut wrong = BTreeSet::new();
    for file in &files {
        let text = std::fs::read_to_string(file)?;
        let name = file.strip_prefix(root())?.display().to_string();
        if !text.starts_with("//!") {
            wrong.insert(format!("{name}: the first line says what the module is (//! …)"));
        }
        let lines = text.lines().take_while(|l| !l.starts_with("mod tests")).count();
        if lines > 600 {
            wrong.insert(format!("{name}: {lines} lines; split it by what it is about"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
    Ok(())
}
