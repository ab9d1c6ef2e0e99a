//! What regions are to each other: neighbours, and the check of an import before it replaces what
//! is in force.

use geo::orient::Direction;
use geo::{BooleanOps, GeodesicArea, MultiPolygon, Orient, Polygon, Validation, unary_union};
use serde::Serialize;

use crate::region::{Region, RegionSet};
use crate::shape::M_PER_DEGREE;

/// A region that shares a border with another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbour {
    pub code: String,
    pub name: String,
    /// Length of the common border in metres.
    pub border_m: f64,
}

/// What is wrong with a set of regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A ring crosses itself or a hole lies outside.
    Invalid,
    Overlap,
    /// Enclosed by regions but in none.
    Gap,
    /// An overlap or gap so thin that it comes from drawing.
    Sliver,
    LabelOutside,
    /// The code was in the set compared with and is not here.
    Missing,
    /// Area and place are far from what the code had before.
    Moved,
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionProblem {
    pub kind: ProblemKind,
    pub codes: Vec<String>,
    pub area_km2: f64,
    /// Longitude and latitude in or near it.
    pub at: [f64; 2],
    /// In Chinese.
    pub message: String,
}

/// The report of an import.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionCheck {
    pub regions: usize,
    /// Of all shapes together; overlaps count once.
    pub area_km2: f64,
    /// Share of the set compared with that is covered, 0 to 1.
    pub coverage: Option<f64>,
    /// Area outside of it.
    pub outside_km2: Option<f64>,
    /// Codes that the set compared with does not have.
    pub added: Vec<String>,
    pub problems: Vec<RegionProblem>,
}

/// Overlaps and gaps narrower than this are slivers, in metres.
const SLIVER_WIDTH_M: f64 = 50.0;

/// Below this nothing is reported, in square kilometres: 10 m by 10 m.
const NOTHING_KM2: f64 = 0.0001;

fn km2(shape: &(impl GeodesicArea<f64> + Orient)) -> f64 {
    // A ring wound the other way has the area of the rest of the Earth.
    shape.orient(Direction::Default).geodesic_area_signed().abs() / 1e6
}

/// Mean width in metres: of a long thin shape, twice the area by the perimeter.
fn width_m(polygon: &Polygon<f64>) -> f64 {
    let perimeter = polygon.geodesic_perimeter();
    if perimeter > 0.0 { 2e6 * km2(polygon) / perimeter } else { 0.0 }
}

fn somewhere(polygon: &Polygon<f64>) -> [f64; 2] {
    polygon.exterior().coords().next().map_or([f64::NAN; 2], |c| [c.x, c.y])
}

impl RegionSet {
    /// Regions that share a border with one, longest first. Borders count as shared where they come
    /// within `tolerance_m` of each other: 0 would be right only for shapes drawn with the same
    /// corners. `None` for an unknown code.
    pub fn neighbours(&self, code: &str, tolerance_m: f64) -> Option<Vec<Neighbour>> {
        let here = self.get(code)?;
        let tolerance_m = tolerance_m.max(0.1);
        let near = here.bbox().expanded(2.0 * tolerance_m / M_PER_DEGREE);
        let mut found: Vec<Neighbour> = self
            .iter()
            .filter(|other| other.code != here.code)
            .filter(|other| {
                let b = other.bbox();
                b.west <= near.east && b.east >= near.west && b.south <= near.north && b.north >= near.south
            })
            .map(|other| Neighbour {
                code: other.code.clone(),
                name: other.name.clone(),
                border_m: border_m(here, other, tolerance_m),
            })
            // Corners that only touch are no border.
            .filter(|n| n.border_m > 2.0 * tolerance_m)
            .collect();
        found.sort_by(|a, b| b.border_m.total_cmp(&a.border_m).then_with(|| a.code.cmp(&b.code)));
        Some(found)
    }

    /// Checks an import: shapes in order, no overlaps, no gaps; and against the regions in force (or
    /// the city's outline as a set of one): coverage, missing and moved codes. Takes time in the
    /// number of corners, about a second for a city's streets.
    pub fn check(&self, against: Option<&RegionSet>) -> RegionCheck {
        let mut problems = Vec::new();
        for region in self {
            check_alone(region, &mut problems);
        }
        let all: Vec<&Region> = self.iter().collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                check_overlap(a, b, &mut problems);
            }
        }
        let union = unary_union(self.iter().map(|r| r.shape()));
        for polygon in &union {
            for hole in polygon.interiors() {
                let gap = Polygon::new(hole.clone(), vec![]);
                let area_km2 = km2(&gap);
                if area_km2 < NOTHING_KM2 {
                    continue;
                }
                let at = somewhere(&gap);
                let sliver = width_m(&gap) < SLIVER_WIDTH_M;
                problems.push(RegionProblem {
                    kind: if sliver { ProblemKind::Sliver } else { ProblemKind::Gap },
                    codes: all
                        .iter()
                        .filter(|r| r.distance_to_border_m(at[0], at[1]) < 1.0)
                        .map(|r| r.code.clone())
                        .collect(),
                    area_km2,
                    at,
                    message: format!("区划之间有空隙，{area_km2:.4} 平方公里"),
                });
            }
        }
        let mut report = RegionCheck {
            regions: self.len(),
            area_km2: km2(&union),
            coverage: None,
            outside_km2: None,
            added: vec![],
            problems,
        };
        if let Some(against) = against {
            compare(self, &union, against, &mut report);
        }
        report
    }
}

