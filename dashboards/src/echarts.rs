//! ChartSpec to ECharts option JSON. No functions: the page resolves `$name` to a colour of the
//! theme and `@name` to one of its formatters. Sizes are CSS pixels of the 1920×1080 canvas.

mod heat;
mod shapes;

use crate::chart::{ChartSpec, Series, SeriesRole};
use crate::palette::{self, Color};
use serde_json::{Map, Value as Json, json};
use zonglan_catalog::board::ElementKind;

/// Smallest text on a chart.
const SMALL: u8 = 13;
const BODY: u8 = 14;

/// The seven districts of the centre, drawn again larger beside the map so that no label has to
/// overlap another (GB/T 2260: 黄浦 徐汇 长宁 静安 普陀 虹口 杨浦).
pub const CORE_DISTRICTS: [&str; 7] = ["310101", "310104", "310105", "310106", "310107", "310109", "310110"];

/// The option of a chart. The member `zl` is for the page's tips, not for ECharts.
pub fn option(spec: &ChartSpec) -> Json {
    let mut option = match spec.kind {
        ElementKind::Choropleth => choropleth(spec),
        ElementKind::Heatmap => heat::option(spec),
        ElementKind::Pie => pie(spec),
        ElementKind::Grid => grid(spec),
        ElementKind::Bar | ElementKind::Ranking => bar(spec),
        ElementKind::Funnel => shapes::funnel(spec),
        ElementKind::Radar => shapes::radar(spec),
        ElementKind::Calendar => shapes::calendar(spec),
        ElementKind::Scatter => shapes::scatter(spec),
        _ => line(spec),
    };
    if let Json::Object(map) = &mut option {
        map.insert("animation".into(), json!(false));
        map.insert("textStyle".into(), json!({"color": "$text", "fontSize": BODY}));
        map.insert("aria".into(), json!({"enabled": true, "label": {"description": describe(spec)}}));
        map.insert("zl".into(), tips(spec));
    }
    option
}

/// One sentence for screen readers.
fn describe(spec: &ChartSpec) -> String {
    let lang = spec.lang;
    match spec.extent() {
        None => format!("{}: {}", spec.title, lang.t("没有数据", "no data")),
        Some((low, high)) => {
            let digits = spec.series.first().map_or(0, |s| usize::from(s.digits));
            format!(
                "{}: {} {}, {} {} – {} {}",
                spec.title,
                spec.categories.len(),
                lang.t("项", "items"),
                lang.t("范围", "from"),
                crate::format::decimal(low, digits),
                crate::format::decimal(high, digits),
                spec.unit
            )
        }
    }
}

/// What a tip needs beside the values: full names, units and decimals.
fn tips(spec: &ChartSpec) -> Json {
    json!({
        "unit": spec.unit,
        "full": spec.categories.iter().map(|c| &c.full).collect::<Vec<_>>(),
        "series": spec.series.iter().map(|s| json!({"name": s.name, "unit": s.unit, "digits": s.digits, "color": s.color})).collect::<Vec<_>>(),
    })
}

fn item(spec: &ChartSpec, category: usize, series: usize) -> Json {
    let value = spec.series[series].values[category];
    match spec.cell(category, series) {
        Some(cell) => json!({"value": value, "cell": cell}),
        None => json!({"value": value}),
    }
}

fn items(spec: &ChartSpec, series: usize) -> Vec<Json> {
    (0..spec.categories.len()).map(|i| item(spec, i, series)).collect()
}

fn category_axis(spec: &ChartSpec) -> Json {
    json!({
        "type": "category",
        "data": spec.categories.iter().map(|c| &c.label).collect::<Vec<_>>(),
        "axisLine": {"lineStyle": {"color": "$line"}},
        "axisTick": {"show": false},
        "axisLabel": {"color": "$muted", "fontSize": SMALL, "hideOverlap": true},
    })
}

