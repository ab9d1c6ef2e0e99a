//! Transforms fitted to control points.

#[path = "common/random.rs"]
#[expect(dead_code, reason = "shared with the made-up city")]
mod random;

use random::Random;
use zonglan_geo::{
    BursaWolf, ControlPair, ControlPair3, Crs, FitRules, Helmert, Refusal, Transform, fit_bursa_wolf, fit_helmert,
};

const TRUE: Helmert = Helmert { a: 1.000_016, b: 0.000_05, tx: 12.5, ty: -3_457_143.04 };

/// Points over the city, off by up to `noise` metres; the last two are check points.
fn pairs(n: usize, noise: f64) -> Vec<ControlPair> {
    let rng = &mut Random(11);
    let mut off = move || (rng.unit() - 0.5) * 2.0 * noise;
    (0..n)
        .map(|i| {
            let f = i as f64;
            let from = [-40_000.0 + (f * 23_456.7) % 80_000.0, 3_420_000.0 + (f * 31_234.5) % 80_000.0];
            let [x, y] = TRUE.apply(from);
            ControlPair { name: format!("GPS{i:02}"), from, to: [x + off(), y + off()], check: i + 2 >= n }
        })
        .collect()
}

#[test]
fn exact_points_give_the_parameters_back() {
    let report = fit_helmert(&pairs(8, 0.0), &FitRules::default()).unwrap();
    let t = report.transform;
    assert!((t.a - TRUE.a).abs() < 1e-12 && (t.b - TRUE.b).abs() < 1e-12, "{t:?}");
    assert!((t.tx - TRUE.tx).abs() < 1e-5 && (t.ty - TRUE.ty).abs() < 1e-5, "{t:?}");
    assert!(report.rms_m < 1e-6 && report.check_rms_m.unwrap() < 1e-6);
    assert!(report.accepted() && report.notes.is_empty(), "{report:?}");
    assert!(
        (report.scale_ppm - 16.001).abs() < 0.01 && (report.rotation_arcsec[0] - 10.313).abs() < 0.001,
        "{report:?}"
    );
    let p = [1234.5, 3_456_789.0];
    let back = t.inverse().unwrap().apply(t.apply(p));
    assert!((back[0] - p[0]).abs() < 1e-6 && (back[1] - p[1]).abs() < 1e-6);
}

#[test]
fn noise_shows_in_the_residuals() {
    let report = fit_helmert(&pairs(20, 0.03), &FitRules::default()).unwrap();
    assert!(report.accepted(), "{:?}", report.refusals);
    assert!((0.01..0.04).contains(&report.rms_m));
    assert_eq!((report.points, report.check_points, report.residuals.len()), (18, 2, 20));
    // Least squares: residuals sum to nothing.
    for axis in 0..2 {
        let sum: f64 = report.residuals.iter().filter(|r| !r.check).map(|r| r.v[axis]).sum();
        assert!(sum.abs() < 1e-6, "{sum}");
    }
    let json = serde_json::to_string(&report).unwrap();
    let read: zonglan_geo::FitReport<Helmert> = serde_json::from_str(&json).unwrap();
    assert!((read.transform.tx - report.transform.tx).abs() < 1e-9 && read.residuals.len() == 20);
}

#[test]
fn each_rule_refuses() {
    let rules = FitRules::default();
    let refusals = |pairs: &[ControlPair]| fit_helmert(pairs, &rules).unwrap().refusals;
    assert!(matches!(refusals(&pairs(20, 0.2))[0], Refusal::Rms { .. }));
    let mut one_bad = pairs(20, 0.005);
    one_bad[7].to[0] += 0.06;
    let found = refusals(&one_bad);
    assert!(matches!(&found[..], [Refusal::Outlier { name, .. }] if name == "GPS07"), "{found:?}");
    let mut bad_check = pairs(20, 0.005);
    bad_check[19].to[1] += 0.3;
    assert!(matches!(refusals(&bad_check)[..], [Refusal::CheckRms { .. }]));
    let turned = Helmert { a: 1.0002, b: 0.0002, tx: 0.0, ty: 0.0 };
    let turned: Vec<_> = pairs(8, 0.0).into_iter().map(|p| ControlPair { to: turned.apply(p.from), ..p }).collect();
    assert!(matches!(refusals(&turned)[..], [Refusal::Scale { .. }, Refusal::Rotation { .. }]));
    for r in refusals(&turned) {
        assert!(r.zh().contains("超过"));
    }
    let swapped: Vec<_> = pairs(8, 0.0).into_iter().map(|p| ControlPair { to: [p.to[1], p.to[0]], ..p }).collect();
    assert!(!refusals(&swapped).is_empty());
}

#[test]
fn too_few_points_fail() {
    let rules = FitRules::default();
    let two = pairs(4, 0.0);
    let report = fit_helmert(&two, &rules).unwrap();
    assert_eq!((report.points, report.sigma_m), (2, None));
    assert_eq!(report.notes.len(), 1);
    assert!(fit_helmert(&two[1..], &rules).is_err());
    assert!(fit_helmert(&[], &rules).is_err());
    let same: Vec<_> = (0..4).map(|_| ControlPair { check: false, ..two[0].clone() }).collect();
    assert!(fit_helmert(&same, &rules).is_err());
    let mut nan = pairs(6, 0.0);
    nan[0].from[0] = f64::NAN;
    assert!(fit_helmert(&nan, &rules).is_err());
}

