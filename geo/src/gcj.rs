//! GCJ-02 and BD-09: the shifts of Chinese web maps, forward and inverse.
//!
//! The formulas are the public algorithm as in gcoord 1.0.7 and coordtransform 2.1.2. They are
//! sums of sines of multiples of a few angles, so one sine and cosine per axis and the
//! multiple-angle identities give all of them; with polynomials in place of libm the result is
//! the same on every machine. Against the formulas term by term with libm the difference is
//! below 1e-12 degrees (tested).
//!
//! The inverses are fixed-point iterations: 5 for GCJ-02 (residual about 1e-9 m in Shanghai), 3
//! for BD-09 after its closed form (about 3e-8 m).

use std::f64::consts::PI;

use crate::units::BBox;

/// Where the shifts apply; outside, the public algorithm leaves points as they are.
pub const ACCEPTED_AREA: BBox = BBox { west: 72.004, south: 0.8293, east: 137.8347, north: 55.8271 };

/// Points this close outside the area (degrees) may be images of points inside: the shift is
/// smaller than this everywhere.
const RIM: f64 = 0.02;

const GCJ_ITERATIONS: usize = 5;
const BD_CORRECTIONS: usize = 3;

/// Semi-major axis (m) and squared eccentricity of the Krassowsky ellipsoid, as the algorithm has them.
const A: f64 = 6_378_245.0;
const EE: f64 = 0.006_693_421_622_965_943;
const COS_35: f64 = 0.819_152_044_288_991_8;
const SIN_35: f64 = 0.573_576_436_351_046;

/// True if the shifts of GCJ-02 and BD-09 apply to this point (degrees, any of the three systems).
pub fn in_accepted_area(lon: f64, lat: f64) -> bool {
    ACCEPTED_AREA.contains(lon, lat)
}

/// Sine and cosine for |t| <= 0.9, Taylor series to below one unit in the last place.
#[inline(always)]
fn sin_cos_small(t: f64) -> (f64, f64) {
    let z = t * t;
    let s = 1.0 / 355_687_428_096_000.0;
    let s = s * z - 1.0 / 1_307_674_368_000.0;
    let s = s * z + 1.0 / 6_227_020_800.0;
    let s = s * z - 1.0 / 39_916_800.0;
    let s = s * z + 1.0 / 362_880.0;
    let s = s * z - 1.0 / 5_040.0;
    let s = s * z + 1.0 / 120.0;
    let s = s * z - 1.0 / 6.0;
    let c = -1.0 / 6_402_373_705_728_000.0;
    let c = c * z + 1.0 / 20_922_789_888_000.0;
    let c = c * z - 1.0 / 87_178_291_200.0;
    let c = c * z + 1.0 / 479_001_600.0;
    let c = c * z - 1.0 / 3_628_800.0;
    let c = c * z + 1.0 / 40_320.0;
    let c = c * z - 1.0 / 720.0;
    let c = c * z + 1.0 / 24.0;
    let c = c * z - 0.5;
    (t + t * z * s, 1.0 + z * c)
}

#[inline(always)]
fn double((s, c): (f64, f64)) -> (f64, f64) {
    (2.0 * s * c, 1.0 - 2.0 * s * s)
}

#[inline(always)]
fn triple((s, c): (f64, f64)) -> (f64, f64) {
    (s * (3.0 - 4.0 * s * s), c * (4.0 * c * c - 3.0))
}

#[inline(always)]
fn sum(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 * b.1 + a.1 * b.0, a.1 * b.1 - a.0 * b.0)
}

/// The shift from WGS-84 to GCJ-02 at a point, in degrees of longitude and latitude.
#[inline(always)]
fn shift(lon: f64, lat: f64) -> (f64, f64) {
    let x = lon - 105.0;
    let y = lat - 35.0;
    // x: |x| < 33.1, so pi x/120 stays within the series.
    let x60 = double(sin_cos_small(x * (PI / 120.0)));
    let x30 = double(x60);
    let x12 = sum(double(x30), x60);
    let x3 = double(double(x12));
    let x1 = triple(x3);
    let sin_x2 = 2.0 * x1.0 * x1.1;
    let sin_x6 = sin_x2 * (3.0 - 4.0 * sin_x2 * sin_x2);
    // y: pi y/180 is the latitude in radians less 35 degrees.
    let y180 = sin_cos_small(y * (PI / 180.0));
    let y60 = triple(y180);
    let y30 = double(y60);
    let y12 = sum(double(y30), y60);
    let y3 = double(double(y12));
    let y1 = triple(y3);

    let root = x.abs().sqrt();
    let xy = 0.1 * x * y;
    let waves_x = 20.0 * (sin_x6 + sin_x2);
    let t_lat = -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + xy
        + 0.2 * root
        + (waves_x + 20.0 * y1.0 + 40.0 * y3.0 + 160.0 * y12.0 + 320.0 * y30.0) * (2.0 / 3.0);
    let t_lon = 300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + xy
        + 0.1 * root
        + (waves_x + 20.0 * x1.0 + 40.0 * x3.0 + 150.0 * x12.0 + 300.0 * x30.0) * (2.0 / 3.0);

    let sin_lat = y180.0 * COS_35 + y180.1 * SIN_35;
    let cos_lat = y180.1 * COS_35 - y180.0 * SIN_35;
    let m = 1.0 - EE * sin_lat * sin_lat;
    let root_m = m.sqrt();
    const PER_LAT: f64 = 180.0 / (A * (1.0 - EE) * PI);
    const PER_LON: f64 = 180.0 / (A * PI);
    (t_lon * root_m / cos_lat * PER_LON, t_lat * m * root_m * PER_LAT)
}