fn value_axis() -> Json {
    json!({
        "type": "value",
        // The unit stands in the head of the panel.
        "nameTextStyle": {"color": "$muted", "fontSize": SMALL, "align": "right"},
        "nameGap": 10,
        "splitNumber": 4,
        "splitLine": {"lineStyle": {"color": "$line"}},
        "axisLabel": {"color": "$muted", "fontSize": SMALL, "formatter": "@amount"},
    })
}

fn legend(spec: &ChartSpec) -> Json {
    json!({
        "show": spec.series.len() > 1,
        "top": 0, "right": 8, "itemWidth": 18, "itemHeight": 8, "itemGap": 16,
        "textStyle": {"color": "$muted", "fontSize": SMALL},
        "data": spec.series.iter().rev().map(|s| &s.name).collect::<Vec<_>>(),
    })
}

fn frame(spec: &ChartSpec) -> Json {
    json!({"left": 4, "right": 18, "top": if spec.series.len() > 1 { 32 } else { 12 }, "bottom": 4,
           "outerBoundsMode": "same", "outerBoundsContain": "axisLabel"})
}

fn tip(trigger: &str) -> Json {
    json!({"trigger": trigger, "confine": true, "formatter": "@tip", "axisPointer": {"lineStyle": {"color": "$muted"}}, "transitionDuration": 0})
}

fn line(spec: &ChartSpec) -> Json {
    let mains = spec.series.iter().filter(|s| s.role == SeriesRole::Main).count();
    let from_zero = spec.from_zero();
    let series: Vec<Json> = spec
        .series
        .iter()
        .enumerate()
        .map(|(n, s)| {
            let reference = s.role == SeriesRole::Reference;
            // A point without neighbours would not be seen without its mark.
            let known = s.values.iter().flatten().count();
            let mut one = json!({
                "type": "line", "name": s.name, "data": items(spec, n), "symbol": "circle", "symbolSize": 7, "showSymbol": known <= 14 && !reference,
                "color": s.color,
                "lineStyle": {"width": if reference { 1.75 } else { 2.75 }, "type": if reference { "dashed" } else { "solid" }},
                "z": if reference { 2 } else { 3 },
                "emphasis": {"focus": "none", "lineStyle": {"width": if reference { 1.75 } else { 2.75 }}},
            });
            if (spec.stacked || mains == 1) && from_zero && !reference {
                one["areaStyle"] = json!({"opacity": if spec.stacked { 0.55 } else { 0.14 }});
            }
            if spec.stacked && !reference {
                one["stack"] = json!("all");
            }
            one
        })
        .collect();
    let mut x = category_axis(spec);
    x["boundaryGap"] = json!(false);
    let mut y = value_axis();
    if !from_zero {
        y["scale"] = json!(true);
    }
    json!({"grid": frame(spec), "legend": legend(spec), "tooltip": tip("axis"), "xAxis": x, "yAxis": y, "series": series})
}

/// Names of periods read along the foot; other names need room and go to the side.
pub fn is_upright(spec: &ChartSpec) -> bool {
    let longest = spec.categories.iter().map(|c| c.label.chars().count()).max().unwrap_or(0);
    spec.ordered || (spec.kind == ElementKind::Bar && longest <= 3 && spec.categories.len() <= 10)
}

