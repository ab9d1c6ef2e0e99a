//! What the program keeps about places beside the library: coordinate systems in force, regions by date,
//! the gazetteer, reviewed addresses.
//!
//! ```text
//! data/geo/crs/*.json        definitions in force that control points gave (also read by the command line)
//! data/geo/regions/*.geojson imported boundaries, a file a version
//! data/geo/gazetteer/*.csv   imported gazetteers, a file a version
//! data/geo/results/          files that conversions made
//! ```

pub mod convert;
pub mod fits;
pub mod jobs;
pub mod pipe;
pub mod places;
pub mod regions;
pub mod sign;
pub mod versions;

use crate::error::{Error, Result};
use crate::store::Store;
use places::Places;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use zonglan_catalog::error::FieldError;
use zonglan_geo::{Crs, CrsRegistry, GeoError, OutOfArea, RegionHistory, RegionSet, Transform};

/// What is in force. A change puts another value in its place whole.
pub struct Geo {
    dir: PathBuf,
    registry: RwLock<Arc<CrsRegistry>>,
    regions: RwLock<Arc<RegionHistory>>,
    areas: RwLock<Arc<RegionSet>>,
    places: RwLock<Option<Arc<Places>>>,
    reviewed: RwLock<Arc<HashMap<String, places::Reviewed>>>,
}

/// Where definitions that control points gave are, below the data directory.
pub fn crs_dir(data: &Path) -> PathBuf {
    data.join("geo/crs")
}

/// The definitions in force in a data directory: the shipped ones overlaid by those of signed fits.
pub fn registry(data: &Path) -> Result<CrsRegistry, GeoError> {
    let dir = crs_dir(data);
    if dir.is_dir() { CrsRegistry::with_dir(&dir) } else { Ok(CrsRegistry::builtin().clone()) }
}

fn read<T: Clone>(slot: &RwLock<T>) -> T {
    slot.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn put<T>(slot: &RwLock<T>, value: T) {
    *slot.write().unwrap_or_else(PoisonError::into_inner) = value;
}

impl Geo {
    /// Reads what the data directory holds.
    pub async fn open(data: &Path, store: &Store) -> anyhow::Result<Self> {
        let dir = data.join("geo");
        let registry = registry(data).map_err(|e| anyhow::anyhow!("{e}"))?;
        jobs::forget_old(&dir);
        let geo = Self {
            registry: RwLock::new(Arc::new(registry)),
            regions: RwLock::new(Arc::new(RegionHistory::shipped())),
            areas: RwLock::new(Arc::new(regions::no_areas().map_err(|e| anyhow::anyhow!("{e}"))?)),
            places: RwLock::new(None),
            reviewed: RwLock::default(),
            dir,
        };
        let load = async {
            geo.load_regions(store).await?;
            geo.load_areas(store).await?;
            geo.load_places(store).await?;
            geo.load_reviews(store).await
        };
        load.await.map_err(|error: Error| anyhow::anyhow!("data/geo: {error}"))?;
        Ok(geo)
    }

    /// A folder of `data/geo`, created where needed.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        std::fs::create_dir_all(&path).map_err(Error::internal)?;
        Ok(path)
    }

    /// The coordinate systems in force.
    pub fn registry(&self) -> Arc<CrsRegistry> {
        read(&self.registry)
    }

    /// The regions of all levels, by date.
    pub fn regions(&self) -> Arc<RegionHistory> {
        read(&self.regions)
    }

    /// The areas that people drew and that are in force.
    pub fn areas(&self) -> Arc<RegionSet> {
        read(&self.areas)
    }

    /// The gazetteer in force.
    pub fn places(&self) -> Result<Arc<Places>> {
        read(&self.places).ok_or_else(|| {
            Error::not_found("geo.no_gazetteer", "还没有导入地名地址库 (no gazetteer)")
                .hint("POST /api/v1/geo/gazetteer，或 zonglan geo gazetteer FILE")
        })
    }

    /// A conversion by the definitions in force.
    pub fn transform(&self, from: Crs, to: Crs, out_of_area: OutOfArea) -> Result<Transform, GeoError> {
        let registry = self.registry();
        Transform::builder(from, to).registry(&registry).out_of_area(out_of_area).build()
    }

    /// A point in a system as WGS-84 degrees.
    pub fn to_wgs84(&self, crs: Crs, x: f64, y: f64) -> Result<(f64, f64)> {
        let transform = self.transform(crs, Crs::Wgs84, OutOfArea::Keep).map_err(|e| problem("crs", &e))?;
        transform.point(x, y).map_err(|e| Error::user("geo.point", e.zh()))
    }
}

/// An error of the library as one of the service, at a field of the input.
pub fn problem(field: &str, error: &GeoError) -> Error {
    if error.is_user_error() {
        let known: Vec<String> = Crs::NAMED.iter().map(ToString::to_string).collect();
        Error::user("geo.crs", error.zh())
            .hint(format!("{} 或 epsg:NNNN", known.join(", ")))
            .fields(vec![FieldError { field: field.into(), message: error.to_string() }])
    } else {
        Error::internal(error.to_string())
    }
}

/// Today in the city.
pub fn today(now: i64) -> chrono::NaiveDate {
    zonglan_catalog::time::to_local(now).date()
}
