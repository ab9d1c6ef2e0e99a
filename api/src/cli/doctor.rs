//! `zonglan doctor`: whether this installation can work, and all settings with their defaults.

use super::Common;
use crate::store::DataLock;
use clap::Args;
use std::process::ExitCode;
use zonglan_geo::{Crs, Transform};

#[derive(Debug, Args)]
pub struct Doctor {
    /// Print the commented default settings
    #[arg(long)]
    settings: bool,
}

pub fn run(common: &Common, args: &Doctor) -> anyhow::Result<ExitCode> {
    if args.settings {
        print!("{}", crate::config::DEFAULTS);
        return Ok(ExitCode::SUCCESS);
    }
    let mut healthy = true;
    let mut check = |what: &str, outcome: Result<String, String>| match outcome {
        Ok(detail) => println!("ok    {what}: {detail}"),
        Err(problem) => {
            healthy = false;
            println!("WRONG {what}: {problem}");
        }
    };
    check("program", Ok(format!("zonglan {}", env!("CARGO_PKG_VERSION"))));
    let config = match common.resolve(false) {
        Ok(config) => config,
        Err(error) => {
            check("configuration", Err(format!("{error:#}")));
            return Ok(ExitCode::FAILURE);
        }
    };
    check("configuration", Ok("resolved".into()));
    let catalogue = crate::app::load_catalogue(&config)
        .map(|c| format!("version {}, {} datasets", c.version(), c.datasets().count()));
    check("catalogue", catalogue.map_err(|problems| problems.to_string()));
    let dir = &config.data.dir;
    let data = match (DataLock::holder(dir), dir.is_dir()) {
        (Some(address), _) if address.starts_with("http") => Ok(format!("{} is served at {address}", dir.display())),
        (Some(_), _) => Ok(format!("{} is in use by another command", dir.display())),
        (None, false) => Ok(format!("{} does not exist yet", dir.display())),
        (None, true) => tempfile::tempfile_in(dir)
            .map(|_| format!("{} can be written", dir.display()))
            .map_err(|e| format!("{} cannot be written: {e}", dir.display())),
    };
    check("data directory", data);
    let projection = Transform::new(Crs::Wgs84, Crs::Epsg(32651))
        .map_err(|e| e.to_string())
        .and_then(|t| t.point(121.47, 31.23).map_err(|e| e.to_string()));
    check("projections", projection.map(|(x, y)| format!("EPSG:32651 works ({x:.0}, {y:.0})")));
    check(
        "Chinese font for images",
        zonglan_dashboards::render::font::ensure().map(|()| "found".to_string()).map_err(|e| e.to_string()),
    );
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    check("machine", Ok(format!("{cores} cores")));
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
