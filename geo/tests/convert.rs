//! Conversions against published vectors, the formulas written out with libm, and PROJ.

use std::f64::consts::PI;
use std::sync::LazyLock;

use proptest::prelude::*;
use zonglan_geo::{Crs, CrsRegistry, EastNorth, GeoError, LonLat, OutOfArea, PointError, Position, Status, Transform};

/// WGS-84, GCJ-02, BD-09: computed with gcoord 1.0.7 and coordtransform 2.1.2, equal to nine decimals.
const VECTORS: [[f64; 6]; 6] = [
    [121.473701, 31.230416, 121.478224057, 31.228473742, 121.484782472, 31.234326581],
    [121.320157, 31.194061, 121.324678893, 31.192101301, 121.331080326, 31.198452406],
    [121.499718, 31.239703, 121.504151051, 31.237689251, 121.510760380, 31.243337896],
    [121.397421, 31.623728, 121.402106429, 31.621986786, 121.408642521, 31.627839983],
    [121.930000, 30.900000, 121.934089709, 30.897636018, 121.940523510, 30.903907316],
    [121.345000, 30.715000, 121.349536600, 30.712818945, 121.356027245, 30.718825975],
];

fn transform(from: &str, to: &str) -> Transform {
    Transform::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()
}

fn convert(from: &str, to: &str, x: f64, y: f64) -> (f64, f64) {
    transform(from, to).point(x, y).unwrap()
}

#[track_caller]
fn assert_near((x, y): (f64, f64), (ex, ey): (f64, f64), tolerance: f64) {
    assert!(
        (x - ex).abs() <= tolerance && (y - ey).abs() <= tolerance,
        "({x}, {y}) is not ({ex}, {ey}) within {tolerance}"
    );
}

fn metres(a: (f64, f64), b: (f64, f64)) -> f64 {
    LonLat { lon: a.0, lat: a.1 }.distance_m(LonLat { lon: b.0, lat: b.1 })
}

/// The public algorithm, term by term.
fn gcj_by_the_book(lon: f64, lat: f64) -> (f64, f64) {
    let (a, ee) = (6_378_245.0, 0.006_693_421_622_965_943);
    let (x, y) = (lon - 105.0, lat - 35.0);
    let common = (20.0 * (6.0 * x * PI).sin() + 20.0 * (2.0 * x * PI).sin()) * 2.0 / 3.0;
    let mut d_lat = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * x.abs().sqrt();
    d_lat += common;
    d_lat += (20.0 * (y * PI).sin() + 40.0 * (y / 3.0 * PI).sin()) * 2.0 / 3.0;
    d_lat += (160.0 * (y / 12.0 * PI).sin() + 320.0 * (y * PI / 30.0).sin()) * 2.0 / 3.0;
    let mut d_lon = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * x.abs().sqrt();
    d_lon += common;
    d_lon += (20.0 * (x * PI).sin() + 40.0 * (x / 3.0 * PI).sin()) * 2.0 / 3.0;
    d_lon += (150.0 * (x / 12.0 * PI).sin() + 300.0 * (x / 30.0 * PI).sin()) * 2.0 / 3.0;
    let rad = lat / 180.0 * PI;
    let m = 1.0 - ee * rad.sin() * rad.sin();
    (
        lon + d_lon * 180.0 / (a / m.sqrt() * rad.cos() * PI),
        lat + d_lat * 180.0 / (a * (1.0 - ee) / (m * m.sqrt()) * PI),
    )
}

fn bd_by_the_book(x: f64, y: f64) -> (f64, f64) {
    let k = PI * 3000.0 / 180.0;
    let z = (x * x + y * y).sqrt() + 0.00002 * (y * k).sin();
    let theta = y.atan2(x) + 0.000003 * (x * k).cos();
    (z * theta.cos() + 0.0065, z * theta.sin() + 0.006)
}

