//! Types that keep degrees and metres apart.

use serde::{Deserialize, Serialize};

use crate::error::PointError;

/// Mean radius of the Earth in metres (IUGG), for distances on the sphere.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A geographic position in degrees, longitude first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LonLat {
    /// Degrees east, -180 to 180.
    pub lon: f64,
    /// Degrees north, -90 to 90.
    pub lat: f64,
}

impl LonLat {
    /// Checked: finite, longitude within ±180, latitude within ±90.
    pub fn new(lon: f64, lat: f64) -> Result<Self, PointError> {
        check_degrees(lon, lat)?;
        Ok(Self { lon, lat })
    }

    /// Distance in metres on the sphere (haversine; up to 0.5 % off the ellipsoid).
    pub fn distance_m(self, other: Self) -> f64 {
        let d_lat = (other.lat - self.lat).to_radians();
        let d_lon = (other.lon - self.lon).to_radians();
        let h = (d_lat / 2.0).sin().powi(2)
            + self.lat.to_radians().cos() * other.lat.to_radians().cos() * (d_lon / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS_M * h.sqrt().min(1.0).asin()
    }
}

/// A plane position in metres (or the unit of the projected system), east first. Surveyors'
/// files name north X and east Y: swap them before they come here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EastNorth {
    pub east: f64,
    pub north: f64,
}

impl EastNorth {
    /// Checked: finite.
    pub fn new(east: f64, north: f64) -> Result<Self, PointError> {
        if east.is_finite() && north.is_finite() { Ok(Self { east, north }) } else { Err(PointError::NotFinite) }
    }

    /// Distance in the plane, in its unit.
    pub fn distance(self, other: Self) -> f64 {
        (other.east - self.east).hypot(other.north - self.north)
    }
}

/// A position of either kind; [`crate::Transform::apply`] refuses the kind that does not fit its system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    Geographic(LonLat),
    Projected(EastNorth),
}

impl From<LonLat> for Position {
    fn from(p: LonLat) -> Self {
        Self::Geographic(p)
    }
}

impl From<EastNorth> for Position {
    fn from(p: EastNorth) -> Self {
        Self::Projected(p)
    }
}

/// A box in degrees; edges belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BBox {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl BBox {
    #[inline(always)]
    pub fn contains(&self, lon: f64, lat: f64) -> bool {
        // `&` on purpose: four comparisons without branches.
        (lon >= self.west) & (lon <= self.east) & (lat >= self.south) & (lat <= self.north)
    }

    /// Grown by `degrees` on each side.
    #[inline(always)]
    pub fn expanded(&self, degrees: f64) -> Self {
        Self {
            west: self.west - degrees,
            south: self.south - degrees,
            east: self.east + degrees,
            north: self.north + degrees,
        }
    }
}

/// Degrees that can be a place on Earth.
#[inline]
pub(crate) fn check_degrees(lon: f64, lat: f64) -> Result<(), PointError> {
    if !(lon.is_finite() && lat.is_finite()) {
        Err(PointError::NotFinite)
    } else if lon.abs() > 180.0 || lat.abs() > 90.0 {
        Err(PointError::NotDegrees { lon, lat })
    } else {
        Ok(())
    }
}
