//! Coordinate systems: their ids and the registry of their definitions (`crs/*.json`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::GeoError;
use crate::fit::{BursaWolf, Helmert};
use crate::projection;

/// A coordinate system. As text (`Display`, `FromStr`, serde) it is its id: `wgs84`, `cgcs2000`,
/// `gcj02`, `bd09`, `bd09-mercator`, `web-mercator`, `sh2000`, `shcity` or `epsg:NNNN`; upper case is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Crs {
    Wgs84,
    Cgcs2000,
    Gcj02,
    Bd09,
    Bd09Mercator,
    WebMercator,
    Sh2000,
    ShCity,
    Epsg(u32),
}

/// In which order the two numbers of a point come. It is the same for every system of a kind:
/// what an authority or a surveyor prescribes (EPSG:4326 and EPSG:4490 latitude first, Chinese
/// plane coordinates X = north) is normalised to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisOrder {
    /// x = longitude, y = latitude, degrees.
    LonLat,
    /// x = east, y = north, metres unless the EPSG system has another unit.
    EastNorth,
}

impl Crs {
    /// The systems with a definition file, in the order of menus.
    pub const NAMED: [Crs; 8] = [
        Crs::Wgs84,
        Crs::Cgcs2000,
        Crs::Gcj02,
        Crs::Bd09,
        Crs::Bd09Mercator,
        Crs::WebMercator,
        Crs::Sh2000,
        Crs::ShCity,
    ];

    /// True if points are degrees of longitude and latitude. Asks PROJ's database for an EPSG
    /// code; false for a code that it does not know.
    pub fn is_geographic(self) -> bool {
        match self.canonical() {
            Crs::Wgs84 | Crs::Cgcs2000 | Crs::Gcj02 | Crs::Bd09 => true,
            Crs::Bd09Mercator | Crs::WebMercator | Crs::Sh2000 | Crs::ShCity => false,
            Crs::Epsg(code) => projection::epsg_is_geographic(code),
        }
    }

    /// The order of a point's numbers here; see [`AxisOrder`].
    pub fn axis_order(self) -> AxisOrder {
        if self.is_geographic() { AxisOrder::LonLat } else { AxisOrder::EastNorth }
    }

    /// EPSG codes of systems that have a name here, as that name: they need no PROJ.
    pub(crate) fn canonical(self) -> Crs {
        match self {
            Crs::Epsg(4326) => Crs::Wgs84,
            Crs::Epsg(4490) => Crs::Cgcs2000,
            Crs::Epsg(3857) => Crs::WebMercator,
            other => other,
        }
    }

    /// True if the system stands on CGCS2000 rather than on WGS-84.
    pub(crate) fn on_cgcs2000(self) -> bool {
        matches!(self, Crs::Cgcs2000 | Crs::Sh2000 | Crs::ShCity)
    }

    fn name(self) -> &'static str {
        match self {
            Crs::Wgs84 => "wgs84",
            Crs::Cgcs2000 => "cgcs2000",
            Crs::Gcj02 => "gcj02",
            Crs::Bd09 => "bd09",
            Crs::Bd09Mercator => "bd09-mercator",
            Crs::WebMercator => "web-mercator",
            Crs::Sh2000 => "sh2000",
            Crs::ShCity => "shcity",
            Crs::Epsg(_) => "epsg",
        }
    }
}

impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Crs::Epsg(code) => write!(f, "epsg:{code}"),
            named => f.pad(named.name()),
        }
    }
}

impl FromStr for Crs {
    type Err = GeoError;

    fn from_str(text: &str) -> Result<Self, GeoError> {
        let id = text.trim().to_ascii_lowercase();
        if let Some(crs) = Crs::NAMED.into_iter().find(|c| c.name() == id) {
            return Ok(crs);
        }
        id.strip_prefix("epsg:")
            .filter(|code| !code.is_empty() && code.len() <= 8)
            .filter(|code| code.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|code| code.parse().ok())
            .map(Crs::Epsg)
            .ok_or_else(|| GeoError::UnknownCrs(text.trim().to_owned()))
    }
}

impl Serialize for Crs {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Crs {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether the definition of a system is confirmed. Answers carry it; signed exports refuse
/// what is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    #[serde(rename = "verified")]
    Verified,
    #[serde(rename = "未经官方确认")]
    Unverified,
}

/// How points of a system become longitude and latitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    Geographic,
    Gcj02,
    Bd09,
    Bd09Mercator,
    WebMercator,
    /// By the PROJ string in `definition`: one projection step from longitude and latitude on CGCS2000.
    Proj,
}

