//! Options of the charts that are neither lines nor bars: funnel, radar, calendar, scatter.

use super::{BODY, SMALL, item, items, legend, tip, value_axis, visual_map};
use crate::chart::{ChartSpec, SeriesRole};
use crate::palette::Color;
use serde_json::{Value as Json, json};

/// Stages from first to last; the width is the figure, the label says it.
pub fn funnel(spec: &ChartSpec) -> Json {
    let top = spec.extent().map_or(1.0, |(_, high)| high.max(1.0));
    let data: Vec<Json> = (0..spec.categories.len())
        .map(|i| {
            let mut one = item(spec, i, 0);
            one["name"] = json!(spec.categories[i].label);
            one["itemStyle"] = json!({"color": Color::series(i)});
            one
        })
        .collect();
    json!({
        "tooltip": tip("item"),
        "series": [{
            "type": "funnel", "name": spec.series.first().map(|s| &s.name), "sort": "none", "gap": 3, "min": 0, "max": top, "minSize": "4%", "maxSize": "100%",
            "left": "24%", "right": "24%", "top": 6, "bottom": 6, "data": data,
            "label": {"position": "right", "color": "$text", "fontSize": BODY, "formatter": "@stage"},
            "labelLine": {"length": 14, "lineStyle": {"color": "$line"}},
            "itemStyle": {"borderWidth": 0},
        }],
    })
}

/// One axis a category, all to one scale, so that shapes compare.
pub fn radar(spec: &ChartSpec) -> Json {
    let top = spec.series.iter().flat_map(|s| s.values.iter().flatten()).copied().fold(0.0, f64::max);
    let axes: Vec<Json> = spec
        .categories
        .iter()
        .map(|c| json!({"name": c.label, "max": if top > 0.0 { top * 1.05 } else { 1.0 }}))
        .collect();
    let data: Vec<Json> = spec
        .series
        .iter()
        .map(|s| {
            let reference = s.role == SeriesRole::Reference;
            json!({
                "name": s.name, "value": s.values, "itemStyle": {"color": s.color},
                "lineStyle": {"color": s.color, "width": 2.25, "type": if reference { "dashed" } else { "solid" }},
                "areaStyle": {"color": s.color, "opacity": if reference { 0.0 } else { 0.16 }},
            })
        })
        .collect();
    json!({
        "tooltip": {"trigger": "item", "confine": true, "formatter": "@spokes", "transitionDuration": 0},
        "legend": legend(spec),
        "radar": {
            "indicator": axes, "radius": "66%", "center": ["50%", "54%"], "splitNumber": 4,
            "axisName": {"color": "$text", "fontSize": SMALL}, "axisLine": {"lineStyle": {"color": "$line"}},
            "splitLine": {"lineStyle": {"color": "$line"}}, "splitArea": {"show": false},
        },
        "series": [{"type": "radar", "symbolSize": 5, "data": data}],
    })
}

/// A cell a day, weeks across.
pub fn calendar(spec: &ChartSpec) -> Json {
    let days: Vec<(usize, &str)> = spec
        .categories
        .iter()
        .enumerate()
        .filter_map(|(i, c)| Some((i, c.cell.as_ref()?.1.as_str()?.get(..10)?)))
        .collect();
    let data: Vec<Json> = days
        .iter()
        .map(|(i, day)| {
            let value = spec.series.first().and_then(|s| s.values[*i]);
            json!({"value": [day, value], "cell": spec.cell(*i, 0), "index": i})
        })
        .collect();
    let range = [days.first().map(|d| d.1), days.last().map(|d| d.1)];
    json!({
        "tooltip": {"trigger": "item", "confine": true, "formatter": "@day", "transitionDuration": 0},
        "visualMap": visual_map(spec, json!({"orient": "horizontal", "right": 8, "top": 0, "padding": 0, "dimension": 1, "itemWidth": 14, "itemGap": 8})),
        "calendar": {
            "range": range, "left": 40, "right": 12, "top": 52, "bottom": 8, "cellSize": ["auto", "auto"],
            "itemStyle": {"color": "$no-data", "borderColor": "$panel", "borderWidth": 2}, "splitLine": {"show": false}, "yearLabel": {"show": false},
            "dayLabel": {"firstDay": 1, "color": "$muted", "fontSize": SMALL, "nameMap": spec.lang.t("ZH", "EN")},
            "monthLabel": {"color": "$muted", "fontSize": SMALL, "nameMap": spec.lang.t("ZH", "EN")},
        },
        "series": [{"type": "heatmap", "coordinateSystem": "calendar", "data": data}],
    })
}

/// The first measure along the foot, the second up the side.
pub fn scatter(spec: &ChartSpec) -> Json {
    let mains: Vec<usize> = (0..spec.series.len()).filter(|i| spec.series[*i].role == SeriesRole::Main).collect();
    let &[x, y, ..] = mains.as_slice() else {
        return json!({"series": [{"type": "scatter", "data": items(spec, 0)}]});
    };
    let data: Vec<Json> = spec
        .categories
        .iter()
        .enumerate()
        .filter_map(|(i, c)| {
            let (a, b) = (spec.series[x].values[i]?, spec.series[y].values[i]?);
            let more = [x, y].map(|n| {
                let s = &spec.series[n];
                json!([s.name, format!("{} {}", s.text(i), s.unit)])
            });
            Some(json!({"value": [a, b], "name": c.label, "title": c.full, "cell": spec.cell(i, 0), "more": more}))
        })
        .collect();
    let axis = |n: usize, name: &str| {
        let mut axis = value_axis();
        let s = &spec.series[n];
        axis["name"] = json!(if s.unit.is_empty() { s.name.clone() } else { format!("{} ({})", s.name, s.unit) });
        axis["scale"] = json!(true);
        axis["nameLocation"] = json!(name);
        axis
    };
    let mut foot = axis(x, "middle");
    foot["nameGap"] = json!(28);
    foot["nameTextStyle"]["align"] = json!("center");
    let mut side = axis(y, "end");
    side["nameTextStyle"]["align"] = json!("left");
    json!({
        "tooltip": tip("item"),
        "grid": {"left": 8, "right": 44, "top": 32, "bottom": 34, "outerBoundsMode": "same", "outerBoundsContain": "axisLabel"},
        "xAxis": foot, "yAxis": side,
        "series": [{
            "type": "scatter", "symbolSize": 13, "data": data, "itemStyle": {"color": Color::Accent, "opacity": 0.85},
            "label": {"show": true, "position": "right", "formatter": "{b}", "color": "$text", "fontSize": SMALL}, "labelLayout": {"hideOverlap": true},
        }],
    })
}
