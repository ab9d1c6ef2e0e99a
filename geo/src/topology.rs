//! Simplification that keeps shared borders shared.
//!
//! Rings are cut where three or more borders meet; each piece is simplified once (Douglas and
//! Peucker, 1973), whichever regions use it, so that neighbours neither overlap nor gape afterwards.
//! Borders count as shared where both sides were drawn with the same corners.

use std::collections::{HashMap, HashSet};

use geo::{Coord, LineString, MultiPolygon, Polygon};

use crate::error::GeoError;
use crate::region::RegionSet;
use crate::shape::M_PER_DEGREE;

/// A corner, to 1e-9 degrees (0.1 mm).
type Corner = (i64, i64);

impl RegionSet {
    /// The same regions with fewer corners: none moves the border by more than `tolerance_m` metres.
    /// Corners where borders meet stay; a ring that would vanish keeps all its own.
    pub fn simplified(&self, tolerance_m: f64) -> Result<RegionSet, GeoError> {
        let shapes: Vec<_> = self.iter().map(|r| r.shape()).collect();
        self.with_shapes(simplify(&shapes, tolerance_m))
    }

    /// Corners of all shapes, a closing one not counted.
    pub fn corner_count(&self) -> usize {
        self.iter().flat_map(|r| r.rings()).flatten().map(|ring| ring.len().saturating_sub(1)).sum()
    }
}

fn corner(c: &Coord<f64>) -> Corner {
    ((c.x * 1e9).round() as i64, (c.y * 1e9).round() as i64)
}

fn coord(c: &Corner) -> Coord<f64> {
    Coord { x: c.0 as f64 / 1e9, y: c.1 as f64 / 1e9 }
}

/// The corners of a ring, each once.
fn open_ring(ring: &LineString<f64>) -> Vec<Corner> {
    let mut corners: Vec<Corner> = ring.coords().map(corner).collect();
    corners.dedup();
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    corners
}

fn simplify(shapes: &[&MultiPolygon<f64>], tolerance_m: f64) -> Vec<MultiPolygon<f64>> {
    let rings_of = |p: &Polygon<f64>| -> Vec<Vec<Corner>> {
        std::iter::once(p.exterior()).chain(p.interiors()).map(open_ring).collect()
    };
    let shapes: Vec<Vec<Vec<Vec<Corner>>>> = shapes.iter().map(|s| s.iter().map(rings_of).collect()).collect();
    let mut around: HashMap<Corner, HashSet<Corner>> = HashMap::new();
    for ring in shapes.iter().flatten().flatten() {
        for (i, c) in ring.iter().enumerate() {
            let next = ring[(i + 1) % ring.len()];
            around.entry(*c).or_default().insert(next);
            around.entry(next).or_default().insert(*c);
        }
    }
    let junction = |c: &Corner| around.get(c).is_some_and(|n| n.len() != 2);
    // Pieces that have to stay as they are, or a ring would vanish.
    let mut kept: HashSet<Vec<Corner>> = HashSet::new();
    loop {
        let mut done: HashMap<Vec<Corner>, Vec<Corner>> = HashMap::new();
        let before = kept.len();
        let simplified = shapes
            .iter()
            .map(|polygons| {
                let polygons = polygons.iter().map(|rings| {
                    let mut rings = rings.iter().map(|ring| {
                        let pieces = pieces(ring, &junction);
                        let mut out: Vec<Corner> = Vec::new();
                        for piece in &pieces {
                            let (key, reversed) = canonical(piece);
                            let mut line = done
                                .entry(key.clone())
                                .or_insert_with(|| if kept.contains(&key) { key } else { reduce(&key, tolerance_m) })
                                .clone();
                            if reversed {
                                line.reverse();
                            }
                            out.extend(&line[..line.len() - 1]);
                        }
                        if out.len() < 3 && ring.len() >= 3 {
                            kept.extend(pieces.iter().map(|p| canonical(p).0));
                        }
                        LineString(out.iter().chain(out.first()).map(coord).collect())
                    });
                    let exterior = rings.next().unwrap_or(LineString(vec![]));
                    let interiors = rings.collect();
                    Polygon::new(exterior, interiors)
                });
                MultiPolygon(polygons.collect())
            })
            .collect();
        if kept.len() == before {
            return simplified;
        }
    }
}

/// A ring cut at its junctions; each piece has both its ends. A ring without any is one piece from
/// its least corner, so that two rings of the same border begin at the same place.
fn pieces(ring: &[Corner], junction: &impl Fn(&Corner) -> bool) -> Vec<Vec<Corner>> {
    if ring.is_empty() {
        return vec![];
    }
    let start = ring
        .iter()
        .position(junction)
        .or_else(|| ring.iter().enumerate().min_by_key(|(_, c)| **c).map(|(i, _)| i))
        .unwrap_or(0);
    let mut pieces = Vec::new();
    let mut piece = vec![ring[start]];
    for i in 1..=ring.len() {
        let c = ring[(start + i) % ring.len()];
        piece.push(c);
        if junction(&c) || i == ring.len() {
            pieces.push(std::mem::replace(&mut piece, vec![c]));
        }
    }
    pieces
}

/// One of the two directions, and whether it is not the given one.
fn canonical(piece: &[Corner]) -> (Vec<Corner>, bool) {
    let back: Vec<Corner> = piece.iter().rev().copied().collect();
    if back.as_slice() < piece { (back, true) } else { (piece.to_vec(), false) }
}

/// Douglas and Peucker without recursion; the ends stay.
fn reduce(line: &[Corner], tolerance_m: f64) -> Vec<Corner> {
    if line.len() <= 2 {
        return line.to_vec();
    }
    let shrink = coord(&line[0]).y.to_radians().cos();
    let flat: Vec<[f64; 2]> = line
        .iter()
        .map(|c| {
            let c = coord(c);
            [c.x * M_PER_DEGREE * shrink, c.y * M_PER_DEGREE]
        })
        .collect();
    let mut keep = vec![false; line.len()];
    keep[0] = true;
    keep[line.len() - 1] = true;
    let mut open = vec![(0, line.len() - 1)];
    while let Some((a, b)) = open.pop() {
        let farthest = (a + 1..b).map(|i| (i, distance(flat[i], flat[a], flat[b]))).max_by(|x, y| x.1.total_cmp(&y.1));
        if let Some((i, far)) = farthest
            && far > tolerance_m
        {
            keep[i] = true;
            open.extend([(a, i), (i, b)]);
        }
    }
    line.iter().zip(keep).filter(|(_, keep)| *keep).map(|(c, _)| *c).collect()
}

/// From a point to a stretch; to the point if it has no length.
fn distance(p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length2 = dx * dx + dy * dy;
    let t = if length2 > 0.0 { (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length2).clamp(0.0, 1.0) } else { 0.0 };
    (p[0] - a[0] - t * dx).hypot(p[1] - a[1] - t * dy)
}