/// Two readings of the city's plane are one four-parameter transform apart, to centimetres
/// (domain rules, D.4: 0.020 m rms after a fit of the old system's string).
#[test]
fn two_definitions_of_the_city_system_fit_to_centimetres() {
    let to_new = Transform::new(Crs::Cgcs2000, Crs::Sh2000).unwrap();
    let to_old = Transform::new(Crs::Cgcs2000, Crs::ShCity).unwrap();
    let mut pairs = Vec::new();
    for i in 0..7 {
        for j in 0..7 {
            let (lon, lat) = (121.0 + 0.15 * f64::from(i), 30.75 + 0.15 * f64::from(j));
            let (from, to) = (to_old.point(lon, lat).unwrap(), to_new.point(lon, lat).unwrap());
            pairs.push(ControlPair {
                name: format!("{i}{j}"),
                from: from.into(),
                to: to.into(),
                check: (i + j) % 7 == 3,
            });
        }
    }
    let report = fit_helmert(&pairs, &FitRules { max_sigma: 4.0, ..Default::default() }).unwrap();
    println!(
        "old to new: rms {:.3} m, check {:.3} m, {:.2} ppm",
        report.rms_m,
        report.check_rms_m.unwrap(),
        report.scale_ppm
    );
    assert!(report.rms_m < 0.05 && report.check_rms_m.unwrap() < 0.05, "{report:?}");
}

#[test]
fn seven_parameters_come_back() {
    // Of the size that the 1954 system has against CGCS2000.
    let truth = BursaWolf { t: [16.0, -150.0, -90.0], r_arcsec: [1.2, -0.7, 2.1], m_ppm: 3.5 };
    let rng = &mut Random(4);
    let pairs: Vec<ControlPair3> = (0..10)
        .map(|i| {
            let (lon, lat) = ((121.0 + rng.unit()).to_radians(), (30.7 + rng.unit()).to_radians());
            let r = 6_378_137.0 + rng.unit() * 500.0;
            let from = [r * lat.cos() * lon.cos(), r * lat.cos() * lon.sin(), r * lat.sin()];
            ControlPair3 { name: i.to_string(), from, to: truth.apply(from), check: i > 7 }
        })
        .collect();
    let report = fit_bursa_wolf(&pairs, &FitRules::default()).unwrap();
    let t = report.transform;
    assert!(report.accepted(), "{report:?}");
    assert!(report.rms_m < 1e-5 && report.check_rms_m.unwrap() < 1e-5, "{report:?}");
    for i in 0..3 {
        // A city is small: translations and rotations are nearly the same thing there.
        assert!((t.r_arcsec[i] - truth.r_arcsec[i]).abs() < 1e-3, "{t:?}");
        assert!((t.t[i] - truth.t[i]).abs() < 0.05, "{t:?}");
    }
    assert!((t.m_ppm - truth.m_ppm).abs() < 1e-3, "{t:?}");
    assert!(fit_bursa_wolf(&pairs[..2], &FitRules::default()).is_err());
    let line: Vec<_> = (0..5)
        .map(|i| ControlPair3 { from: [f64::from(i), 0.0, 0.0], to: [f64::from(i), 1.0, 0.0], ..pairs[0].clone() })
        .collect();
    assert!(fit_bursa_wolf(&line, &FitRules::default()).is_err());
}

#[test]
fn a_signed_fit_becomes_the_definition_of_a_system() {
    use zonglan_geo::{BursaWolf, ControlFit, Crs, CrsRegistry, Helmert, Status, Transform};
    let shipped = CrsRegistry::builtin();
    for (crs, fit) in [
        (Crs::Sh2000, ControlFit::Helmert(Helmert { a: 1.000_01, b: 2e-5, tx: -3.5, ty: 12.25 })),
        (
            Crs::ShCity,
            ControlFit::BursaWolf(BursaWolf { t: [-15.0, 120.0, 80.0], r_arcsec: [0.3, -0.5, 1.2], m_ppm: -3.0 }),
        ),
    ] {
        let mut definition = (**shipped.get(crs).unwrap()).clone();
        definition.version = 7;
        definition.status = Status::Verified;
        definition.accuracy_m = Some(0.02);
        definition.fit = Some(fit);
        let registry = shipped.with(definition).unwrap();
        let there = Transform::builder(Crs::Cgcs2000, crs).registry(&registry).build().unwrap();
        let back = Transform::builder(crs, Crs::Cgcs2000).registry(&registry).build().unwrap();
        let plain = Transform::new(Crs::Cgcs2000, crs).unwrap();
        assert_eq!(there.info().status, Status::Verified);
        assert!(there.info().version.contains(&format!("{crs}@7")), "{}", there.info().version);
        let (x, y) = there.point(121.6, 31.3).unwrap();
        let (px, py) = plain.point(121.6, 31.3).unwrap();
        if let ControlFit::Helmert(h) = fit {
            assert_eq!([x, y], h.apply([px, py]));
        }
        assert!((x - px).hypot(y - py) > 1.0);
        let (lon, lat) = back.point(x, y).unwrap();
        assert!((lon - 121.6).abs() < 1e-11 && (lat - 31.3).abs() < 1e-11, "{lon} {lat}");
    }
    let mut wrong = (**shipped.get(Crs::Wgs84).unwrap()).clone();
    wrong.fit = Some(ControlFit::Helmert(Helmert { a: 1.0, b: 0.0, tx: 0.0, ty: 0.0 }));
    assert!(shipped.with(wrong).is_err());
}
