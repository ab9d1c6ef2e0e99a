//! Transforms fitted to control points: four parameters in the plane (Helmert), seven in space
//! (Bursa-Wolf, position vector convention as EPSG method 1033).
//!
//! Least squares over all pairs. A fit is always reported with its residuals; whether it may be
//! used is a separate judgement by [`FitRules`].

use serde::{Deserialize, Serialize};

use crate::error::GeoError;

/// A point known in both plane systems, metres, east first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlPair {
    pub name: String,
    pub from: [f64; 2],
    pub to: [f64; 2],
    /// Not used for the fit, only to see how well it does.
    #[serde(default)]
    pub check: bool,
}

/// A point known in both systems as geocentric X, Y, Z in metres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlPair3 {
    pub name: String,
    pub from: [f64; 3],
    pub to: [f64; 3],
    #[serde(default)]
    pub check: bool,
}

/// X = a x - b y + tx, Y = b x + a y + ty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Helmert {
    pub a: f64,
    pub b: f64,
    pub tx: f64,
    pub ty: f64,
}

impl Helmert {
    pub fn apply(&self, p: [f64; 2]) -> [f64; 2] {
        [self.a * p[0] - self.b * p[1] + self.tx, self.b * p[0] + self.a * p[1] + self.ty]
    }

    /// Back again; `None` for a transform without extent.
    pub fn inverse(&self) -> Option<Self> {
        let n = self.a * self.a + self.b * self.b;
        (n > 0.0 && n.is_finite()).then(|| {
            let (a, b) = (self.a / n, -self.b / n);
            Self { a, b, tx: -(a * self.tx - b * self.ty), ty: -(b * self.tx + a * self.ty) }
        })
    }

    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// Seconds of arc, anticlockwise.
    pub fn rotation_arcsec(&self) -> f64 {
        self.b.atan2(self.a).to_degrees() * 3600.0
    }
}

/// X2 = T + (1 + m) R X1 with R = [[1, -rz, ry], [rz, 1, -rx], [-ry, rx, 1]].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BursaWolf {
    /// Metres.
    pub t: [f64; 3],
    /// Seconds of arc.
    pub r_arcsec: [f64; 3],
    /// Parts per million.
    pub m_ppm: f64,
}

const RAD_PER_ARCSEC: f64 = std::f64::consts::PI / 648_000.0;

impl BursaWolf {
    pub fn apply(&self, p: [f64; 3]) -> [f64; 3] {
        let k = 1.0 + self.m_ppm * 1e-6;
        let [rx, ry, rz] = self.r_arcsec.map(|r| r * RAD_PER_ARCSEC);
        [
            self.t[0] + k * (p[0] - rz * p[1] + ry * p[2]),
            self.t[1] + k * (rz * p[0] + p[1] - rx * p[2]),
            self.t[2] + k * (-ry * p[0] + rx * p[1] + p[2]),
        ]
    }
}

/// What is left at a point: given less computed, metres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    pub name: String,
    /// Two values in the plane, three in space.
    pub v: Vec<f64>,
    /// Their length.
    pub size: f64,
    pub check: bool,
}

/// When a fit must not be used. The defaults are those of the project's rules (domain rules, D.4).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FitRules {
    /// Points to fit and points to check that are asked for; fewer are noted, not refused.
    pub advised_fit: usize,
    pub advised_check: usize,
    pub max_rms_m: f64,
    /// A residual (with its sign, each axis) above so many standard deviations refuses.
    pub max_sigma: f64,
    pub max_scale_ppm: f64,
    pub max_rotation_arcsec: f64,
}

impl Default for FitRules {
    fn default() -> Self {
        Self {
            advised_fit: 4,
            advised_check: 2,
            max_rms_m: 0.05,
            max_sigma: 3.0,
            max_scale_ppm: 100.0,
            max_rotation_arcsec: 30.0,
        }
    }
}

/// Why a fit must not be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Refusal {
    Rms { rms_m: f64, limit_m: f64 },
    CheckRms { rms_m: f64, limit_m: f64 },
    Outlier { name: String, size_m: f64, limit_m: f64 },
    Scale { ppm: f64, limit_ppm: f64 },
    Rotation { arcsec: f64, limit_arcsec: f64 },
}

impl Refusal {
    /// For page users.
    pub fn zh(&self) -> String {
        match self {
            Self::Rms { rms_m, limit_m } => format!("中误差 {rms_m:.3} 米，超过 {limit_m} 米"),
            Self::CheckRms { rms_m, limit_m } => format!("检核点中误差 {rms_m:.3} 米，超过 {limit_m} 米"),
            Self::Outlier { name, size_m, limit_m } => {
                format!("控制点「{name}」残差 {size_m:.3} 米，超过三倍中误差（{limit_m:.3} 米），请检查该点")
            }
            Self::Scale { ppm, limit_ppm } => format!("尺度 {ppm:.1} ppm，超过 {limit_ppm} ppm，请检查投影或单位"),
            Self::Rotation { arcsec, limit_arcsec } => {
                format!("旋转 {arcsec:.1} 秒，超过 {limit_arcsec} 秒，请检查坐标轴顺序")
            }
        }
    }
}

