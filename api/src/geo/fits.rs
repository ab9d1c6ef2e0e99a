//! Fits of control points: made by one person, signed off by another, then in force as the definition of
//! a plane system of the city.

use super::versions::{self, Kind, Version};
use super::{Geo, crs_dir, problem, put};
use crate::error::{Error, Result};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zonglan_catalog::error::{ErrorClass, FieldError};
use zonglan_geo::{
    BursaWolf, ControlFit, ControlPair, ControlPair3, Crs, CrsDefinition, CrsRegistry, Ellipsoid, FitReport, FitRules,
    Helmert, Status, Transform, fit_bursa_wolf, fit_helmert,
};

/// A control point in both systems.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    pub name: String,
    /// Longitude and latitude or east and north in the system `from`; for seven parameters longitude,
    /// latitude and ellipsoidal height on CGCS2000.
    pub from: Vec<f64>,
    /// East and north in the city's system (and height for seven parameters), metres.
    pub to: Vec<f64>,
    /// Only to see how well the fit does.
    #[serde(default)]
    pub check: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FitKind {
    /// Four parameters in the plane.
    Helmert,
    /// Seven parameters in space, for the old system on its own ellipsoid.
    BursaWolf,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FitIn {
    /// `sh2000` or `shcity`.
    pub crs: String,
    pub kind: FitKind,
    /// The system of the pairs' `from`; `cgcs2000` unless given.
    #[serde(default)]
    pub from: Option<String>,
    pub pairs: Vec<Pair>,
    /// Where the points come from.
    #[serde(default)]
    pub source: String,
}

/// A fit as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fit {
    pub input: FitIn,
    pub fit: ControlFit,
    /// Report of the library: parameters, residuals, rms, refusals.
    pub report: serde_json::Value,
    pub accepted: bool,
    /// In Chinese.
    pub refused: Vec<String>,
    pub accuracy_m: f64,
    /// Where the points lie in the plane before the fit, for the plot: east, north.
    pub plane: Vec<[f64; 2]>,
}

fn wrong(field: &str, message: impl Into<String>) -> Error {
    let message = message.into();
    Error::user("geo.fit", message.clone()).fields(vec![FieldError { field: field.into(), message }])
}

fn finish<T: Serialize>(input: FitIn, report: &FitReport<T>, fit: ControlFit, plane: Vec<[f64; 2]>) -> Result<Fit> {
    Ok(Fit {
        input,
        fit,
        accepted: report.accepted(),
        refused: report.refusals.iter().map(zonglan_geo::Refusal::zh).collect(),
        accuracy_m: report.check_rms_m.unwrap_or(0.0).max(report.rms_m),
        report: serde_json::to_value(report).map_err(Error::internal)?,
        plane,
    })
}

/// Fits control points against the shipped definition of the system.
pub fn solve(input: FitIn) -> Result<Fit> {
    let crs: Crs = input.crs.parse().map_err(|e| problem("crs", &e))?;
    let shipped = CrsRegistry::builtin();
    let definition = shipped
        .get(crs)
        .filter(|_| matches!(crs, Crs::Sh2000 | Crs::ShCity))
        .ok_or_else(|| wrong("crs", "只有 sh2000 和 shcity 可以用控制点求解 (only sh2000 and shcity)"))?;
    let rules = FitRules::default();
    let from: Crs = input.from.as_deref().unwrap_or("cgcs2000").parse().map_err(|e| problem("from", &e))?;
    let length = if input.kind == FitKind::Helmert { 2 } else { 3 };
    if let Some(i) = input.pairs.iter().position(|p| p.from.len() != length || p.to.len() != length) {
        return Err(wrong(&format!("pairs[{i}]"), format!("from 和 to 各需要 {length} 个数 ({length} numbers each)")));
    }
    let plane = Transform::new(from, crs).map_err(|e| problem("from", &e))?;
    let at = |i: usize, p: &Pair| {
        plane
            .point(p.from[0], p.from[1])
            .map_err(|e| wrong(&format!("pairs[{i}].from"), format!("「{}」{}", p.name, e.zh())))
    };
    let places: Vec<[f64; 2]> =
        input.pairs.iter().enumerate().map(|(i, p)| at(i, p).map(|(x, y)| [x, y])).collect::<Result<_>>()?;
    match input.kind {
        FitKind::Helmert => {
            let pairs: Vec<ControlPair> = input
                .pairs
                .iter()
                .zip(&places)
                .map(|(p, place)| ControlPair {
                    name: p.name.clone(),
                    from: *place,
                    to: [p.to[0], p.to[1]],
                    check: p.check,
                })
                .collect();
            let report = fit_helmert(&pairs, &rules).map_err(|e| wrong("pairs", e.zh()))?;
            let fit: Helmert = report.transform;
            finish(input, &report, ControlFit::Helmert(fit), places)
        }
        FitKind::BursaWolf => {
            if from != Crs::Cgcs2000 {
                return Err(wrong("from", "七参数的起点须为 cgcs2000 经纬度和大地高"));
            }
            let ellipsoid = ellipsoid(definition)?;
            let back = Transform::new(crs, Crs::Cgcs2000).map_err(|e| problem("crs", &e))?;
            let pairs: Vec<ControlPair3> = input
                .pairs
                .iter()
                .enumerate()
                .map(|(i, p)| {
                    // The projection alone: degrees on the system's own ellipsoid.
                    let (lon, lat) =
                        back.point(p.to[0], p.to[1]).map_err(|e| wrong(&format!("pairs[{i}].to"), e.zh()))?;
                    Ok(ControlPair3 {
                        name: p.name.clone(),
                        from: Ellipsoid::CGCS2000.geocentric([p.from[0], p.from[1], p.from[2]]),
                        to: ellipsoid.geocentric([lon, lat, p.to[2]]),
                        check: p.check,
                    })
                })
                .collect::<Result<_>>()?;
            let report = fit_bursa_wolf(&pairs, &rules).map_err(|e| wrong("pairs", e.zh()))?;
            let fit: BursaWolf = report.transform;
            finish(input, &report, ControlFit::BursaWolf(fit), places)
        }
    }
}

