//! Boundaries by date and drawn areas: import with a check, and what is in force.

use super::versions::{self, Kind, Version};
use super::{Geo, problem, put};
use crate::error::{Error, Result};
use crate::store::Store;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use zonglan_catalog::error::ErrorClass;
use zonglan_geo::{
    Crs, GeoError, Level, OutOfArea, ProblemKind, RegionCheck, RegionHistory, RegionSet, RegionVersion,
    transform_geojson,
};

/// How an import is to be taken.
#[derive(Debug, Clone)]
pub struct Import {
    /// Needed where codes do not tell.
    pub level: Option<Level>,
    pub valid_from: Option<NaiveDate>,
    pub source: String,
    pub licence: String,
    pub crs: Crs,
    /// In force in spite of what the check found.
    pub accept_problems: bool,
    /// Only the check.
    pub dry_run: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Described {
    file: String,
    level: Level,
    valid_from: Option<NaiveDate>,
    source: String,
    licence: String,
    regions: usize,
}

/// The outcome of an import.
#[derive(Debug, Clone, Serialize)]
pub struct Imported {
    /// `None`: nothing was put in force.
    pub version: Option<i64>,
    pub level: Level,
    pub valid_from: Option<NaiveDate>,
    pub check: RegionCheck,
    /// In Chinese: what the check found, in one line a kind.
    pub summary: Vec<String>,
    /// True if the findings stand in the way.
    pub blocked: bool,
}

/// Without drawn areas: a set needs a file.
pub fn no_areas() -> Result<RegionSet, GeoError> {
    RegionSet::from_geojson(r#"{"type":"FeatureCollection","features":[]}"#)
}

/// The findings in words, and whether they stand in the way of an import.
fn judge(check: &RegionCheck) -> (Vec<String>, bool) {
    let mut lines = vec![format!("{} 个区划，面积 {:.2} 平方公里", check.regions, check.area_km2)];
    if let Some(coverage) = check.coverage {
        lines.push(format!("覆盖原有范围的 {:.2}%", coverage * 100.0));
    }
    if let Some(outside) = check.outside_km2 {
        lines.push(format!("超出原有范围 {outside:.2} 平方公里"));
    }
    let mut blocked = check.coverage.is_some_and(|c| c < 0.9);
    let kinds = [
        (ProblemKind::Invalid, "边界不合规范", true),
        (ProblemKind::Overlap, "重叠", true),
        (ProblemKind::Gap, "空隙", false),
        (ProblemKind::Sliver, "碎片（过窄的重叠或空隙）", false),
        (ProblemKind::LabelOutside, "标注点在边界外", false),
        (ProblemKind::Missing, "缺少的区划", true),
        (ProblemKind::Moved, "与原有边界相差很大", false),
    ];
    for (kind, name, stops) in kinds {
        let found: Vec<_> = check.problems.iter().filter(|p| p.kind == kind).collect();
        if !found.is_empty() {
            let area: f64 = found.iter().map(|p| p.area_km2).sum();
            lines.push(format!("{name}：{} 处，共 {area:.3} 平方公里", found.len()));
            blocked |= stops;
        }
    }
    (lines, blocked)
}

fn user(error: &GeoError) -> Error {
    Error::user("geo.regions", error.zh())
}

/// Text of a GeoJSON in a system as one in WGS-84.
fn normalised(geo: &Geo, bytes: &[u8], crs: Crs) -> Result<String> {
    let mut object: Json = serde_json::from_slice(bytes)
        .map_err(|e| Error::user("geo.json", format!("不是正确的 GeoJSON (not GeoJSON): {e}")))?;
    let transform = geo.transform(crs, Crs::Wgs84, OutOfArea::Keep).map_err(|e| problem("crs", &e))?;
    if crs != Crs::Wgs84 {
        transform_geojson(&transform, &mut object).map_err(|e| Error::user("geo.json", e.zh()))?;
    }
    Ok(object.to_string())
}

impl Geo {
    pub(super) async fn load_regions(&self, store: &Store) -> Result<()> {
        let mut history = RegionHistory::shipped();
        for version in versions::list(store, Kind::Regions).await?.into_iter().filter(|v| v.state == "active") {
            let described: Described = serde_json::from_value(version.body).map_err(Error::internal)?;
            let path = self.folder("regions")?.join(&described.file);
            let text = std::fs::read_to_string(&path).map_err(Error::internal)?;
            let set = RegionSet::from_geojson(&text)
                .and_then(|s| s.with_facts_of(RegionSet::shanghai()))
                .map_err(|e| Error::internal(e.to_string()))?;
            history.put(RegionVersion {
                level: described.level,
                valid_from: described.valid_from,
                version: version.id.to_string(),
                source: format!("{}（{}）", described.source, described.licence),
                set: Arc::new(set),
            });
        }
        put(&self.regions, Arc::new(history));
        Ok(())
    }

    /// Checks boundaries against those in force on their first day and puts them in force.
    pub async fn import_regions(&self, store: &Store, bytes: &[u8], how: Import, by: &str) -> Result<Imported> {
        let text = normalised(self, bytes, how.crs)?;
        let set = RegionSet::from_geojson(&text)
            .and_then(|s| s.with_facts_of(RegionSet::shanghai()))
            .map_err(|e| user(&e))?;
        if set.is_empty() {
            return Err(Error::user("geo.regions", "文件里没有区划 (no regions)"));
        }
        let level = how.level.or_else(|| set.level()).ok_or_else(|| {
            Error::user("geo.level", "文件里的区划级别不一，请分开导入，或用 level 指明 (mixed levels)")
        })?;
        let day = how.valid_from.unwrap_or(NaiveDate::MIN);
        let history = self.regions();
        let against = history.at(level, day).or_else(|| history.at(Level::District, day)).map(|v| v.set.clone());
        let (set, check) = tokio::task::spawn_blocking(move || {
            let check = set.check(against.as_deref());
            (set, check)
        })
        .await
        .map_err(Error::internal)?;
        let (summary, blocked) = judge(&check);
        let blocked = blocked && !how.accept_problems;
        let mut imported = Imported { version: None, level, valid_from: how.valid_from, check, summary, blocked };
        if how.dry_run || blocked {
            return Ok(imported);
        }
        let file = format!("{}.geojson", crate::operator::random(8).map_err(Error::internal)?);
        let path = self.folder("regions")?.join(&file);
        std::fs::write(&path, &text).and_then(|()| std::fs::File::open(&path)?.sync_all()).map_err(Error::internal)?;
        let described = Described {
            file,
            level,
            valid_from: how.valid_from,
            source: how.source,
            licence: how.licence,
            regions: set.len(),
        };
        let body = serde_json::to_value(&described).map_err(Error::internal)?;
        let version = versions::add(store, Kind::Regions, level.id(), "active", &body, by).await?;
        imported.version = Some(version.id);
        self.load_regions(store).await?;
        Ok(imported)
    }

    /// Takes an import out of force; what was in force before holds again.
    pub async fn withdraw_regions(&self, store: &Store, id: i64, by: &str, remark: &str) -> Result<Version> {
        let version = versions::decide(store, Kind::Regions, id, &["active"], "withdrawn", by, remark).await?;
        self.load_regions(store).await?;
        Ok(version)
    }

    pub(super) async fn load_areas(&self, store: &Store) -> Result<()> {
        let features: Vec<Json> = versions::list(store, Kind::Area)
            .await?
            .into_iter()
            .filter(|v| v.state == "active")
            .map(|mut v| v.body.get_mut("feature").map(Json::take).unwrap_or_default())
            .collect();
        let collection = json!({"type": "FeatureCollection", "features": features}).to_string();
        let set = RegionSet::from_geojson(&collection).map_err(|e| Error::internal(e.to_string()))?;
        put(&self.areas, Arc::new(set));
        Ok(())
    }

    /// Keeps a drawn area: a (multi)polygon in a system, with its name and days.
    pub async fn add_area(
        &self,
        store: &Store,
        name: &str,
        geometry: Json,
        crs: Crs,
        days: (Option<NaiveDate>, Option<NaiveDate>),
        by: &str,
    ) -> Result<Version> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 60 {
            return Err(Error::user("geo.area", "请给区域起一个不超过 60 字的名称 (name)"));
        }
        let code = format!("area-{}", crate::operator::random(6).map_err(Error::internal)?);
        let feature = json!({
            "type": "Feature",
            "properties": {
                "code": code, "name": name, "level": Level::Area.id(),
                "valid_from": days.0, "valid_to": days.1,
            },
            "geometry": geometry,
        });
        let collection = json!({"type": "FeatureCollection", "features": [feature]}).to_string();
        let text = normalised(self, collection.as_bytes(), crs)?;
        let set = RegionSet::from_geojson(&text).map_err(|e| user(&e))?;
        let check = set.check(None);
        if let Some(found) = check.problems.iter().find(|p| p.kind == ProblemKind::Invalid) {
            return Err(Error::new(ErrorClass::User, "geo.area", found.message.clone()));
        }
        let mut collection: Json = serde_json::from_str(&text).map_err(Error::internal)?;
        let body = json!({"feature": collection["features"][0].take(), "area_km2": check.area_km2});
        let version = versions::add(store, Kind::Area, &code, "active", &body, by).await?;
        self.load_areas(store).await?;
        Ok(version)
    }

    /// Takes a drawn area out of force: by its maker or whoever may keep regions.
    pub async fn drop_area(&self, store: &Store, code: &str, by: &str, any: bool) -> Result<()> {
        let all = versions::list(store, Kind::Area).await?;
        let version = all
            .into_iter()
            .find(|v| v.name == code && v.state == "active" && (any || v.made_by == by))
            .ok_or_else(|| Error::not_found("geo.area", format!("没有您可以删除的区域 {code} (no such area)")))?;
        versions::decide(store, Kind::Area, version.id, &["active"], "withdrawn", by, "").await?;
        self.load_areas(store).await
    }
}
