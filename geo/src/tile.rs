//! Vector tiles: the regions within a tile of the Web Mercator pyramid, as Mapbox Vector Tile 2.1
//! (<https://github.com/mapbox/vector-tile-spec/tree/master/2.1>).

use geo::LineString;

use crate::region::RegionSet;

/// Units of a tile's side.
const EXTENT: f64 = 4096.0;
/// Shapes go on so far beyond the side, so that the line along the cut is not seen.
const BUFFER: f64 = 64.0;
/// Deeper tiles than this are no use for regions.
const DEEPEST: u8 = 22;

impl RegionSet {
    /// The tile `z`/`x`/`y` with the layers `regions` (polygons) and `labels` (points), features
    /// with the properties `code`, `name`, `name_en`. Empty if nothing is there, `None` if there is
    /// no such tile. Give it [`Self::simplified`] regions for shallow tiles.
    pub fn tile(&self, z: u8, x: u32, y: u32) -> Option<Vec<u8>> {
        let side = 1u64 << z.min(DEEPEST);
        if z > DEEPEST || u64::from(x) >= side || u64::from(y) >= side {
            return None;
        }
        let place = |lon: f64, lat: f64| {
            let north = lat.to_radians().tan().asinh() / std::f64::consts::PI;
            let (u, v) = ((lon + 180.0) / 360.0, (1.0 - north) / 2.0);
            [(u * side as f64 - f64::from(x)) * EXTENT, (v * side as f64 - f64::from(y)) * EXTENT]
        };
        let (mut regions, mut labels) = (Layer::new("regions"), Layer::new("labels"));
        for (id, region) in self.iter().enumerate() {
            let b = region.bbox();
            let (nw, se) = (place(b.west, b.north), place(b.east, b.south));
            if nw[0] > EXTENT + BUFFER || nw[1] > EXTENT + BUFFER || se[0] < -BUFFER || se[1] < -BUFFER {
                continue;
            }
            let properties = [("code", &region.code), ("name", &region.name), ("name_en", &region.name_en)];
            let mut geometry = Geometry::default();
            for polygon in region.shape() {
                let flat = |ring: &LineString<f64>| clip(ring.coords().map(|c| place(c.x, c.y)).collect());
                if !geometry.ring(&flat(polygon.exterior()), true) {
                    continue;
                }
                for hole in polygon.interiors() {
                    geometry.ring(&flat(hole), false);
                }
            }
            if !geometry.commands.is_empty() {
                regions.feature(id as u64 + 1, 3, &properties, &geometry.commands);
            }
            let [lx, ly] = place(region.label.0, region.label.1);
            if (0.0..EXTENT).contains(&lx) && (0.0..EXTENT).contains(&ly) {
                let commands = [9, zigzag(lx as i64), zigzag(ly as i64)];
                labels.feature(id as u64 + 1, 1, &properties, &commands);
            }
        }
        let mut tile = Vec::new();
        for layer in [regions, labels] {
            layer.write(&mut tile);
        }
        Some(tile)
    }
}

/// A ring (closed or not) within the buffered tile: Sutherland and Hodgman, side by side.
fn clip(mut ring: Vec<[f64; 2]>) -> Vec<[i64; 2]> {
    for (axis, limit, sign) in
        [(0, -BUFFER, 1.0), (0, EXTENT + BUFFER, -1.0), (1, -BUFFER, 1.0), (1, EXTENT + BUFFER, -1.0)]
    {
        let inside = |p: &[f64; 2]| (p[axis] - limit) * sign >= 0.0;
        let mut out = Vec::with_capacity(ring.len() + 4);
        for (i, p) in ring.iter().enumerate() {
            let before = ring[(i + ring.len() - 1) % ring.len()];
            if inside(p) != inside(&before) {
                let t = (limit - before[axis]) / (p[axis] - before[axis]);
                let mut cut = [before[0] + t * (p[0] - before[0]), before[1] + t * (p[1] - before[1])];
                cut[axis] = limit;
                out.push(cut);
            }
            if inside(p) {
                out.push(*p);
            }
        }
        ring = out;
    }
    let mut grid: Vec<[i64; 2]> = ring.iter().map(|p| [p[0].round() as i64, p[1].round() as i64]).collect();
    grid.dedup();
    if grid.len() > 1 && grid.first() == grid.last() {
        grid.pop();
    }
    grid
}

