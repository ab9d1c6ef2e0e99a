//! Density of points for maps: hexagonal bins, kernel density on a grid, clusters.
//!
//! All take longitude and latitude in degrees with a weight, and work in a plane that touches the Earth
//! in the middle of the points: right to a part in a thousand over a city.

use std::collections::HashMap;

use serde::Serialize;

use crate::shape::M_PER_DEGREE;

/// Where the hexagons of a city's maps are anchored, so that their borders are the same on every map.
pub const HEX_ANCHOR: [f64; 2] = [121.0, 31.0];

/// A hexagon with what lies in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HexBin {
    /// Column and row: the same for the same size and origin.
    pub cell: [i64; 2],
    /// Longitude and latitude of the middle.
    pub at: [f64; 2],
    pub count: u64,
    pub weight: f64,
    /// The six corners.
    pub ring: Vec<[f64; 2]>,
}

/// Values on a grid, row by row from the south-west.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DensityGrid {
    /// Middle of the first cell.
    pub origin: [f64; 2],
    /// Degrees from cell to cell.
    pub step: [f64; 2],
    pub columns: usize,
    pub rows: usize,
    /// Weight in a square kilometre.
    pub values: Vec<f64>,
    pub max: f64,
}

/// Points that lie together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cluster {
    /// Middle of the points.
    pub at: [f64; 2],
    pub count: u64,
    pub weight: f64,
    /// Distance of the farthest point, metres.
    pub radius_m: f64,
}

/// A point with a weight: longitude, latitude, weight.
type Weighted = [f64; 3];

/// The plane: the middle's degrees, and metres in a degree of each.
struct Plane {
    lon: f64,
    lat: f64,
    x: f64,
    y: f64,
}

impl Plane {
    fn around(lon: f64, lat: f64) -> Self {
        Self { lon, lat, x: M_PER_DEGREE * lat.to_radians().cos().max(1e-3), y: M_PER_DEGREE }
    }

    fn to(&self, p: &Weighted) -> [f64; 2] {
        [(p[0] - self.lon) * self.x, (p[1] - self.lat) * self.y]
    }

    fn from(&self, p: [f64; 2]) -> [f64; 2] {
        [self.lon + p[0] / self.x, self.lat + p[1] / self.y]
    }
}

fn usable(points: &[Weighted]) -> impl Iterator<Item = &Weighted> + Clone {
    points.iter().filter(|p| p.iter().all(|v| v.is_finite()) && p[0].abs() <= 180.0 && p[1].abs() <= 89.0)
}

/// West, south, east, north; `None` without points.
fn bounds(points: &[Weighted]) -> Option<[f64; 4]> {
    let all = usable(points).fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |b, p| {
        [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])]
    });
    (all[0] <= all[2]).then_some(all)
}

/// Pointy hexagons of `size_m` metres from side to side, the heaviest first. The grid stands on
/// `anchor` (longitude, latitude), so that pictures of different points have the same cells.
pub fn hex_bins(points: &[Weighted], size_m: f64, anchor: [f64; 2]) -> Vec<HexBin> {
    let size = size_m.max(1.0);
    let plane = Plane::around(anchor[0], anchor[1]);
    let rise = size * 3f64.sqrt() / 2.0;
    let centre = |[q, r]: [i64; 2]| [(q as f64 + if r.rem_euclid(2) == 1 { 0.5 } else { 0.0 }) * size, r as f64 * rise];
    let mut bins: HashMap<[i64; 2], (u64, f64)> = HashMap::new();
    for p in usable(points) {
        let [x, y] = plane.to(p);
        let row = (y / rise).floor() as i64;
        // The nearest middle of the two rows around.
        let cell = [row, row + 1]
            .into_iter()
            .map(|r| {
                let shift = if r.rem_euclid(2) == 1 { 0.5 } else { 0.0 };
                [(x / size - shift).round() as i64, r]
            })
            .min_by(|a, b| {
                let far = |c: &[i64; 2]| {
                    let m = centre(*c);
                    (m[0] - x).hypot(m[1] - y)
                };
                far(a).total_cmp(&far(b)).then(a.cmp(b))
            })
            .unwrap_or([0, row]);
        let bin = bins.entry(cell).or_default();
        bin.0 += 1;
        bin.1 += p[2];
    }
    let corner = size / 3f64.sqrt();
    let mut bins: Vec<HexBin> = bins
        .into_iter()
        .map(|(cell, (count, weight))| {
            let [x, y] = centre(cell);
            let ring = (0..6)
                .map(|i| {
                    let (s, c) = (f64::from(i) * 60.0 + 30.0).to_radians().sin_cos();
                    plane.from([x + corner * c, y + corner * s])
                })
                .collect();
            HexBin { cell, at: plane.from([x, y]), count, weight, ring }
        })
        .collect();
    bins.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.cell.cmp(&b.cell)));
    bins
}

