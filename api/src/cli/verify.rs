//! `zonglan verify`: whether the change log is whole and agrees with records, columns and index.

use super::{Common, block_on};
use crate::config::Config;
use crate::store::VerifyReport;
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use zonglan_catalog::Catalogue;
use zonglan_catalog::traits::{QueryEngine, RowSink, SearchIndex};
use zonglan_ingest::LOG_STREAM;

#[derive(Debug, Args)]
pub struct Verify {
    #[arg(long)]
    json: bool,
}

pub fn run(common: &Common, args: &Verify) -> anyhow::Result<ExitCode> {
    let (config, catalogue) = common.open()?;
    let mut report = block_on(async { Ok(crate::store::verify(&config.data.dir, Some(&catalogue), &[]).await?) })?;
    let mut differ = differences(&config, &catalogue, &report)?;
    if !differ.is_empty() {
        // A running server may be on its way: saved records are in the stores within two seconds.
        std::thread::sleep(Duration::from_secs(3));
        differ = differences(&config, &catalogue, &report)?;
    }
    for difference in differ {
        let list = if difference.behind { &mut report.behind } else { &mut report.findings };
        list.push(difference.text);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(if report.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A register whose number of rows in a store is not that of the records.
struct Difference {
    text: String,
    /// The store has not followed the log to its end.
    behind: bool,
}

fn differences(config: &Config, catalogue: &Arc<Catalogue>, report: &VerifyReport) -> anyhow::Result<Vec<Difference>> {
    let columns = crate::app::read_columns(config, catalogue)?;
    let index = crate::app::read_index(config, catalogue);
    let sealed = report.streams.iter().find(|s| s.stream == "change").map_or(0, |s| s.blocks);
    let mut found = Vec::new();
    for register in &report.records {
        let Some(dataset) = catalogue.dataset(&register.dataset) else { continue };
        let mut compare = |store: &dyn RowSink, held: u64| -> anyhow::Result<()> {
            if held != register.rows {
                let done = store.cursor(dataset, LOG_STREAM).map_err(anyhow::Error::new)?.unwrap_or(0);
                let text = format!(
                    "{}: {} holds {held} rows, the records {}; it has followed {done} of {sealed} blocks",
                    store.name(),
                    dataset.name,
                    register.rows
                );
                found.push(Difference { text, behind: done < sealed });
            }
            Ok(())
        };
        compare(&columns, QueryEngine::state(&columns, &dataset.name).rows)?;
        if dataset.is_searchable() {
            compare(&index, SearchIndex::state(&index, &dataset.name).rows)?;
        }
    }
    Ok(found)
}
