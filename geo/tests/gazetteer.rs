//! Finding places from addresses and addresses from places, in a made-up city.

mod common;

use std::sync::LazyLock;

use common::{City, METRE, METRE_EAST, Random};
use zonglan_geo::{Gazetteer, GazetteerBuilder, GazetteerRow, LonLat, MatchLevel};

static CITY: LazyLock<(City, Gazetteer)> = LazyLock::new(|| {
    let city = common::city(7, 50_000, 100);
    let gazetteer = common::gazetteer(&city.houses);
    (city, gazetteer)
});

#[test]
fn standard_addresses_are_found_exactly() {
    let (city, g) = &*CITY;
    assert_eq!(g.len(), city.houses.len());
    for h in city.houses.iter().step_by(37) {
        let m = &g.geocode(&h.address())[0];
        assert_eq!((&m.address, m.level), (&h.address(), MatchLevel::Number), "{}", m.explanation);
        assert!((m.lon - h.lon).abs() < 1e-6 && (m.lat - h.lat).abs() < 1e-6);
        assert!(m.confidence > 0.95, "{m:?}");
    }
}

#[test]
fn perturbed_addresses_reach_their_road() {
    let (city, _) = &*CITY;
    // The gazetteer does not know the houses that are asked for, only others of their roads.
    let g = common::gazetteer(city.houses.iter().enumerate().filter(|(i, _)| i % 17 != 0).map(|(_, h)| h));
    let rng = &mut Random(99);
    let (mut road, mut n) = (0, 0);
    let mut missed = Vec::new();
    for h in city.houses.iter().step_by(17) {
        let text = common::perturbed(rng, h);
        let found = g.geocode(&text);
        let top = found.first();
        let same_road = top.is_some_and(|m| m.road == h.road && m.district == h.district);
        n += 1;
        road += u32::from(same_road);
        if !same_road {
            missed.push(format!(
                "{} <- {text} -> {:?}",
                h.address(),
                top.map(|m| (&m.address, m.confidence, &m.explanation))
            ));
        }
    }
    let road = f64::from(road) / f64::from(n);
    println!("of {n} held out and perturbed: district and road {road:.4}");
    for line in missed.iter().step_by(missed.len() / 12 + 1) {
        println!("  {line}");
    }
    assert!(road >= 0.95, "{road}");
}

#[test]
fn held_out_houses_lie_between_their_neighbours() {
    let (city, _) = &*CITY;
    let keep = |i: usize| i % 10 != 3;
    let known = city.houses.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, h)| h);
    let g = common::gazetteer(known);
    let mut errors: Vec<f64> = Vec::new();
    for (_, h) in city.houses.iter().enumerate().filter(|(i, h)| !keep(*i) && h.lane == 0).step_by(5) {
        let m = &g.geocode(&h.address())[0];
        assert_eq!((&m.road, &m.district), (&h.road, &h.district));
        assert_eq!(m.level, MatchLevel::Interpolated, "{m:?}");
        errors.push(LonLat { lon: m.lon, lat: m.lat }.distance_m(LonLat { lon: h.lon, lat: h.lat }));
    }
    errors.sort_by(f64::total_cmp);
    let (median, p95) = (errors[errors.len() / 2], errors[errors.len() * 95 / 100]);
    println!("{} held out: median {median:.0} m, p95 {p95:.0} m", errors.len());
    assert!(median < 60.0 && p95 < 400.0);
}

/// Where two straight roads of the city meet, if they do well within their ends.
fn meet(a: &common::Road, b: &common::Road) -> Option<[f64; 2]> {
    let [p, q] = a.line;
    let [r, s] = b.line;
    let (d, e) = ([q[0] - p[0], q[1] - p[1]], [s[0] - r[0], s[1] - r[1]]);
    let cross = d[0] * e[1] - d[1] * e[0];
    let t = ((r[0] - p[0]) * e[1] - (r[1] - p[1]) * e[0]) / cross;
    let u = ((r[0] - p[0]) * d[1] - (r[1] - p[1]) * d[0]) / cross;
    let inner = 0.1..0.9;
    (cross != 0.0 && inner.contains(&t) && inner.contains(&u)).then(|| [p[0] + t * d[0], p[1] + t * d[1]])
}

#[test]
fn crossings_and_offsets() {
    let (city, g) = &*CITY;
    let mut tried = 0;
    let mut errors = Vec::new();
    for pair in city.roads.windows(2).step_by(3) {
        let [a, b] = pair else { unreachable!() };
        let Some(truth) = meet(a, b).filter(|_| a.district == b.district) else { continue };
        let truth = LonLat { lon: truth[0], lat: truth[1] };
        tried += 1;
        for text in [
            format!("{}{}{}路口", a.district, a.name, b.name),
            format!("{}{}与{}交叉口", a.district, a.name, b.name),
            format!("上海市{}{}/{}", a.district, a.name, b.name),
        ] {
            let m = &g.geocode(&text)[0];
            assert_eq!(m.level, MatchLevel::Crossing, "{text}: {m:?}");
            errors.push(LonLat { lon: m.lon, lat: m.lat }.distance_m(truth));
        }
        let m = &g.geocode(&format!("{}{}出{}南约300米", a.district, a.name, b.name))[0];
        assert_eq!(m.level, MatchLevel::Crossing);
        let away = LonLat { lon: m.lon, lat: m.lat }.distance_m(truth);
        assert!((200.0..420.0).contains(&away), "{away} {m:?}");
        assert!(m.lat < truth.lat, "{m:?}");
    }
    errors.sort_by(f64::total_cmp);
    println!(
        "{tried} crossings: median error {:.1} m, p95 {:.1} m",
        errors[errors.len() / 2],
        errors[errors.len() * 95 / 100]
    );
    assert!(tried >= 15 && errors[errors.len() * 95 / 100] < 60.0, "{tried}");
}

