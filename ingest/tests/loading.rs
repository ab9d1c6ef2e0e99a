//! Checks, quarantine, reconciliation, crashes.

mod common;

use common::{Bench, EVENT, catalogue};
use proptest::prelude::*;
use std::sync::atomic::Ordering;
use zonglan_catalog::traits::{Cancel, RowSink};
use zonglan_ingest::{BatchState, ImportOptions, ImportRequest, IngestError, Mapping, import, resume};

const PLAIN: &str = r#"
name = "plain"
label = { zh = "原文", en = "Plain" }
source = "import"
owner = "t"
shared = true
field = [
  { name = "a", label = { zh = "甲", en = "A" }, type = "text" },
  { name = "b", label = { zh = "乙", en = "B" }, type = "text" },
  { name = "n", label = { zh = "数", en = "N" }, type = "int" },
]
"#;

const HEAD: &str = "id,at,kind,amount,count,open,lon,lat,district,note\n";

#[test]
fn each_fault_is_named_and_the_row_is_set_aside() {
    let cases = [
        ("1,,,,,,,,,", "时间：必填项为空"),
        ("1,2025-02-30,,,,,,,,", "时间：不是日期时间"),
        ("1,2025-01-01,murder,,,,,,,", "类别：代码表中没有这个值"),
        ("1,2025-01-01,,1.005,,,,,,", "金额：小数超过 2 位"),
        ("1,2025-01-01,,-1,,,,,,", "金额：小于下限 0.00"),
        ("1,2025-01-01,,1000000.01,,,,,,", "金额：大于上限 1000000.00"),
        ("1,2025-01-01,,x,,,,,,", "金额：不是数字"),
        ("1,2025-01-01,,,1.5,,,,,", "数量：不是整数"),
        ("1,2025-01-01,,,99999999999999999999,,,,,", "数量：数字过大"),
        ("1,2025-01-01,,,,maybe,,,,", "未结：不是“是”或“否”"),
        ("1,2025-01-01,,,,,121.5,,,", "位置：坐标只有一半"),
        ("1,2025-01-01,,,,,31.2,121.5,,", "位置：经纬度超出范围（经度 ±180，纬度 ±90），请检查两列是否颠倒"),
        ("1,2025-01-01,,,,,,,999999,", "区：不认识的区划代码或名称"),
        ("1,2025-01-01,,,,,,,,一二三四五六七八九十一二三四五六七八九十一", "说明：超过 20 个字"),
        ("1,2025-01-01,,,,,,,", "列数不符：应为 10 列，实为 9 列"),
        ("1,bad,murder,,,,,,,", "时间：不是日期时间；类别：代码表中没有这个值"),
    ];
    let bench = Bench::new(catalogue(&[EVENT]));
    let text = cases.iter().fold(HEAD.to_string(), |text, (row, _)| format!("{text}{row}\n"));
    let report = bench.load(&bench.file("a.csv", text.as_bytes()), "event", None).expect("loads");
    assert_eq!((report.read, report.quarantined), (cases.len() as u64, cases.len() as u64));
    let path = report.quarantine.expect("quarantine");
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).expect("opens");
    let header = reader.headers().expect("header").iter().take(5).map(str::to_string).collect::<Vec<_>>();
    assert_eq!(header, ["line", "column", "value", "reason", "id"]);
    for (i, (record, (row, reason))) in reader.records().zip(cases).enumerate() {
        let record = record.expect("record");
        assert_eq!(&record[0], (i + 2).to_string());
        assert_eq!(&record[3], reason);
        assert_eq!(record.iter().skip(4).collect::<Vec<_>>().join(","), row);
    }
}

#[test]
fn a_corrected_quarantine_file_loads_with_the_same_mapping() {
    let bench = Bench::new(catalogue(&[EVENT]));
    let toml = "name='m'\ndataset='event'\n[format]\ndelimiter=';'\ndecimal=','\nencoding='gb18030'\n\
        [columns]\nid='No'\nat='When'\namount='Sum'\nnote='Note'";
    let mapping = Mapping::parse_toml(toml).expect("mapping");
    let text = "No;When;Sum;Note\n1;2025-01-01;1,50;好\n2;2025-13-01;2,50;\"坏;行\"\n";
    let path = bench.file("a.csv", &encoding_rs::GB18030.encode(text).0);
    let report = bench.load(&path, "event", Some(mapping.clone())).expect("loads");
    assert_eq!((report.loaded, report.quarantined), (1, 1));
    let quarantine = std::fs::read_to_string(report.quarantine.expect("file")).expect("reads");
    let fixed = bench.file("fixed.csv", quarantine.replace("2025-13-01", "2025-12-01").as_bytes());
    let report = bench.load(&fixed, "event", Some(mapping)).expect("loads");
    assert_eq!((report.read, report.loaded), (1, 1));
    assert_eq!(bench.sinks[0].texts("event")[1][..4], ["2", "2025-12-01T00:00:00+08:00", "", "2.50"]);
    assert_eq!(bench.sinks[0].texts("event")[1][8], "坏;行");
}

