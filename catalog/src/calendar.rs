//! Public holidays and make-up working days, as yearly data.

use chrono::{Datelike, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One file of `packs/<system>/calendar/`: a year's days off and make-up working days.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarYear {
    pub year: i32,
    /// The notice of the State Council that sets the days.
    pub basis: String,
    pub off: Vec<NaiveDate>,
    pub work: Vec<NaiveDate>,
}

/// The calendar of all years known.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    off: BTreeSet<NaiveDate>,
    work: BTreeSet<NaiveDate>,
    years: BTreeMap<i32, String>,
}

impl Calendar {
    pub fn new(years: impl IntoIterator<Item = CalendarYear>) -> Self {
        let mut calendar = Self::default();
        for year in years {
            calendar.off.extend(year.off);
            calendar.work.extend(year.work);
            calendar.years.insert(year.year, year.basis);
        }
        calendar
    }

    /// Whether the year's notice is known; without it only weekends count as days off.
    pub fn knows(&self, year: i32) -> bool {
        self.years.contains_key(&year)
    }

    pub fn is_workday(&self, date: NaiveDate) -> bool {
        self.work.contains(&date)
            || (!self.off.contains(&date) && !matches!(date.weekday(), Weekday::Sat | Weekday::Sun))
    }

    /// Days off by the yearly notice (weekends that the notice does not name are not among them).
    pub fn is_holiday(&self, date: NaiveDate) -> bool {
        self.off.contains(&date)
    }
}
