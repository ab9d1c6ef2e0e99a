//! Each format, encoding and dialect, on small files made here.

mod common;

use common::{Bench, EVENT, catalogue};
use encoding_rs::GB18030;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use zonglan_ingest::{Format, Input, Mapping, preview};

const CSV: &str = "编号,时间,类别,金额,数量,未结,经度,纬度,区,说明\n\
    1,2025-01-31 08:05:09,盗窃,12.50,3,是,121.4737,31.2304,310101,\"一行\n又一行，\"\"引\"\"\"\n\
    2,2025年2月1日,fire,0,,否,,,黄浦区,\n\
    3,2023/1/2 3:04,偷窃,1000,1.0,1,121.55,31.22,310115,ok\n";

const ROWS: [[&str; 9]; 3] = [
    [
        "1",
        "2025-01-31T08:05:09+08:00",
        "theft",
        "12.50",
        "3",
        "true",
        "121.4737,31.2304",
        "310101",
        "一行\n又一行，\"引\"",
    ],
    ["2", "2025-02-01T00:00:00+08:00", "fire", "0.00", "", "false", "", "310101", ""],
    ["3", "2023-01-02T03:04:00+08:00", "theft", "1000.00", "1", "true", "121.55,31.22", "310115", "ok"],
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).expect("gz");
    gz.finish().expect("gz")
}

fn loads(name: &str, content: &[u8], mapping: Option<Mapping>) {
    let bench = Bench::new(catalogue(&[EVENT]));
    let path = bench.file(name, content);
    let report = bench.load(&path, "event", mapping.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!((report.read, report.loaded, report.quarantined), (3, 3, 0), "{name}");
    assert_eq!(bench.sinks[0].texts("event"), ROWS, "{name}");
    let again = bench.load(&path, "event", mapping).expect("again");
    assert_eq!((again.loaded, again.duplicates), (0, 3), "{name}");
    assert_eq!(bench.sinks[1].texts("event"), ROWS, "{name}");
}

#[test]
fn delimited_text_in_every_encoding() {
    loads("a.csv", CSV.as_bytes(), None);
    loads("bom.csv", format!("\u{feff}{CSV}").as_bytes(), None);
    loads("crlf.csv", CSV.replace('\n', "\r\n").replace("一行\r\n", "一行\n").as_bytes(), None);
    loads("gb.csv", &GB18030.encode(CSV).0, None);
    loads("a.csv.gz", &gzip(CSV.as_bytes()), None);
    loads("gb.csv.gz", &gzip(&GB18030.encode(CSV).0), None);
    let utf16: Vec<u8> = CSV.encode_utf16().flat_map(u16::to_le_bytes).collect();
    loads("utf16.csv", &[&[0xff, 0xfe], utf16.as_slice()].concat(), None);
    let utf16: Vec<u8> = CSV.encode_utf16().flat_map(u16::to_be_bytes).collect();
    loads("utf16be.csv", &[&[0xfe, 0xff], utf16.as_slice()].concat(), None);
    loads("a.tsv", CSV.replace(',', "\t").as_bytes(), None);
    loads("pipe.txt", CSV.replace(',', "|").as_bytes(), None);
    loads("unended.csv", CSV.trim_end().as_bytes(), None);
    loads("blank.csv", format!("\n{CSV}\n\n").as_bytes(), None);
}

#[test]
fn decimal_commas_with_semicolons() {
    let text = CSV.replace(',', ";").replace("12.50", "12,50").replace("121.4737;31.2304", "121,4737;31,2304");
    let text = text.replace("1.0;1", "1,0;1").replace("121.55;31.22", "121,55;31,22");
    let mut mapping = Mapping { auto: true, dataset: "event".into(), ..Mapping::default() };
    mapping.format.decimal = Some(",".into());
    loads("semicolon.csv", text.as_bytes(), Some(mapping));
}

#[test]
fn json_lines() {
    let text = concat!(
        r#"{"id":1,"at":"2025-01-31T08:05:09","kind":"theft","amount":12.5,"count":3,"open":true,"location":[121.4737,31.2304],"district":"310101","note":"一行\n又一行，\"引\""}"#,
        "\n\n",
        r#"{"id":"2","at":"2025-02-01","kind":"fire","amount":0,"open":false,"district":"310101"}"#,
        "\n",
        r#"{"id":"3","at":"2023-01-02 03:04","kind":"theft","amount":"1000","count":1,"open":1,"location":"121.55,31.22","district":"310115","note":"ok"}"#,
    );
    loads("a.jsonl", text.as_bytes(), None);
    loads("a.jsonl.gz", &gzip(text.as_bytes()), None);
}

#[test]
fn workbooks() {
    use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Workbook};
    let mut book = Workbook::new();
    book.add_worksheet().set_name("说明").expect("name").write(0, 0, "nothing").expect("cell");
    let sheet = book.add_worksheet().set_name("数据").expect("name");
    sheet.write(0, 0, "二〇二五年事件表").expect("title");
    for (c, name) in
        ["编号", "时间", "类别", "金额", "数量", "未结", "经度", "纬度", "区", "说明"].into_iter().enumerate()
    {
        sheet.write(1, c as u16, name).expect("cell");
    }
    let date = CellFormat::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    let when = ExcelDateTime::from_ymd(2025, 1, 31).and_then(|d| d.and_hms(8, 5, 9)).expect("date");
    sheet.write_with_format(2, 1, &when, &date).expect("cell");
    for (c, text) in [(0, "1"), (2, "盗窃"), (8, "310101"), (9, "一行\n又一行，\"引\"")] {
        sheet.write(2, c, text).expect("cell");
    }
    sheet.write(2, 3, 12.5).expect("cell").write(2, 4, 3).expect("cell").write(2, 5, true).expect("cell");
    sheet.write(2, 6, 121.4737).expect("cell").write(2, 7, 31.2304).expect("cell");
    sheet.write(3, 0, 2).expect("cell").write(3, 1, "2025-02-01").expect("cell").write(3, 2, "fire").expect("cell");
    sheet.write(3, 3, 0).expect("cell").write(3, 5, "否").expect("cell").write(3, 8, 310_101).expect("cell");
    // Row 5 is blank.
    sheet.write(5, 0, 3).expect("cell").write(5, 1, 44_928.127_777_777_8).expect("cell");
    sheet.write(5, 2, "theft").expect("cell").write(5, 3, 1000).expect("cell").write(5, 4, 1).expect("cell");
    sheet.write(5, 5, 1).expect("cell").write(5, 6, 121.55).expect("cell").write(5, 7, 31.22).expect("cell");
    sheet.write(5, 8, "310115").expect("cell").write(5, 9, "ok").expect("cell");
    let bytes = book.save_to_buffer().expect("xlsx");
    let mut mapping = Mapping { auto: true, dataset: "event".into(), ..Mapping::default() };
    mapping.format.sheet = Some("数据".into());
    loads("a.xlsx", &bytes, Some(mapping.clone()));
    loads("a.xlsx.gz", &gzip(&bytes), Some(mapping.clone()));
    let look = preview(Input::Bytes(&bytes), "a.xlsx", Some(&mapping), None, 10).expect("preview");
    assert_eq!(look.sheets, ["说明", "数据"]);
    assert_eq!(look.columns[1].name, "时间");
    assert_eq!(look.rows.len(), 3);
    mapping.format.sheet = Some("无".into());
    let error = preview(Input::Bytes(&bytes), "a.xlsx", Some(&mapping), None, 10).expect_err("no sheet");
    assert!(error.to_string().contains("说明、数据"), "{error}");
}

