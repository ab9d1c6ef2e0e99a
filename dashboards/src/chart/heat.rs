//! The layer of a map of points: hexagons, kernel density or clusters, the same for pages and images.

use super::ChartSpec;
use zonglan_catalog::board::HeatStyle;

/// Cells of a density grid to a side: enough for a panel, small enough for a frame.
const GRID: usize = 64;
/// What is fainter than this share of the strongest cell is left out.
const FAINT: f64 = 0.03;
/// Metres where the element names none: about a hundred cells across the city.
const USUAL_M: f64 = 1_500.0;
const USUAL_CLUSTER_M: f64 = 3_000.0;

/// An area in one colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Corners, longitude and latitude (WGS-84).
    pub ring: Vec<[f64; 2]>,
    /// Points in a hexagon; points in a square kilometre for densities.
    pub value: f64,
}

/// Points that stand together.
#[derive(Debug, Clone, PartialEq)]
pub struct Disc {
    pub at: [f64; 2],
    pub value: f64,
    /// Design pixels; the area grows with the value.
    pub radius: f64,
}

/// What is drawn over the ground.
#[derive(Debug, Clone, PartialEq)]
pub enum HeatLayer {
    /// The points themselves.
    Points,
    Patches(Vec<Patch>),
    Discs(Vec<Disc>),
}

impl ChartSpec {
    /// The layer of [`Self::points`] in the element's style.
    pub fn heat_layer(&self) -> HeatLayer {
        let size = |usual| self.size_m.unwrap_or(usual);
        match self.heat {
            HeatStyle::Glow => HeatLayer::Points,
            HeatStyle::Hex => HeatLayer::Patches(
                zonglan_geo::hex_bins(&self.points, size(USUAL_M), zonglan_geo::HEX_ANCHOR)
                    .into_iter()
                    .map(|bin| Patch { ring: bin.ring, value: bin.weight })
                    .collect(),
            ),
            HeatStyle::Density => HeatLayer::Patches(density(&self.points, size(USUAL_M))),
            HeatStyle::Clusters => {
                let found = zonglan_geo::clusters(&self.points, size(USUAL_CLUSTER_M));
                let top = found.iter().map(|c| c.weight).fold(1.0, f64::max);
                let disc = |c: zonglan_geo::Cluster| Disc {
                    at: c.at,
                    value: c.weight,
                    radius: 7.0 + 19.0 * (c.weight / top).max(0.0).sqrt(),
                };
                HeatLayer::Discs(found.into_iter().map(disc).collect())
            }
        }
    }
}

fn density(points: &[[f64; 3]], bandwidth_m: f64) -> Vec<Patch> {
    let Some(grid) = zonglan_geo::density(points, bandwidth_m, GRID) else { return Vec::new() };
    let [dx, dy] = grid.step.map(|s| s / 2.0);
    let cells = grid.values.iter().enumerate().filter(|(_, v)| **v > grid.max * FAINT);
    cells
        .map(|(i, value)| {
            let x = grid.origin[0] + (i % grid.columns) as f64 * grid.step[0];
            let y = grid.origin[1] + (i / grid.columns) as f64 * grid.step[1];
            let ring = vec![[x - dx, y - dy], [x + dx, y - dy], [x + dx, y + dy], [x - dx, y + dy]];
            Patch { ring, value: *value }
        })
        .collect()
}