/// A fit with all that is needed to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitReport<T> {
    pub transform: T,
    pub points: usize,
    pub check_points: usize,
    /// Root of the mean squared length of the residuals of the fitted points.
    pub rms_m: f64,
    pub check_rms_m: Option<f64>,
    /// Standard deviation of one coordinate: sum of squares over redundancy; `None` without redundancy.
    pub sigma_m: Option<f64>,
    pub scale_ppm: f64,
    /// One rotation in the plane, three in space.
    pub rotation_arcsec: Vec<f64>,
    pub residuals: Vec<Residual>,
    /// Empty if the transform may be used.
    pub refusals: Vec<Refusal>,
    /// In Chinese: fewer points than advised.
    pub notes: Vec<String>,
}

impl<T> FitReport<T> {
    /// True if no rule refuses it. Whether it is signed off is the affair of the caller.
    pub fn accepted(&self) -> bool {
        self.refusals.is_empty()
    }
}

fn fail(reason: &str) -> GeoError {
    GeoError::Fit(reason.to_owned())
}

fn mean<const N: usize>(points: impl Iterator<Item = [f64; N]> + Clone) -> [f64; N] {
    let n = points.clone().count() as f64;
    points.fold([0.0; N], |mut m, p| {
        for i in 0..N {
            m[i] += p[i] / n;
        }
        m
    })
}

/// Four parameters in the plane from two pairs or more. Fails with fewer, with coordinates that
/// are no numbers and with points that all are one.
pub fn fit_helmert(pairs: &[ControlPair], rules: &FitRules) -> Result<FitReport<Helmert>, GeoError> {
    if pairs.iter().any(|p| p.from.iter().chain(&p.to).any(|v| !v.is_finite())) {
        return Err(fail("控制点坐标不是有效的数"));
    }
    let used = || pairs.iter().filter(|p| !p.check);
    if used().count() < 2 {
        return Err(fail("四参数至少需要 2 个控制点"));
    }
    let (c, d) = (mean(used().map(|p| p.from)), mean(used().map(|p| p.to)));
    let (mut n, mut dot, mut cross) = (0.0, 0.0, 0.0);
    for p in used() {
        let (x, y) = (p.from[0] - c[0], p.from[1] - c[1]);
        let (u, v) = (p.to[0] - d[0], p.to[1] - d[1]);
        n += x * x + y * y;
        dot += x * u + y * v;
        cross += x * v - y * u;
    }
    if n < 1e-6 {
        return Err(fail("控制点重合，无法求解"));
    }
    let (a, b) = (dot / n, cross / n);
    let t = Helmert { a, b, tx: d[0] - a * c[0] + b * c[1], ty: d[1] - b * c[0] - a * c[1] };
    let residuals = pairs.iter().map(|p| {
        // Around the middle, so that coordinates of millions of metres keep their millimetres.
        let (x, y) = (p.from[0] - c[0], p.from[1] - c[1]);
        let v = vec![p.to[0] - d[0] - (a * x - b * y), p.to[1] - d[1] - (b * x + a * y)];
        residual(&p.name, v, p.check)
    });
    let scale_ppm = (t.scale() - 1.0) * 1e6;
    Ok(judge(t, residuals.collect(), 4, scale_ppm, vec![t.rotation_arcsec()], rules))
}

/// Seven parameters in space from three pairs or more that do not lie in a line. Meant for the old
/// city system on the Krassowsky ellipsoid.
pub fn fit_bursa_wolf(pairs: &[ControlPair3], rules: &FitRules) -> Result<FitReport<BursaWolf>, GeoError> {
    if pairs.iter().any(|p| p.from.iter().chain(&p.to).any(|v| !v.is_finite())) {
        return Err(fail("控制点坐标不是有效的数"));
    }
    let used = || pairs.iter().filter(|p| !p.check);
    if used().count() < 3 {
        return Err(fail("七参数至少需要 3 个三维控制点"));
    }
    let (c, d) = (mean(used().map(|p| p.from)), mean(used().map(|p| p.to)));
    // Around the middles the translation falls away: unknowns k rx, k ry, k rz and k = 1 + m.
    let mut normal = [[0.0; 4]; 4];
    let mut right = [0.0; 4];
    let mut extent = 0.0;
    for p in used() {
        let [x, y, z]: [f64; 3] = std::array::from_fn(|i| p.from[i] - c[i]);
        let u: [f64; 3] = std::array::from_fn(|i| p.to[i] - d[i]);
        extent += x * x + y * y + z * z;
        let rows = [[0.0, z, -y, x], [-z, 0.0, x, y], [y, -x, 0.0, z]];
        for (row, u) in rows.iter().zip(u) {
            for i in 0..4 {
                right[i] += row[i] * u;
                for j in 0..4 {
                    normal[i][j] += row[i] * row[j];
                }
            }
        }
    }
    let solution = solve(normal, right, extent * 1e-9).ok_or_else(|| fail("控制点在一条直线上或重合，无法求解"))?;
    let k = solution[3];
    let r: [f64; 3] = std::array::from_fn(|i| solution[i] / k);
    let mut t = BursaWolf { t: [0.0; 3], r_arcsec: r.map(|v| v / RAD_PER_ARCSEC), m_ppm: (k - 1.0) * 1e6 };
    let moved = t.apply(c);
    t.t = std::array::from_fn(|i| d[i] - moved[i]);
    let residuals = pairs.iter().map(|p| {
        let to = t.apply(p.from);
        residual(&p.name, (0..3).map(|i| p.to[i] - to[i]).collect(), p.check)
    });
    Ok(judge(t, residuals.collect(), 7, t.m_ppm, t.r_arcsec.to_vec(), rules))
}

