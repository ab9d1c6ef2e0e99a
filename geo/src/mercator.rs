//! Web Mercator (EPSG:3857): the sphere of radius 6,378,137 m under WGS-84 longitude and latitude.

use std::f64::consts::FRAC_PI_2;

const R: f64 = 6_378_137.0;

/// Degrees to metres. Latitudes must lie strictly between the poles.
#[inline]
pub(crate) fn forward([lon, lat]: [f64; 2]) -> [f64; 2] {
    // asinh(tan) keeps full precision near the equator, where ln(tan(pi/4 + ..)) loses it.
    [R * lon.to_radians(), R * lat.to_radians().tan().asinh()]
}

/// Metres to degrees.
#[inline]
pub(crate) fn inverse([east, north]: [f64; 2]) -> [f64; 2] {
    let lat = FRAC_PI_2 - 2.0 * (-north / R).exp().atan();
    [(east / R).to_degrees(), lat.to_degrees()]
}