fn ellipsoid(definition: &CrsDefinition) -> Result<Ellipsoid> {
    definition.ellipsoid().ok_or_else(|| Error::internal("the definition names no ellipsoid"))
}

fn definition(crs: Crs, version: &Version, fit: &Fit) -> Result<CrsDefinition> {
    let shipped = CrsRegistry::builtin().get(crs).ok_or_else(|| Error::internal("no definition"))?;
    let mut definition = (**shipped).clone();
    definition.version += u32::try_from(version.version).unwrap_or(u32::MAX);
    definition.status = Status::Verified;
    definition.accuracy_m = Some((fit.accuracy_m * 1_000.0).ceil() / 1_000.0);
    definition.fit = Some(fit.fit);
    let points = fit.input.pairs.len();
    definition.source = format!(
        "控制点求解第 {} 版（{points} 点，{}）：{} 求解，{} 签发。{}",
        version.version,
        if fit.input.kind == FitKind::Helmert { "四参数" } else { "七参数" },
        version.made_by,
        version.decided_by.as_deref().unwrap_or("-"),
        fit.input.source
    );
    Ok(definition)
}

impl Geo {
    /// Keeps a fit as a draft.
    pub async fn keep_fit(&self, store: &Store, fit: &Fit, by: &str) -> Result<Version> {
        let body = serde_json::to_value(fit).map_err(Error::internal)?;
        versions::add(store, Kind::Fit, &fit.input.crs.to_ascii_lowercase(), "draft", &body, by).await
    }

    /// Signs a draft off and puts it in force. Not by the one who made it, and not if a rule refuses it.
    pub async fn sign_fit(&self, store: &Store, id: i64, by: &str, remark: &str) -> Result<Version> {
        let version = versions::get(store, Kind::Fit, id).await?;
        if version.made_by == by {
            return Err(Error::forbidden("geo.sign_own", "求解人不能签发自己的结果 (sign-off needs a second person)"));
        }
        let fit: Fit = serde_json::from_value(version.body).map_err(Error::internal)?;
        if !fit.accepted {
            return Err(Error::new(
                ErrorClass::Conflict,
                "geo.fit_refused",
                format!("该结果不合格，不能签发 (refused): {}", fit.refused.join("；")),
            ));
        }
        let version = versions::decide(store, Kind::Fit, id, &["draft"], "active", by, remark).await?;
        self.apply_fits(store).await?;
        Ok(version)
    }

    /// Rejects a draft or withdraws what is in force; the fit before it, or the shipped definition, holds
    /// again.
    pub async fn drop_fit(&self, store: &Store, id: i64, by: &str, remark: &str) -> Result<Version> {
        let version = versions::get(store, Kind::Fit, id).await?;
        let version = if version.state == "active" {
            versions::decide(store, Kind::Fit, id, &["active"], "withdrawn", by, remark).await?
        } else {
            versions::decide(store, Kind::Fit, id, &["draft"], "rejected", by, remark).await?
        };
        self.apply_fits(store).await?;
        Ok(version)
    }

    /// Writes the definitions of the signed fits and takes them up.
    async fn apply_fits(&self, store: &Store) -> Result<()> {
        let mut registry = CrsRegistry::builtin().clone();
        let folder = self.folder("crs")?;
        debug_assert!(crs_dir(store.dir()).ends_with("geo/crs"));
        let all = versions::list(store, Kind::Fit).await?;
        for crs in [Crs::Sh2000, Crs::ShCity] {
            let path = folder.join(format!("{crs}.json"));
            let last = all.iter().rfind(|v| v.state == "active" && v.name == crs.to_string());
            let Some(version) = last else {
                match std::fs::remove_file(&path) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::internal(e)),
                    _ => continue,
                }
            };
            let fit: Fit = serde_json::from_value(version.body.clone()).map_err(Error::internal)?;
            let definition = definition(crs, version, &fit)?;
            registry = registry.with(definition.clone()).map_err(|e| problem("crs", &e))?;
            let part = path.with_extension("part");
            std::fs::write(&part, serde_json::to_vec_pretty(&definition).map_err(Error::internal)?)
                .and_then(|()| std::fs::File::open(&part)?.sync_all())
                .and_then(|()| std::fs::rename(&part, &path))
                .map_err(Error::internal)?;
        }
        put(&self.registry, Arc::new(registry));
        Ok(())
    }
}
