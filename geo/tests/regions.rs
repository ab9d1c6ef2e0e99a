//! The districts of Shanghai: shapes, codes, facts.

use chrono::NaiveDate;
use zonglan_geo::{Level, LonLat, RegionSet};

fn districts() -> &'static RegionSet {
    RegionSet::shanghai()
}

#[test]
fn sixteen_districts_with_the_official_sums() {
    let set = districts();
    assert_eq!(set.len(), 16);
    let population: u64 = set.iter().map(|r| r.population_2020).sum();
    assert_eq!(population, 24_870_895);
    let area: f64 = set.iter().map(|r| r.land_area_km2).sum();
    assert!((area - 6_340.50).abs() < 0.005, "{area}");
    for r in set {
        assert_eq!(r.level, Level::District);
        assert!(r.contains(r.label.0, r.label.1), "label of {}", r.name);
        assert_eq!(set.locate(r.label.0, r.label.1).unwrap().code, r.code);
        assert_eq!(set.get(&r.code).unwrap().name, r.name);
        assert_eq!(set.by_name(&r.name).unwrap().code, r.code);
        assert_eq!(set.by_name(&r.name_en).unwrap().code, r.code);
        // Coarse shapes, and water counts in some: within half of the official figure.
        let ratio = r.drawn_area_km2() / r.land_area_km2;
        assert!((0.6..1.6).contains(&ratio), "{}: {ratio}", r.name);
    }
}

#[test]
fn known_places() {
    for (place, lon, lat, district) in [
        ("人民广场", 121.473701, 31.230416, "黄浦区"),
        ("虹桥站", 121.320157, 31.194061, "闵行区"),
        ("陆家嘴", 121.499718, 31.239703, "浦东新区"),
        ("崇明城桥", 121.397421, 31.623728, "崇明区"),
        ("临港", 121.93, 30.9, "浦东新区"),
        ("金山石化", 121.345, 30.715, "金山区"),
    ] {
        assert_eq!(districts().locate(lon, lat).map(|r| r.name.as_str()), Some(district), "{place}");
    }
    for (lon, lat) in [
        (120.62, 31.30),
        (116.4, 39.9),
        (-123.1, 49.3),
        (122.9, 31.0),
        (f64::NAN, 31.0),
        (121.4, f64::INFINITY),
        (31.2, 121.4),
    ] {
        assert!(districts().locate(lon, lat).is_none(), "{lon} {lat}");
    }
}

#[test]
fn every_code_resolves() {
    for (code, name) in [
        ("310103", "黄浦区"),
        ("310108", "静安区"),
        ("310119", "浦东新区"),
        ("310230", "崇明区"),
        ("310101002", "黄浦区"),
        ("310108015001", "静安区"),
        ("310115", "浦东新区"),
        (" 310104 ", "徐汇区"),
        ("310230100", "崇明区"),
        ("3101040010010001", "徐汇区"),
    ] {
        assert_eq!(districts().resolve(code).map(|r| r.name.as_str()), Some(name), "{code}");
    }
    for code in ["", "31", "310100", "310199", "110101", "31010A", "黄浦区", "31010"] {
        assert!(districts().resolve(code).is_none(), "{code}");
    }
    assert!(districts().get("310103").is_none());
}

#[test]
fn names_old_and_short() {
    for (name, code) in [
        ("黄浦", "310101"),
        ("浦东", "310115"),
        ("闸北区", "310106"),
        ("卢湾", "310101"),
        ("南汇", "310115"),
        ("上海市长宁区", "310105"),
        ("pudong", "310115"),
        ("闵行区", "310112"),
        ("崇明县", "310151"),
    ] {
        assert_eq!(districts().by_name(name).map(|r| r.code.as_str()), Some(code), "{name}");
    }
    for name in ["", "区", "上海市", "苏州"] {
        assert!(districts().by_name(name).is_none(), "{name}");
    }
}

