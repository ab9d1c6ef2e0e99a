//! Geocoding and reverse geocoding over a million addresses:
//! `cargo test -p zonglan-geo --bench places -- --bench`. Prints percentiles of single calls.

use std::hint::black_box;
use std::time::Instant;

#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod common;

fn main() {
    let full = std::env::args().any(|a| a == "--bench");
    let (houses, calls) = if full { (1_000_000, 20_000) } else { (20_000, 200) };
    let city = common::city(7, houses, 600);
    let start = Instant::now();
    let g = common::gazetteer(&city.houses);
    let rate = city.houses.len() as f64 / start.elapsed().as_secs_f64();
    println!(
        "{} addresses on {} roads: built at {rate:.0} rows/s, index {} MB",
        g.len(),
        g.roads(),
        g.heap_bytes() >> 20
    );
    let rng = &mut common::Random(3);
    let picked: Vec<usize> = (0..calls).map(|_| rng.below(city.houses.len())).collect();
    let texts: Vec<String> = picked.iter().map(|i| common::perturbed(rng, &city.houses[*i])).collect();
    let mut good = 0;
    let mut times = Vec::new();
    for (text, i) in texts.iter().zip(&picked) {
        let start = Instant::now();
        let found = g.geocode(text);
        times.push(start.elapsed());
        let h = &city.houses[*i];
        good += usize::from(found.first().is_some_and(|m| m.road == h.road && m.district == h.district));
    }
    report("geocode", &mut times);
    println!("perturbed, top-1 in the right district and road: {:.4}", good as f64 / calls as f64);
    let crossings: Vec<String> = city
        .roads
        .windows(2)
        .step_by(17)
        .map(|w| format!("{}{}/{}路口", w[0].district, w[0].name, w[1].name))
        .collect();
    report("geocode crossings", &mut timed(crossings.iter(), |text| drop(black_box(g.geocode(text)))));
    let points: Vec<(f64, f64)> = picked
        .iter()
        .map(|i| {
            let h = &city.houses[*i];
            (h.lon + (rng.unit() - 0.5) * 0.02, h.lat + (rng.unit() - 0.5) * 0.02)
        })
        .collect();
    report("reverse", &mut timed(points.iter(), |p| drop(black_box(g.reverse(p.0, p.1)))));
}

fn timed<T>(items: impl Iterator<Item = T>, mut f: impl FnMut(T)) -> Vec<std::time::Duration> {
    items
        .map(|item| {
            let start = Instant::now();
            f(item);
            start.elapsed()
        })
        .collect()
}

fn report(name: &str, times: &mut [std::time::Duration]) {
    times.sort();
    let at = |p: usize| times[(times.len() * p / 100).min(times.len() - 1)];
    println!("{name}: {} calls, median {:?}, p95 {:?}, p99 {:?}", times.len(), at(50), at(95), at(99));
}
