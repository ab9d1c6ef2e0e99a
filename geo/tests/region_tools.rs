//! Neighbours, simplification, tiles and the check of an import.

use std::collections::HashSet;

use geojson::JsonValue;
use serde_json::json;
use zonglan_geo::{ProblemKind, RegionSet};

/// Two squares with a wavy common border, a third on top of both, an island in the first.
fn wavy(corners: u32, nudge: f64) -> RegionSet {
    let wave = |i: u32| {
        let t = f64::from(i) / f64::from(corners);
        [121.5 + 0.002 * (t * 40.0).sin() + 0.0001 * (t * 900.0).sin(), 31.0 + 0.1 * t]
    };
    let border: Vec<[f64; 2]> = (0..=corners).map(wave).collect();
    let (bottom, top) = (border[0], border[corners as usize]);
    let mut west = border.clone();
    west.extend([[121.4, 31.1], [121.4, 31.0], bottom]);
    let mut east: Vec<[f64; 2]> = border.iter().rev().map(|p| [p[0] + nudge, p[1]]).collect();
    east.extend([[121.6, 31.0], [121.6, 31.1], [top[0] + nudge, top[1]]]);
    let north = [[121.4, 31.1], top, [121.6, 31.1], [121.6, 31.2], [121.4, 31.2], [121.4, 31.1]];
    let feature = |code: &str, rings: JsonValue| json!({"type": "Feature", "properties": {"code": code, "name": format!("区{code}")}, "geometry": {"type": "Polygon", "coordinates": rings}});
    let lake = [[121.42, 31.02], [121.42, 31.03], [121.44, 31.03], [121.44, 31.02], [121.42, 31.02]];
    let island: Vec<_> = lake.iter().rev().collect();
    let set = json!({"type": "FeatureCollection", "features": [
        feature("310101", json!([west, lake])), feature("310104", json!([east])), feature("310105", json!([north])), feature("310106", json!([island]))]});
    RegionSet::from_geojson(&set.to_string()).unwrap()
}

fn edges(set: &RegionSet, code: &str) -> HashSet<[[u64; 2]; 2]> {
    let bits = |p: [f64; 2]| p.map(f64::to_bits);
    set.get(code)
        .unwrap()
        .rings()
        .flatten()
        .flat_map(|ring| ring.windows(2).map(|w| (bits(w[0]), bits(w[1]))).collect::<Vec<_>>())
        .map(|(a, b)| if a < b { [a, b] } else { [b, a] })
        .collect()
}

#[test]
fn simplified_borders_stay_shared() {
    let set = wavy(2_000, 0.0);
    let simple = set.simplified(30.0).unwrap();
    assert!(simple.corner_count() * 20 < set.corner_count(), "{} of {}", simple.corner_count(), set.corner_count());
    let shared = edges(&simple, "310101").intersection(&edges(&simple, "310104")).count();
    assert!(shared > 10, "{shared}");
    assert_eq!(edges(&simple, "310106").len(), 4);
    assert_eq!(edges(&simple, "310101").intersection(&edges(&simple, "310106")).count(), 4);
    assert!(simple.check(Some(&set)).problems.is_empty(), "{:?}", simple.check(Some(&set)));
    for r in &set {
        let (a, b) = (r.drawn_area_km2(), simple.get(&r.code).unwrap().drawn_area_km2());
        assert!((a - b).abs() / a < 0.01, "{}: {a} {b}", r.code);
    }
    // Nothing is so coarse that a region vanishes.
    let coarse = set.simplified(1e6).unwrap();
    assert_eq!(coarse.len(), 4);
    assert!(coarse.iter().all(|r| r.drawn_area_km2() > 0.5));
    let shanghai = RegionSet::shanghai();
    let simple = shanghai.simplified(500.0).unwrap();
    assert!(simple.corner_count() < shanghai.corner_count());
    assert_eq!(simple.len(), 16);
}

#[test]
fn neighbours_by_length_of_border() {
    let set = wavy(200, 0.0);
    let codes =
        |code: &str| -> Vec<String> { set.neighbours(code, 1.0).unwrap().into_iter().map(|n| n.code).collect() };
    assert_eq!(codes("310104"), ["310101", "310105"]);
    assert_eq!(codes("310106"), ["310101"]);
    assert!(set.neighbours("310199", 1.0).is_none());
    let n = &set.neighbours("310105", 1.0).unwrap()[0];
    assert!((9_000.0..10_200.0).contains(&n.border_m), "{n:?}");
    // The coarse shapes of the city have slivers between them.
    let around = |code: &str| -> Vec<String> {
        RegionSet::shanghai().neighbours(code, 300.0).unwrap().into_iter().map(|n| n.name).collect()
    };
    let huangpu = around("310101");
    for name in ["徐汇区", "静安区", "虹口区", "浦东新区"] {
        assert!(huangpu.iter().any(|n| n == name), "{name} {huangpu:?}");
    }
    assert!(!huangpu.iter().any(|n| n == "青浦区" || n == "崇明区"));
}