fn residual(name: &str, v: Vec<f64>, check: bool) -> Residual {
    let size = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    Residual { name: name.to_owned(), v, size, check }
}

/// Gauss elimination with pivots; `None` if a pivot is below `least`.
fn solve(mut m: [[f64; 4]; 4], mut b: [f64; 4], least: f64) -> Option<[f64; 4]> {
    for i in 0..4 {
        let pivot = (i..4).max_by(|a, b| m[*a][i].abs().total_cmp(&m[*b][i].abs()))?;
        m.swap(i, pivot);
        b.swap(i, pivot);
        if m[i][i].abs() <= least.max(1e-9) {
            return None;
        }
        for row in i + 1..4 {
            let f = m[row][i] / m[i][i];
            let above = m[i];
            for (value, above) in m[row].iter_mut().zip(above).skip(i) {
                *value -= f * above;
            }
            b[row] -= f * b[i];
        }
    }
    let mut x = [0.0; 4];
    for i in (0..4).rev() {
        let known: f64 = (i + 1..4).map(|j| m[i][j] * x[j]).sum();
        x[i] = (b[i] - known) / m[i][i];
    }
    Some(x)
}

fn judge<T>(
    transform: T,
    residuals: Vec<Residual>,
    unknowns: usize,
    scale_ppm: f64,
    rotation_arcsec: Vec<f64>,
    rules: &FitRules,
) -> FitReport<T> {
    let rms = |check: bool| {
        let sizes: Vec<f64> = residuals.iter().filter(|r| r.check == check).map(|r| r.size * r.size).collect();
        (!sizes.is_empty()).then(|| (sizes.iter().sum::<f64>() / sizes.len() as f64).sqrt())
    };
    let (rms_m, check_rms_m) = (rms(false).unwrap_or(0.0), rms(true));
    let points = residuals.iter().filter(|r| !r.check).count();
    let check_points = residuals.len() - points;
    let values = || residuals.iter().filter(|r| !r.check).flat_map(|r| &r.v);
    let redundancy = values().count().saturating_sub(unknowns);
    let sigma_m = (redundancy > 0).then(|| (values().map(|v| v * v).sum::<f64>() / redundancy as f64).sqrt());
    let mut refusals = Vec::new();
    if rms_m > rules.max_rms_m {
        refusals.push(Refusal::Rms { rms_m, limit_m: rules.max_rms_m });
    }
    if let Some(rms_m) = check_rms_m.filter(|rms| *rms > rules.max_rms_m) {
        refusals.push(Refusal::CheckRms { rms_m, limit_m: rules.max_rms_m });
    }
    for r in residuals.iter().filter(|r| !r.check) {
        // The deviation of the other points, or one bad point among few hides in its own.
        let worst = r.v.iter().fold(0.0f64, |w, v| w.max(v.abs()));
        let n = redundancy.saturating_sub(r.v.len());
        let others: f64 = values().map(|v| v * v).sum::<f64>() - r.size * r.size;
        let limit_m = rules.max_sigma * (others.max(0.0) / n.max(1) as f64).sqrt();
        // A tenth of a millimetre is rounding of the input, not a blunder.
        if n > 0 && worst > limit_m.max(1e-4) {
            refusals.push(Refusal::Outlier { name: r.name.clone(), size_m: worst, limit_m });
        }
    }
    if scale_ppm.abs() > rules.max_scale_ppm {
        refusals.push(Refusal::Scale { ppm: scale_ppm, limit_ppm: rules.max_scale_ppm });
    }
    for arcsec in rotation_arcsec.iter().filter(|r| r.abs() > rules.max_rotation_arcsec) {
        refusals.push(Refusal::Rotation { arcsec: *arcsec, limit_arcsec: rules.max_rotation_arcsec });
    }
    let mut notes = Vec::new();
    if points < rules.advised_fit {
        notes.push(format!("建议至少 {} 个控制点，现有 {points} 个", rules.advised_fit));
    }
    if check_points < rules.advised_check {
        notes.push(format!("建议至少 {} 个检核点，现有 {check_points} 个", rules.advised_check));
    }
    FitReport {
        transform,
        points,
        check_points,
        rms_m,
        check_rms_m,
        sigma_m,
        scale_ppm,
        rotation_arcsec,
        residuals,
        refusals,
        notes,
    }
}
