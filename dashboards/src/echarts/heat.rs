//! Maps of points: glow, hexagons, kernel density, clusters over the city's own ground.

use super::{SMALL, classes, merge, pieces_between, tip};
use crate::chart::{ChartSpec, Disc, HeatLayer, Patch};
use crate::palette::{self, Color};
use serde_json::{Value as Json, json};
use zonglan_catalog::board::HeatStyle;

pub(super) fn option(spec: &ChartSpec) -> Json {
    let ends = |axis: usize| {
        let values = || spec.points.iter().map(|p| p[axis]);
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((west, east), (south, north)) = (ends(0), ends(1));
    // Degrees that hold Shanghai; points elsewhere get a frame of their own.
    let shanghai = spec.points.is_empty() || (west > 120.5 && east < 122.6 && south > 30.4 && north < 32.0);
    let mut option = match spec.heat_layer() {
        HeatLayer::Points => glow(spec),
        HeatLayer::Patches(patches) => areas(spec, &patches),
        HeatLayer::Discs(discs) => clusters(spec, &discs),
    };
    option["geo"] = json!({
        "map": if shanghai { "shanghai" } else { "points" }, "aspectScale": if shanghai { 0.855 } else { ((south + north) / 2.0).to_radians().cos() },
        "preserveAspect": "contain", "roam": true, "silent": true, "left": 8, "right": 8, "top": 8, "bottom": 8,
        "itemStyle": {"areaColor": "$raised", "borderColor": "$line"}, "label": {"show": false},
    });
    if !shanghai {
        option["bounds"] = json!([west, south, east, north]);
    }
    option
}

fn glow(spec: &ChartSpec) -> Json {
    let top = spec.points.iter().map(|p| p[2]).fold(0.0, f64::max);
    let ramp: Vec<Color> = (0..palette::RAMP_STEPS).map(Color::Ramp).collect();
    json!({
        "tooltip": {"show": false},
        "visualMap": {"show": false, "type": "continuous", "min": 0, "max": (top * 6.0).max(1.0), "inRange": {"color": ramp}},
        "series": [{"type": "heatmap", "coordinateSystem": "geo", "data": spec.points, "pointSize": 6, "blurSize": 10}],
    })
}

/// What the value of a patch counts.
fn measured(spec: &ChartSpec) -> &'static str {
    match spec.heat {
        HeatStyle::Density => spec.lang.t("每平方公里", "per km²"),
        _ => spec.lang.t("个数", "count"),
    }
}

fn number(value: f64) -> String {
    crate::format::decimal(value, if value.fract() == 0.0 || value >= 100.0 { 0 } else { 1 })
}

/// Polygons: `[value, x1, y1, x2, y2, …]`, drawn by the page's `@patch`.
fn areas(spec: &ChartSpec, patches: &[Patch]) -> Json {
    let high = patches.iter().map(|p| p.value).fold(0.0, f64::max);
    let degrees = |v: f64| (v * 1e5).round() / 1e5;
    let data: Vec<Json> = patches
        .iter()
        .map(|p| {
            let mut value = vec![(p.value * 100.0).round() / 100.0];
            value.extend(p.ring.iter().flatten().map(|v| degrees(*v)));
            if spec.heat == HeatStyle::Hex {
                json!({"value": value, "title": spec.title, "more": [[measured(spec), number(p.value)]]})
            } else {
                json!({"value": value})
            }
        })
        .collect();
    let mut legend = classes(
        pieces_between(0.0, high),
        json!({"left": 6, "bottom": 4, "inverse": false, "align": "left", "dimension": 0}),
    );
    merge(&mut legend, json!({"text": [measured(spec), ""], "textGap": 6}));
    json!({
        "tooltip": if spec.heat == HeatStyle::Hex { tip("item") } else { json!({"show": false}) },
        "visualMap": legend,
        "series": [{"type": "custom", "coordinateSystem": "geo", "renderItem": "@patch", "dimensions": ["value"], "encode": {"tooltip": 0}, "data": data,
            "silent": spec.heat != HeatStyle::Hex}],
    })
}

fn clusters(spec: &ChartSpec, discs: &[Disc]) -> Json {
    let data: Vec<Json> = discs
        .iter()
        .map(|d| {
            json!({
                "value": [d.at[0], d.at[1], d.value], "symbolSize": (d.radius * 2.0).round(), "title": spec.title,
                "more": [[measured(spec), number(d.value)]], "text": number(d.value),
                "label": {"show": d.radius > 11.0},
            })
        })
        .collect();
    json!({
        "tooltip": tip("item"),
        "series": [{
            "type": "scatter", "coordinateSystem": "geo", "data": data, "itemStyle": {"color": "$accent", "opacity": 0.82, "borderColor": "$panel", "borderWidth": 1.5},
            "label": {"color": "$panel", "fontSize": SMALL, "fontWeight": 600, "formatter": "@count"},
        }],
    })
}
