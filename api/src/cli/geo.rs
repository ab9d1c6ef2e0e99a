//! `zonglan geo`: converts points and files; imports gazetteers and boundaries.

use super::remote::Remote;
use super::{Common, block_on};
use crate::app::{App, Opening};
use crate::geo::convert::{self, Columns, Input, Kind};
use crate::geo::regions::Import;
use anyhow::{Context, bail};
use chrono::NaiveDate;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use zonglan_catalog::traits::SystemClock;
use zonglan_dashboards::format::percent_encode;
use zonglan_geo::{BadRow, Crs, Level, OutOfArea, Status, Transform};

#[derive(Debug, Subcommand)]
pub enum Geo {
    /// Convert points between coordinate systems: CSV, TSV, GeoJSON or Parquet with further columns, or lines "x y"
    Transform(TransformArgs),
    /// List the coordinate systems in force
    Systems,
    /// Put a gazetteer (CSV of standard addresses with places) in force
    Gazetteer(GazetteerArgs),
    /// Check boundaries (GeoJSON) and put them in force
    Regions(RegionArgs),
}

#[derive(Debug, Args)]
pub struct TransformArgs {
    /// wgs84, cgcs2000, gcj02, bd09, bd09-mercator, web-mercator, sh2000, shcity or epsg:NNNN
    #[arg(long)]
    from: String,
    #[arg(long)]
    to: String,
    /// Column of longitude or east; without it lines are "x y" or "x,y", or, in a named file, the usual names are tried
    #[arg(long, requires = "y")]
    x: Option<String>,
    /// Column of latitude or north
    #[arg(long, requires = "x")]
    y: Option<String>,
    /// csv, tsv, geojson or parquet [default: by the file's name, csv with --x]
    #[arg(long)]
    format: Option<String>,
    /// Where the result goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where all bad rows are listed, as CSV [default: the first 20 on standard error]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Points outside the area of GCJ-02 and BD-09 are errors; otherwise they stay
    #[arg(long)]
    strict_area: bool,
    /// File [default: standard input]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct GazetteerArgs {
    /// The system of the places
    #[arg(long, default_value = "wgs84")]
    crs: String,
    /// Where the addresses come from
    #[arg(long, default_value = "")]
    source: String,
    /// CSV with address (or district, street, road, lane, number), lon, lat; UTF-8 or GB18030
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct RegionArgs {
    /// city, district, street, neighbourhood_committee or grid_cell [default: by the codes]
    #[arg(long)]
    level: Option<String>,
    /// The first day on which the borders hold [default: since ever]
    #[arg(long)]
    valid_from: Option<NaiveDate>,
    #[arg(long, default_value = "wgs84")]
    crs: String,
    #[arg(long, default_value = "")]
    source: String,
    #[arg(long, default_value = "")]
    licence: String,
    /// Only check
    #[arg(long)]
    check: bool,
    /// In force in spite of what the check found
    #[arg(long)]
    accept_problems: bool,
    file: PathBuf,
}

fn parse(text: &str) -> anyhow::Result<Crs> {
    text.parse().map_err(|error: zonglan_geo::GeoError| anyhow::anyhow!("{error}"))
}

pub fn run(common: &Common, command: Geo) -> anyhow::Result<ExitCode> {
    match command {
        Geo::Transform(args) => return transform(common, &args),
        Geo::Systems => systems(common)?,
        Geo::Gazetteer(args) => gazetteer(common, &args)?,
        Geo::Regions(args) => return regions(common, args),
    }
    Ok(ExitCode::SUCCESS)
}

/// The definitions that control points gave in the data directory, over the shipped ones.
fn registry(common: &Common) -> anyhow::Result<zonglan_geo::CrsRegistry> {
    let dir = common.resolve(false)?.data.dir;
    crate::geo::registry(&dir).map_err(|error| anyhow::anyhow!("{error}"))
}

fn systems(common: &Common) -> anyhow::Result<()> {
    for d in registry(common)?.iter() {
        let status = if d.status == Status::Verified { "verified" } else { "unverified" };
        let accuracy = d.accuracy_m.map_or_else(|| "-".to_string(), |m| format!("{m} m"));
        println!("{:<14} v{:<3} {status:<10} {accuracy:>8}  {}  {}", d.id.to_string(), d.version, d.name_zh, d.source);
    }
    Ok(())
}

fn transform(common: &Common, args: &TransformArgs) -> anyhow::Result<ExitCode> {
    let (from, to) = (parse(&args.from)?, parse(&args.to)?);
    let registry = registry(common)?;
    let outside = if args.strict_area { OutOfArea::Error } else { OutOfArea::Keep };
    let transform = Transform::builder(from, to)
        .registry(&registry)
        .out_of_area(outside)
        .build()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let named = match &args.format {
        Some(name) => Some(Kind::of_name(&format!(".{name}")).with_context(|| format!("no format '{name}'"))?),
        None => args.file.as_deref().and_then(|f| Kind::of_name(&f.to_string_lossy())),
    };
    let kind = named.or(args.x.is_some().then_some(Kind::Csv));
    let mut report: Option<BufWriter<std::fs::File>> = match &args.report {
        Some(path) => {
            let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            let mut out = BufWriter::new(file);
            writeln!(out, "row,code,reason")?;
            Some(out)
        }
        None => None,
    };
    let mut wrong = 0u64;
    let mut note = |bad: &BadRow| {
        wrong += 1;
        match report.as_mut() {
            // What cannot be written to the report is still counted.
            Some(out) => drop(writeln!(out, "{},{},\"{}\"", bad.row, bad.code, bad.reason)),
            None if wrong <= 20 => eprintln!("line {}: {} [{}]", bad.row, bad.reason, bad.code),
            None if wrong == 21 => eprintln!("… (--report FILE lists all)"),
            None => {}
        }
    };
    let output: Box<dyn Write> = match &args.out {
        Some(path) => {
            Box::new(std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let mut output = BufWriter::with_capacity(1 << 20, output);
    match kind {
        Some(kind) => {
            let columns = Columns { x: args.x.clone(), y: args.y.clone() };
            let bar = bar(args.file.as_deref())?;
            let input = match (&args.file, kind) {
                (Some(path), Kind::Parquet) => Input::File(path),
                (None, Kind::Parquet) => bail!("a Parquet file must be named, it cannot be read from standard input"),
                (Some(path), _) => Input::Stream(Box::new(bar.wrap_read(open(path)?))),
                (None, _) => Input::Stream(Box::new(std::io::stdin().lock())),
            };
            convert::run(kind, &transform, &columns, input, &mut output, &mut note, |_| true)
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            bar.finish_and_clear();
        }
        None => {
            let input: Box<dyn Read> = match &args.file {
                Some(path) => Box::new(open(path)?),
                None => Box::new(std::io::stdin().lock()),
            };
            lines(&transform, BufReader::new(input), &mut output, &mut note)?;
        }
    }
    output.flush()?;
    if let Some(mut report) = report {
        report.flush()?;
    }
    let info = transform.info();
    let accuracy = info.accuracy_m.map_or_else(|| "unknown".to_string(), |m| format!("{m} m"));
    let status = if info.status == Status::Verified { "verified" } else { "unverified, 未经官方确认" };
    eprintln!(
        "{} ({status}, accuracy {accuracy}){}",
        info.version,
        if wrong > 0 { format!("; {wrong} rows could not be converted") } else { String::new() }
    );
    Ok(if wrong > 0 && kind.is_none() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn open(path: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

fn bar(file: Option<&Path>) -> anyhow::Result<ProgressBar> {
    let length = file.and_then(|f| f.metadata().ok()).map(|m| m.len());
    // Small files are done before a bar is drawn.
    let Some(length) = length.filter(|l| *l > 8 << 20 && std::io::stderr().is_terminal()) else {
        return Ok(ProgressBar::hidden());
    };
    let bar = ProgressBar::new(length);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}")?);
    Ok(bar)
}

/// Lines of two numbers, with blanks or commas between; what is no such line gives an empty one.
fn lines(
    transform: &Transform,
    input: impl BufRead,
    output: &mut impl Write,
    note: &mut impl FnMut(&BadRow),
) -> anyhow::Result<()> {
    for (n, line) in input.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let mut numbers = line.split([',', '\t', ' ']).filter(|t| !t.is_empty()).map(str::parse::<f64>);
        let row = n as u64 + 1;
        let done = match (numbers.next(), numbers.next()) {
            (Some(Ok(x)), Some(Ok(y))) => {
                transform.point(x, y).map_err(|e| BadRow { row, code: e.code(), reason: e.zh() })
            }
            _ => Err(BadRow { row, code: "not_a_number", reason: "不是两个数".into() }),
        };
        match done {
            Ok((x, y)) => writeln!(output, "{x},{y}")?,
            Err(bad) => {
                note(&bad);
                writeln!(output, ",")?;
            }
        }
    }
    Ok(())
}

/// The stores, where no server holds them.
async fn opened(common: &Common) -> anyhow::Result<App> {
    let config = common.resolve(false)?;
    App::open(Opening { config, clock: Arc::new(SystemClock), demo: false, address: "zonglan geo".into() }).await
}

fn send(remote: &Remote, path: &str, kind: &str, file: &Path) -> anyhow::Result<serde_json::Value> {
    let length = file.metadata().with_context(|| format!("cannot open {}", file.display()))?.len();
    remote.send("POST", path, kind, length, &mut open(file)?)
}

fn gazetteer(common: &Common, args: &GazetteerArgs) -> anyhow::Result<()> {
    let crs = parse(&args.crs)?;
    let answer = match Remote::find(&common.resolve(false)?)? {
        Some(remote) => {
            let path = format!("/api/v1/geo/gazetteer?crs={crs}&source={}", percent_encode(&args.source));
            send(&remote, &path, "text/csv", &args.file)?
        }
        None => block_on(async {
            let app = opened(common).await?;
            let transform =
                app.geo.transform(crs, Crs::Wgs84, OutOfArea::Keep).map_err(|error| anyhow::anyhow!("{error}"))?;
            let done = app.geo.import_places(&app.store, &args.file, transform, &args.source, "operator").await;
            let done = done.map_err(|error| anyhow::anyhow!("{error}"))?;
            app.close().await;
            Ok(serde_json::to_value(done)?)
        })?,
    };
    let count = |key: &str| answer[key].as_u64().unwrap_or(0);
    println!(
        "gazetteer {}: read {} = taken {} + bad {}, {} roads",
        count("version"),
        count("rows"),
        count("converted"),
        count("bad"),
        count("roads")
    );
    for bad in answer["errors"].as_array().into_iter().flatten().take(20) {
        eprintln!("line {}: {}", bad["row"], bad["reason"].as_str().unwrap_or_default());
    }
    Ok(())
}

fn regions(common: &Common, args: RegionArgs) -> anyhow::Result<ExitCode> {
    let level = args.level.as_deref().map(|id| {
        Level::from_id(id).with_context(|| format!("no level '{id}'; levels: {}", Level::ALL.map(Level::id).join(", ")))
    });
    let how = Import {
        level: level.transpose()?,
        valid_from: args.valid_from,
        source: args.source,
        licence: args.licence,
        crs: parse(&args.crs)?,
        accept_problems: args.accept_problems,
        dry_run: args.check,
    };
    if let Some(remote) = Remote::find(&common.resolve(false)?)? {
        let mut path = format!(
            "/api/v1/geo/regions/import?crs={}&source={}&licence={}&dry_run={}&accept_problems={}",
            how.crs,
            percent_encode(&how.source),
            percent_encode(&how.licence),
            how.dry_run,
            how.accept_problems
        );
        if let Some(level) = how.level {
            path.push_str(&format!("&level={}", level.id()));
        }
        if let Some(day) = how.valid_from {
            path.push_str(&format!("&valid_from={day}"));
        }
        let answer = send(&remote, &path, "application/geo+json", &args.file)?;
        return print(&answer);
    }
    let bytes = std::fs::read(&args.file).with_context(|| format!("cannot open {}", args.file.display()))?;
    let answer = block_on(async {
        let app = opened(common).await?;
        let done = app.geo.import_regions(&app.store, &bytes, how, "operator").await;
        let done = done.map_err(|error| anyhow::anyhow!("{error}"))?;
        app.close().await;
        Ok(serde_json::to_value(done)?)
    })?;
    print(&answer)
}

/// The report of an import, readable.
fn print(answer: &serde_json::Value) -> anyhow::Result<ExitCode> {
    for line in answer["summary"].as_array().into_iter().flatten() {
        println!("{}", line.as_str().unwrap_or_default());
    }
    for problem in answer["check"]["problems"].as_array().into_iter().flatten().take(40) {
        println!("  {} at {}", problem["message"].as_str().unwrap_or_default(), problem["at"]);
    }
    if let Some(version) = answer["version"].as_i64() {
        println!("in force as version {version}");
    }
    let blocked = answer["blocked"] == true;
    if blocked {
        eprintln!("not taken: the check found what stands in the way; --accept-problems takes it all the same");
    }
    Ok(if blocked { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