fn bar(spec: &ChartSpec) -> Json {
    let upright = is_upright(spec);
    let single = spec.series.len() == 1;
    let series: Vec<Json> = spec
        .series
        .iter()
        .enumerate()
        .map(|(n, s)| {
            let radius = if upright { json!([2, 2, 0, 0]) } else { json!([0, 2, 2, 0]) };
            let mut one = json!({
                "type": "bar", "name": s.name, "data": items(spec, n), "color": s.color, "barMaxWidth": 26, "barCategoryGap": "38%",
                "itemStyle": {"borderRadius": radius, "opacity": if s.role == SeriesRole::Reference { 0.55 } else { 1.0 }},
                "emphasis": {"focus": "none"},
            });
            if spec.stacked && s.role == SeriesRole::Main {
                one["stack"] = json!("all");
            }
            if single && !upright {
                one["label"] = json!({"show": true, "position": "right", "color": "$text", "fontSize": BODY, "formatter": "@value"});
            }
            one
        })
        .collect();
    let (mut category, mut value) = (category_axis(spec), value_axis());
    let mut grid = frame(spec);
    if upright {
        return json!({"grid": grid, "legend": legend(spec), "tooltip": tip("axis"), "xAxis": category, "yAxis": value, "series": series});
    }
    category["inverse"] = json!(true);
    category["axisLabel"]["color"] = json!("$text");
    category["axisLabel"]["fontSize"] = json!(BODY);
    category["axisLabel"]["width"] = json!(112);
    category["axisLabel"]["overflow"] = json!("truncate");
    category["axisLabel"]["interval"] = json!(0);
    category["axisLine"] = json!({"show": false});
    if single {
        // The figures stand at the bars: an axis would say them twice.
        value["show"] = json!(false);
        value["splitLine"] = json!({"show": false});
        grid["right"] = json!(76);
        grid["top"] = json!(6);
    }
    json!({"grid": grid, "legend": legend(spec), "tooltip": tip("axis"), "xAxis": value, "yAxis": category, "series": series})
}

fn pie(spec: &ChartSpec) -> Json {
    let Some(series) = spec.series.first() else { return json!({}) };
    let total: f64 = series.values.iter().flatten().sum();
    let data: Vec<Json> = spec
        .categories
        .iter()
        .enumerate()
        .map(|(i, category)| {
            let color = match Color::of_level(&category.label) {
                _ if category.cell.is_none() => Color::Reference,
                Some(level) => level,
                None => Color::series(i),
            };
            let mut one = json!({"name": category.label, "value": series.values[i], "itemStyle": {"color": color}});
            if let Some(cell) = spec.cell(i, 0) {
                one["cell"] = cell;
            }
            one
        })
        .collect();
    let (text, scale) = crate::format::figure(&figure_value(total, series), spec.lang);
    json!({
        "tooltip": tip("item"),
        "title": {
            "text": format!("{text}{scale}"), "subtext": spec.unit, "left": "center", "top": "middle", "itemGap": 4,
            "textStyle": {"color": "$text", "fontSize": 22, "fontWeight": 600}, "subtextStyle": {"color": "$muted", "fontSize": SMALL},
        },
        "series": [{
            "type": "pie", "radius": ["50%", "74%"], "center": ["50%", "50%"], "data": data, "startAngle": 90, "clockwise": true,
            "minShowLabelAngle": 4, "avoidLabelOverlap": true,
            "itemStyle": {"borderColor": "$panel", "borderWidth": 2},
            "label": {"color": "$text", "fontSize": BODY, "formatter": "@share", "lineHeight": 18, "bleedMargin": 0},
            "labelLine": {"length": 8, "length2": 10, "lineStyle": {"color": "$muted"}},
            "emphasis": {"scaleSize": 4},
        }],
        // Narrow panels keep the names whole: the share goes below the name, the ring shrinks.
        "media": [{"query": {"maxWidth": 480}, "option": {"series": [{"radius": ["40%", "58%"], "label": {"fontSize": 13, "lineHeight": 15, "formatter": "@share2"}, "labelLine": {"length": 5, "length2": 4}}],
            "title": {"textStyle": {"fontSize": 16}, "itemGap": 1}}}],
    })
}

fn figure_value(total: f64, series: &Series) -> zonglan_catalog::Value {
    if series.digits == 0 {
        zonglan_catalog::Value::Int(total.round() as i64)
    } else {
        zonglan_catalog::Value::Float(total)
    }
}

/// Classes of the sequential ramp as ECharts pieces, low to high.
fn pieces(spec: &ChartSpec) -> Vec<Json> {
    spec.extent().map_or_else(Vec::new, |(low, high)| pieces_between(low, high))
}