#[test]
fn a_check_finds_overlaps_gaps_and_slivers() {
    let good = wavy(200, 0.0);
    let report = good.check(Some(&good));
    assert!(report.problems.is_empty(), "{report:?}");
    assert!((report.coverage.unwrap() - 1.0).abs() < 1e-9 && report.outside_km2.unwrap() < 1e-6);
    let kinds = |set: &RegionSet| -> HashSet<ProblemKind> { set.check(None).problems.iter().map(|p| p.kind).collect() };
    // East moved to the east by 950 m and 9 m: a gap open to the south is an uncovered part.
    let gaping = wavy(200, 0.01);
    let report = gaping.check(Some(&good));
    assert!((0.93..0.98).contains(&report.coverage.unwrap()), "{:?}", report.coverage);
    assert_eq!(kinds(&wavy(200, -0.01)), HashSet::from([ProblemKind::Overlap]));
    assert_eq!(kinds(&wavy(200, -0.000_1)), HashSet::from([ProblemKind::Sliver]));
    let square = |code: &str, x: f64, hole: bool| {
        let ring = |a: f64, b: f64| {
            json!([[x + a, 31.0 + a], [x + b, 31.0 + a], [x + b, 31.0 + b], [x + a, 31.0 + b], [x + a, 31.0 + a]])
        };
        let rings = if hole { json!([ring(0.0, 0.1), ring(0.04, 0.06)]) } else { json!([ring(0.0, 0.1)]) };
        json!({"type": "Feature", "properties": {"code": code, "name": code, "label": [x + 0.05, 31.05]}, "geometry": {"type": "Polygon", "coordinates": rings}})
    };
    let set = json!({"type": "FeatureCollection", "features": [square("310101", 121.0, true), square("310104", 121.1, false)]});
    let set = RegionSet::from_geojson(&set.to_string()).unwrap();
    let found = set.check(Some(&good));
    let kinds: Vec<ProblemKind> = found.problems.iter().map(|p| p.kind).collect();
    for kind in [ProblemKind::Gap, ProblemKind::LabelOutside, ProblemKind::Missing, ProblemKind::Moved] {
        assert!(kinds.contains(&kind), "{kind:?} {found:?}");
    }
    // 0.02 by 0.02 degrees at 31.05 north.
    let gap = found.problems.iter().find(|p| p.kind == ProblemKind::Gap).unwrap();
    assert!((gap.area_km2 - 4.235).abs() < 0.01, "{gap:?}");
    let bow = json!({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"code": "310101", "name": "x"},
        "geometry": {"type": "Polygon", "coordinates": [[[121.0, 31.0], [121.1, 31.1], [121.1, 31.0], [121.0, 31.2], [121.0, 31.0]]]}}]});
    let found = RegionSet::from_geojson(&bow.to_string()).unwrap().check(None);
    assert!(found.problems.iter().any(|p| p.kind == ProblemKind::Invalid), "{found:?}");
}

/// Fields of a protocol buffer message: number and content (varints as eight bytes).
fn fields(mut b: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    while !b.is_empty() {
        let tag = varint(&mut b);
        let content = if tag & 7 == 0 {
            varint(&mut b).to_le_bytes().to_vec()
        } else {
            let n = varint(&mut b) as usize;
            let (head, rest) = b.split_at(n);
            b = rest;
            head.to_vec()
        };
        out.push((tag >> 3, content));
    }
    out
}

fn varint(b: &mut &[u8]) -> u64 {
    let mut n = 0;
    for i in 0.. {
        let byte = b[i];
        n |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *b = &b[i + 1..];
            break;
        }
    }
    n
}

/// The first value of a feature's tags, and its points.
type Feature = (String, Vec<[f64; 2]>);

/// Layers by name.
fn decode(tile: &[u8]) -> Vec<(String, Vec<Feature>)> {
    let decode_layer = |layer: Vec<u8>| {
        let all = fields(&layer);
        let text = |n: u64| all.iter().filter(|(f, _)| *f == n).map(|(_, c)| c.clone()).collect::<Vec<_>>();
        let name = String::from_utf8(text(1)[0].clone()).unwrap();
        let values: Vec<String> = text(4).iter().map(|v| String::from_utf8(fields(v)[0].1.clone()).unwrap()).collect();
        let features = text(2)
            .iter()
            .map(|f| {
                let f = fields(f);
                let get = |n: u64| f.iter().find(|(k, _)| *k == n).unwrap().1.clone();
                let numbers = |bytes: Vec<u8>| {
                    let mut b = &bytes[..];
                    let mut out = Vec::new();
                    while !b.is_empty() {
                        out.push(varint(&mut b));
                    }
                    out
                };
                let code = values[numbers(get(2))[1] as usize].clone();
                let commands = numbers(get(4));
                let (mut i, mut at, mut points) = (0, [0i64; 2], Vec::new());
                while i < commands.len() {
                    let (id, n) = (commands[i] & 7, commands[i] >> 3);
                    i += 1;
                    for _ in 0..if id == 7 { 0 } else { n } {
                        for k in 0..2 {
                            let z = commands[i + k];
                            at[k] += (z >> 1) as i64 ^ -((z & 1) as i64);
                        }
                        i += 2;
                        points.push([at[0] as f64, at[1] as f64]);
                    }
                }
                (code, points)
            })
            .collect();
        (name, features)
    };
    fields(tile).into_iter().map(|(_, layer)| decode_layer(layer)).collect()
}

