//! Gauss-Kruger on CGCS2000 (EPSG:4491 to 4554) without PROJ's call for each point.
//!
//! Kruger's series to the sixth order of the third flattening, as C. F. F. Karney, Transverse
//! Mercator with an accuracy of a few nanometers, J. Geodesy 85 (2011), equations 7 to 11 and 35. Within
//! ten degrees of the meridian it gives what PROJ gives to 20 nanometres (tested); elsewhere, and on
//! the way back, where nothing is gained, PROJ itself answers.

const A: f64 = 6_378_137.0;
const F: f64 = 1.0 / 298.257_222_101;
/// Third flattening.
const N: f64 = F / (2.0 - F);
const N2: f64 = N * N;
const N3: f64 = N2 * N;
const N4: f64 = N3 * N;
const N5: f64 = N4 * N;
const N6: f64 = N5 * N;
/// Radius of the sphere with the meridian's length.
const RADIUS: f64 = A / (1.0 + N) * (1.0 + N2 / 4.0 + N4 / 64.0 + N6 / 256.0);

const ALPHA: [f64; 6] = [
    N / 2.0 - 2.0 / 3.0 * N2 + 5.0 / 16.0 * N3 + 41.0 / 180.0 * N4 - 127.0 / 288.0 * N5 + 7891.0 / 37800.0 * N6,
    13.0 / 48.0 * N2 - 3.0 / 5.0 * N3 + 557.0 / 1440.0 * N4 + 281.0 / 630.0 * N5 - 1_983_433.0 / 1_935_360.0 * N6,
    61.0 / 240.0 * N3 - 103.0 / 140.0 * N4 + 15061.0 / 26880.0 * N5 + 167_603.0 / 181_440.0 * N6,
    49561.0 / 161_280.0 * N4 - 179.0 / 168.0 * N5 + 6_601_661.0 / 7_257_600.0 * N6,
    34729.0 / 80640.0 * N5 - 3_418_889.0 / 1_995_840.0 * N6,
    212_378_941.0 / 319_334_400.0 * N6,
];

/// A zone: its meridian in degrees and false easting in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Zone {
    meridian: f64,
    easting: f64,
}

/// The zone of an EPSG code; `None` for other systems.
pub(crate) fn zone(code: u32) -> Option<Zone> {
    let (meridian, number) = match code {
        // Six degrees: zones 13 to 23, with and without the number before the easting.
        4491..=4501 => (6 * (code - 4491) + 75, code - 4491 + 13),
        4502..=4512 => (6 * (code - 4502) + 75, 0),
        // Three degrees: zones 25 to 45.
        4513..=4533 => (3 * (code - 4513) + 75, code - 4513 + 25),
        4534..=4554 => (3 * (code - 4534) + 75, 0),
        _ => return None,
    };
    Some(Zone { meridian: f64::from(meridian), easting: f64::from(number) * 1e6 + 500_000.0 })
}

/// sinh(e atanh(e s)): both arguments are small on the Earth, so that few terms are exact.
fn sigma(s: f64) -> f64 {
    const E2: f64 = F * (2.0 - F);
    let q = E2 * s * s;
    let odd = [1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0];
    let x = E2 * s * odd.iter().fold(0.0, |sum, c| sum * q + c);
    x * (1.0 + x * x / 6.0 * (1.0 + x * x / 20.0))
}

/// Sums of c sin(2jx) cosh(2jy) and c cos(2jx) sinh(2jy), from the functions of 2x and 2y.
fn series(c: &[f64; 6], sin: f64, cos: f64, sinh: f64, cosh: f64) -> (f64, f64) {
    // Clenshaw with the complex argument 2(x + iy).
    let (ar, ai) = (2.0 * cos * cosh, -2.0 * sin * sinh);
    let (mut r1, mut i1, mut r2, mut i2) = (0.0, 0.0, 0.0, 0.0);
    for c in c.iter().rev() {
        let r = ar * r1 - ai * i1 - r2 + c;
        let i = ar * i1 + ai * r1 - i2;
        (r2, i2, r1, i1) = (r1, i1, r, i);
    }
    let (sr, si) = (sin * cosh, cos * sinh);
    (sr * r1 - si * i1, sr * i1 + si * r1)
}

impl Zone {
    /// Degrees to east and north. `None` where the series is not meant for.
    #[inline]
    pub fn forward(&self, [lon, lat]: [f64; 2]) -> Option<[f64; 2]> {
        let d = lon - self.meridian;
        if !(d.abs() <= 10.0 && lat.abs() <= 89.0) {
            return None;
        }
        let ((s, c), (sl, cl)) = (lat.to_radians().sin_cos(), d.to_radians().sin_cos());
        let tau = s / c;
        let sg = sigma(s);
        let t = tau * (1.0 + sg * sg).sqrt() - sg * (1.0 + tau * tau).sqrt();
        let r2 = t * t + cl * cl;
        let sh = sl / r2.sqrt();
        let ch = (1.0 + sh * sh).sqrt();
        // asinh; for these small values the plain formula is good to a nanometre, and faster.
        let (xi, eta) = (t.atan2(cl), (sh + ch).ln());
        let (sin, cos) = (2.0 * t * cl / r2, (cl * cl - t * t) / r2);
        let (sinh, cosh) = (2.0 * sh * ch, 1.0 + 2.0 * sh * sh);
        let (dx, dy) = series(&ALPHA, sin, cos, sinh, cosh);
        Some([self.easting + RADIUS * (eta + dy), RADIUS * (xi + dx)])
    }
}
