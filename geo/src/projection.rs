//! Steps done by PROJ. Its objects belong to the thread that made them, so a step is a recipe and
//! each thread keeps the few objects that it used last.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proj::{Proj, ProjBuilder, ProjError};

use crate::error::{GeoError, PointError};
use crate::gauss;
use crate::proj_db;

/// What to ask PROJ for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Recipe {
    /// Between two systems of the EPSG database, axes normalised to x = lon/east, y = lat/north.
    Epsg { from: u32, to: u32 },
    /// One projection given as PROJ string: from degrees (forward) or to degrees (inverse).
    Plane { definition: String, inverse: bool },
}

/// Objects kept per thread; each holds a database connection.
const KEPT: usize = 16;

/// PROJ shares state between contexts when they are made and freed.
static SHARED_STATE: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, ()> {
    SHARED_STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A PROJ object that is freed under the lock.
struct Held(ManuallyDrop<Proj>);

impl Drop for Held {
    fn drop(&mut self) {
        let _guard = lock();
        // SAFETY: dropped here only, and `self` is not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.0) }
    }
}

thread_local! {
    /// Most recently used last.
    static OBJECTS: RefCell<Vec<(Recipe, Rc<Held>)>> = const { RefCell::new(Vec::new()) };
}

impl Recipe {
    /// Makes the object, so that an impossible recipe fails now and not at its first point.
    /// Returns the accuracy that PROJ states, in metres, if it states one.
    pub(crate) fn check(&self) -> Result<Option<f64>, GeoError> {
        let object = self.object()?;
        let accuracy = object.0.proj_info().accuracy;
        Ok((accuracy >= 0.0).then_some(accuracy))
    }

    /// Converts points in place. A point without answer gets its error in `fail` and stays.
    pub(crate) fn run(
        &self,
        points: &mut [[f64; 2]],
        skip: impl Fn(usize) -> bool,
        mut fail: impl FnMut(usize, PointError),
    ) {
        let object = match self.object() {
            Ok(object) => object,
            Err(e) => {
                // The recipe worked when the transform was made: the machine ran out of something.
                for (i, p) in points.iter().enumerate() {
                    fail(i, PointError::Projection { x: p[0], y: p[1], reason: e.to_string() });
                }
                return;
            }
        };
        let direct = self.direct();
        for (i, p) in points.iter_mut().enumerate() {
            if skip(i) {
                continue;
            }
            let own = match &direct {
                Some((zone, false)) => zone.forward(*p),
                Some((zone, true)) => zone.inverse(*p),
                None => None,
            };
            if let Some(q) = own {
                *p = q;
                continue;
            }
            match object.0.convert((p[0], p[1])) {
                Ok((x, y)) if x.is_finite() && y.is_finite() => *p = [x, y],
                Ok(_) => {
                    let reason = "outside the domain of the projection".into();
                    fail(i, PointError::Projection { x: p[0], y: p[1], reason });
                }
                Err(e) => {
                    let reason = match e {
                        ProjError::Conversion(m) | ProjError::Projection(m) => m,
                        other => other.to_string(),
                    };
                    fail(i, PointError::Projection { x: p[0], y: p[1], reason });
                }
            }
        }
    }

    /// The transverse Mercator of a conversion that needs no PROJ, and whether it is the way back;
    /// PROJ takes longitude and latitude as equal on CGCS2000 and WGS-84.
    fn direct(&self) -> Option<(gauss::Zone, bool)> {
        match self {
            Recipe::Epsg { from: 4326 | 4490, to } => Some((gauss::zone(*to)?, false)),
            Recipe::Epsg { from, to: 4326 | 4490 } => Some((gauss::zone(*from)?, true)),
            Recipe::Plane { definition, inverse } => Some((gauss::of_definition(definition)?, *inverse)),
            Recipe::Epsg { .. } => None,
        }
    }

    fn object(&self) -> Result<Rc<Held>, GeoError> {
        let known = OBJECTS.with_borrow_mut(|kept| {
            let at = kept.iter().position(|(recipe, _)| recipe == self)?;
            let entry = kept.remove(at);
            let object = Rc::clone(&entry.1);
            kept.push(entry);
            Some(object)
        });
        if let Some(object) = known {
            return Ok(object);
        }
        let object = Rc::new(self.make()?);
        // Freed outside the borrow.
        let _oldest = OBJECTS.with_borrow_mut(|kept| {
            kept.push((self.clone(), Rc::clone(&object)));
            (kept.len() > KEPT).then(|| kept.remove(0))
        });
        Ok(object)
    }

    fn make(&self) -> Result<Held, GeoError> {
        let _guard = lock();
        proj_db::ensure()?;
        let (made, from, to) = match self {
            Recipe::Epsg { from, to } => {
                let (from, to) = (format!("EPSG:{from}"), format!("EPSG:{to}"));
                (ProjBuilder::new().proj_known_crs(&from, &to, None), from, to)
            }
            Recipe::Plane { definition, inverse } => {
                let pipeline = if *inverse {
                    format!("+proj=pipeline +step +inv {definition} +step +proj=unitconvert +xy_in=rad +xy_out=deg")
                } else {
                    format!("+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step {definition}")
                };
                let (from, to) = ("cgcs2000".to_owned(), definition.clone());
                (ProjBuilder::new().proj(&pipeline), from, to)
            }
        };
        made.map(|p| Held(ManuallyDrop::new(p))).map_err(|e| GeoError::NoTransform { from, to, reason: e.to_string() })
    }
}

/// Whether an EPSG code names a geographic system (its WKT says so); false if it is unknown.
pub(crate) fn epsg_is_geographic(code: u32) -> bool {
    static KNOWN: Mutex<Option<HashMap<u32, bool>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(answer) = known.get(&code) {
        return *answer;
    }
    let _guard = lock();
    if proj_db::ensure().is_err() {
        return false;
    }
    let answer = ProjBuilder::new()
        .proj(&format!("EPSG:{code}"))
        .ok()
        .and_then(|p| p.as_wkt(None, None).ok())
        .is_some_and(|wkt| wkt.starts_with("GEOGCRS"));
    // Callers may try any number: remember a bounded lot.
    if known.len() < 10_000 {
        known.insert(code, answer);
    }
    answer
}

/// The version of PROJ, as it tells it.
pub(crate) fn library_version() -> String {
    let _guard = lock();
    ProjBuilder::new().lib_info().map_or_else(|_| proj_db::version().to_owned(), |i| i.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mercator;

    fn run(recipe: &Recipe, points: &[[f64; 2]]) -> Vec<[f64; 2]> {
        let mut done = points.to_vec();
        recipe.run(&mut done, |_| false, |i, e| panic!("{i}: {e}"));
        done
    }

    #[test]
    fn our_web_mercator_is_that_of_proj() {
        let degrees: Vec<[f64; 2]> =
            (0..2_000).map(|i| [f64::from(i) * 0.179_3 - 179.0, f64::from(i) * 0.084_9 - 85.0]).collect();
        let metres = run(&Recipe::Epsg { from: 4326, to: 3857 }, &degrees);
        for (p, m) in degrees.iter().zip(&metres) {
            let ours = mercator::forward(*p);
            assert!((ours[0] - m[0]).abs() < 1e-6 && (ours[1] - m[1]).abs() < 1e-6, "{ours:?} {m:?}");
            let back = mercator::inverse(*m);
            assert!((back[0] - p[0]).abs() < 1e-11 && (back[1] - p[1]).abs() < 1e-11, "{back:?} {p:?}");
        }
    }

    /// What PROJ says, whatever we can do ourselves.
    fn by_proj(recipe: &Recipe, p: [f64; 2]) -> [f64; 2] {
        recipe.object().unwrap().0.convert((p[0], p[1])).unwrap().into()
    }

    #[test]
    fn our_gauss_kruger_is_that_of_proj() {
        for (code, meridian) in
            [(4491, 75.0), (4501, 135.0), (4509, 117.0), (4513, 75.0), (4527, 117.0), (4549, 120.0), (4554, 135.0)]
        {
            for hub in [4490, 4326] {
                let forward = Recipe::Epsg { from: hub, to: code };
                let back = Recipe::Epsg { from: code, to: hub };
                let (zone, false) = forward.direct().unwrap() else { panic!("forward") };
                for i in 0..400 {
                    let f = f64::from(i);
                    let p = [meridian - 9.9 + (f * 0.731) % 19.8, -60.0 + (f * 1.37) % 148.0];
                    let (ours, theirs) = (zone.forward(p).unwrap(), by_proj(&forward, p));
                    assert!(
                        (ours[0] - theirs[0]).abs() < 2e-8 && (ours[1] - theirs[1]).abs() < 2e-8,
                        "{code} {p:?} {ours:?} {theirs:?}"
                    );
                    // The way back asks for no more longitude than the equator's ten degrees have metres.
                    if let Some(q) = zone.inverse(theirs) {
                        let theirs = by_proj(&back, theirs);
                        assert!(
                            (q[0] - theirs[0]).abs() < 1e-12 / p[1].to_radians().cos()
                                && (q[1] - theirs[1]).abs() < 1e-12,
                            "{code} {p:?} {q:?} {theirs:?}"
                        );
                    }
                }
            }
        }
        assert_eq!(gauss::zone(4490), None);
        assert_eq!(gauss::zone(4555), None);
    }

    #[test]
    fn our_city_planes_are_those_of_proj() {
        for definition in [
            "+proj=tmerc +lat_0=0 +lon_0=121.46444444444444 +k=1 +x_0=-257.85859273 +y_0=-3457087.73141366 +a=6378153.3398 +rf=298.257222101",
            "+proj=tmerc +lat_0=0 +lon_0=121.4671519444444 +k=1 +x_0=8 +y_0=-3457143.04 +ellps=krass",
            "+proj=tmerc +lat_0=31.235434 +lon_0=121.467163 +k=0.9999 +ellps=WGS84",
        ] {
            let there = Recipe::Plane { definition: definition.into(), inverse: false };
            let back = Recipe::Plane { definition: definition.into(), inverse: true };
            assert!(there.direct().is_some() && back.direct().is_some());
            for i in 0..200 {
                let p = [119.0 + f64::from(i) * 0.025, 29.0 + f64::from(i % 17) * 0.3];
                let (ours, theirs) = (run(&there, &[p])[0], by_proj(&there, p));
                assert!(
                    (ours[0] - theirs[0]).abs() < 2e-8 && (ours[1] - theirs[1]).abs() < 2e-8,
                    "{ours:?} {theirs:?}"
                );
                let again = run(&back, &[ours])[0];
                assert!((again[0] - p[0]).abs() < 1e-12 && (again[1] - p[1]).abs() < 1e-12, "{again:?} {p:?}");
            }
        }
        assert!(gauss::of_definition("+proj=tmerc +lon_0=121 +ellps=krass +towgs84=1,2,3").is_none());
        assert!(gauss::of_definition("+proj=lcc +lat_1=30 +lat_2=32").is_none());
    }

    #[test]
    fn the_database_belongs_to_the_library() {
        let version = library_version();
        assert!(version.starts_with("9."), "{version}");
        assert!(proj_db::version().is_empty() || proj_db::version() == version);
    }
}