#[test]
fn published_vectors() {
    for [lon, lat, glon, glat, blon, blat] in VECTORS {
        for wgs in ["wgs84", "cgcs2000", "epsg:4326", "epsg:4490"] {
            assert_near(convert(wgs, "gcj02", lon, lat), (glon, glat), 1e-9);
            assert_near(convert(wgs, "bd09", lon, lat), (blon, blat), 1e-9);
            assert_near(convert("gcj02", wgs, glon, glat), (lon, lat), 1e-9);
            assert_near(convert("bd09", wgs, blon, blat), (lon, lat), 1e-9);
        }
        assert_near(convert("gcj02", "bd09", glon, glat), (blon, blat), 1e-9);
        assert_near(convert("bd09", "gcj02", blon, blat), (glon, glat), 1e-9);
    }
}

/// There and back for each system, WGS-84 on the other side.
static IN_SHANGHAI: LazyLock<Vec<(Transform, Transform)>> = LazyLock::new(|| {
    ["gcj02", "bd09", "web-mercator", "sh2000", "shcity", "epsg:4527", "epsg:4549", "epsg:32651"]
        .map(|to| (transform("wgs84", to), transform(to, "wgs84")))
        .into()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn formulas_agree_with_libm(lon in 72.1..137.8f64, lat in 0.9..55.8f64) {
        let ours = zonglan_geo::wgs84_to_gcj02(lon, lat);
        let book = gcj_by_the_book(lon, lat);
        prop_assert!((ours.0 - book.0).abs() < 1e-12 * 180.0, "{ours:?} {book:?}");
        prop_assert!((ours.1 - book.1).abs() < 1e-12 * 180.0, "{ours:?} {book:?}");
        let ours = zonglan_geo::gcj02_to_bd09(lon, lat);
        let book = bd_by_the_book(lon, lat);
        prop_assert!((ours.0 - book.0).abs() < 1e-12 * 180.0, "{ours:?} {book:?}");
        prop_assert!((ours.1 - book.1).abs() < 1e-12 * 180.0, "{ours:?} {book:?}");
    }

    #[test]
    fn round_trips_in_shanghai_below_a_millimetre(lon in 120.8..122.3f64, lat in 30.6..31.95f64) {
        for (there, back) in IN_SHANGHAI.iter() {
            let (x, y) = there.point(lon, lat).unwrap();
            let error = metres(back.point(x, y).unwrap(), (lon, lat));
            prop_assert!(error < 1e-3, "{}: {error} m", there.to());
        }
    }

    #[test]
    fn round_trips_in_china_below_a_centimetre(lon in 73.7..135.0f64, lat in 4.0..53.5f64) {
        // Those without PROJ reach all of China.
        for (there, back) in &IN_SHANGHAI[..3] {
            let (x, y) = there.point(lon, lat).unwrap();
            let error = metres(back.point(x, y).unwrap(), (lon, lat));
            prop_assert!(error < 1e-2, "{}: {error} m", there.to());
        }
    }
}

#[test]
fn outside_the_area_the_caller_chooses() {
    for (from, to) in
        [(Crs::Wgs84, Crs::Gcj02), (Crs::Gcj02, Crs::Wgs84), (Crs::Gcj02, Crs::Bd09), (Crs::Bd09, Crs::Wgs84)]
    {
        let keep = Transform::new(from, to).unwrap();
        let refuse = Transform::builder(from, to).out_of_area(OutOfArea::Error).build().unwrap();
        for p in [(-123.12, 49.28), (151.2, -33.9), (72.0, 30.0), (137.9, 30.0), (110.0, 0.8), (110.0, 55.9)] {
            assert_eq!(keep.point(p.0, p.1), Ok(p));
            let e = refuse.point(p.0, p.1).unwrap_err();
            assert_eq!(e.code(), "outside_area", "{e}");
        }
        assert_eq!(keep.point(121.47, 31.23), refuse.point(121.47, 31.23));
        assert_ne!(keep.point(121.47, 31.23), Ok((121.47, 31.23)));
    }
}

#[test]
fn inverses_reach_the_rim_of_the_area() {
    for i in 0..=1_000 {
        let t = f64::from(i) / 1_000.0;
        for p in [
            (72.004, 0.83 + 54.99 * t),
            (137.8347, 0.83 + 54.99 * t),
            (72.004 + 65.83 * t, 0.8293),
            (72.004 + 65.83 * t, 55.8271),
        ] {
            let g = zonglan_geo::wgs84_to_gcj02(p.0, p.1);
            assert!(metres(zonglan_geo::gcj02_to_wgs84(g.0, g.1), p) < 0.01, "{p:?}");
        }
    }
}

#[test]
fn bad_points_are_named_and_passed_by() {
    let t = transform("wgs84", "epsg:4549");
    let mut input = vec![[121.47, 31.23]; 1_300];
    input[0] = [f64::NAN, 31.0];
    input[511] = [31.23, 121.47];
    input[512] = [f64::INFINITY, 0.0];
    input[1_299] = [121.0, -90.5];
    let batch = t.points(&input);
    let bad: Vec<_> = batch.errors.iter().map(|(i, e)| (*i, e.code())).collect();
    assert_eq!(bad, [(0, "not_finite"), (511, "not_degrees"), (512, "not_finite"), (1_299, "not_degrees")]);
    assert!(batch.errors[1].1.to_string().contains("swapped"));
    assert!(batch.errors[1].1.zh().contains("颠倒"));
    let one = t.point(121.47, 31.23).unwrap();
    for (i, p) in batch.points.iter().enumerate() {
        assert_eq!(*p, (!bad.iter().any(|b| b.0 == i)).then_some([one.0, one.1]));
    }
    assert_eq!(transform("wgs84", "web-mercator").point(0.0, 90.0).unwrap_err().code(), "projection");
}

#[test]
fn points_without_projection_are_errors_not_infinities() {
    // A Gauss-Kruger zone cannot show the other side of the Earth.
    let t = transform("wgs84", "epsg:4549");
    let answers = t.points(&[[121.47, 31.23], [-30.0, 0.0], [121.48, 31.24]]);
    assert!(answers.points[0].is_some() && answers.points[2].is_some());
    for p in answers.points.iter().flatten() {
        assert!(p[0].is_finite() && p[1].is_finite());
    }
}

#[test]
fn epsg_systems_with_normalised_axes() {
    // Vancouver police data, UTM zone 10 (NAD83).
    let (lon, lat) = convert("epsg:26910", "wgs84", 491059.4824, 5459122.4178);
    assert_near((lon, lat), (-123.12, 49.28), 0.01);
    // Zone 39 of three degrees has its number before the east coordinate; the one of the same
    // central meridian has not.
    let (east, north) = convert("cgcs2000", "epsg:4527", 117.0, 31.0);
    assert_near((east, north), (39_500_000.0, 3_431_000.0), 1_000.0);
    assert!((east - 39_500_000.0).abs() < 1e-3);
    let (east, north) = convert("cgcs2000", "epsg:4549", 121.47, 31.23);
    assert_near((east, north), (640_000.0, 3_457_500.0), 1_500.0);
    // The datum shift to CGCS2000 is nothing.
    assert_near(convert("wgs84", "epsg:4549", 121.47, 31.23), (east, north), 1e-3);
    assert_near(convert("epsg:4549", "epsg:4490", east, north), (121.47, 31.23), 1e-9);
    // Between named and EPSG systems, and between two of EPSG.
    let gcj = zonglan_geo::wgs84_to_gcj02(121.47, 31.23);
    assert_near(convert("gcj02", "epsg:4549", gcj.0, gcj.1), (east, north), 1e-3);
    let utm = convert("epsg:4549", "epsg:32651", east, north);
    assert_near(convert("epsg:32651", "wgs84", utm.0, utm.1), (121.47, 31.23), 1e-8);
}

#[test]
fn shanghai_plane_systems_as_published_and_unverified() {
    // 临港 in both systems, from the strings with pyproj.
    assert_near(convert("cgcs2000", "sh2000", 121.93, 30.9), (44251.359, -37098.643), 1e-3);
    assert_near(convert("cgcs2000", "shcity", 121.93, 30.9), (44258.996, -37103.031), 1e-3);
    let t = transform("wgs84", "sh2000");
    assert_eq!(t.info().status, Status::Unverified);
    assert!(t.info().version.contains("sh2000@1") && t.info().version.contains("PROJ 9."));
    assert!(t.info().accuracy_m.unwrap() >= 10.0);
    let json = serde_json::to_value(t.info()).unwrap();
    assert_eq!(json["status"], "未经官方确认");
    assert_eq!(serde_json::to_value(transform("wgs84", "bd09").info()).unwrap()["status"], "verified");
}

#[test]
fn another_registry_changes_the_definition() {
    let dir = tempfile::tempdir().unwrap();
    let mut def = (**CrsRegistry::builtin().get(Crs::Sh2000).unwrap()).clone();
    def.version = 7;
    def.status = Status::Verified;
    def.definition = def.definition.map(|d| d.replace("-257.85859273", "-157.85859273"));
    std::fs::write(dir.path().join("a.json"), serde_json::to_string(&def).unwrap()).unwrap();
    let registry = CrsRegistry::with_dir(dir.path()).unwrap();
    let t = Transform::builder(Crs::Cgcs2000, Crs::Sh2000).registry(&registry).build().unwrap();
    assert_near(t.point(121.93, 30.9).unwrap(), (44351.359, -37098.643), 1e-3);
    assert_eq!(t.info().status, Status::Verified);
    assert!(t.info().version.contains("sh2000@7"));
}

#[test]
fn unknown_codes_are_the_users_error() {
    for code in [1, 999_999, 99_999_999] {
        for (from, to) in [
            (Crs::Epsg(code), Crs::Wgs84),
            (Crs::Gcj02, Crs::Epsg(code)),
            (Crs::Epsg(code), Crs::Epsg(code)),
            (Crs::Epsg(26910), Crs::Epsg(code)),
        ] {
            let e = Transform::new(from, to).unwrap_err();
            assert!(matches!(e, GeoError::NoTransform { .. }) && e.is_user_error(), "{from} {to} {e}");
        }
    }
}

#[test]
fn degrees_and_metres_do_not_mix() {
    let t = transform("wgs84", "sh2000");
    let Position::Projected(plane) = t.apply(LonLat::new(121.93, 30.9).unwrap()).unwrap() else {
        panic!("sh2000 is a plane system");
    };
    let back = transform("sh2000", "wgs84");
    let Position::Geographic(p) = back.apply(plane).unwrap() else { panic!("wgs84 is degrees") };
    assert!(p.distance_m(LonLat { lon: 121.93, lat: 30.9 }) < 1e-3);
    assert!(matches!(t.apply(EastNorth { east: 1.0, north: 2.0 }), Err(PointError::WrongKind { .. })));
    assert!(matches!(back.apply(p), Err(PointError::WrongKind { .. })));
    assert!(LonLat::new(31.2, 121.4).is_err() && EastNorth::new(f64::NAN, 0.0).is_err());
    assert!(Crs::Epsg(4214).is_geographic() && !Crs::Epsg(4549).is_geographic());
    assert!(!Crs::Epsg(4978).is_geographic() && !Crs::Epsg(1).is_geographic());
}

#[test]
fn equal_systems_give_the_point_back() {
    for crs in Crs::NAMED {
        let p = if crs.is_geographic() { (121.47, 31.23) } else { (1000.0, 2000.0) };
        let t = Transform::new(crs, crs).unwrap();
        assert_eq!(t.point(p.0, p.1), Ok(p));
        assert_eq!(t.info().accuracy_m, Some(0.0));
    }
    assert_eq!(convert("wgs84", "cgcs2000", 121.47, 31.23), (121.47, 31.23));
    assert_eq!(transform("wgs84", "cgcs2000").info().accuracy_m, Some(1.0));
}

#[test]
fn one_transform_serves_many_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let transforms: Vec<_> = (0..12).map(|i| transform("wgs84", &format!("epsg:{}", 4534 + i))).collect();
    transforms.iter().for_each(shared);
    let expected: Vec<_> = transforms.iter().map(|t| t.point(117.0, 31.0).unwrap()).collect();
    std::thread::scope(|scope| {
        for start in 0..6 {
            let (transforms, expected) = (&transforms, &expected);
            scope.spawn(move || {
                // More recipes than a thread keeps.
                for i in (0..transforms.len() * 3).map(|i| (i + start) % transforms.len()) {
                    assert_eq!(transforms[i].point(117.0, 31.0).unwrap(), expected[i]);
                }
            });
        }
    });
}
