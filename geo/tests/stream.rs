//! Geometries and files through a transform.

use serde_json::{Value, json};
use zonglan_geo::{Column, Crs, CsvOptions, GeometryError, Transform, stream_csv, stream_geojson, transform_geojson};

fn to_gcj() -> Transform {
    Transform::new(Crs::Wgs84, Crs::Gcj02).unwrap()
}

const SQUARE: [f64; 2] = [121.473701, 31.230416];

#[test]
fn all_geometry_types() {
    let t = to_gcj();
    let p = json!([121.473701, 31.230416, 4.5]);
    let q = json!([121.4, 31.2]);
    let ring = json!([p, q, [121.5, 31.1], p]);
    let cases = [
        (json!({"type": "Point", "coordinates": p}), 1),
        (json!({"type": "MultiPoint", "coordinates": [p, q]}), 2),
        (json!({"type": "LineString", "coordinates": [p, q]}), 2),
        (json!({"type": "MultiLineString", "coordinates": [[p, q], [q, p]]}), 4),
        (json!({"type": "Polygon", "coordinates": [ring]}), 4),
        (json!({"type": "MultiPolygon", "coordinates": [[ring], [ring, ring]]}), 12),
        (
            json!({"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": p}, {"type": "LineString", "coordinates": [p, q]}]}),
            3,
        ),
        (
            json!({"type": "Feature", "id": 7, "bbox": [1, 2, 3, 4], "properties": {"bbox": 1}, "geometry": {"type": "Point", "coordinates": p}}),
            1,
        ),
        (json!({"type": "Feature", "properties": null, "geometry": null}), 0),
        (
            json!({"type": "FeatureCollection", "crs": {}, "features": [{"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": p}}]}),
            1,
        ),
        (json!({"type": "Point", "coordinates": []}), 0),
    ];
    for (mut object, n) in cases {
        assert_eq!(transform_geojson(&t, &mut object), Ok(n), "{object}");
        let text = object.to_string();
        assert_eq!(text.contains("121.478224057,31.228473742,4.5"), n > 0, "{text}");
        assert!(!text.contains("121.473701"));
        assert_eq!(text.contains("\"bbox\":1"), text.contains("\"id\":7"));
        assert!(!text.contains("crs") && !text.contains("\"bbox\":["));
    }
}

#[test]
fn a_bad_geometry_stays_as_it_was() {
    let t = to_gcj();
    for (bad, kind) in [
        (json!({"type": "LineString", "coordinates": [[121.4, 31.2], [31.2, 121.4]]}), "Point"),
        (json!({"type": "LineString", "coordinates": [121.4, 31.2]}), "Coordinates"),
        (json!({"type": "Point", "coordinates": ["121.4", 31.2]}), "Coordinates"),
        (json!({"type": "Point"}), "Coordinates"),
        (json!({"type": "Circle", "coordinates": [1, 2]}), "Type"),
        (json!([1, 2]), "Type"),
    ] {
        let mut object = bad.clone();
        let e = transform_geojson(&t, &mut object).unwrap_err();
        let name = match e {
            GeometryError::Type(_) => "Type",
            GeometryError::Coordinates { .. } => "Coordinates",
            _ => "Point",
        };
        assert_eq!((name, &object), (kind, &bad), "{e}");
        assert!(!e.zh().is_empty());
    }
}

#[test]
fn baidu_mercator() {
    // gcoord 1.0.7: transform([121.473701, 31.230416], WGS84, BD09MC).
    let t = Transform::new(Crs::Wgs84, Crs::Bd09Mercator).unwrap();
    let p = t.point(SQUARE[0], SQUARE[1]).unwrap();
    assert!((p.0 - BAIDU_SQUARE.0).abs() < 1e-3 && (p.1 - BAIDU_SQUARE.1).abs() < 1e-3, "{p:?}");
    let back = Transform::new(Crs::Bd09Mercator, Crs::Wgs84).unwrap().point(p.0, p.1).unwrap();
    assert!((back.0 - SQUARE[0]).abs() < 1e-9 && (back.1 - SQUARE[1]).abs() < 1e-9, "{back:?}");
    assert_eq!("BD09-Mercator".parse::<Crs>().unwrap(), Crs::Bd09Mercator);
}