/// What control points add to a definition by PROJ string.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ControlFit {
    /// From the plane of the PROJ string to the plane of the points.
    Helmert(Helmert),
    /// From CGCS2000 to the ellipsoid of the PROJ string, geocentric.
    BursaWolf(BursaWolf),
}

/// A definition file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrsDefinition {
    pub id: Crs,
    /// Counts changes of the definition; part of [`crate::TransformInfo::version`].
    pub version: u32,
    pub name_zh: String,
    pub name_en: String,
    pub method: Method,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Fitted to control points and signed off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<ControlFit>,
    /// `lon,lat` or `east,north`: what this library takes and gives.
    pub axes: String,
    /// `degree` or `metre`.
    pub unit: String,
    pub status: Status,
    /// Expected error in metres; null if not known.
    pub accuracy_m: Option<f64>,
    /// West, south, east, north in degrees: where the system is meant to be used.
    pub bounds: [f64; 4],
    /// Where the definition comes from and what it is good for.
    pub source: String,
}

impl CrsDefinition {
    /// The ellipsoid of a definition by PROJ string.
    pub fn ellipsoid(&self) -> Option<crate::datum::Ellipsoid> {
        let (a, rf) = crate::gauss::ellipsoid_of(self.definition.as_deref()?)?;
        Some(crate::datum::Ellipsoid { a, rf })
    }

    fn parse(name: &str, json: &str) -> Result<Self, GeoError> {
        let fail = |reason: String| GeoError::Definition { name: name.to_owned(), reason };
        let def: Self = serde_json::from_str(json).map_err(|e| fail(e.to_string()))?;
        let expected = match def.id {
            Crs::Wgs84 | Crs::Cgcs2000 => Method::Geographic,
            Crs::Gcj02 => Method::Gcj02,
            Crs::Bd09 => Method::Bd09,
            Crs::Bd09Mercator => Method::Bd09Mercator,
            Crs::WebMercator => Method::WebMercator,
            Crs::Sh2000 | Crs::ShCity => Method::Proj,
            Crs::Epsg(_) => {
                return Err(fail("an EPSG system is defined by PROJ's database, not by a file".into()));
            }
        };
        if def.method != expected {
            return Err(fail(format!("method of {} cannot be {:?}", def.id, def.method)));
        }
        match (def.method, &def.definition) {
            (Method::Proj, Some(text)) if text.starts_with("+proj=") => {}
            (Method::Proj, _) => {
                return Err(fail("definition must be a PROJ string beginning with +proj=".into()));
            }
            (_, Some(_)) => {
                return Err(fail(format!("{} takes no definition", def.id)));
            }
            (_, None) => {}
        }
        if def.fit.is_some() && def.method != Method::Proj {
            return Err(fail(format!("{} takes no fit", def.id)));
        }
        let [west, south, east, north] = def.bounds;
        if !(west < east && south < north) {
            return Err(fail("bounds are west, south, east, north in degrees".into()));
        }
        if def.axes != if def.unit == "degree" { "lon,lat" } else { "east,north" } {
            return Err(fail("axes must be lon,lat with degree or east,north with metre".into()));
        }
        Ok(def)
    }
}

/// The definitions in force: those of the program, overlaid by files of the installation (a city
/// that has fitted control points puts its own `sh2000.json` there).
#[derive(Debug, Clone)]
pub struct CrsRegistry {
    defs: BTreeMap<Crs, Arc<CrsDefinition>>,
}

static BUILTIN: LazyLock<CrsRegistry> = LazyLock::new(|| {
    let files = [
        ("wgs84.json", include_str!("../crs/wgs84.json")),
        ("cgcs2000.json", include_str!("../crs/cgcs2000.json")),
        ("gcj02.json", include_str!("../crs/gcj02.json")),
        ("bd09.json", include_str!("../crs/bd09.json")),
        ("bd09-mercator.json", include_str!("../crs/bd09-mercator.json")),
        ("web-mercator.json", include_str!("../crs/web-mercator.json")),
        ("sh2000.json", include_str!("../crs/sh2000.json")),
        ("shcity.json", include_str!("../crs/shcity.json")),
    ];
    let defs = files
        .into_iter()
        .map(|(name, json)| {
            let def = CrsDefinition::parse(name, json).expect("shipped definitions are tested");
            (def.id, Arc::new(def))
        })
        .collect();
    CrsRegistry { defs }
});

