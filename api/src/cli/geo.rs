//! `zonglan geo transform`: converts the points of a CSV file or of standard input.

use super::output::quote;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use zonglan_geo::{Crs, Transform};

#[derive(Debug, Subcommand)]
pub enum Geo {
    /// Convert points between coordinate systems; prints the lines with two more columns
    Transform(TransformArgs),
}

#[derive(Debug, Args)]
pub struct TransformArgs {
    /// wgs84, cgcs2000, gcj02, bd09, web-mercator, sh2000, shcity or epsg:NNNN
    #[arg(long)]
    from: String,
    #[arg(long)]
    to: String,
    /// Column of longitude or east; without it lines are "x y" or "x,y"
    #[arg(long, requires = "y")]
    x: Option<String>,
    /// Column of latitude or north
    #[arg(long, requires = "x")]
    y: Option<String>,
    /// CSV file [default: standard input]
    file: Option<PathBuf>,
}

pub fn run(command: Geo) -> anyhow::Result<ExitCode> {
    let Geo::Transform(args) = command;
    let crs = |text: &str| Crs::from_str(text).map_err(|error| anyhow::anyhow!("{error}"));
    let transform = Transform::new(crs(&args.from)?, crs(&args.to)?).map_err(|error| anyhow::anyhow!("{error}"))?;
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?),
        None => Box::new(std::io::stdin()),
    };
    let mut lines = BufReader::new(input).lines();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let columns = match (&args.x, &args.y) {
        (Some(x), Some(y)) => {
            let head = lines.next().transpose()?.unwrap_or_default();
            let head = head.trim_start_matches('\u{feff}');
            let names = fields(head);
            let find = |name: &str| {
                names
                    .iter()
                    .position(|n| n == name)
                    .with_context(|| format!("no column '{name}'; columns: {}", names.join(", ")))
            };
            let at = (find(x)?, find(y)?);
            writeln!(out, "{head},{x}_{},{y}_{}", args.to, args.to)?;
            Some(at)
        }
        _ => None,
    };
    let mut wrong = 0;
    for (number, line) in lines.enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let cells = if columns.is_some() || line.contains(',') {
            fields(&line)
        } else {
            line.split_whitespace().map(str::to_string).collect()
        };
        let (x, y) = columns.unwrap_or((0, 1));
        let number_at = |at: usize| cells.get(at).and_then(|c| c.trim().parse::<f64>().ok());
        let result = match (number_at(x), number_at(y)) {
            (Some(x), Some(y)) => transform.point(x, y).map_err(|error| error.to_string()),
            _ => Err("no two numbers".to_string()),
        };
        match result {
            Ok((x, y)) => {
                writeln!(out, "{}{x},{y}", if columns.is_some() { format!("{line},") } else { String::new() })?
            }
            Err(reason) => {
                wrong += 1;
                eprintln!("line {}: {reason}", number + 1 + usize::from(columns.is_some()));
                writeln!(out, "{}", if columns.is_some() { format!("{line},,") } else { format!(",{}", quote("")) })?;
            }
        }
    }
    out.flush()?;
    let info = transform.info();
    let accuracy = info.accuracy_m.map_or_else(|| "unknown".to_string(), |m| format!("{m} m"));
    eprintln!(
        "{} ({:?}, accuracy {accuracy}){}",
        info.version,
        info.status,
        if wrong > 0 { format!("; {wrong} points failed") } else { String::new() }
    );
    if wrong > 0 && args.x.is_none() && args.file.is_none() && columns.is_none() {
        bail!("{wrong} points failed");
    }
    Ok(ExitCode::SUCCESS)
}

/// The cells of one CSV line.
fn fields(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let cell = cells.last_mut();
        match (c, cell) {
            ('"', Some(cell)) if quoted && chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => cells.push(String::new()),
            (c, Some(cell)) => cell.push(c),
            _ => {}
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    #[test]
    fn quoted_cells_keep_their_commas() {
        assert_eq!(super::fields(r#"1,"a,""b""",x"#), ["1", "a,\"b\"", "x"]);
    }
}