#[test]
fn quotes_that_nobody_closes_cost_one_line() {
    let bench = Bench::new(catalogue(&[PLAIN]));
    let path = bench.file("a.csv", b"a,b,n\nx,y,1\n\"open,y,2\nz,y,3\n");
    let report = bench.load(&path, "plain", None).expect("loads");
    assert_eq!((report.read, report.loaded, report.quarantined), (3, 2, 1));
    let text = std::fs::read_to_string(report.quarantine.expect("file")).expect("reads");
    assert!(text.contains("\n3,") && text.contains("引号没有闭合"), "{text}");
}

#[test]
fn undecodable_bytes_cost_their_row() {
    let bench = Bench::new(catalogue(&[PLAIN]));
    let mut text = "a,b,n\n".to_string() + &"中文,字,1\n".repeat(2000);
    text.push_str("x,y,2\n");
    let mut bytes = text.into_bytes();
    let at = bytes.len() - 6;
    bytes[at] = 0xff;
    let report = bench.load(&bench.file("a.csv", &bytes), "plain", None).expect("loads");
    assert_eq!((report.read, report.loaded, report.quarantined), (2001, 2000, 1));
}

#[test]
fn equal_rows_without_key_are_all_kept_and_reload_changes_nothing() {
    let bench = Bench::new(catalogue(&[EVENT]));
    // Two without id are equal; one id appears twice, the later content stands.
    let text =
        format!("{HEAD},2025-01-01,,,,,,,,x\n,2025-01-01,,,,,,,,x\n7,2025-01-01,,,,,,,,old\n7,2025-01-01,,,,,,,,new\n");
    let path = bench.file("a.csv", text.as_bytes());
    let report = bench.load(&path, "event", None).expect("loads");
    assert_eq!((report.read, report.loaded, report.duplicates), (4, 3, 1));
    let before = bench.sinks[0].rows("event");
    let report = bench.load(&path, "event", None).expect("again");
    assert_eq!((report.loaded, report.duplicates), (0, 4));
    assert_eq!(bench.sinks[0].rows("event"), before);
    assert!(bench.sinks[0].texts("event").iter().any(|r| r[8] == "new"));
}

#[test]
fn templates_patterns_values_and_districts() {
    let bench = Bench::new(catalogue(&[EVENT]));
    let toml = r#"
        name = "m"
        dataset = "event"
        null = ["NULL"]
        [columns]
        id = { column = "text", pattern = '第(\d+)号' }
        at = { columns = ["Y", "M", "D", "h", "m"], format = "{0}-{1:2}-{2:2} {3:2}:{4:2}" }
        kind = { column = "K", values = { B = "theft" }, fallback = "fire" }
        location = { x = "X", y = "Y0", crs = "epsg:32651", null_if = ["0,0"] }
        district = { locate = "location" }
        note = { constant = "批" }
    "#;
    let mapping = Mapping::parse_toml(toml).expect("mapping");
    // 354685 E, 3456204 N of UTM zone 51 lies in Huangpu.
    let text = "text,Y,M,D,h,m,K,X,Y0\n沪第12号,2025,1,2,3,4,B,354685,3456204\n沪第13号,2025,1,2,3,4,?,0,0\n沪,2025,1,2,3,4,NULL,NULL,NULL\n";
    let report = bench.load(&bench.file("a.csv", text.as_bytes()), "event", Some(mapping)).expect("loads");
    assert_eq!((report.loaded, report.quarantined), (3, 0));
    let rows = bench.sinks[0].texts("event");
    let at = "2025-01-02T03:04:00+08:00";
    assert_eq!(rows[0], ["", at, "", "", "", "", "", "", "批"]);
    assert_eq!((rows[1][0].as_str(), rows[1][2].as_str(), rows[1][7].as_str()), ("12", "theft", "310101"));
    assert_eq!((rows[2][0].as_str(), rows[2][2].as_str(), rows[2][6].as_str()), ("13", "fire", ""));
}

#[test]
fn a_failing_store_leaves_nothing_or_is_finished_later() {
    let bench = Bench::new(catalogue(&[EVENT]));
    let path = bench.file("a.csv", format!("{HEAD}1,2025-01-01,,,,,,,,\n").as_bytes());
    // The first store fails: neither has the row.
    bench.sinks[0].fail_commit.store(true, Ordering::Relaxed);
    assert!(matches!(bench.load(&path, "event", None), Err(IngestError::Sink { sink: "columns", .. })));
    assert_eq!((bench.sinks[0].count("event"), bench.sinks[1].count("event")), (0, 0));
    assert_eq!(bench.journal.list().expect("list")[0].state, BatchState::Failed);
    // The second fails after the first has committed: the batch stays open, and resume feeds only the second.
    bench.sinks[1].fail_commit.store(true, Ordering::Relaxed);
    assert!(bench.load(&path, "event", None).is_err());
    assert_eq!((bench.sinks[0].count("event"), bench.sinks[1].count("event")), (1, 0));
    assert_eq!(bench.journal.unfinished().expect("list").len(), 1);
    let reports = resume(&bench.journal, &bench.catalogue, &bench.dyn_sinks()).expect("resumes");
    assert_eq!((reports.len(), reports[0].loaded), (1, 1));
    assert_eq!((bench.sinks[0].count("event"), bench.sinks[1].count("event")), (1, 1));
    assert_eq!(bench.sinks[0].state.lock().expect("lock").commits, 1);
    assert!(bench.journal.unfinished().expect("list").is_empty());
}