/// Kernel density (Silverman 1986, the quartic kernel 3/(pi h^2) (1 - d^2/h^2)^2) with bandwidth
/// `bandwidth_m` on a grid of at most `cells` by `cells`. `None` without points.
pub fn density(points: &[Weighted], bandwidth_m: f64, cells: usize) -> Option<DensityGrid> {
    let [west, south, east, north] = bounds(points)?;
    let h = bandwidth_m.max(1.0);
    let plane = Plane::around((west + east) / 2.0, (south + north) / 2.0);
    let low = plane.to(&[west, south, 0.0]).map(|v| v - h);
    let high = plane.to(&[east, north, 0.0]).map(|v| v + h);
    let cells = cells.clamp(8, 512) as f64;
    let side = ((high[0] - low[0]).max(high[1] - low[1]) / cells).max(h / 16.0);
    let [columns, rows] = [0, 1].map(|i| (((high[i] - low[i]) / side).ceil() as usize).max(1));
    let mut values = vec![0.0f64; columns * rows];
    // A unit in a square kilometre.
    let peak = 3.0 / (std::f64::consts::PI * h * h) * 1e6;
    for p in usable(points) {
        let [x, y] = plane.to(p);
        let index = |v: f64, low: f64, most: usize| (((v - low) / side).floor().max(0.0) as usize).min(most - 1);
        for row in index(y - h, low[1], rows)..=index(y + h, low[1], rows) {
            let dy = low[1] + (row as f64 + 0.5) * side - y;
            for column in index(x - h, low[0], columns)..=index(x + h, low[0], columns) {
                let dx = low[0] + (column as f64 + 0.5) * side - x;
                let left = 1.0 - (dx * dx + dy * dy) / (h * h);
                if left > 0.0 {
                    values[row * columns + column] += p[2] * peak * left * left;
                }
            }
        }
    }
    let max = values.iter().copied().fold(0.0, f64::max);
    Some(DensityGrid {
        origin: plane.from([low[0] + side / 2.0, low[1] + side / 2.0]),
        step: [side / plane.x, side / plane.y],
        columns,
        rows,
        values,
        max,
    })
}

