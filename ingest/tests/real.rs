//! The example datasets and mappings, and with `ZONGLAN_SHARED` the files that they are for.

mod common;

use common::Bench;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use zonglan_catalog::{Catalogue, Value};
use zonglan_ingest::{ImportReport, Mapping};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples")
}

fn catalogue() -> Catalogue {
    Catalogue::load(&[], &[&examples().join("catalogue")]).unwrap_or_else(|e| panic!("{e}"))
}

fn mapping(name: &str) -> Mapping {
    let path = examples().join(format!("mappings/{name}.toml"));
    let text = std::fs::read_to_string(&path).expect("mapping file");
    Mapping::parse_toml(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The folder of real files; says so if there is none.
fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("ZONGLAN_SHARED").map(|s| PathBuf::from(s).join("data"));
    if folder.is_none() {
        println!("skipped: ZONGLAN_SHARED is not set");
    }
    folder
}

fn report_errors(report: &ImportReport) {
    if let Some(path) = &report.quarantine {
        let text = std::fs::read_to_string(path).expect("quarantine");
        println!("{}", text.lines().take(4).collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn every_example_mapping_fits_its_dataset() {
    let catalogue = catalogue();
    let mut count = 0;
    for entry in std::fs::read_dir(examples().join("mappings")).expect("folder") {
        let path = entry.expect("entry").path();
        let name = path.file_stem().expect("name").to_string_lossy().into_owned();
        let mapping = mapping(&name);
        assert_eq!(mapping.name, name);
        mapping.check(&catalogue).unwrap_or_else(|e| panic!("{name}: {e}"));
        count += 1;
    }
    assert!(count >= 10);
    assert!(catalogue.board("west_yorkshire").is_some());
}

#[test]
fn west_yorkshire_loses_and_doubles_nothing() {
    let Some(data) = shared() else { return };
    let bench = Bench::new(catalogue());
    let files: Vec<PathBuf> = [2016, 2017, 2018]
        .iter()
        .map(|y| data.join(format!("incidents/{y}-07-west-yorkshire-street.csv.gz")))
        .collect();
    let mut total = 0;
    for file in &files {
        let report = bench.load(file, "west_yorkshire_crime", Some(mapping("west_yorkshire"))).expect("loads");
        assert_eq!((report.quarantined, report.duplicates), (0, 0));
        total += report.loaded;
    }
    assert_eq!(total, 87_348);
    let rows = bench.sinks[0].rows("west_yorkshire_crime");
    assert_eq!(rows.len(), 87_348);
    assert_eq!(rows.values().filter(|r| r[0].is_null()).count(), 18_826);
    assert_eq!(rows.values().filter(|r| r[4].is_null()).count(), 3_771);
    // Rows without id that equal another one.
    let mut same: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for row in rows.values().filter(|r| r[0].is_null()) {
        *same.entry(row.iter().map(Value::to_text).collect()).or_default() += 1;
    }
    assert_eq!(same.values().map(|n| n - 1).sum::<usize>(), 5_709);
    for file in &files {
        let report = bench.load(file, "west_yorkshire_crime", Some(mapping("west_yorkshire"))).expect("loads");
        assert_eq!((report.loaded, report.quarantined), (0, 0));
    }
    assert_eq!(bench.sinks[0].rows("west_yorkshire_crime"), rows);
}

#[test]
fn chicago_parquet_loads_whole() {
    let Some(data) = shared() else { return };
    let bench = Bench::new(catalogue());
    let file = data.join("incidents/chicago_2018.parquet");
    let report = bench.load(&file, "chicago_crime", Some(mapping("chicago"))).expect("loads");
    report_errors(&report);
    assert_eq!((report.read, report.loaded, report.quarantined), (156_385, 156_385, 0));
    let again = bench.load(&file, "chicago_crime", Some(mapping("chicago"))).expect("loads");
    assert_eq!((again.loaded, again.duplicates), (0, 156_385));
    println!("chicago: {:.0} rows/s", again.rows_per_second);
}

#[test]
fn three_sheets_load_as_three_cities() {
    let Some(data) = shared() else { return };
    let bench = Bench::new(catalogue());
    let file = data.join("incidents/aggravated_assaults.xlsx");
    for (name, rows) in [("assaults_austin", 8_696), ("assaults_fort_worth", 1_577), ("assaults_seattle", 2_529)] {
        let report = bench.load(&file, "aggravated_assault", Some(mapping(name))).expect("loads");
        report_errors(&report);
        assert_eq!((report.read, report.loaded), (rows, rows), "{name}");
    }
    assert_eq!(bench.sinks[0].count("aggravated_assault"), 12_802);
    let rows = bench.sinks[0].texts("aggravated_assault");
    assert_eq!(rows.iter().filter(|r| r[0].is_empty()).count(), 2);
    assert_eq!(rows[2][0], "2019-01-01T00:00:00+08:00");
}

#[test]
fn decimal_commas_utm_metres_and_split_dates() {
    let Some(data) = shared() else { return };
    let bench = Bench::new(catalogue());
    let file = data.join("incidents/medellin_homicides.csv");
    let report = bench.load(&file, "medellin_homicide", Some(mapping("medellin"))).expect("loads");
    report_errors(&report);
    assert_eq!((report.read, report.loaded), (9_360, 9_360));
    let rows = bench.sinks[0].rows("medellin_homicide");
    assert_eq!(rows.values().filter(|r| r[1].is_null()).count(), 81);
    let inside = |v: &Value, lon: f64, lat: f64| matches!(v, Value::Point(x, y) if (x - lon).abs() < 0.6 && (y - lat).abs() < 0.6);
    assert!(rows.values().filter(|r| !r[1].is_null()).all(|r| inside(&r[1], -75.57, 6.25)));

    // The zip holds one CSV; its entry is unpacked by hand here, as a user would with unzip.
    let csv = unzip(&data.join("incidents/vancouver_crimes_2020.zip"), "crimedata_csv_AllNeighbourhoods_2020.csv");
    let file = bench.file("vancouver.csv", &csv);
    let report = bench.load(&file, "vancouver_crime", Some(mapping("vancouver"))).expect("loads");
    report_errors(&report);
    assert_eq!((report.read, report.loaded), (37_512, 37_512));
    let rows = bench.sinks[0].rows("vancouver_crime");
    assert_eq!(rows.values().filter(|r| r[4].is_null()).count(), 3_751);
    assert!(rows.values().filter(|r| !r[4].is_null()).all(|r| inside(&r[4], -123.12, 49.25)));

    let file = data.join("incidents/cincinnati_burglary.csv.gz");
    let report = bench.load(&file, "cincinnati_burglary", Some(mapping("cincinnati"))).expect("loads");
    report_errors(&report);
    assert_eq!((report.read, report.loaded), (8_723, 8_723));
}

#[test]
fn judgments_and_statutes() {
    let Some(data) = shared() else { return };
    let bench = Bench::new(catalogue());
    let report =
        bench.load(&data.join("judgments/judge.jsonl.gz"), "judgment", Some(mapping("judgments"))).expect("loads");
    report_errors(&report);
    assert_eq!((report.read, report.loaded), (501, 501));
    let dataset = bench.catalogue.dataset("judgment").expect("dataset");
    let rows = bench.sinks[0].rows("judgment");
    let filled = |name: &str| {
        let index = dataset.field_index(name).expect(name);
        rows.values().filter(|r| !r[index].is_null()).count()
    };
    assert_eq!([filled("court"), filled("case_number"), filled("kind")], [501; 3]);
    assert_eq!([filled("judged_on"), filled("charges"), filled("district")], [498, 487, 56]);
    let report =
        bench.load(&data.join("statutes/articles.jsonl.gz"), "statute", Some(mapping("statutes"))).expect("loads");
    assert_eq!((report.read, report.loaded), (60_490, 60_490));
}

/// One deflated entry of a zip file.
fn unzip(path: &Path, name: &str) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("zip");
    let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]) as usize;
    let u32_at = |at: usize| u16_at(at) | u16_at(at + 2) << 16;
    // The central directory: signature PK\x01\x02, sizes at 20, name at 46.
    let mut at = 0;
    loop {
        at += bytes[at..].windows(4).position(|w| w == b"PK\x01\x02").expect("entry");
        let length = u16_at(at + 28);
        if &bytes[at + 46..at + 46 + length] == name.as_bytes() {
            break;
        }
        at += 4;
    }
    let (packed, local) = (u32_at(at + 20), u32_at(at + 42));
    let start = local + 30 + u16_at(local + 26) + u16_at(local + 28);
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(&bytes[start..start + packed]).read_to_end(&mut out).expect("inflates");
    out
}
