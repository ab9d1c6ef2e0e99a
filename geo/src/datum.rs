//! From one ellipsoid to another through geocentric coordinates, at height 0.

use crate::fit::BursaWolf;

/// Longer half axis in metres and reciprocal flattening.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ellipsoid {
    pub a: f64,
    pub rf: f64,
}

impl Ellipsoid {
    pub const CGCS2000: Self = Self { a: 6_378_137.0, rf: 298.257_222_101 };
    pub const KRASSOWSKY: Self = Self { a: 6_378_245.0, rf: 298.3 };

    fn e2(self) -> f64 {
        let f = 1.0 / self.rf;
        f * (2.0 - f)
    }

    /// Longitude and latitude in degrees and height in metres, as X, Y, Z in metres.
    pub fn geocentric(self, [lon, lat, height]: [f64; 3]) -> [f64; 3] {
        let ((sl, cl), (sb, cb)) = (lon.to_radians().sin_cos(), lat.to_radians().sin_cos());
        let n = self.a / (1.0 - self.e2() * sb * sb).sqrt();
        [(n + height) * cb * cl, (n + height) * cb * sl, (n * (1.0 - self.e2()) + height) * sb]
    }

    /// X, Y, Z back to degrees and metres. The latitude by Bowring's formula (Survey Review 1976),
    /// twice: exact to the last digits for heights on the Earth.
    pub fn geodetic(self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        let (e2, p) = (self.e2(), x.hypot(y));
        let b = self.a * (1.0 - 1.0 / self.rf);
        let second = e2 / (1.0 - e2);
        let mut reduced = (z * self.a).atan2(p * b);
        let mut lat = 0.0f64;
        for _ in 0..2 {
            let (s, c) = reduced.sin_cos();
            lat = (z + second * b * s.powi(3)).atan2(p - e2 * self.a * c.powi(3));
            reduced = ((1.0 - 1.0 / self.rf) * lat.tan()).atan();
        }
        let (s, c) = lat.sin_cos();
        let n = self.a / (1.0 - e2 * s * s).sqrt();
        // Along the normal, from whichever axis is farther.
        let height = if c > 0.1 { p / c - n } else { z / s - n * (1.0 - e2) };
        [y.atan2(x).to_degrees(), lat.to_degrees(), height]
    }
}

/// A seven-parameter step between degrees on two ellipsoids.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datum {
    pub fit: BursaWolf,
    pub from: Ellipsoid,
    pub to: Ellipsoid,
}

impl Datum {
    pub fn forward(&self, [lon, lat]: [f64; 2]) -> [f64; 2] {
        let [lon, lat, _] = self.to.geodetic(self.fit.apply(self.from.geocentric([lon, lat, 0.0])));
        [lon, lat]
    }

    /// The point whose way forward ends here: exactly undoes [`Self::forward`], although the heights
    /// that the two ellipsoids put at 0 are not the same.
    pub fn inverse(&self, goal: [f64; 2]) -> [f64; 2] {
        let mut p = goal;
        // The shift changes by less than a ten-thousandth over its own length.
        for _ in 0..4 {
            let q = self.forward(p);
            p = [p[0] + goal[0] - q[0], p[1] + goal[1] - q[1]];
        }
        p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_where_it_began() {
        for ellipsoid in [Ellipsoid::CGCS2000, Ellipsoid::KRASSOWSKY] {
            for p in [[121.47, 31.23, 4.0], [0.0, 0.0, 0.0], [-70.0, -89.0, 3_000.0], [100.0, 60.0, -50.0]] {
                let q = ellipsoid.geodetic(ellipsoid.geocentric(p));
                assert!((0..2).all(|i| (p[i] - q[i]).abs() < 1e-11) && (p[2] - q[2]).abs() < 1e-6, "{p:?} {q:?}");
            }
        }
        let fit = BursaWolf { t: [-15.0, 120.0, 80.0], r_arcsec: [0.3, -0.5, 1.2], m_ppm: -3.0 };
        let datum = Datum { fit, from: Ellipsoid::CGCS2000, to: Ellipsoid::KRASSOWSKY };
        let p = [121.47, 31.23];
        let q = datum.forward(p);
        assert!((q[0] - p[0]).abs() > 5e-5, "{q:?}");
        let back = datum.inverse(q);
        assert!((0..2).all(|i| (back[i] - p[i]).abs() < 1e-12), "{back:?}");
    }
}