/// Length of one region's border that lies along another's, found by walking along it.
fn border_m(a: &Region, b: &Region, tolerance_m: f64) -> f64 {
    let step = tolerance_m.clamp(10.0, 50.0);
    let mut length = 0.0;
    for ring in a.rings().flatten() {
        for ends in ring.windows(2) {
            let ([x0, y0], [x1, y1]) = (ends[0], ends[1]);
            let dx = (x1 - x0) * M_PER_DEGREE * y0.to_radians().cos();
            let whole = dx.hypot((y1 - y0) * M_PER_DEGREE);
            let n = (whole / step).ceil().max(1.0);
            for i in 0..n as usize {
                let t = (i as f64 + 0.5) / n;
                let (x, y) = (x0 + t * (x1 - x0), y0 + t * (y1 - y0));
                let reach = b.bbox().expanded(2.0 * tolerance_m / M_PER_DEGREE);
                if reach.contains(x, y) && b.distance_to_border_m(x, y) <= tolerance_m {
                    length += whole / n;
                }
            }
        }
    }
    length
}

fn check_alone(region: &Region, problems: &mut Vec<RegionProblem>) {
    let mut push = |kind, message| {
        problems.push(RegionProblem {
            kind,
            codes: vec![region.code.clone()],
            area_km2: 0.0,
            at: [region.label.0, region.label.1],
            message,
        });
    };
    if let Err(e) = region.shape().check_validation() {
        push(ProblemKind::Invalid, format!("{}的边界不合规范：{e}", region.name));
    }
    if !region.contains(region.label.0, region.label.1) {
        push(ProblemKind::LabelOutside, format!("{}的标注点不在边界内", region.name));
    }
}

fn check_overlap(a: &Region, b: &Region, problems: &mut Vec<RegionProblem>) {
    let (p, q) = (a.bbox(), b.bbox());
    if p.east < q.west || q.east < p.west || p.north < q.south || q.north < p.south {
        return;
    }
    let common: MultiPolygon<f64> = a.shape().intersection(b.shape());
    for polygon in &common {
        let area_km2 = km2(polygon);
        if area_km2 < NOTHING_KM2 {
            continue;
        }
        let sliver = width_m(polygon) < SLIVER_WIDTH_M;
        problems.push(RegionProblem {
            kind: if sliver { ProblemKind::Sliver } else { ProblemKind::Overlap },
            codes: vec![a.code.clone(), b.code.clone()],
            area_km2,
            at: somewhere(polygon),
            message: format!("{}与{}重叠 {area_km2:.4} 平方公里", a.name, b.name),
        });
    }
}

fn compare(set: &RegionSet, union: &MultiPolygon<f64>, against: &RegionSet, report: &mut RegionCheck) {
    let before = unary_union(against.iter().map(|r| r.shape()));
    let whole = km2(&before);
    report.coverage = (whole > 0.0).then(|| km2(&before.intersection(union)) / whole);
    report.outside_km2 = Some(km2(&union.difference(&before)));
    // Streets are not to be looked for among districts.
    let level = |s: &RegionSet| s.iter().next().map(|r| r.level);
    if level(set) != level(against) {
        return;
    }
    report.added = set.iter().filter(|r| against.get(&r.code).is_none()).map(|r| r.code.clone()).collect();
    for old in against {
        let mut push = |kind, area_km2, message| {
            let at = [old.label.0, old.label.1];
            report.problems.push(RegionProblem { kind, codes: vec![old.code.clone()], area_km2, at, message });
        };
        let Some(new) = set.get(&old.code) else {
            push(ProblemKind::Missing, km2(old.shape()), format!("缺少{}（{}）", old.name, old.code));
            continue;
        };
        let common = km2(&old.shape().intersection(new.shape()));
        let either = km2(old.shape()) + km2(new.shape()) - common;
        let same = common / either;
        if same < 0.8 {
            let message = format!("{}的新旧边界只有 {:.0}% 相合", new.name, same * 100.0);
            push(ProblemKind::Moved, either - common, message);
        }
    }
}
