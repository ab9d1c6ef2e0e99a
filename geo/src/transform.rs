//! Conversion of points between two coordinate systems.
//!
//! A transform is a list of steps through longitude and latitude on WGS-84/CGCS2000 (taken as
//! equal, see `crs/cgcs2000.json`); steps that undo each other are left out, so GCJ-02 to BD-09
//! does not pass through WGS-84, and two EPSG systems are PROJ's own affair.

use serde::Serialize;

use crate::baidu;
use crate::crs::{ControlFit, Crs, CrsRegistry, Status};
use crate::datum::{Datum, Ellipsoid};
use crate::error::{GeoError, PointError};
use crate::fit::Helmert;
use crate::gauss;
use crate::gcj;
use crate::mercator;
use crate::projection::{self, Recipe};
use crate::units::{EastNorth, LonLat, Position, check_degrees};

/// What happens to points outside the area where the shifts of GCJ-02 and BD-09 are defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutOfArea {
    /// They stay as they are, as in the public algorithm.
    #[default]
    Keep,
    /// They are errors.
    Error,
}

/// What a transform is worth; part of every answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransformInfo {
    /// Library, definitions and PROJ (where used) with their versions: to be kept beside results.
    pub version: String,
    /// Unverified if one of the two systems is.
    pub status: Status,
    /// Expected error in metres, the sum over both systems; `None` if not known.
    pub accuracy_m: Option<f64>,
}

/// The answers to [`Transform::points`], in the order of the input.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// `None` where there is an error.
    pub points: Vec<Option<[f64; 2]>>,
    /// Index and reason, by index.
    pub errors: Vec<(usize, PointError)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    GcjForward,
    GcjInverse,
    BdForward,
    BdInverse,
    BaiduForward,
    BaiduInverse,
    MercatorForward,
    MercatorInverse,
    Proj(Recipe),
    /// Fitted to control points.
    Plane(Helmert),
    Datum {
        datum: Datum,
        inverse: bool,
    },
}

impl Step {
    fn undoes(&self, before: &Step) -> bool {
        use Step::*;
        match (before, self) {
            (GcjInverse, GcjForward) | (BdInverse, BdForward) | (BaiduInverse, BaiduForward) => true,
            (MercatorInverse, MercatorForward) => true,
            (
                Proj(Recipe::Plane { definition: a, inverse: true }),
                Proj(Recipe::Plane { definition: b, inverse: false }),
            ) => a == b,
            _ => false,
        }
    }
}

/// A conversion between two systems. Cheap to share: `Send + Sync`, no locks while converting.
#[derive(Debug, Clone)]
pub struct Transform {
    from: Crs,
    to: Crs,
    from_geographic: bool,
    to_geographic: bool,
    steps: Vec<Step>,
    out_of_area: OutOfArea,
    info: TransformInfo,
}

/// [`Transform::builder`].
#[derive(Debug, Clone)]
pub struct TransformBuilder<'a> {
    from: Crs,
    to: Crs,
    registry: &'a CrsRegistry,
    out_of_area: OutOfArea,
}

