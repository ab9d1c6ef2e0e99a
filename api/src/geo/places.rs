//! The gazetteer in force, its import, and what people decided about addresses that were not sure.

use super::versions::{self, Kind};
use super::{Geo, put, read};
use crate::error::{Error, Result};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use zonglan_geo::{BadRow, Gazetteer, Match, MatchLevel, StreamSummary, Transform};

/// Below this a person should look at an answer.
pub const SURE: f64 = 0.8;

/// The city whose name begins its standard addresses.
const CITY: &str = "上海市";

/// A gazetteer and where it comes from.
pub struct Places {
    pub gazetteer: Gazetteer,
    pub version: i64,
    pub source: String,
}

/// What somebody decided that an address means.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reviewed {
    pub address: String,
    pub district: String,
    pub street: String,
    pub road: String,
    pub lon: f64,
    pub lat: f64,
    pub by: String,
}

/// What an import says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Described {
    file: String,
    source: String,
    rows: u64,
    bad: u64,
}

/// An import's outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Imported {
    pub version: i64,
    #[serde(flatten)]
    pub summary: StreamSummary,
    /// The first of the rows passed by.
    pub errors: Vec<BadRow>,
    pub roads: usize,
}

/// Bad rows that an answer shows.
const SHOWN: usize = 100;

impl Geo {
    pub(super) async fn load_places(&self, store: &Store) -> Result<()> {
        let Some(last) = versions::list(store, Kind::Gazetteer).await?.into_iter().rfind(|v| v.state == "active")
        else {
            return Ok(());
        };
        let described: Described = serde_json::from_value(last.body).map_err(Error::internal)?;
        let path = self.folder("gazetteer")?.join(&described.file);
        let (gazetteer, _, _) = read_file(path).await?;
        put(&self.places, Some(Arc::new(Places { gazetteer, version: last.version, source: described.source })));
        Ok(())
    }

    /// Puts a gazetteer file (places in WGS-84 or converted by `to_wgs84`) in force and keeps it.
    pub async fn import_places(
        &self,
        store: &Store,
        file: &Path,
        to_wgs84: Transform,
        source: &str,
        by: &str,
    ) -> Result<Imported> {
        let folder = self.folder("gazetteer")?;
        let from = file.to_path_buf();
        let work = move || {
            let mut errors = Vec::new();
            let note = |bad: BadRow| {
                if errors.len() < SHOWN {
                    errors.push(bad);
                }
            };
            let (gazetteer, summary) = zonglan_ingest::read_gazetteer(&from, CITY, &to_wgs84, note)?;
            // Kept with places in WGS-84, so that a later change of a definition moves nothing.
            let kept = tempfile::NamedTempFile::new_in(&folder).map_err(Error::internal)?;
            write_csv(&gazetteer, kept.as_file()).map_err(Error::internal)?;
            kept.as_file().sync_all().map_err(Error::internal)?;
            let name = format!("{}.csv", crate::operator::random(8).map_err(Error::internal)?);
            kept.persist(folder.join(&name)).map_err(|e| Error::internal(e.error))?;
            Ok::<_, Error>((gazetteer, summary, errors, name))
        };
        let (gazetteer, summary, errors, file) = tokio::task::spawn_blocking(work).await.map_err(Error::internal)??;
        let described = Described { file, source: source.to_string(), rows: summary.converted, bad: summary.bad };
        let body = serde_json::to_value(&described).map_err(Error::internal)?;
        let version = versions::add(store, Kind::Gazetteer, "main", "active", &body, by).await?.version;
        let roads = gazetteer.roads();
        put(&self.places, Some(Arc::new(Places { gazetteer, version, source: described.source })));
        crate::memory::give_back();
        Ok(Imported { version, summary, errors, roads })
    }

    pub(super) async fn load_reviews(&self, store: &Store) -> Result<()> {
        let mut reviewed = HashMap::new();
        for version in versions::list(store, Kind::Review).await?.into_iter().filter(|v| v.state == "active") {
            reviewed.insert(version.name, serde_json::from_value(version.body).map_err(Error::internal)?);
        }
        put(&self.reviewed, Arc::new(reviewed));
        Ok(())
    }

    /// Keeps what an address means from now on.
    pub async fn review(&self, store: &Store, query: &str, decided: Reviewed) -> Result<()> {
        let by = decided.by.clone();
        let body = serde_json::to_value(&decided).map_err(Error::internal)?;
        versions::add(store, Kind::Review, query.trim(), "active", &body, &by).await?;
        self.load_reviews(store).await
    }

    /// Places of an address, the likeliest first: what somebody decided about this text, or what the
    /// gazetteer finds.
    pub fn geocode(&self, places: &Places, query: &str) -> Vec<Match> {
        let mut found = places.gazetteer.geocode(query);
        if let Some(r) = read(&self.reviewed).get(query.trim()) {
            found.retain(|m| m.address != r.address);
            found.insert(
                0,
                Match {
                    address: r.address.clone(),
                    district: r.district.clone(),
                    street: r.street.clone(),
                    road: r.road.clone(),
                    lon: r.lon,
                    lat: r.lat,
                    level: MatchLevel::Number,
                    confidence: 1.0,
                    explanation: format!("人工复核（{}）确认", r.by),
                },
            );
        }
        found
    }
}

async fn read_file(path: std::path::PathBuf) -> Result<(Gazetteer, StreamSummary, Vec<BadRow>)> {
    let work = move || {
        let same = Transform::new(zonglan_geo::Crs::Wgs84, zonglan_geo::Crs::Wgs84)
            .map_err(|e| Error::internal(e.to_string()))?;
        let mut errors = Vec::new();
        let (gazetteer, summary) = zonglan_ingest::read_gazetteer(&path, CITY, &same, |bad| errors.push(bad))?;
        Ok((gazetteer, summary, errors))
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn write_csv(gazetteer: &Gazetteer, file: &std::fs::File) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "address,district,street,road,lane,number,lon,lat")?;
    let quote = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_string()
        }
    };
    for row in gazetteer.rows() {
        writeln!(
            out,
            "{},{},{},{},{},{},{:.7},{:.7}",
            quote(&row.address),
            quote(&row.district),
            quote(&row.street),
            quote(&row.road),
            row.lane,
            row.number,
            row.lon,
            row.lat
        )?;
    }
    out.flush()
}
