//! `zonglan catalog`: checks the declared files, writes their JSON Schemas.

use super::Common;
use anyhow::Context;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub enum Catalog {
    /// Check all files; problems are printed as file:line: what
    Check,
    /// Write the JSON Schemas of the files, for editors
    Schema {
        /// Folder to write to
        #[arg(long, default_value = "schemas")]
        out: PathBuf,
    },
}

pub fn run(common: &Common, command: Catalog) -> anyhow::Result<ExitCode> {
    match command {
        Catalog::Check => {
            let config = common.resolve(false)?;
            match crate::app::load_catalogue(&config) {
                Ok(catalogue) => {
                    println!(
                        "catalogue {}: {} datasets, {} code lists, {} boards, {} roles, no problems",
                        catalogue.version(),
                        catalogue.datasets().count(),
                        catalogue.code_lists().count(),
                        catalogue.boards().count(),
                        catalogue.policy().roles().len()
                    );
                    Ok(ExitCode::SUCCESS)
                }
                Err(problems) => {
                    println!("{problems}");
                    eprintln!("zonglan: {} problems", problems.0.len());
                    Ok(ExitCode::FAILURE)
                }
            }
        }
        Catalog::Schema { out } => {
            std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
            for (kind, schema) in zonglan_catalog::schema::schemas() {
                let path = out.join(format!("{kind}.schema.json"));
                std::fs::write(&path, serde_json::to_string_pretty(&schema)? + "\n")
                    .with_context(|| format!("cannot write {}", path.display()))?;
                println!("{}", path.display());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