impl<'a> TransformBuilder<'a> {
    /// Definitions other than the shipped ones.
    pub fn registry<'b>(self, registry: &'b CrsRegistry) -> TransformBuilder<'b> {
        TransformBuilder { from: self.from, to: self.to, registry, out_of_area: self.out_of_area }
    }

    pub fn out_of_area(mut self, policy: OutOfArea) -> Self {
        self.out_of_area = policy;
        self
    }

    /// Fails if PROJ does not know an EPSG code or its database cannot be unpacked.
    pub fn build(self) -> Result<Transform, GeoError> {
        let (from, to) = (self.from.canonical(), self.to.canonical());
        let mut steps = if let (Crs::Epsg(a), Crs::Epsg(b)) = (from, to) {
            vec![Step::Proj(Recipe::Epsg { from: a, to: b })]
        } else {
            let mut all = self.steps_to_hub(from, to)?;
            for step in self.steps_out_of_hub(to, from)? {
                if all.last().is_some_and(|last| step.undoes(last)) {
                    all.pop();
                } else {
                    all.push(step);
                }
            }
            all
        };
        if from == to {
            // Nothing to do, but an unknown EPSG code is still an error.
            for step in steps.drain(..) {
                if let Step::Proj(recipe) = step {
                    recipe.check()?;
                }
            }
        }
        let info = self.describe(from, to, &steps)?;
        Ok(Transform {
            from: self.from,
            to: self.to,
            from_geographic: from.is_geographic(),
            to_geographic: to.is_geographic(),
            steps,
            out_of_area: self.out_of_area,
            info,
        })
    }

    /// From a system to longitude and latitude. `other` decides on which datum PROJ puts them.
    fn steps_to_hub(&self, crs: Crs, other: Crs) -> Result<Vec<Step>, GeoError> {
        Ok(match crs {
            Crs::Wgs84 | Crs::Cgcs2000 => vec![],
            Crs::Gcj02 => vec![Step::GcjInverse],
            Crs::Bd09 => vec![Step::BdInverse, Step::GcjInverse],
            Crs::Bd09Mercator => vec![Step::BaiduInverse, Step::BdInverse, Step::GcjInverse],
            Crs::WebMercator => vec![Step::MercatorInverse],
            Crs::Sh2000 | Crs::ShCity => self.plane(crs, true)?,
            Crs::Epsg(code) => vec![Step::Proj(Recipe::Epsg { from: code, to: hub(other) })],
        })
    }

    fn steps_out_of_hub(&self, crs: Crs, other: Crs) -> Result<Vec<Step>, GeoError> {
        Ok(match crs {
            Crs::Wgs84 | Crs::Cgcs2000 => vec![],
            Crs::Gcj02 => vec![Step::GcjForward],
            Crs::Bd09 => vec![Step::GcjForward, Step::BdForward],
            Crs::Bd09Mercator => vec![Step::GcjForward, Step::BdForward, Step::BaiduForward],
            Crs::WebMercator => vec![Step::MercatorForward],
            Crs::Sh2000 | Crs::ShCity => self.plane(crs, false)?,
            Crs::Epsg(code) => vec![Step::Proj(Recipe::Epsg { from: hub(other), to: code })],
        })
    }

    /// The projection of a plane system with what control points add to it.
    fn plane(&self, crs: Crs, inverse: bool) -> Result<Vec<Step>, GeoError> {
        let found = self.registry.get(crs);
        let known = found.and_then(|d| Some((d.definition.clone()?, d.fit)));
        let (definition, fit) = known.ok_or_else(|| GeoError::UnknownCrs(crs.to_string()))?;
        let fail = |reason: &str| GeoError::Definition { name: crs.to_string(), reason: reason.to_owned() };
        let mut steps = Vec::new();
        match fit {
            Some(ControlFit::BursaWolf(fit)) => {
                let (a, rf) = gauss::ellipsoid_of(&definition)
                    .ok_or_else(|| fail("a seven-parameter fit needs +ellps=krass, GRS80 or WGS84, or +a and +rf"))?;
                let datum = Datum { fit, from: Ellipsoid::CGCS2000, to: Ellipsoid { a, rf } };
                steps.push(Step::Datum { datum, inverse });
                steps.push(Step::Proj(Recipe::Plane { definition, inverse }));
            }
            Some(ControlFit::Helmert(fit)) => {
                let fit = if inverse { fit.inverse().ok_or_else(|| fail("the fit has no extent"))? } else { fit };
                steps.push(Step::Proj(Recipe::Plane { definition, inverse }));
                steps.push(Step::Plane(fit));
            }
            None => steps.push(Step::Proj(Recipe::Plane { definition, inverse })),
        }
        if inverse {
            steps.reverse();
        }
        Ok(steps)
    }

    fn describe(&self, from: Crs, to: Crs, steps: &[Step]) -> Result<TransformInfo, GeoError> {
        let mut version = format!("zonglan-geo {}", env!("CARGO_PKG_VERSION"));
        let mut status = Status::Verified;
        // Equal systems give the point back, whatever their definition is worth.
        let mut accuracy = Some(0.0);
        let ends = if from == to { vec![] } else { vec![from, to] };
        for crs in ends {
            if let Some(def) = self.registry.get(crs) {
                version.push_str(&format!("; {}@{}", def.id, def.version));
                if def.status == Status::Unverified {
                    status = Status::Unverified;
                }
                // CGCS2000 itself is only inexact where it meets the other datum.
                if crs != Crs::Cgcs2000 {
                    accuracy = add(accuracy, def.accuracy_m);
                }
            }
        }
        let datums = [from, to].map(|c| match c {
            Crs::Epsg(_) => None,
            named => Some(named.on_cgcs2000()),
        });
        if let [Some(a), Some(b)] = datums
            && a != b
        {
            let epoch = self.registry.get(Crs::Cgcs2000).and_then(|d| d.accuracy_m);
            accuracy = add(accuracy, epoch);
        }
        let mut uses_proj = false;
        for step in steps {
            if let Step::Proj(recipe) = step {
                uses_proj = true;
                let stated = recipe.check()?;
                if matches!(recipe, Recipe::Epsg { .. }) {
                    accuracy = add(accuracy, stated);
                }
            }
        }
        if uses_proj {
            version.push_str(&format!("; PROJ {}", projection::library_version()));
        }
        Ok(TransformInfo { version, status, accuracy_m: accuracy })
    }
}

