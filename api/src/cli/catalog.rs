//! `zonglan catalog`: checks the declared files, counts what they serve, writes their JSON Schemas.

use super::Common;
use super::output::{Format, grid};
use anyhow::{Context, bail};
use clap::Subcommand;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use zonglan_catalog::coverage::Coverage;

#[derive(Debug, Subcommand)]
pub enum Catalog {
    /// Check all files; problems are printed as file:line: what
    Check,
    /// Count the modules of the scope that are served: claimed by a file and marked at a test
    Coverage {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
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
        Catalog::Coverage { format } => {
            let (_, catalogue) = common.open()?;
            let coverage = catalogue.coverage();
            match format {
                Format::Json => println!("{}", serde_json::to_string_pretty(&coverage)?),
                Format::Table => print_coverage(&coverage)?,
                Format::Csv => bail!("coverage is printed as table or json"),
            }
            Ok(ExitCode::SUCCESS)
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

fn print_coverage(coverage: &Coverage) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let words = |cells: &[&str]| -> Vec<String> { cells.iter().map(ToString::to_string).collect() };
    let count = |name: &str, kind: &str, served: usize, of: usize| {
        vec![name.to_string(), kind.to_string(), served.to_string(), of.to_string()]
    };
    let mut rows = Vec::new();
    for (name, system) in &coverage.systems {
        rows.extend(system.kinds.iter().map(|(kind, n)| count(name, kind, n.served, n.of)));
        rows.push(count(name, "(all)", system.served, system.of));
        if system.excluded > 0 {
            rows.push(vec![name.clone(), "excluded".into(), "-".into(), system.excluded.to_string()]);
        }
    }
    rows.push(count("(all)", "(all)", coverage.total.served, coverage.total.of));
    grid(&mut out, &words(&["system", "kind", "served", "of"]), &rows, &[false, false, true, true])?;
    for (title, claims) in [("served", &coverage.served), ("claimed without a test", &coverage.untested)] {
        if claims.is_empty() {
            continue;
        }
        writeln!(out, "\n{title}")?;
        for claim in claims {
            writeln!(out, "{}  {}  {}", claim.module.id, claim.module.kind, claim.module.module)?;
            for source in claim.files.iter().chain(&claim.tests) {
                writeln!(out, "      {source}")?;
            }
        }
    }
    Ok(())
}
