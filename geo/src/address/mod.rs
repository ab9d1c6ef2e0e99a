//! Chinese addresses: their parts and their standard form.
//!
//! [`Address::parse`] works by the shape of the text alone (units, suffixes, connectors) and never
//! fails: what it does not understand is kept as [`Address::poi`]. Which roads exist is the
//! affair of [`crate::Gazetteer`].

use std::fmt;
use std::ops::Range;

use serde::Serialize;

pub(crate) mod names;
pub(crate) mod normalise;
mod numbers;
mod parse;

/// What a stretch of the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    Country,
    Province,
    City,
    District,
    /// 街道, 镇 or 乡.
    Street,
    /// 村, 新村, 居委会.
    Village,
    /// 组, 队.
    Group,
    Road,
    /// Another road: of a crossing, or one that is near.
    Crossing,
    /// 路口, 交叉口 and the connectors 与, 近, 出.
    CrossingWord,
    Lane,
    SubLane,
    Number,
    Building,
    /// 单元.
    Unit,
    Floor,
    Room,
    Offset,
    /// Names of places and whatever is not understood.
    Poi,
    /// Commas, brackets.
    Punctuation,
}

/// A stretch of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    pub kind: PartKind,
    /// Bytes of the input. The spans of all parts follow on each other and cover the input.
    pub span: Range<usize>,
    /// In standard form.
    pub text: String,
}

/// A number on a house: `12号`, `12-18号`, `12支3号` (a branch), `12号甲`, `临12号`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct HouseNumber {
    pub first: u32,
    /// The end of a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// 支号, 附号, 之二.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<u32>,
    /// 甲, 乙, 丙, 丁 or a letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<char>,
    /// 临: a provisional number.
    pub provisional: bool,
}

impl fmt::Display for HouseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.provisional {
            f.write_str("临")?;
        }
        write!(f, "{}", self.first)?;
        if let Some(branch) = self.branch {
            write!(f, "支{branch}")?;
        }
        if let Some(last) = self.last {
            write!(f, "-{last}")?;
        }
        f.write_str("号")?;
        self.suffix.map_or(Ok(()), |c| write!(f, "{c}"))
    }
}

/// One of eight directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    North,
    NorthEast,
    East,
    SouthEast,
    South,
    SouthWest,
    West,
    NorthWest,
}

impl Direction {
    /// Degrees clockwise from north.
    pub fn bearing(self) -> f64 {
        f64::from(self as u8) * 45.0
    }

    pub fn zh(self) -> &'static str {
        ["北", "东北", "东", "东南", "南", "西南", "西", "西北"][self as usize]
    }
}

/// 以东约200米. Without a distance: only a side (南侧).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Offset {
    pub direction: Direction,
    pub metres: Option<f64>,
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.metres {
            Some(m) => write!(f, "以{}约{m}米", self.direction.zh()),
            None => write!(f, "{}侧", self.direction.zh()),
        }
    }
}

/// The parts of an address, in standard form. `Display` writes the standard address.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Address {
    /// 省 or 自治区.
    pub province: Option<String>,
    /// With 市.
    pub city: Option<String>,
    /// With 区 or 县; a former district of Shanghai as the present one.
    pub district: Option<String>,
    /// With 街道, 镇 or 乡.
    pub street: Option<String>,
    pub village: Option<String>,
    /// 5组, 3队.
    pub group: Option<String>,
    pub road: Option<String>,
    /// The other roads, in the order of the text: the crossing's, or one that is near.
    pub crossings: Vec<String>,
    pub lane: Option<u32>,
    /// 支弄.
    pub sub_lane: Option<u32>,
    pub number: Option<HouseNumber>,
    /// 3幢, 3号楼, A座.
    pub building: Option<String>,
    /// 2单元.
    pub unit: Option<String>,
    /// 5层, B1层.
    pub floor: Option<String>,
    /// 301室.
    pub room: Option<String>,
    pub offset: Option<Offset>,
    /// Names of places, and all that is not understood.
    pub poi: Option<String>,
    /// Every stretch of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

impl Address {
    /// Never fails: text that is no address becomes the name of a place.
    pub fn parse(input: &str) -> Self {
        parse::parse(input)
    }

    /// True if two roads are named and no house: the place is where they meet.
    pub fn is_crossing(&self) -> bool {
        self.road.is_some() && !self.crossings.is_empty() && self.number.is_none() && self.lane.is_none()
    }

    /// The parts without the stretches of the input: to compare two spellings.
    #[must_use]
    pub fn without_parts(mut self) -> Self {
        self.parts.clear();
        self
    }
}

/// 华隆路路口, but 外环交叉口: 外环路口 would be the corner of another road.
pub(crate) fn crossing_word(road: &str) -> &'static str {
    if road.ends_with(['路', '街', '道']) { "路口" } else { "交叉口" }
}

impl std::str::FromStr for Address {
    type Err = std::convert::Infallible;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        Ok(Self::parse(input))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = [&self.province, &self.city, &self.district, &self.street, &self.village, &self.group, &self.road];
        for part in heads.into_iter().flatten() {
            f.write_str(part)?;
        }
        if let Some(lane) = self.lane {
            write!(f, "{lane}弄")?;
        }
        if let Some(lane) = self.sub_lane {
            write!(f, "{lane}支弄")?;
        }
        if let Some(number) = &self.number {
            write!(f, "{number}")?;
        }
        for part in [&self.building, &self.unit, &self.floor, &self.room].into_iter().flatten() {
            f.write_str(part)?;
        }
        let poi = self.poi.as_deref().unwrap_or("");
        if self.crossings.is_empty() {
            f.write_str(poi)?;
        } else if self.is_crossing() {
            let word = crossing_word(self.crossings.last().map_or("", String::as_str));
            write!(f, "/{}{word}{poi}", self.crossings.join("/"))?;
        } else {
            write!(f, "{poi}近{}", self.crossings.join("/"))?;
        }
        self.offset.map_or(Ok(()), |o| write!(f, "{o}"))
    }
}