/// Clusters of points not farther than `distance_m` from their middle, nearly: points are gathered
/// in squares of that side, and squares are drawn to the heaviest one beside them. The heaviest first.
pub fn clusters(points: &[Weighted], distance_m: f64) -> Vec<Cluster> {
    let Some([west, south, east, north]) = bounds(points) else { return vec![] };
    let side = distance_m.max(1.0);
    let plane = Plane::around((west + east) / 2.0, (south + north) / 2.0);
    let mut squares: HashMap<[i64; 2], (f64, Vec<Weighted>)> = HashMap::new();
    for p in usable(points) {
        let [x, y] = plane.to(p);
        let square = squares.entry([(x / side).floor() as i64, (y / side).floor() as i64]).or_default();
        square.0 += p[2];
        square.1.push([x, y, p[2]]);
    }
    let mut order: Vec<([i64; 2], f64)> = squares.iter().map(|(cell, (weight, _))| (*cell, *weight)).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut found = Vec::new();
    for (cell, _) in order {
        let Some((_, mut members)) = squares.remove(&cell) else { continue };
        let middle = mean(&members);
        for dx in -1..=1 {
            for dy in -1..=1 {
                let Some((weight, others)) = squares.get_mut(&[cell[0] + dx, cell[1] + dy]) else { continue };
                let near = |p: &Weighted| (p[0] - middle[0]).hypot(p[1] - middle[1]) <= side;
                members.extend(others.iter().filter(|p| near(p)));
                others.retain(|p| !near(p));
                *weight = others.iter().map(|p| p[2]).sum();
            }
        }
        squares.retain(|_, (_, left)| !left.is_empty());
        let at = mean(&members);
        found.push(Cluster {
            at: plane.from(at),
            count: members.len() as u64,
            weight: members.iter().map(|p| p[2]).sum(),
            radius_m: members.iter().map(|p| (p[0] - at[0]).hypot(p[1] - at[1])).fold(0.0, f64::max),
        });
    }
    found.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.at[0].total_cmp(&b.at[0])));
    found
}

fn mean(points: &[Weighted]) -> [f64; 2] {
    let n = points.len().max(1) as f64;
    let sum = points.iter().fold([0.0; 2], |s, p| [s[0] + p[0], s[1] + p[1]]);
    [sum[0] / n, sum[1] / n]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> Vec<Weighted> {
        // Two heaps five kilometres apart, spread by a sunflower's angle.
        let heap = |lon: f64, n: usize| {
            (0..n).map(move |i| {
                let (angle, r) = (i as f64 * 2.399_963, (i as f64).sqrt() * 0.000_15);
                [lon + r * angle.cos(), 31.23 + r * angle.sin(), 1.0]
            })
        };
        heap(121.47, 300).chain(heap(121.52, 100)).collect()
    }

    #[test]
    fn bins_hold_every_point_in_the_nearest_hexagon() {
        let points = cloud();
        let bins = hex_bins(&points, 500.0, [121.0, 31.0]);
        assert_eq!(bins.iter().map(|b| b.count).sum::<u64>(), 400);
        assert!(bins.windows(2).all(|w| w[0].weight >= w[1].weight));
        let again = hex_bins(&points[..1], 500.0, [121.0, 31.0]);
        let bin = bins.iter().find(|b| b.cell == again[0].cell).unwrap();
        let plane = Plane::around(121.0, 31.0);
        let far = |a: [f64; 2]| {
            let (p, q) = (plane.to(&[a[0], a[1], 0.0]), plane.to(&points[0]));
            (p[0] - q[0]).hypot(p[1] - q[1])
        };
        assert!(far(bin.at) <= 500.0 / 3f64.sqrt() + 0.01);
        assert!(bins.iter().all(|b| far(bin.at) <= far(b.at) + 1e-6));
    }

    #[test]
    fn density_sums_to_the_weight() {
        let grid = density(&cloud(), 800.0, 200).unwrap();
        let area = grid.step[0] * grid.step[1] * M_PER_DEGREE * M_PER_DEGREE * 31.23f64.to_radians().cos() / 1e6;
        let sum: f64 = grid.values.iter().sum::<f64>() * area;
        assert!((sum - 400.0).abs() < 4.0, "{sum}");
        let best = (0..grid.values.len()).max_by(|a, b| grid.values[*a].total_cmp(&grid.values[*b])).unwrap();
        let lon = grid.origin[0] + (best % grid.columns) as f64 * grid.step[0];
        assert!((lon - 121.47).abs() < 0.003, "{lon}");
        assert!(density(&[], 800.0, 200).is_none());
    }

    #[test]
    fn two_heaps_are_two_clusters() {
        let found = clusters(&cloud(), 1_500.0);
        assert_eq!(found.iter().map(|c| c.count).collect::<Vec<_>>(), [300, 100]);
        assert!(found[0].radius_m < 400.0, "{found:?}");
    }
}
