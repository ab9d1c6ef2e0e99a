//! `zonglan move`: the rows of the columnar store to a ClickHouse server.

use super::Common;
use crate::app::{column_options, column_server, embedded_options};
use anyhow::bail;
use clap::{Args, ValueEnum};
use zonglan_olap::Store;
use zonglan_olap::clickhouse::ddl::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    Clickhouse,
}

#[derive(Debug, Args)]
pub struct Move {
    /// Where to; the server is that of the setting `clickhouse.url`
    #[arg(long)]
    to: Target,
    /// Only show what would be done to the server's tables
    #[arg(long)]
    plan: bool,
}

pub fn run(common: &Common, args: &Move) -> anyhow::Result<()> {
    let Target::Clickhouse = args.to;
    let (config, catalogue) = common.open()?;
    if column_server(&config).is_none() {
        bail!("no server to move to: set clickhouse.url, such as ZONGLAN_CLICKHOUSE_URL=http://127.0.0.1:8123");
    }
    let target = Store::open(&config.data.dir, column_options(&config), catalogue.clone())?;
    if args.plan {
        for step in target.server_plan()?.unwrap_or_default() {
            match step {
                Step::Create { statements, .. } | Step::AddColumn { statements, .. } => {
                    statements.iter().for_each(|sql| println!("{sql};\n"));
                }
                Step::Refused { dataset, field, have, want } => {
                    println!("-- {dataset}.{field} is {have}, the catalogue wants {want}: load the dataset anew\n");
                }
            }
        }
        return Ok(());
    }
    // Nobody may write meanwhile, or the copy would miss it.
    let _lock = crate::store::DataLock::acquire(&config.data.dir, "zonglan move")?;
    let source = Store::read_only(&config.data.dir, embedded_options(&config), catalogue.clone())?;
    for name in source.datasets()? {
        let Some(dataset) = catalogue.dataset(&name) else {
            eprintln!("{name}: not in the catalogue, left where it is");
            continue;
        };
        let rows = source.copy_into(dataset, &target).map_err(anyhow::Error::new)?;
        let sum = |store: &Store| store.checksum(&name).map_err(anyhow::Error::new);
        let (here, there) = (sum(&source)?, sum(&target)?);
        if here != there {
            bail!(
                "{name}: the server has {} rows with checksum {}, the data directory {} with {}; nothing was removed, run it again",
                there.0,
                there.1,
                here.0,
                here.1
            );
        }
        println!("{name}\t{rows} rows\tchecksum {}", there.1);
    }
    println!(
        "All rows are on the server. Keep clickhouse.url set; {} may go.",
        config.data.dir.join("columns").display()
    );
    Ok(())
}