#[test]
fn districts_know_since_when() {
    let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
    let jing_an = districts().get("310106").unwrap();
    assert!(!jing_an.valid_on(day(2014, 1, 1)) && jing_an.valid_on(day(2020, 1, 1)));
    assert_eq!(jing_an.predecessors[0].code, "310108");
    assert!(districts().get("310104").unwrap().valid_on(day(1990, 1, 1)));
    assert!(districts().sources().iter().any(|s| s.contains("GB/T 2260")));
}

#[test]
fn the_map_reads_back() {
    let json = districts().geojson();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["type"], "FeatureCollection");
    let first = &value["features"][0];
    assert_eq!(first["properties"]["code"], "310101");
    assert_eq!(first["properties"]["name"], "黄浦区");
    assert!(first["properties"]["label"][0].as_f64().unwrap() > 121.0);
    let again = RegionSet::from_geojson(&json).unwrap();
    for r in districts() {
        let other = again.get(&r.code).unwrap();
        assert!((other.drawn_area_km2() - r.drawn_area_km2()).abs() < 1e-9);
    }
}

#[test]
fn bad_region_files_say_where() {
    for (json, what) in [
        ("{", "regions"),
        (r#"{"type":"Point","coordinates":[1,2]}"#, "FeatureCollection"),
        (
            r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"name":"x"},"geometry":null}]}"#,
            "feature 1: property code",
        ),
        (
            r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"1","name":"x"},"geometry":{"type":"Point","coordinates":[1,2]}}]}"#,
            "feature 1",
        ),
        (
            r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"1","name":"x"},"geometry":{"type":"Polygon","coordinates":[[[500000,4000000],[500001,4000000],[500001,4000001],[500000,4000000]]]}}]}"#,
            "degrees",
        ),
    ] {
        let e = RegionSet::from_geojson(json).err().unwrap().to_string();
        assert!(e.contains(what), "{e}");
    }
}

/// A small generator for spread points: the k-th point of a two-dimensional Kronecker sequence.
fn spread(k: u32) -> (f64, f64) {
    let f = |a: f64| (f64::from(k) * a).fract();
    (f(0.754_877_666_246_692_8), f(0.569_840_290_998_053_3))
}

/// Agreement of the coarse shapes with detailed ones on points of the land. Needs files that the
/// repository does not carry.
#[test]
fn agrees_with_detailed_shapes() {
    let Some(shared) = std::env::var_os("ZONGLAN_SHARED") else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let file = std::path::Path::new(&shared).join("data/geo/sh_districts_wgs84.geojson");
    let truth = RegionSet::from_geojson(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (mut same, mut exact, mut outside, mut wrong, mut all) = (0, 0, 0, 0, 0);
    let mut worst = 0.0f64;
    for k in 0..400_000 {
        let (u, v) = spread(k);
        let (lon, lat) = (120.8 + 1.5 * u, 30.6 + 1.35 * v);
        let Some(expected) = truth.locate_exact(lon, lat) else { continue };
        all += 1;
        exact += u32::from(districts().locate_exact(lon, lat).is_some_and(|r| r.code == expected.code));
        match districts().locate(lon, lat) {
            Some(r) if r.code == expected.code => same += 1,
            found => {
                if found.is_none() {
                    outside += 1
                } else {
                    wrong += 1
                }
                worst = worst.max(expected.distance_to_border_m(lon, lat));
            }
        }
    }
    let share = f64::from(same) / f64::from(all);
    println!(
        "{all} land points: {same} agree ({:.2} %), {exact} without the nearest rule, {wrong} in another district, {outside} in none; farthest from the true border {worst:.0} m",
        share * 100.0
    );
    assert!(share >= 0.95, "{share}");
    // Against themselves, detailed shapes agree on every point.
    for r in &truth {
        let _ = LonLat::new(r.label.0, r.label.1).unwrap();
        assert_eq!(truth.locate(r.label.0, r.label.1).unwrap().code, r.code);
    }
}