impl CrsRegistry {
    /// The shipped definitions.
    pub fn builtin() -> &'static CrsRegistry {
        &BUILTIN
    }

    /// The shipped definitions overlaid by the `*.json` files of a folder.
    pub fn with_dir(dir: &Path) -> Result<Self, GeoError> {
        let fail = |name: &Path, e: std::io::Error| GeoError::Definition {
            name: name.display().to_string(),
            reason: e.to_string(),
        };
        let mut registry = BUILTIN.clone();
        for entry in std::fs::read_dir(dir).map_err(|e| fail(dir, e))? {
            let path = entry.map_err(|e| fail(dir, e))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                let json = std::fs::read_to_string(&path).map_err(|e| fail(&path, e))?;
                let def = CrsDefinition::parse(&path.display().to_string(), &json)?;
                registry.defs.insert(def.id, Arc::new(def));
            }
        }
        Ok(registry)
    }

    /// The same with another definition of a system, checked.
    pub fn with(&self, definition: CrsDefinition) -> Result<Self, GeoError> {
        let json = serde_json::to_string(&definition)
            .map_err(|e| GeoError::Definition { name: definition.id.to_string(), reason: e.to_string() })?;
        let definition = CrsDefinition::parse(&definition.id.to_string(), &json)?;
        let mut registry = self.clone();
        registry.defs.insert(definition.id, Arc::new(definition));
        Ok(registry)
    }

    /// The definition of a named system; none for EPSG codes without a name here.
    pub fn get(&self, crs: Crs) -> Option<&Arc<CrsDefinition>> {
        self.defs.get(&crs.canonical())
    }

    /// All definitions, in the order of menus.
    pub fn iter(&self) -> impl Iterator<Item = &CrsDefinition> {
        self.defs.values().map(|d| &**d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip() {
        for crs in Crs::NAMED.into_iter().chain([Crs::Epsg(4527), Crs::Epsg(4326)]) {
            let id = crs.to_string();
            assert_eq!(id.parse::<Crs>().unwrap(), crs);
            assert_eq!(id.to_uppercase().parse::<Crs>().unwrap(), crs);
            let json = serde_json::to_string(&crs).unwrap();
            assert_eq!(json, format!("\"{id}\""));
            assert_eq!(serde_json::from_str::<Crs>(&json).unwrap(), crs);
        }
        for bad in ["", "wgs", "epsg:", "epsg:-1", "epsg:+1", "epsg:4326x", "epsg:99999999999", "4326"] {
            let e = bad.parse::<Crs>().unwrap_err();
            assert!(e.is_user_error() && e.to_string().contains("epsg:NNNN"), "{bad}: {e}");
        }
    }

    #[test]
    fn shipped_definitions_are_complete() {
        let registry = CrsRegistry::builtin();
        assert_eq!(registry.iter().map(|d| d.id).collect::<Vec<_>>(), Crs::NAMED);
        for crs in Crs::NAMED {
            let def = registry.get(crs).unwrap();
            assert_eq!(def.unit == "degree", crs.is_geographic(), "{crs}");
        }
        assert_eq!(registry.get(Crs::Sh2000).unwrap().status, Status::Unverified);
    }

    #[test]
    fn a_folder_overlays_definitions_and_bad_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut def = (**CrsRegistry::builtin().get(Crs::Sh2000).unwrap()).clone();
        def.version = 2;
        def.status = Status::Verified;
        let json = serde_json::to_string(&def).unwrap();
        std::fs::write(dir.path().join("sh2000.json"), &json).unwrap();
        let registry = CrsRegistry::with_dir(dir.path()).unwrap();
        assert_eq!(**registry.get(Crs::Sh2000).unwrap(), def);
        assert_eq!(registry.get(Crs::ShCity), CrsRegistry::builtin().get(Crs::ShCity));

        std::fs::write(dir.path().join("x.json"), json.replace("\"version\"", "\"vers\"")).unwrap();
        let e = CrsRegistry::with_dir(dir.path()).unwrap_err().to_string();
        assert!(e.contains("x.json") && e.contains("vers"), "{e}");
    }
}