#[test]
fn parquet() {
    use polars::prelude::*;
    let when = |text: &str| {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("time").and_utc().timestamp_millis()
    };
    let times = [when("2025-01-31 08:05:09"), when("2025-02-01 00:00:00"), when("2023-01-02 03:04:00")];
    let at = Series::new("at".into(), times).cast(&DataType::Datetime(TimeUnit::Milliseconds, None)).expect("cast");
    let mut frame = DataFrame::new(
        3,
        vec![
            Series::new("id".into(), [1i64, 2, 3]).into(),
            at.into(),
            Series::new("kind".into(), ["theft", "fire", "theft"]).into(),
            Series::new("amount".into(), [12.5f64, 0.0, 1000.0]).into(),
            Series::new("count".into(), [Some(3i32), None, Some(1)]).into(),
            Series::new("open".into(), [true, false, true]).into(),
            Series::new("lon".into(), [Some(121.4737f64), None, Some(121.55)]).into(),
            Series::new("lat".into(), [Some(31.2304f64), None, Some(31.22)]).into(),
            Series::new("district".into(), ["310101", "310101", "310115"]).into(),
            Series::new("note".into(), [Some("一行\n又一行，\"引\""), None, Some("ok")]).into(),
        ],
    )
    .expect("frame");
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_row_group_size(Some(2)).finish(&mut frame).expect("parquet");
    loads("a.parquet", &bytes, None);
    loads("a.parquet.gz", &gzip(&bytes), None);
}

#[test]
fn a_preview_names_columns_and_faults() {
    let bench = Bench::new(catalogue(&[EVENT]));
    let dataset = bench.catalogue.dataset("event").expect("dataset");
    let text = format!("{CSV}4,bad,盗窃,1,1,是,,,310101,\n");
    let gb = GB18030.encode(&text).0.into_owned();
    let look = preview(Input::Bytes(&gb), "x.csv", None, Some((dataset, &bench.catalogue)), 2).expect("preview");
    assert_eq!((look.format, look.encoding, look.delimiter), (Format::Csv, Some("gb18030"), Some(',')));
    assert_eq!((look.rows.len(), look.checked, look.failed), (2, 4, 1));
    assert_eq!(look.errors[0].line, 6);
    assert_eq!(look.errors[0].reason, "时间：不是日期时间");
    let suggested: Vec<_> = look.columns.iter().map(|c| c.suggested_field.as_deref().unwrap_or("-")).collect();
    assert_eq!(suggested, ["id", "at", "kind", "amount", "count", "open", "location", "location", "district", "note"]);
    let mapping = Mapping::parse_toml("name='x'\ndataset='event'\n[columns]\nat='报警时间'").expect("mapping");
    let look = preview(Input::Bytes(&gb), "x.csv", Some(&mapping), Some((dataset, &bench.catalogue)), 2).expect("p");
    assert!(look.problem.expect("problem").contains("没有列「报警时间」"));
}

#[test]
fn broken_files_say_what_is_wrong() {
    let bench = Bench::new(catalogue(&[EVENT]));
    let mut cut = gzip(CSV.repeat(1000).as_bytes());
    cut.truncate(cut.len() / 2);
    for (name, content, expect) in [
        ("empty.csv", b"".as_slice(), "空"),
        ("cut.csv.gz", &cut, "无法读取"),
        ("x.bin", &[0, 1, 2, 3, 0, 0, 0, 9, 9], "无法识别"),
        ("fake.xlsx", b"PK\x03\x04nothing", "无法读取"),
        ("other.csv", b"a,b\n1,2\n", "必填字段「时间」"),
    ] {
        let path = bench.file(name, content);
        let error = bench.load(&path, "event", None).expect_err(name);
        assert!(error.to_string().contains(expect), "{name}: {error}");
        assert_eq!(bench.sinks[0].count("event"), 0);
    }
}
