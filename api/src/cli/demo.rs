//! `zonglan demo`: makes the demo city without serving it.

use super::{Common, block_on, log};
use clap::Args;

#[derive(Debug, Args)]
pub struct Demo {
    /// Number of incidents; the other datasets grow with them
    #[arg(long)]
    rows: Option<u64>,
    #[arg(long)]
    seed: Option<u64>,
    /// The city's last day, such as 2026-06-30
    #[arg(long, value_name = "DATE")]
    until: Option<chrono::NaiveDate>,
    /// Make the texts of more than a million incidents, too
    #[arg(long)]
    narratives: bool,
}

pub fn run(common: &Common, args: Demo) -> anyhow::Result<()> {
    let mut config = common.resolve(true)?;
    config.demo.rows = args.rows.unwrap_or(config.demo.rows);
    config.demo.seed = args.seed.unwrap_or(config.demo.seed);
    config.demo.narratives |= args.narratives;
    if let Some(until) = args.until {
        config.demo.until = until.to_string();
    }
    log(&config)?;
    block_on(crate::serve::make_demo(config))
}
