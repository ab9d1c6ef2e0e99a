//! `zonglan verify`: whether the change log is whole and agrees with records, columns and index.

use super::{Common, block_on};
use crate::config::Config;
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use zonglan_catalog::Catalogue;
use zonglan_catalog::traits::{QueryEngine, SearchIndex};

#[derive(Debug, Args)]
pub struct Verify {
    #[arg(long)]
    json: bool,
}

pub fn run(common: &Common, args: &Verify) -> anyhow::Result<ExitCode> {
    let (config, catalogue) = common.open()?;
    let mut report = block_on(async { Ok(crate::store::verify(&config.data.dir, Some(&catalogue), &[]).await?) })?;
    let rows: Vec<(String, u64)> = report.records.iter().map(|r| (r.dataset.clone(), r.rows)).collect();
    let mut differ = differences(&config, &catalogue, &rows)?;
    if !differ.is_empty() {
        // A running server may be on its way: saved records are in the stores within two seconds.
        std::thread::sleep(Duration::from_secs(3));
        differ = differences(&config, &catalogue, &rows)?;
    }
    report.findings.extend(differ);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(if report.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Registers whose number of rows in a store is not that of the records.
fn differences(
    config: &Config,
    catalogue: &Arc<Catalogue>,
    registers: &[(String, u64)],
) -> anyhow::Result<Vec<String>> {
    let columns = crate::app::read_columns(config, catalogue)?;
    let index = crate::app::read_index(config, catalogue);
    let mut found = Vec::new();
    for (dataset, rows) in registers {
        let mut compare = |store: &str, held: u64| {
            if held != *rows {
                found.push(format!("{store}: {dataset} holds {held} rows, the records {rows}"));
            }
        };
        compare("columns", QueryEngine::state(&columns, dataset).rows);
        if catalogue.dataset(dataset).is_some_and(|d| d.is_searchable()) {
            compare("index", SearchIndex::state(&index, dataset).rows);
        }
    }
    Ok(found)
}