fn pieces_between(low: f64, high: f64) -> Vec<Json> {
    let breaks = palette::breaks(low, high);
    let digits = palette::break_digits(&breaks);
    let count = breaks.len() - 1;
    (0..count)
        .map(|i| {
            let (from, to) = (breaks[i], breaks[i + 1]);
            let name = |x: f64| crate::format::decimal(x, digits);
            // The last class holds its upper end.
            let upper = if i + 1 == count { "lte" } else { "lt" };
            json!({"gte": from, upper: to, "color": Color::Ramp(palette::class_step(i, count)), "label": format!("{}–{}", name(from), name(to))})
        })
        .collect()
}

fn visual_map(spec: &ChartSpec, extra: Json) -> Json {
    classes(pieces(spec), extra)
}

/// A legend of classes.
fn classes(pieces: Vec<Json>, extra: Json) -> Json {
    let mut map = json!({
        "type": "piecewise", "pieces": pieces, "outOfRange": {"color": "$no-data"}, "itemWidth": 16, "itemHeight": 12, "itemGap": 5, "itemSymbol": "rect",
        "textStyle": {"color": "$muted", "fontSize": SMALL}, "showLabel": true, "selectedMode": false, "hoverLink": false,
    });
    if let (Json::Object(map), Json::Object(extra)) = (&mut map, extra) {
        map.extend(extra);
    }
    map
}

fn choropleth(spec: &ChartSpec) -> Json {
    let (low, high) = spec.extent().unwrap_or_default();
    let breaks = palette::breaks(low, high);
    let data = |keep: &dyn Fn(&str) -> bool| -> Vec<Json> {
        spec.categories
            .iter()
            .enumerate()
            .filter_map(|(i, category)| {
                let code = category.cell.as_ref()?.1.as_str()?;
                if !keep(code) {
                    return None;
                }
                let mut one = json!({
                    "name": code, "value": spec.series.first()?.values[i], "cell": spec.cell(i, 0), "index": i,
                    "text": spec.series.first()?.text(i), "title": category.label, "selected": spec.selected == Some(i),
                });
                one["more"] = spec.series.iter().map(|s| json!([s.name, with_unit(&s.text(i), &s.unit)])).collect();
                if let Some(value) = spec.series.first()?.values[i] {
                    one["label"] = json!({"color": Color::OnRamp(palette::class_step(palette::class_of(value, &breaks), breaks.len() - 1))});
                }
                Some(one)
            })
            .collect()
    };
    let core = |code: &str| CORE_DISTRICTS.contains(&code);
    let base = |map: &str, name: &str| {
        json!({
            "type": "map", "map": map, "name": name, "nameProperty": "code", "aspectScale": 0.855, "preserveAspect": "contain", "roam": false, "selectedMode": false,
            "itemStyle": {"areaColor": "$no-data", "borderColor": "$bg", "borderWidth": 1.2},
            "label": {"show": true, "color": "$text", "fontSize": BODY, "lineHeight": 17, "formatter": "@region"},
            "emphasis": {"label": {"color": "$text"}, "itemStyle": {"areaColor": "$accent", "borderColor": "$text", "borderWidth": 1.5}},
            "select": {"label": {"color": "$text"}, "itemStyle": {"borderColor": "$text", "borderWidth": 2.5}},
            "labelLayout": {"hideOverlap": true},
        })
    };
    let name = spec.series.first().map(|s| s.name.clone()).unwrap_or_default();
    let mut whole = base("shanghai", &name);
    whole["data"] = json!(
        data(&|_| true)
            .into_iter()
            .map(|mut one| {
                if one["name"].as_str().is_some_and(core) {
                    one["label"] = json!({"show": false});
                    one["emphasis"] = json!({"label": {"show": false}});
                }
                mark_selected(&mut one);
                one
            })
            .collect::<Vec<_>>()
    );
    // Districts of the centre without a figure carry no name on the whole map either.
    let known: Vec<&str> = spec.categories.iter().filter_map(|c| c.cell.as_ref()?.1.as_str()).collect();
    if let Some(items) = whole["data"].as_array_mut() {
        let bare = CORE_DISTRICTS.iter().filter(|code| !known.contains(code));
        items.extend(bare.map(|code| json!({"name": code, "value": null, "label": {"show": false}, "emphasis": {"label": {"show": false}}})));
    }
    merge(&mut whole, json!({"left": "38%", "right": 10, "top": 6, "bottom": 8}));
    let mut inset = base("shanghai-core", &name);
    inset["data"] = json!(
        data(&core)
            .into_iter()
            .map(|mut one| {
                mark_selected(&mut one);
                one
            })
            .collect::<Vec<_>>()
    );
    merge(&mut inset, json!({"left": 10, "width": "40%", "top": 30, "height": "58%"}));
    json!({
        "tooltip": tip("item"),
        "title": {"text": spec.lang.t("中心城区", "City centre"), "left": 10, "top": 4, "textStyle": {"color": "$muted", "fontSize": SMALL, "fontWeight": "normal"}},
        "visualMap": visual_map(spec, json!({"left": 6, "bottom": 4, "seriesIndex": [0, 1], "inverse": false, "align": "left"})),
        "series": [whole, inset],
        // On narrow panels the centre stands above the whole, and labels are small.
        "media": [{"query": {"maxWidth": 520}, "option": {
            "visualMap": [{"top": "45%", "bottom": "auto"}],
            "series": [
                {"left": "14%", "right": 4, "top": "44%", "bottom": 6, "label": {"fontSize": 12, "lineHeight": 14}},
                {"left": "16%", "width": "68%", "top": 8, "height": "40%", "label": {"fontSize": 12, "lineHeight": 14}},
            ],
        }}],
    })
}

