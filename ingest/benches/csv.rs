//! Import of a plain nine-column CSV with all checks into a store that keeps nothing: what reading,
//! checking and keys cost. `cargo bench -p zonglan-ingest --bench csv [-- ROWS [THREADS]]`

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zonglan_catalog::load::SourceFile;
use zonglan_catalog::traits::{Cancel, Committed, Cursor, RowSink, SinkTxn};
use zonglan_catalog::{Batch, Catalogue, Dataset, Result, RowKey};
use zonglan_ingest::{ImportOptions, ImportRequest, Journal, Mapping, import};

const DATASET: &str = r#"
name = "call"
label = { zh = "警情", en = "Call" }
source = "import"
owner = "bench"
key = ["id"]
time = "reported_at"
place = "location"
region = "district"
field = [
  { name = "id", label = { zh = "编号", en = "No" }, type = "text", required = true },
  { name = "reported_at", label = { zh = "报警时间", en = "Reported" }, type = "instant", required = true },
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district", required = true },
  { name = "category", label = { zh = "类别", en = "Category" }, type = "code", codes = "category", required = true },
  { name = "channel", label = { zh = "来源", en = "Channel" }, type = "text", max_length = 10 },
  { name = "location", label = { zh = "位置", en = "Location" }, type = "point" },
  { name = "minutes", label = { zh = "到场用时", en = "Minutes" }, type = "decimal", scale = 1, min = 0.0, max = 1000.0 },
  { name = "address", label = { zh = "地址", en = "Address" }, type = "text", max_length = 100 },
]
"#;

struct Nothing(Arc<AtomicU64>);

impl RowSink for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }
    fn accepts(&self, _: &Dataset) -> bool {
        true
    }
    fn cursor(&self, _: &Dataset, _: &str) -> Result<Option<u64>> {
        Ok(None)
    }
    fn begin(&self, _: &Arc<Dataset>) -> Result<Box<dyn SinkTxn>> {
        Ok(Box::new(Nothing(self.0.clone())))
    }
}

impl SinkTxn for Nothing {
    fn upsert(&mut self, batch: &Batch) -> Result<()> {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
    fn delete(&mut self, _: &[RowKey]) -> Result<()> {
        Ok(())
    }
    fn commit(self: Box<Self>, _: Option<&Cursor>) -> Result<Committed> {
        Ok(Committed { inserted: self.0.load(Ordering::Relaxed), ..Committed::default() })
    }
}

/// Resident memory of this process in MB, now and at its peak.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name));
        line.and_then(|l| l.split_whitespace().nth(1)).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let rows = numbers.next().unwrap_or(1_000_000);
    let threads = numbers.next();
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
    let list = |name: &str, codes: &[&str]| {
        let items: String =
            codes.iter().map(|c| format!("{{ code = \"{c}\", zh = \"{c}\", en = \"{c}\" }},")).collect();
        file(
            &format!("b/codes/{name}.toml"),
            &format!("name = \"{name}\"\nlabel = {{ zh = \"x\", en = \"x\" }}\nbasis = \"bench\"\nitem = [{items}]"),
        )
    };
    let categories = ["theft", "traffic", "dispute", "fire", "fraud", "noise", "help", "invalid", "drugs", "other"];
    let districts = ["310101", "310104", "310105", "310106", "310107", "310109", "310110", "310112", "310115"];
    let files = [file("b/datasets/call.toml", DATASET), list("category", &categories), list("region", &districts)];
    let catalogue = Catalogue::parse(&files).expect("catalogue");
    let dataset = catalogue.dataset("call").expect("dataset").clone();

    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("calls.csv");
    let mut out = BufWriter::new(std::fs::File::create(&path).expect("file"));
    writeln!(out, "id,reported_at,district,category,channel,lon,lat,minutes,address").expect("write");
    for i in 0..rows {
        let (h, x) = (i * 7919 % 86_400, i * 104_729 % 100_000);
        writeln!(
            out,
            "JQ{:09},2025-{:02}-{:02} {:02}:{:02}:{:02},{},{},110,121.{:05},31.{:05},{}.{},南京东路{}号",
            i,
            i % 12 + 1,
            i % 28 + 1,
            h / 3600,
            h / 60 % 60,
            h % 60,
            districts[x % districts.len()],
            categories[x / 7 % categories.len()],
            x,
            x * 31 % 100_000,
            x % 90,
            x % 10,
            x % 999
        )
        .expect("write");
    }
    out.into_inner().expect("flush").sync_all().expect("sync");
    let bytes = std::fs::metadata(&path).expect("size").len();
    let journal = Journal::open(dir.path().join("journal")).expect("journal");
    let (idle, _) = memory();
    let mut rates = Vec::new();
    for _ in 0..5 {
        let sinks: Vec<Arc<dyn RowSink>> = vec![Arc::new(Nothing(Arc::default()))];
        let report = import(ImportRequest {
            file: &path,
            file_name: "calls.csv",
            dataset: dataset.clone(),
            mapping: Mapping::identity(&dataset),
            catalogue: &catalogue,
            journal: &journal,
            sinks: &sinks,
            progress: &|_| {},
            cancel: &Cancel::default(),
            options: ImportOptions { threads, ..ImportOptions::default() },
        })
        .expect("import");
        assert_eq!((report.read, report.loaded), (rows as u64, rows as u64));
        rates.push(report.rows_per_second);
    }
    rates.sort_by(f64::total_cmp);
    let (_, peak) = memory();
    println!(
        "{rows} rows, {} MB: {:.0} rows/s (median of 5; {:.0} to {:.0}), peak {} MB over idle",
        bytes >> 20,
        rates[2],
        rates[0],
        rates[4],
        peak.saturating_sub(idle)
    );
}