#[test]
fn tiles_hold_the_regions() {
    let set = RegionSet::shanghai();
    // The tile of Shanghai at zoom 8: 121.47 E, 31.23 N.
    let (z, x, y) = (8u8, 214u32, 104u32);
    let layers = decode(&set.tile(z, x, y).unwrap());
    assert_eq!(layers[0].0, "regions");
    assert_eq!(layers[1].0, "labels");
    assert!(layers[0].1.len() >= 10, "{}", layers[0].1.len());
    for (code, points) in &layers[0].1 {
        let region = set.get(code).unwrap();
        for p in points {
            assert!(p.iter().all(|v| (-64.0..=4160.0).contains(v)));
            if p.iter().any(|v| !(-63.0..=4159.0).contains(v)) {
                continue;
            }
            let lon = (f64::from(x) + p[0] / 4096.0) / 256.0 * 360.0 - 180.0;
            let n = std::f64::consts::PI * (1.0 - 2.0 * (f64::from(y) + p[1] / 4096.0) / 256.0);
            let lat = n.sinh().atan().to_degrees();
            // A unit is 38 m here.
            assert!(region.distance_to_border_m(lon, lat) < 40.0, "{code} {lon} {lat}");
        }
    }
    // Deep inside one region: its polygon is the buffered tile.
    let r = set.get("310120").unwrap();
    let side = f64::from(1u32 << 16);
    let tx = ((r.label.0 + 180.0) / 360.0 * side) as u32;
    let ty = ((1.0 - r.label.1.to_radians().tan().asinh() / std::f64::consts::PI) / 2.0 * side) as u32;
    let layers = decode(&set.tile(16, tx, ty).unwrap());
    assert_eq!(layers[0].1.len(), 1);
    assert_eq!((layers[0].1[0].0.as_str(), layers[0].1[0].1.len()), ("310120", 4));
    assert_eq!(layers[1].1.len(), 1);
    assert_eq!(set.tile(8, 0, 0), Some(vec![]));
    assert_eq!(set.tile(8, 256, 0), None);
    assert_eq!(set.tile(60, 0, 0), None);
}

/// With the files of an installation: `ZONGLAN_SHARED` names their folder.
#[test]
fn streets_of_the_city_are_checked() {
    let Ok(folder) = std::env::var("ZONGLAN_SHARED") else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/data/geo/{name}")).unwrap();
    let streets = RegionSet::from_geojson(&read("sh_streets_wgs84_simplified.geojson")).unwrap();
    let districts = RegionSet::from_geojson(&read("sh_districts_wgs84.geojson")).unwrap();
    let start = std::time::Instant::now();
    let report = streets.check(Some(&districts));
    println!(
        "{} streets checked in {:?}: coverage {:?}, {} problems",
        report.regions,
        start.elapsed(),
        report.coverage,
        report.problems.len()
    );
    assert!(report.coverage.unwrap() > 0.98);
    // How fast the street of a point is found: points over the whole city, the sea with it.
    let points: Vec<(f64, f64)> = (0..1_000_000u32)
        .map(|k| {
            let f = |a: f64| (f64::from(k) * a).fract();
            (120.9 + 1.2 * f(0.754_877_666_246_692_8), 30.7 + 1.1 * f(0.569_840_290_998_053_3))
        })
        .collect();
    let start = std::time::Instant::now();
    let found = points.iter().filter(|p| streets.locate_exact(p.0, p.1).is_some()).count();
    let exact = 1.0 / start.elapsed().as_secs_f64();
    let start = std::time::Instant::now();
    let near = points.iter().filter(|p| streets.locate(p.0, p.1).is_some()).count();
    println!(
        "{} streets: {exact:.2} million points/s ({found} inside), {:.2} with the nearest rule ({near})",
        streets.len(),
        1.0 / start.elapsed().as_secs_f64()
    );
    assert!(near >= found && found > 300_000);
    let simple = districts.simplified(100.0).unwrap();
    let overlaps = |s: &RegionSet| s.check(None).problems.iter().map(|p| p.area_km2).sum::<f64>();
    println!(
        "districts: {} corners, simplified {}; overlaps and gaps {:.4} km2, {:.4}",
        districts.corner_count(),
        simple.corner_count(),
        overlaps(&districts),
        overlaps(&simple)
    );
    assert!(simple.corner_count() * 5 < districts.corner_count());
}
