//! Regions from GeoJSON and back.

use std::collections::HashMap;

use chrono::NaiveDate;
use geo::orient::Direction;
use geo::{Coord, LineString, MultiPolygon, Orient, Polygon};
use geojson::{FeatureCollection, GeoJson, GeometryValue, JsonObject, Position};
use serde::Deserialize;

use super::{Level, Predecessor, Region, RegionSet};
use crate::error::GeoError;
use crate::shape::PreparedShape;

/// What is known of a region beside its shape (`data/sh_district_facts.json`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    code: String,
    name: String,
    name_en: String,
    population_2020: u64,
    land_area_km2: f64,
    valid_from: Option<NaiveDate>,
    valid_to: Option<NaiveDate>,
    note: String,
    predecessors: Vec<Predecessor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsFile {
    sources: Vec<String>,
    regions: Vec<Facts>,
}

impl RegionSet {
    pub(super) fn from_parts(shapes: &str, facts: Option<&str>) -> Result<Self, GeoError> {
        let fail = |reason: String| GeoError::Regions(reason);
        let facts: Option<FactsFile> = facts.map(serde_json::from_str).transpose().map_err(|e| fail(e.to_string()))?;
        let (sources, facts) = facts.map_or((vec![], vec![]), |f| (f.sources, f.regions));
        let mut facts: HashMap<String, Facts> = facts.into_iter().map(|f| (f.code.clone(), f)).collect();
        let collection: FeatureCollection = match shapes.parse().map_err(|e: geojson::Error| fail(e.to_string()))? {
            GeoJson::FeatureCollection(c) => c,
            _ => return Err(fail("a FeatureCollection is expected".into())),
        };
        let mut regions = Vec::with_capacity(collection.features.len());
        for (n, feature) in collection.features.into_iter().enumerate() {
            let at = |what: &str| GeoError::Regions(format!("feature {}: {what}", n + 1));
            let properties = feature.properties.unwrap_or_default();
            let code = ["code", "adcode", "CODE", "区划代码", "代码"]
                .into_iter()
                .find_map(|key| text(&properties, key))
                .ok_or_else(|| at("property code is missing"))?;
            let geometry = feature.geometry.ok_or_else(|| at("geometry is missing"))?;
            let shape = match &geometry.value {
                GeometryValue::Polygon { coordinates } => MultiPolygon(vec![polygon(coordinates)]),
                GeometryValue::MultiPolygon { coordinates } => coordinates.iter().map(|rings| polygon(rings)).collect(),
                _ => return Err(at("a Polygon or MultiPolygon is expected")),
            };
            let known = facts.remove(&code);
            regions.push(region(code, &properties, shape, known).map_err(|e| at(&e))?);
        }
        if let Some(code) = facts.keys().next() {
            return Err(fail(format!("no shape for {code}")));
        }
        Self::build(regions, sources)
    }
}

/// Rings of a GeoJSON polygon, outer ring first.
fn polygon(rings: &[Vec<Position>]) -> Polygon<f64> {
    let mut rings = rings.iter().map(|ring| LineString(ring.iter().map(|p| Coord { x: p[0], y: p[1] }).collect()));
    let exterior = rings.next().unwrap_or(LineString(vec![]));
    // Files wind rings either way; areas need outer rings anticlockwise.
    Polygon::new(exterior, rings.collect()).orient(Direction::Default)
}

fn text(properties: &JsonObject, key: &str) -> Option<String> {
    match properties.get(key)? {
        serde_json::Value::String(text) => Some(text.trim().to_owned()),
        // Some files write codes as numbers.
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn date(properties: &JsonObject, key: &str) -> Result<Option<NaiveDate>, String> {
    match text(properties, key).filter(|t| !t.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| format!("{key} is no date such as 2026-01-01: {text}")),
    }
}

fn region(
    code: String,
    properties: &JsonObject,
    shape: MultiPolygon<f64>,
    facts: Option<Facts>,
) -> Result<Region, String> {
    let prepared = PreparedShape::new(&shape).ok_or("the shape has no area")?;
    let b = prepared.bbox;
    if b.west < -180.0 || b.east > 180.0 || b.south < -90.0 || b.north > 90.0 {
        return Err("coordinates are not degrees of longitude and latitude".into());
    }
    let facts = match facts {
        Some(facts) => facts,
        None => Facts {
            code: code.clone(),
            name: ["name", "NAME", "名称", "区划名称"]
                .into_iter()
                .find_map(|key| text(properties, key))
                .ok_or("property name is missing")?,
            name_en: text(properties, "name_en").unwrap_or_default(),
            population_2020: properties.get("population_2020").and_then(|v| v.as_u64()).unwrap_or(0),
            land_area_km2: properties.get("land_area_km2").and_then(|v| v.as_f64()).unwrap_or(0.0),
            valid_from: date(properties, "valid_from")?,
            valid_to: date(properties, "valid_to")?,
            note: String::new(),
            predecessors: vec![],
        },
    };
    let level = text(properties, "level").and_then(|id| Level::from_id(&id));
    let label = properties
        .get("label")
        .and_then(|v| serde_json::from_value::<[f64; 2]>(v.clone()).ok())
        .map_or_else(|| prepared.label_point(), Into::into);
    Ok(Region {
        level: level.unwrap_or_else(|| Level::of_code(&code)),
        code,
        name: facts.name,
        name_en: facts.name_en,
        label,
        population_2020: facts.population_2020,
        land_area_km2: facts.land_area_km2,
        valid_from: facts.valid_from,
        valid_to: facts.valid_to,
        note: facts.note,
        predecessors: facts.predecessors,
        shape,
        prepared,
    })
}

/// A FeatureCollection; days only where they are known.
pub(super) fn write(regions: &[Region]) -> String {
    let features: Vec<_> = regions
        .iter()
        .map(|r| {
            let label = [round6(r.label.0), round6(r.label.1)];
            let mut properties =
                serde_json::json!({"code": r.code, "name": r.name, "name_en": r.name_en, "label": label, "cp": label});
            for (key, day) in [("valid_from", r.valid_from), ("valid_to", r.valid_to)] {
                if let Some(day) = day {
                    properties[key] = serde_json::json!(day);
                }
            }
            serde_json::json!({
                "type": "Feature",
                "id": r.code,
                "properties": properties,
                "geometry": {"type": "MultiPolygon", "coordinates": r.rings().collect::<Vec<_>>()},
            })
        })
        .collect();
    serde_json::json!({"type": "FeatureCollection", "features": features}).to_string()
}

fn round6(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}