fn add(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? + b?)
}

/// The geographic EPSG system through which PROJ meets a named one.
fn hub(other: Crs) -> u32 {
    if other.on_cgcs2000() { 4490 } else { 4326 }
}

/// Points converted at a time: small enough for the first-level cache.
const BLOCK: usize = 512;

impl Transform {
    /// A conversion with the shipped definitions; points outside the area of GCJ-02 and BD-09 stay as they are.
    pub fn new(from: Crs, to: Crs) -> Result<Self, GeoError> {
        Self::builder(from, to).build()
    }

    /// To choose the policy for points outside the area, or other definitions.
    pub fn builder(from: Crs, to: Crs) -> TransformBuilder<'static> {
        TransformBuilder { from, to, registry: CrsRegistry::builtin(), out_of_area: OutOfArea::Keep }
    }

    pub fn from(&self) -> Crs {
        self.from
    }

    pub fn to(&self) -> Crs {
        self.to
    }

    pub fn info(&self) -> &TransformInfo {
        &self.info
    }

    /// One point: x = longitude or east, y = latitude or north, in and out.
    pub fn point(&self, x: f64, y: f64) -> Result<(f64, f64), PointError> {
        let mut block = [[x, y]];
        let mut error = None;
        self.convert(&mut block, |_, e| error = Some(e));
        match error {
            Some(e) => Err(e),
            None => Ok(block[0].into()),
        }
    }

    /// Like [`Self::point`], with the units in the types.
    pub fn apply(&self, position: impl Into<Position>) -> Result<Position, PointError> {
        const DEGREES: &str = "degrees of longitude and latitude";
        const PLANE: &str = "plane coordinates";
        let (x, y) = match position.into() {
            Position::Geographic(p) if self.from_geographic => (p.lon, p.lat),
            Position::Projected(p) if !self.from_geographic => (p.east, p.north),
            Position::Geographic(_) => {
                return Err(PointError::WrongKind { expected: PLANE, given: DEGREES });
            }
            Position::Projected(_) => {
                return Err(PointError::WrongKind { expected: DEGREES, given: PLANE });
            }
        };
        let (x, y) = self.point(x, y)?;
        Ok(if self.to_geographic { LonLat { lon: x, lat: y }.into() } else { EastNorth { east: x, north: y }.into() })
    }

    /// Many points. Those that fail are `None`, with their reasons in `errors`.
    pub fn points(&self, points: &[[f64; 2]]) -> Batch {
        let mut done = points.to_vec();
        let errors = self.points_in_place(&mut done);
        let mut points: Vec<Option<[f64; 2]>> = done.into_iter().map(Some).collect();
        for (i, _) in &errors {
            points[*i] = None;
        }
        Batch { points, errors }
    }

    /// Many points without a copy. Points that fail are left in an unspecified state; their
    /// indices and reasons come back, by index.
    pub fn points_in_place(&self, points: &mut [[f64; 2]]) -> Vec<(usize, PointError)> {
        let mut errors = Vec::new();
        for (n, block) in points.chunks_mut(BLOCK).enumerate() {
            let start = errors.len();
            self.convert(block, |i, e| errors.push((n * BLOCK + i, e)));
            // Steps report in turn.
            errors[start..].sort_by_key(|(i, _)| *i);
        }
        errors
    }

    /// Converts a block (at most `BLOCK` points) in place.
    fn convert(&self, block: &mut [[f64; 2]], mut report: impl FnMut(usize, PointError)) {
        debug_assert!(block.len() <= BLOCK);
        let mut bad = BadPoints::default();
        let mut fail = |bad: &mut BadPoints, i: usize, e: PointError| {
            bad.set(i);
            report(i, e);
        };
        for (i, p) in block.iter().enumerate() {
            let checked = if self.from_geographic {
                check_degrees(p[0], p[1])
            } else if p[0].is_finite() && p[1].is_finite() {
                Ok(())
            } else {
                Err(PointError::NotFinite)
            };
            if let Err(e) = checked {
                fail(&mut bad, i, e);
            }
        }
        for step in &self.steps {
            match step {
                Step::GcjForward => {
                    self.shift(block, &mut bad, &mut fail, "GCJ-02", |p| gcj::forward_in_area(p, gcj::gcj_forward));
                }
                Step::GcjInverse => {
                    self.shift(block, &mut bad, &mut fail, "GCJ-02", |p| gcj::inverse_in_area(p, gcj::gcj_inverse));
                }
                Step::BdForward => {
                    self.shift(block, &mut bad, &mut fail, "BD-09", |p| gcj::forward_in_area(p, gcj::bd_forward));
                }
                Step::BdInverse => {
                    self.shift(block, &mut bad, &mut fail, "BD-09", |p| gcj::inverse_in_area(p, gcj::bd_inverse));
                }
                Step::BaiduForward => {
                    for p in block.iter_mut() {
                        *p = baidu::forward(*p);
                    }
                }
                Step::BaiduInverse => {
                    for p in block.iter_mut() {
                        *p = baidu::inverse(*p);
                    }
                }
                Step::MercatorForward => {
                    for (i, p) in block.iter_mut().enumerate() {
                        if p[1].abs() < 90.0 {
                            *p = mercator::forward(*p);
                        } else if !bad.get(i) {
                            let reason = "the poles are infinitely far away".into();
                            fail(&mut bad, i, PointError::Projection { x: p[0], y: p[1], reason });
                        }
                    }
                }
                Step::MercatorInverse => {
                    for p in block.iter_mut() {
                        *p = mercator::inverse(*p);
                    }
                }
                Step::Plane(fit) => {
                    for p in block.iter_mut() {
                        *p = fit.apply(*p);
                    }
                }
                Step::Datum { datum, inverse } => {
                    for p in block.iter_mut() {
                        *p = if *inverse { datum.inverse(*p) } else { datum.forward(*p) };
                    }
                }
                Step::Proj(recipe) => {
                    let before = bad.clone();
                    recipe.run(
                        block,
                        |i| before.get(i),
                        |i, e| {
                            if !before.get(i) {
                                fail(&mut bad, i, e);
                            }
                        },
                    );
                }
            }
        }
    }

    /// A shift with an area; what lies outside is kept or reported.
    #[inline(always)]
    fn shift(
        &self,
        block: &mut [[f64; 2]],
        bad: &mut BadPoints,
        fail: &mut impl FnMut(&mut BadPoints, usize, PointError),
        crs: &'static str,
        f: impl Fn([f64; 2]) -> Option<[f64; 2]>,
    ) {
        for (i, p) in block.iter_mut().enumerate() {
            if let Some(q) = f(*p) {
                *p = q;
            } else if self.out_of_area == OutOfArea::Error && !bad.get(i) {
                fail(bad, i, PointError::OutsideArea { crs, x: p[0], y: p[1], area: gcj::ACCEPTED_AREA });
            }
        }
    }
}

/// Which points of a block have failed.
#[derive(Debug, Clone, Default)]
struct BadPoints([u64; BLOCK / 64]);

impl BadPoints {
    fn set(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    fn get(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }
}