/// The chosen region keeps its class colour and gets a strong border.
fn mark_selected(one: &mut Json) {
    if one["selected"] == json!(true) {
        one["itemStyle"] = json!({"borderColor": "$text", "borderWidth": 3});
    }
    if let Json::Object(map) = one {
        map.remove("selected");
    }
}

fn with_unit(text: &str, unit: &str) -> String {
    if unit.is_empty() { text.to_string() } else { format!("{text} {unit}") }
}

fn merge(into: &mut Json, from: Json) {
    if let (Json::Object(into), Json::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn grid(spec: &ChartSpec) -> Json {
    let mut data = Vec::with_capacity(spec.categories.len() * spec.series.len());
    for (y, series) in spec.series.iter().enumerate() {
        for x in 0..spec.categories.len() {
            let mut one = Map::from_iter([("value".to_string(), json!([x, y, series.values[x]]))]);
            if let Some(cell) = spec.cell(x, y) {
                one.insert("cell".into(), cell);
            }
            data.push(Json::Object(one));
        }
    }
    let mut x = category_axis(spec);
    x["splitArea"] = json!({"show": false});
    x["axisLine"] = json!({"show": false});
    let mut axis_label = x["axisLabel"].clone();
    // Seven names stand close, but all of them stand.
    merge(&mut axis_label, json!({"interval": 0, "hideOverlap": false}));
    json!({
        "grid": {"left": 4, "right": 10, "top": 24, "bottom": 2, "outerBoundsMode": "same", "outerBoundsContain": "axisLabel"},
        "tooltip": tip("item"),
        "xAxis": x,
        "yAxis": {"type": "category", "inverse": true, "data": spec.series.iter().map(|s| &s.name).collect::<Vec<_>>(),
            "axisLine": {"show": false}, "axisTick": {"show": false}, "axisLabel": axis_label},
        "visualMap": visual_map(spec, json!({"orient": "horizontal", "right": 8, "top": 0, "padding": 0, "dimension": 2, "itemWidth": 14, "itemGap": 8})),
        "series": [{"type": "heatmap", "data": data, "itemStyle": {"borderColor": "$panel", "borderWidth": 1.5, "borderRadius": 2},
            "emphasis": {"itemStyle": {"borderColor": "$text", "borderWidth": 1.5}}}],
    })
}

#[cfg(test)]
#[path = "echarts_tests.rs"]
mod tests;