const BAIDU_SQUARE: (f64, f64) = (13_523_771.271_890_696, 3_640_858.368_567_672);

#[test]
fn csv_keeps_what_it_has_and_passes_by_bad_rows() {
    let t = to_gcj();
    let options = CsvOptions::new(Column::Name("LON".into()), Column::Name("lat".into()), &t);
    let input = "\u{feff}id,\"lon\",lat,note\r\n1,121.473701,31.230416,\"a, \"\"b\"\"\r\nc\"\r\n2,x,31.2,\r\n3,31.2,121.4,swapped\r\n\r\n4,121.4\r\n5,\" 121.473701 \",31.230416,ok";
    let mut out = Vec::new();
    let mut bad = Vec::new();
    let summary = stream_csv(&t, &options, input.as_bytes(), &mut out, |b| bad.push((b.row, b.code))).unwrap();
    assert_eq!((summary.rows, summary.converted, summary.bad), (5, 2, 3));
    assert_eq!(bad, [(4, "not_a_number"), (5, "not_degrees"), (7, "missing_field")]);
    let expected = "\u{feff}id,\"lon\",lat,note,gcj02_x,gcj02_y\r\n1,121.473701,31.230416,\"a, \"\"b\"\"\r\nc\",121.478224057,31.228473742\r\n2,x,31.2,,,\r\n3,31.2,121.4,swapped,,\r\n4,121.4,,\r\n5,\" 121.473701 \",31.230416,ok,121.478224057,31.228473742\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let missing = CsvOptions::new(Column::Name("east".into()), Column::Index(2), &t);
    let e = stream_csv(&t, &missing, input.as_bytes(), &mut Vec::new(), |_| ()).unwrap_err();
    assert!(e.to_string().contains("east"), "{e}");
    let none = stream_csv(&t, &options, &b""[..], &mut Vec::new(), |_| ()).unwrap();
    assert_eq!(none.rows, 0);
}

#[test]
fn geojson_streams_feature_by_feature() {
    let t = to_gcj();
    let input = json!({"type": "FeatureCollection", "name": "点", "bbox": [0, 0, 1, 1], "features": [
        {"type": "Feature", "properties": {"n": 1}, "geometry": {"type": "Point", "coordinates": SQUARE}},
        {"type": "Feature", "properties": {"n": 2}, "geometry": {"type": "Point", "coordinates": [500, 31]}},
        {"type": "Feature", "properties": {"n": 3}, "geometry": null},
    ]});
    let mut out = Vec::new();
    let mut bad = Vec::new();
    let summary = stream_geojson(&t, input.to_string().as_bytes(), &mut out, |b| bad.push(b.row)).unwrap();
    assert_eq!((summary.rows, summary.converted, summary.bad, &bad[..]), (3, 2, 1, &[2][..]));
    let done: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(done["name"], "点");
    assert_eq!(done["type"], "FeatureCollection");
    assert_eq!(done["features"][0]["geometry"]["coordinates"], json!([121.478224057, 31.228473742]));
    assert_eq!(done["features"][1]["properties"]["n"], 3);
    assert!(done.get("bbox").is_none());
    let mut out = Vec::new();
    let single = json!({"type": "Point", "coordinates": SQUARE}).to_string();
    assert_eq!(stream_geojson(&t, single.as_bytes(), &mut out, |_| ()).unwrap().converted, 1);
    assert!(String::from_utf8(out).unwrap().contains("121.478224057"));
    assert!(stream_geojson(&t, &b"{\"type\":"[..], &mut Vec::new(), |_| ()).is_err());
}
