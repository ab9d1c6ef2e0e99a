//! Shapes made ready for many point-in-polygon questions.
//!
//! Edges are sorted into horizontal bands, so a question looks at the few edges that cross the
//! band of the point. Each edge is stored with its lower end first whichever way it was drawn:
//! two neighbours that share an edge compute the same crossing, and a point on the border belongs
//! to exactly one of them.

use geo::{Coord, MultiPolygon};

use crate::units::BBox;

/// Metres in a degree of latitude (mean).
pub(crate) const M_PER_DEGREE: f64 = 111_195.0;

#[derive(Debug, Clone, Copy)]
struct Edge {
    /// The lower end.
    x0: f64,
    y0: f64,
    y1: f64,
    /// Change of x per y.
    slope: f64,
    /// The other end's x, for distances.
    x1: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct PreparedShape {
    pub bbox: BBox,
    bands_per_degree: f64,
    /// Where each band's edges begin in `edges`; one more entry than bands.
    starts: Vec<u32>,
    edges: Vec<Edge>,
    /// Every edge once.
    outline: Vec<Edge>,
}

impl PreparedShape {
    /// Even-odd over all rings, so holes are outside. `None` if there is no area.
    pub fn new(shape: &MultiPolygon<f64>) -> Option<Self> {
        let mut outline = Vec::new();
        let mut bbox = BBox { west: f64::MAX, south: f64::MAX, east: f64::MIN, north: f64::MIN };
        for ring in shape.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors())) {
            for line in ring.lines() {
                let (a, b) = if (line.start.y, line.start.x) <= (line.end.y, line.end.x) {
                    (line.start, line.end)
                } else {
                    (line.end, line.start)
                };
                for Coord { x, y } in [a, b] {
                    bbox.west = bbox.west.min(x);
                    bbox.east = bbox.east.max(x);
                    bbox.south = bbox.south.min(y);
                    bbox.north = bbox.north.max(y);
                }
                let slope = if b.y > a.y { (b.x - a.x) / (b.y - a.y) } else { 0.0 };
                outline.push(Edge { x0: a.x, y0: a.y, y1: b.y, slope, x1: b.x });
            }
        }
        let height = bbox.north - bbox.south;
        if !(height > 0.0 && height.is_finite()) {
            return None;
        }
        let count = outline.len().clamp(8, 4096);
        let bands_per_degree = count as f64 / height;
        let band = |y: f64| (((y - bbox.south) * bands_per_degree) as usize).min(count - 1);
        let mut lists: Vec<Vec<Edge>> = vec![Vec::new(); count];
        for edge in outline.iter().filter(|e| e.y1 > e.y0) {
            for list in &mut lists[band(edge.y0)..=band(edge.y1)] {
                list.push(*edge);
            }
        }
        let mut starts = Vec::with_capacity(count + 1);
        let mut edges = Vec::new();
        for list in lists {
            starts.push(edges.len() as u32);
            edges.extend(list);
        }
        starts.push(edges.len() as u32);
        Some(Self { bbox, bands_per_degree, starts, edges, outline })
    }

    #[inline]
    pub fn contains(&self, x: f64, y: f64) -> bool {
        if !self.bbox.contains(x, y) {
            return false;
        }
        let count = self.starts.len() - 1;
        let band = (((y - self.bbox.south) * self.bands_per_degree) as usize).min(count - 1);
        let list = &self.edges[self.starts[band] as usize..self.starts[band + 1] as usize];
        let mut inside = false;
        for e in list {
            // Half open in y, so a corner counts once.
            let crosses = (e.y0 <= y) & (y < e.y1) & (x < e.x0 + (y - e.y0) * e.slope);
            inside ^= crosses;
        }
        inside
    }

    /// Metres from a point to the nearest edge, on a plane touching the Earth there.
    pub fn distance_to_edge_m(&self, x: f64, y: f64) -> f64 {
        let kx = M_PER_DEGREE * y.to_radians().cos();
        let squared = self.outline.iter().fold(f64::MAX, |best, e| {
            let (ax, ay) = ((e.x0 - x) * kx, (e.y0 - y) * M_PER_DEGREE);
            let (bx, by) = ((e.x1 - x) * kx, (e.y1 - y) * M_PER_DEGREE);
            let (dx, dy) = (bx - ax, by - ay);
            let length2 = dx * dx + dy * dy;
            let t = if length2 > 0.0 { (-(ax * dx + ay * dy) / length2).clamp(0.0, 1.0) } else { 0.0 };
            let (px, py) = (ax + t * dx, ay + t * dy);
            best.min(px * px + py * py)
        });
        squared.sqrt()
    }

    /// The point farthest from all edges, nearly: where a label has most room. A grid of 24 x 24
    /// over the box, then refined around the best.
    pub fn label_point(&self) -> (f64, f64) {
        const N: i32 = 24;
        let b = self.bbox;
        let (mut cx, mut cy) = ((b.west + b.east) / 2.0, (b.south + b.north) / 2.0);
        let (mut half_x, mut half_y) = ((b.east - b.west) / 2.0, (b.north - b.south) / 2.0);
        let mut best = f64::MIN;
        for _ in 0..3 {
            let (ox, oy) = (cx, cy);
            for i in -N / 2..=N / 2 {
                for j in -N / 2..=N / 2 {
                    let x = ox + half_x * f64::from(i) / f64::from(N / 2);
                    let y = oy + half_y * f64::from(j) / f64::from(N / 2);
                    if self.contains(x, y) {
                        let room = self.distance_to_edge_m(x, y);
                        if room > best {
                            (best, cx, cy) = (room, x, y);
                        }
                    }
                }
            }
            half_x /= f64::from(N / 2);
            half_y /= f64::from(N / 2);
        }
        (cx, cy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo::{Contains, Point, polygon};

    fn ring_with_hole() -> MultiPolygon<f64> {
        let outer = polygon!(
            exterior: [(x: 0., y: 0.), (x: 10., y: 0.), (x: 12., y: 7.), (x: 5., y: 4.), (x: 1., y: 9.)],
            interiors: [[(x: 3., y: 1.), (x: 5., y: 1.), (x: 4., y: 3.)]],
        );
        MultiPolygon(vec![outer, polygon![(x: 20., y: 0.), (x: 21., y: 0.), (x: 21., y: 1.)]])
    }

    #[test]
    fn agrees_with_geo_on_a_shape_with_hole_and_island() {
        let shape = ring_with_hole();
        let prepared = PreparedShape::new(&shape).unwrap();
        for i in 0..2_300 {
            for j in 0..100 {
                // Off the grid of the corners: on edges the two conventions may differ.
                let (x, y) = (f64::from(i) * 0.01 - 0.507_13, f64::from(j) * 0.1 - 0.503_07);
                assert_eq!(prepared.contains(x, y), shape.contains(&Point::new(x, y)), "{x} {y}");
            }
        }
    }

    #[test]
    fn shared_borders_belong_to_one_side() {
        let west = MultiPolygon(vec![polygon![(x: 0., y: 0.), (x: 1., y: 0.), (x: 1.3, y: 1.7), (x: 0., y: 2.)]]);
        let east = MultiPolygon(vec![polygon![(x: 1.3, y: 1.7), (x: 1., y: 0.), (x: 3., y: 0.), (x: 3., y: 2.)]]);
        let (west, east) = (PreparedShape::new(&west).unwrap(), PreparedShape::new(&east).unwrap());
        for i in 1..1_000 {
            let t = f64::from(i) / 1_000.0;
            let (x, y) = (1.0 + 0.3 * t, 1.7 * t);
            assert!(west.contains(x, y) ^ east.contains(x, y), "{t}");
        }
    }

    #[test]
    fn nothing_without_area() {
        assert!(PreparedShape::new(&MultiPolygon(vec![])).is_none());
        let flat = MultiPolygon(vec![polygon![(x: 0., y: 1.), (x: 1., y: 1.)]]);
        assert!(PreparedShape::new(&flat).is_none());
    }
}