#[derive(Default)]
struct Geometry {
    commands: Vec<u32>,
    cursor: [i64; 2],
}

impl Geometry {
    /// Outer rings have positive area with y downwards, holes negative. False if nothing is left.
    fn ring(&mut self, ring: &[[i64; 2]], outer: bool) -> bool {
        let area: i64 = (0..ring.len())
            .map(|i| {
                let (p, q) = (ring[i], ring[(i + 1) % ring.len()]);
                p[0] * q[1] - q[0] * p[1]
            })
            .sum();
        if ring.len() < 3 || area == 0 {
            return false;
        }
        let ordered: Vec<&[i64; 2]> =
            if (area > 0) == outer { ring.iter().collect() } else { ring.iter().rev().collect() };
        for (i, p) in ordered.iter().enumerate() {
            match i {
                0 => self.commands.push(1 | 1 << 3),
                1 => self.commands.push(2 | ((ordered.len() as u32 - 1) << 3)),
                _ => {}
            }
            self.commands.push(zigzag(p[0] - self.cursor[0]));
            self.commands.push(zigzag(p[1] - self.cursor[1]));
            self.cursor = **p;
        }
        self.commands.push(7 | 1 << 3);
        true
    }
}

fn zigzag(n: i64) -> u32 {
    ((n << 1) ^ (n >> 63)) as u32
}

/// Protocol buffers by hand: the format has five messages and no need of a generator.
struct Layer {
    name: &'static str,
    features: Vec<u8>,
    keys: Vec<String>,
    values: Vec<String>,
}

impl Layer {
    fn new(name: &'static str) -> Self {
        Self { name, features: vec![], keys: vec![], values: vec![] }
    }

    fn feature(&mut self, id: u64, kind: u64, properties: &[(&str, &String)], commands: &[u32]) {
        let mut tags = Vec::new();
        for (key, value) in properties.iter().filter(|(_, v)| !v.is_empty()) {
            varint(&mut tags, index(&mut self.keys, key));
            varint(&mut tags, index(&mut self.values, value));
        }
        let mut geometry = Vec::new();
        for c in commands {
            varint(&mut geometry, u64::from(*c));
        }
        let mut feature = Vec::new();
        number(&mut feature, 1, id);
        bytes(&mut feature, 2, &tags);
        number(&mut feature, 3, kind);
        bytes(&mut feature, 4, &geometry);
        bytes(&mut self.features, 2, &feature);
    }

    fn write(&self, tile: &mut Vec<u8>) {
        if self.features.is_empty() {
            return;
        }
        let mut layer = Vec::new();
        number(&mut layer, 15, 2);
        bytes(&mut layer, 1, self.name.as_bytes());
        layer.extend_from_slice(&self.features);
        for key in &self.keys {
            bytes(&mut layer, 3, key.as_bytes());
        }
        for value in &self.values {
            let mut message = Vec::new();
            bytes(&mut message, 1, value.as_bytes());
            bytes(&mut layer, 4, &message);
        }
        number(&mut layer, 5, EXTENT as u64);
        bytes(tile, 3, &layer);
    }
}

fn index(list: &mut Vec<String>, text: &str) -> u64 {
    let at = list.iter().position(|t| t == text).unwrap_or_else(|| {
        list.push(text.to_owned());
        list.len() - 1
    });
    at as u64
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn number(out: &mut Vec<u8>, field: u64, n: u64) {
    varint(out, field << 3);
    varint(out, n);
}

fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}