/// WGS-84 to GCJ-02 without the test of the area; the caller has made it.
#[inline(always)]
pub(crate) fn gcj_forward([lon, lat]: [f64; 2]) -> [f64; 2] {
    let (d_lon, d_lat) = shift(lon, lat);
    [lon + d_lon, lat + d_lat]
}

/// GCJ-02 to WGS-84 without the test of the area.
#[inline(always)]
pub(crate) fn gcj_inverse([lon, lat]: [f64; 2]) -> [f64; 2] {
    // p' = p + (g - forward(p)) is g - shift(p).
    let (mut p_lon, mut p_lat) = (lon, lat);
    for _ in 0..GCJ_ITERATIONS {
        let (d_lon, d_lat) = shift(p_lon, p_lat);
        p_lon = lon - d_lon;
        p_lat = lat - d_lat;
    }
    [p_lon, p_lat]
}

/// sin(v * 3000 pi/180) and cos of the same: 25/3 turns a degree.
#[inline(always)]
fn bd_wave(v: f64) -> (f64, f64) {
    let turns = v * (25.0 / 3.0);
    // Adding and taking away 1.5 * 2^52 rounds to the nearest integer without a call.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let part = turns - ((turns + ROUND) - ROUND);
    double(double(sin_cos_small(part * (PI / 2.0))))
}

/// (x, y) moved away from the origin by `grow` and turned by the small angle `turn`.
#[inline(always)]
fn stretch_turn(x: f64, y: f64, grow: f64, turn: f64) -> (f64, f64) {
    let r = (x * x + y * y).sqrt();
    let f = (r + grow) / r;
    // |turn| <= 3e-6: the next terms are below 1e-23.
    let c = 1.0 - 0.5 * turn * turn;
    let s = turn - turn * turn * turn / 6.0;
    (f * (x * c - y * s), f * (y * c + x * s))
}

#[inline(always)]
pub(crate) fn bd_forward([x, y]: [f64; 2]) -> [f64; 2] {
    let (bx, by) = stretch_turn(x, y, 2e-5 * bd_wave(y).0, 3e-6 * bd_wave(x).1);
    [bx + 0.0065, by + 0.006]
}

#[inline(always)]
pub(crate) fn bd_inverse([lon, lat]: [f64; 2]) -> [f64; 2] {
    let (x, y) = (lon - 0.0065, lat - 0.006);
    let (mut px, mut py) = stretch_turn(x, y, -2e-5 * bd_wave(y).0, -3e-6 * bd_wave(x).1);
    for _ in 0..BD_CORRECTIONS {
        let [fx, fy] = bd_forward([px, py]);
        px += lon - fx;
        py += lat - fy;
    }
    [px, py]
}

/// A forward shift with its area: `None` outside it.
#[inline(always)]
pub(crate) fn forward_in_area(p: [f64; 2], f: impl Fn([f64; 2]) -> [f64; 2]) -> Option<[f64; 2]> {
    in_accepted_area(p[0], p[1]).then(|| f(p))
}

/// An inverse shift: `None` if no point of the area is shifted to `p`.
#[inline(always)]
pub(crate) fn inverse_in_area(p: [f64; 2], f: impl Fn([f64; 2]) -> [f64; 2]) -> Option<[f64; 2]> {
    if !ACCEPTED_AREA.expanded(RIM).contains(p[0], p[1]) {
        return None;
    }
    let q = f(p);
    // Images of points on the rim itself come back within rounding of it.
    ACCEPTED_AREA.expanded(1e-9).contains(q[0], q[1]).then_some(q)
}

/// WGS-84 (or CGCS2000) to GCJ-02, degrees. Outside [`ACCEPTED_AREA`] the point is returned as it is.
pub fn wgs84_to_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    forward_in_area([lon, lat], gcj_forward).unwrap_or([lon, lat]).into()
}

/// GCJ-02 to WGS-84, degrees; five iterations. Outside the area the point is returned as it is.
pub fn gcj02_to_wgs84(lon: f64, lat: f64) -> (f64, f64) {
    inverse_in_area([lon, lat], gcj_inverse).unwrap_or([lon, lat]).into()
}

/// GCJ-02 to BD-09, degrees. Outside the area the point is returned as it is.
pub fn gcj02_to_bd09(lon: f64, lat: f64) -> (f64, f64) {
    forward_in_area([lon, lat], bd_forward).unwrap_or([lon, lat]).into()
}

/// BD-09 to GCJ-02, degrees; closed form and three corrections. Outside the area the point is returned as it is.
pub fn bd09_to_gcj02(lon: f64, lat: f64) -> (f64, f64) {
    inverse_in_area([lon, lat], bd_inverse).unwrap_or([lon, lat]).into()
}
