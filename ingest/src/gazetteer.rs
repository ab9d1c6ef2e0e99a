//! A gazetteer from a CSV file: standard addresses with their places.

use crate::error::{IngestError, Result};
use std::path::Path;
use zonglan_geo::{BadRow, Gazetteer, GazetteerBuilder, GazetteerRow, StreamSummary, Transform};

/// Names under which a column is looked for.
const ADDRESS: &[&str] = &["address", "地址", "标准地址", "地址全称", "门牌地址"];
const DISTRICT: &[&str] = &["district", "区", "行政区", "所属区", "区县"];
const STREET: &[&str] = &["street", "街道", "街镇", "街道乡镇", "所属街道", "镇"];
const ROAD: &[&str] = &["road", "道路", "路", "路名", "道路名称", "街路巷"];
const LANE: &[&str] = &["lane", "弄", "弄号", "里弄"];
const NUMBER: &[&str] = &["number", "号", "门牌", "门牌号", "门牌号码"];
const X: &[&str] = &["lon", "lng", "longitude", "x", "经度", "东坐标", "east"];
const Y: &[&str] = &["lat", "latitude", "y", "纬度", "北坐标", "north"];

/// Reads a CSV (UTF-8, with or without BOM, or GB18030) into a gazetteer. It needs an address, or
/// district and road, and a place; `to_wgs84` converts the places. Rows that do not fit are passed by
/// and told to `on_bad`.
pub fn read_gazetteer(
    path: &Path,
    city: &str,
    to_wgs84: &Transform,
    mut on_bad: impl FnMut(BadRow),
) -> Result<(Gazetteer, StreamSummary)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = std::fs::read(path).map_err(|e| IngestError::io(path, e))?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => std::borrow::Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(_) => {
            let (text, _, broken) = encoding_rs::GB18030.decode(&bytes);
            if broken {
                return Err(IngestError::unreadable(&name, "既不是 UTF-8 也不是 GB18030"));
            }
            text
        }
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| IngestError::unreadable(&name, e))?.clone();
    let find = |names: &[&str]| header.iter().position(|h| names.iter().any(|n| h.trim().eq_ignore_ascii_case(n)));
    let known = || header.iter().collect::<Vec<_>>().join("、");
    let missing = |column: &str| IngestError::MissingColumn { column: column.into(), known: known(), near: None };
    let (x, y) = (find(X).ok_or_else(|| missing("lon"))?, find(Y).ok_or_else(|| missing("lat"))?);
    let columns = [ADDRESS, DISTRICT, STREET, ROAD, LANE, NUMBER].map(find);
    if columns[0].is_none() && columns[3].is_none() {
        return Err(missing("address"));
    }
    let mut builder = GazetteerBuilder::new(city);
    let mut summary = StreamSummary::default();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| IngestError::unreadable(&name, e))? {
        summary.rows += 1;
        let line = record.position().map_or(summary.rows + 1, csv::Position::line);
        let cell = |at: Option<usize>| at.and_then(|i| record.get(i)).unwrap_or_default().trim();
        let number = |at: usize| cell(Some(at)).parse::<f64>().unwrap_or(f64::NAN);
        let added = to_wgs84.point(number(x), number(y)).map_err(|e| (e.code(), e.zh())).and_then(|(lon, lat)| {
            let [address, district, street, road, lane, number] = columns.map(cell);
            let row = GazetteerRow { address, district, street, road, lane, number, lon, lat };
            builder.add(&row).map_err(|e| ("address", e.zh()))
        });
        match added {
            Ok(()) => summary.converted += 1,
            Err((code, reason)) => {
                summary.bad += 1;
                on_bad(BadRow { row: line, code, reason });
            }
        }
    }
    if summary.converted == 0 {
        return Err(IngestError::unreadable(&name, "没有一行可用的地址"));
    }
    Ok((builder.build(), summary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonglan_geo::Crs;

    #[test]
    fn files_of_both_encodings_are_read_and_bad_rows_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let text = "标准地址,经度,纬度\n上海市徐汇区徐家汇街道漕溪北路123弄4号,121.437,31.192\n某小区,121.4,31.2\n上海市徐汇区漕溪北路8号,很远,31.2\n";
        let transform = Transform::new(Crs::Wgs84, Crs::Wgs84).unwrap();
        for bytes in [text.as_bytes().to_vec(), encoding_rs::GB18030.encode(text).0.into_owned()] {
            std::fs::write(&path, bytes).unwrap();
            let mut bad = Vec::new();
            let (g, summary) = read_gazetteer(&path, "上海市", &transform, |b| bad.push((b.row, b.code))).unwrap();
            assert_eq!(summary, StreamSummary { rows: 3, converted: 1, bad: 2 });
            assert_eq!(bad, [(3, "address"), (4, "not_finite")]);
            assert_eq!(g.geocode("漕溪北路123弄4号")[0].street, "徐家汇街道");
        }
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        assert!(read_gazetteer(&path, "上海市", &transform, |_| ()).is_err());
    }
}
