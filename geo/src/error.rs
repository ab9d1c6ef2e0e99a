//! What can be wrong with a request and what with a single point.

use std::path::PathBuf;

use crate::units::BBox;

/// A transform or a region set could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeoError {
    #[error(
        "unknown coordinate system \"{0}\": use wgs84, cgcs2000, gcj02, bd09, bd09-mercator, web-mercator, sh2000, shcity or epsg:NNNN"
    )]
    UnknownCrs(String),
    #[error("PROJ knows no transformation from {from} to {to}: {reason}")]
    NoTransform { from: String, to: String, reason: String },
    #[error("definition of the coordinate system {name}: {reason}")]
    Definition { name: String, reason: String },
    #[error("PROJ's database at {}: {reason}; name a writable folder with ZONGLAN_CACHE_DIR", path.display())]
    Database { path: PathBuf, reason: String },
    #[error("regions: {0}")]
    Regions(String),
    #[error("address \"{address}\": {reason}")]
    Address { address: String, reason: String },
    #[error("fit of control points: {0}")]
    Fit(String),
}

impl GeoError {
    /// True if the caller's input is at fault (an unknown system), false if the installation is.
    pub fn is_user_error(&self) -> bool {
        matches!(self, Self::UnknownCrs(_) | Self::NoTransform { .. } | Self::Address { .. } | Self::Fit(_))
    }

    /// For page users.
    pub fn zh(&self) -> String {
        match self {
            Self::UnknownCrs(id) => format!(
                "不认识的坐标系「{id}」：请用 wgs84、cgcs2000、gcj02、bd09、bd09-mercator、web-mercator、sh2000、shcity 或 epsg:编号"
            ),
            Self::NoTransform { from, to, .. } => format!("PROJ 没有从 {from} 到 {to} 的转换"),
            Self::Definition { name, reason } => format!("坐标系 {name} 的定义有误：{reason}"),
            Self::Database { path, reason } => {
                format!("PROJ 数据库 {} 不可用：{reason}", path.display())
            }
            Self::Regions(reason) => format!("区划数据有误：{reason}"),
            Self::Address { address, reason } => format!("地址「{address}」不能导入：{reason}"),
            Self::Fit(reason) => format!("控制点求解失败：{reason}"),
        }
    }
}

/// Why one point has no answer; the others of its batch are not affected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    #[error("not a finite number")]
    NotFinite,
    #[error(
        "({lon}, {lat}) are not degrees of longitude and latitude; are the columns swapped, or is the system projected?"
    )]
    NotDegrees { lon: f64, lat: f64 },
    #[error("({x}, {y}) lies outside the area of {crs} ({} to {} E, {} to {} N)", area.west, area.east, area.south, area.north)]
    OutsideArea { crs: &'static str, x: f64, y: f64, area: BBox },
    #[error("{expected} expected: this system is not in {given}")]
    WrongKind { expected: &'static str, given: &'static str },
    #[error("the projection has no answer for ({x}, {y}): {reason}")]
    Projection { x: f64, y: f64, reason: String },
}

impl PointError {
    /// A stable name for reports and clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFinite => "not_finite",
            Self::NotDegrees { .. } => "not_degrees",
            Self::OutsideArea { .. } => "outside_area",
            Self::WrongKind { .. } => "wrong_kind",
            Self::Projection { .. } => "projection",
        }
    }

    /// For page users.
    pub fn zh(&self) -> String {
        match self {
            Self::NotFinite => "坐标不是有效的数".into(),
            Self::NotDegrees { lon, lat } => {
                format!("({lon}, {lat}) 不是经纬度：请检查两列是否颠倒，或坐标系是否为平面坐标")
            }
            Self::OutsideArea { crs, x, y, .. } => format!("({x}, {y}) 不在 {crs} 的适用范围内"),
            Self::WrongKind { .. } => "坐标的单位与坐标系不符：一个是度，一个是米".into(),
            Self::Projection { x, y, .. } => format!("({x}, {y}) 在该投影中没有对应的位置"),
        }
    }
}
