//! Whole GeoJSON geometries through a transform: all seven types, features and collections.

use serde_json::Value;

use crate::error::PointError;
use crate::transform::Transform;

/// Why a geometry could not be converted; it is left as it was.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    #[error("\"{0}\" is no GeoJSON type")]
    Type(String),
    #[error("coordinates of {kind}: {reason}")]
    Coordinates { kind: String, reason: &'static str },
    #[error("position {index}: {source}")]
    Point { index: usize, source: PointError },
}

impl GeometryError {
    /// For page users.
    pub fn zh(&self) -> String {
        match self {
            Self::Type(kind) => format!("「{kind}」不是 GeoJSON 类型"),
            Self::Coordinates { kind, .. } => format!("{kind} 的坐标数组不合规范"),
            Self::Point { index, source } => format!("第 {} 个坐标：{}", index + 1, source.zh()),
        }
    }
}

/// Converts the coordinates of a GeoJSON object (geometry, Feature, FeatureCollection) in place and
/// gives their number. Heights and unknown members stay; `bbox` and `crs`, which would be wrong
/// afterwards, go. On an error nothing has changed. Results have 9 decimals of a degree or 4 of a
/// metre.
pub fn transform_geojson(transform: &Transform, object: &mut Value) -> Result<usize, GeometryError> {
    let mut positions = Vec::new();
    walk(object, &mut |p| {
        positions.push([p[0].as_f64().unwrap_or(f64::NAN), p[1].as_f64().unwrap_or(f64::NAN)]);
    })?;
    if let Some((index, source)) = transform.points_in_place(&mut positions).into_iter().next() {
        return Err(GeometryError::Point { index, source });
    }
    let rounding = if transform.to().is_geographic() { 1e9 } else { 1e4 };
    let mut done = positions.iter();
    walk(object, &mut |p| {
        if let Some(q) = done.next() {
            for i in 0..2 {
                p[i] = Value::from((q[i] * rounding).round() / rounding);
            }
        }
    })?;
    strip(object);
    Ok(positions.len())
}

/// Members that the conversion makes wrong.
fn strip(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    map.shift_remove("bbox");
    map.shift_remove("crs");
    for key in ["geometry", "geometries", "features"] {
        match map.get_mut(key) {
            Some(Value::Array(items)) => items.iter_mut().for_each(strip),
            Some(item) => strip(item),
            None => {}
        }
    }
}

/// Calls `f` with each position, checked to have two to many numbers.
fn walk(object: &mut Value, f: &mut impl FnMut(&mut Vec<Value>)) -> Result<(), GeometryError> {
    let kind = object.get("type").and_then(Value::as_str).unwrap_or("").to_owned();
    let bad = |reason: &'static str| GeometryError::Coordinates { kind: kind.clone(), reason };
    let depth = match kind.as_str() {
        "Point" => 0,
        "MultiPoint" | "LineString" => 1,
        "MultiLineString" | "Polygon" => 2,
        "MultiPolygon" => 3,
        "Feature" => {
            return match object.get_mut("geometry") {
                // A feature without a place is allowed.
                None | Some(Value::Null) => Ok(()),
                Some(geometry) => walk(geometry, f),
            };
        }
        "GeometryCollection" | "FeatureCollection" => {
            let key = if kind == "GeometryCollection" { "geometries" } else { "features" };
            let items = object.get_mut(key).and_then(Value::as_array_mut).ok_or_else(|| bad("a list is expected"))?;
            return items.iter_mut().try_for_each(|item| walk(item, f));
        }
        _ => return Err(GeometryError::Type(kind)),
    };
    let coordinates = object.get_mut("coordinates").ok_or_else(|| bad("missing"))?;
    // The empty geometry.
    if depth == 0 && coordinates.as_array().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    nested(coordinates, depth, f).map_err(bad)
}

fn nested(value: &mut Value, depth: usize, f: &mut impl FnMut(&mut Vec<Value>)) -> Result<(), &'static str> {
    let items = value.as_array_mut().ok_or("an array is expected")?;
    if depth > 0 {
        return items.iter_mut().try_for_each(|item| nested(item, depth - 1, f));
    }
    if items.len() < 2 || !items.iter().all(Value::is_number) {
        return Err("a position is two numbers or more");
    }
    f(items);
    Ok(())
}
