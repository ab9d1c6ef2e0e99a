//! Points per second on one core: `cargo test -p zonglan-geo --bench convert -- --bench`
//! (the profile that serves everything; `cargo bench` would build its own).

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use zonglan_geo::{Crs, RegionSet, Transform};

const N: usize = 100_000;

fn main() {
    divan::main();
}

/// Points over Shanghai, the same each time.
fn points() -> Vec<[f64; 2]> {
    (0..N as u32)
        .map(|k| {
            let f = |a: f64| (f64::from(k) * a).fract();
            [120.9 + 1.2 * f(0.754_877_666_246_692_8), 30.7 + 1.1 * f(0.569_840_290_998_053_3)]
        })
        .collect()
}

const PAIRS: &[(&str, &str)] = &[
    ("wgs84", "gcj02"),
    ("gcj02", "wgs84"),
    ("gcj02", "bd09"),
    ("bd09", "gcj02"),
    ("wgs84", "bd09"),
    ("bd09", "wgs84"),
    ("wgs84", "web-mercator"),
    ("cgcs2000", "sh2000"),
    ("cgcs2000", "epsg:4549"),
    ("epsg:4549", "cgcs2000"),
];

#[divan::bench(args = PAIRS)]
fn transform(bencher: Bencher, (from, to): (&str, &str)) {
    let (from, to): (Crs, Crs) = (from.parse().unwrap(), to.parse().unwrap());
    let mut input = points();
    if !from.is_geographic() || from != Crs::Wgs84 {
        assert!(Transform::new(Crs::Wgs84, from).unwrap().points_in_place(&mut input).is_empty());
    }
    let transform = Transform::new(from, to).unwrap();
    bencher.counter(ItemsCount::new(N)).with_inputs(|| input.clone()).bench_local_values(|mut p| {
        assert!(transform.points_in_place(&mut p).is_empty());
        p
    });
}

#[divan::bench]
fn locate_district(bencher: Bencher) {
    let input = points();
    let set = RegionSet::shanghai();
    bencher
        .counter(ItemsCount::new(N))
        .bench_local(|| black_box(&input).iter().filter(|p| set.locate(p[0], p[1]).is_some()).count());
}

#[divan::bench]
fn locate_district_exact(bencher: Bencher) {
    let input = points();
    let set = RegionSet::shanghai();
    bencher
        .counter(ItemsCount::new(N))
        .bench_local(|| black_box(&input).iter().filter(|p| set.locate_exact(p[0], p[1]).is_some()).count());
}