#[test]
fn a_crash_before_or_between_commits_is_redone() {
    let bench = Bench::new(catalogue(&[EVENT]));
    let path = bench.file("a.csv", format!("{HEAD}1,2025-01-01,,,,,,,,\n2,bad,,,,,,,,\n").as_bytes());
    let done = bench.load(&path, "event", None).expect("loads");
    let journal_file = bench.journal.dir().join(format!("{}.json", done.batch_id));
    // As the journal was at the start, with both commits lost, and with one lost.
    let mut record = bench.journal.get(&done.batch_id).expect("record");
    record.state = BatchState::Running;
    record.sinks.clear();
    let start = serde_json::to_vec(&record).expect("json");
    for lost in [vec![0, 1], vec![1]] {
        std::fs::write(&journal_file, &start).expect("write");
        for &sink in &lost {
            *bench.sinks[sink].state.lock().expect("lock") = Default::default();
        }
        let reports = resume(&bench.journal, &bench.catalogue, &bench.dyn_sinks()).expect("resumes");
        assert_eq!((reports[0].read, reports[0].loaded, reports[0].quarantined), (2, 1, 1));
        assert_eq!((bench.sinks[0].count("event"), bench.sinks[1].count("event")), (1, 1));
        assert_eq!(bench.journal.get(&done.batch_id).expect("record").state, BatchState::Done);
    }
    // The file has changed meanwhile: the batch is given up, nothing is loaded.
    std::fs::write(&journal_file, &start).expect("write");
    std::fs::write(&path, "other").expect("write");
    assert!(resume(&bench.journal, &bench.catalogue, &bench.dyn_sinks()).expect("resumes").is_empty());
    assert_eq!(bench.journal.get(&done.batch_id).expect("record").state, BatchState::Failed);
}

#[test]
fn a_cancelled_import_leaves_nothing() {
    let bench = Bench::new(catalogue(&[PLAIN]));
    let path = bench.file("a.csv", ("a,b,n\n".to_string() + &"x,y,1\n".repeat(2_000_000)).as_bytes());
    let cancel = Cancel::default();
    let dataset = bench.catalogue.dataset("plain").expect("dataset").clone();
    let outcome = import(ImportRequest {
        file: &path,
        file_name: "a.csv",
        mapping: Mapping::identity(&dataset),
        dataset,
        catalogue: &bench.catalogue,
        journal: &bench.journal,
        sinks: &[bench.sinks[0].clone() as std::sync::Arc<dyn RowSink>],
        progress: &|progress| {
            assert!(progress.bytes_done <= progress.bytes_total);
            cancel.cancel();
        },
        cancel: &cancel,
        options: ImportOptions { threads: Some(3), ..ImportOptions::default() },
    });
    assert!(matches!(outcome, Err(IngestError::Cancelled)));
    assert_eq!(bench.sinks[0].count("plain"), 0);
    assert_eq!(bench.journal.list().expect("list")[0].state, BatchState::Cancelled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the csv crate writes is read back equal, whatever the texts.
    #[test]
    fn written_csv_reads_back(rows in prop::collection::vec(("\\PC{0,8}|[\",;\n\r a]{0,6}", "\\PC{0,8}|[\",;\n\r a]{0,6}", any::<i32>()), 1..40)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b", "n"]).expect("header");
        for (a, b, n) in &rows {
            writer.write_record([a.as_str(), b.as_str(), &n.to_string()]).expect("row");
        }
        let bench = Bench::new(catalogue(&[PLAIN]));
        let path = bench.file("a.csv", &writer.into_inner().expect("bytes"));
        let mut mapping = Mapping { auto: true, dataset: "plain".into(), ..Mapping::default() };
        mapping.format.encoding = Some("utf-8".into());
        mapping.format.delimiter = Some(",".into());
        let report = bench.load(&path, "plain", Some(mapping)).expect("loads");
        prop_assert_eq!((report.read, report.loaded), (rows.len() as u64, rows.len() as u64));
        let blank = |text: &str| if text.trim().is_empty() { String::new() } else { text.to_string() };
        let mut expect: Vec<_> = rows.iter().map(|(a, b, n)| vec![blank(a), blank(b), n.to_string()]).collect();
        expect.sort();
        prop_assert_eq!(bench.sinks[0].texts("plain"), expect);
    }

    /// Any bytes at all: no panic, and the counts reconcile.
    #[test]
    fn any_bytes_reconcile(bytes in prop::collection::vec(prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400)) {
        let bench = Bench::new(catalogue(&[PLAIN]));
        let content = [b"a,b,n\n".as_slice(), &bytes].concat();
        let path = bench.file("a.csv", &content);
        // `load` asserts the sum.
        _ = bench.load(&path, "plain", None);
    }
}
