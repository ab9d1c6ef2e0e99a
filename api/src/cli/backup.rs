//! `zonglan backup` and `zonglan restore`.

use super::{Common, block_on};
use crate::store::{Store, StoreOptions, read_instant};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use zonglan_catalog::traits::{Clock, SystemClock};
use zonglan_catalog::value::instant_text;

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// An empty or new folder
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A folder that `zonglan backup` made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The keys of the data directory, which backups do not hold
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Bring the registers to this moment (2026-06-30 18:00 of Shanghai, or with a zone)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

pub fn backup(common: &Common, args: &BackupArgs) -> anyhow::Result<()> {
    let config = common.resolve(false)?;
    let made = block_on(crate::backup::backup(&config.data.dir, &args.to, SystemClock.now()))?;
    println!(
        "{}: {} files, {:.1} MB, change log up to block {}",
        args.to.display(),
        made.files.len(),
        made.bytes() as f64 / 1e6,
        made.block
    );
    println!("the keys are not in it; keep {} elsewhere", config.data.dir.join("keys").display());
    Ok(())
}

pub fn restore(common: &Common, args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let (config, catalogue) = common.open()?;
    let dir = &config.data.dir;
    let until = match &args.until {
        Some(text) => Some(read_instant(text).with_context(|| format!("'{text}' is no time"))?),
        None => None,
    };
    let backup = crate::backup::restore(&args.from, dir, args.keys.as_deref())?;
    println!("{}: {} files of the backup of {}", dir.display(), backup.files.len(), instant_text(backup.at));
    if let Some(until) = until {
        let rewound = block_on(async {
            let options = StoreOptions { address: "zonglan restore".into(), ..StoreOptions::default() };
            let store = Store::open(dir, catalogue.clone(), options).await?;
            let rewound = store.rewind(until).await?;
            store.close().await;
            Ok(rewound)
        })?;
        println!(
            "registers are as of {}: {} records changed back, {} closed that came later",
            instant_text(until),
            rewound.changed,
            rewound.closed
        );
    }
    let report = block_on(async { Ok(crate::store::verify(dir, Some(&catalogue), &[]).await?) })?;
    println!("{report}");
    Ok(if report.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