#[test]
fn surveyed_crossing_and_offset_along_the_road() {
    let mut b = GazetteerBuilder::new("上海市");
    let at = |x: f64, y: f64| (121.2 + x * METRE_EAST, 31.2 + y * METRE);
    for k in 0..200u32 {
        let (lon, lat) = at(f64::from(k) * 2.0, -30.0 * f64::from(k));
        let number = k.to_string();
        b.add(&GazetteerRow {
            district: "青浦区", road: "嘉松中路", number: &number, lon, lat, ..Default::default()
        })
        .unwrap();
        let (lon, lat) = at(30.0 * f64::from(k) - 900.0, 12.0);
        b.add(&GazetteerRow {
            district: "青浦区", road: "华隆路", number: &number, lon, lat, ..Default::default()
        })
        .unwrap();
    }
    let (lon, lat) = at(0.0, 12.0);
    b.add_crossing("嘉松中路", "华隆路", lon, lat).unwrap();
    let g = b.build();
    let m = &g.geocode("嘉松中路出华隆路南约3000米")[0];
    assert_eq!((m.level, m.address.as_str()), (MatchLevel::Crossing, "上海市青浦区嘉松中路/华隆路路口以南约3000米"));
    let from = LonLat { lon, lat }.distance_m(LonLat { lon: m.lon, lat: m.lat });
    assert!((from - 3000.0).abs() < 30.0, "{from}");
    // On the road, which bends a little to the east.
    assert!(m.lon > lon + 150.0 * METRE_EAST && m.explanation.contains("沿路"), "{m:?}");
    // One road is not known: the other, saying so.
    let m = &g.geocode("嘉松中路出纪鹤公路南约3000米")[0];
    assert_eq!((m.level, m.road.as_str()), (MatchLevel::Road, "嘉松中路"));
    assert!(m.explanation.contains("纪鹤公路") && m.confidence < 0.7, "{m:?}");
    let m = &g.geocode("青浦区五十里路5号")[0];
    assert_eq!(m.level, MatchLevel::District);
    assert!(m.explanation.contains("地名库没有") && m.confidence < 0.5, "{m:?}");
    assert!(g.geocode("完全不相干的话").is_empty());
    assert!(g.geocode("").is_empty());
}

#[test]
fn rows_are_checked_and_filled_in() {
    let mut b = GazetteerBuilder::new("上海市");
    let row = |address| GazetteerRow { address, lon: 121.43, lat: 31.19, ..Default::default() };
    b.add(&row("上海市卢湾区瑞金二路街道瑞金2路118弄5号甲")).unwrap();
    b.add(&row("徐汇区漕溪北路12-18号")).unwrap();
    assert!(b.add(&row("人民广场")).is_err());
    assert!(b.add(&GazetteerRow { lon: 31.0, lat: 121.0, ..row("徐汇区漕溪北路1号") }).is_err());
    let g = b.build();
    assert_eq!(g.len(), 2);
    let m = &g.geocode("黄浦区瑞金二路118弄5号甲")[0];
    assert_eq!((m.level, m.district.as_str()), (MatchLevel::Number, "黄浦区"));
    let m = &g.geocode("漕溪北路15号")[0];
    assert_eq!((m.level, m.address.as_str()), (MatchLevel::Number, "徐汇区漕溪北路12-18号"));
}

#[test]
fn the_nearest_address_of_a_point() {
    let (city, g) = &*CITY;
    let rng = &mut Random(5);
    for h in city.houses.iter().step_by(501) {
        let (lon, lat) = (h.lon + (rng.unit() - 0.5) * 0.01, h.lat + (rng.unit() - 0.5) * 0.01);
        let here = LonLat { lon, lat };
        let truth =
            city.houses.iter().map(|o| LonLat { lon: o.lon, lat: o.lat }.distance_m(here)).fold(f64::MAX, f64::min);
        let found = g.reverse(lon, lat).unwrap();
        // The plane of the index bends the city by less than a part in two hundred.
        assert!(found.distance_m <= truth * 1.005 + 0.05, "{found:?} {truth}");
    }
    let h = &city.houses[1234];
    let found = g.reverse(h.lon, h.lat).unwrap();
    assert!(found.distance_m < 0.05);
    assert!(g.reverse(f64::NAN, 31.0).is_none());
    assert!(GazetteerBuilder::new("上海市").build().reverse(121.0, 31.0).is_none());
}
