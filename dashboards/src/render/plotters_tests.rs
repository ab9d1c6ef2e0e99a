//! Tests of pictures drawn on the server.

use super::*;
use crate::pages::Lang;
use crate::test_support::*;
use zonglan_catalog::Value;
use zonglan_catalog::board::Element;
use zonglan_catalog::query::Dim;
use zonglan_catalog::table::ColumnType;

/// Images need a font; where there is none the tests say so, and the error must say it too.
fn font() -> bool {
    match crate::render::font::ensure() {
        Ok(()) => true,
        Err(error) => {
            assert!(error.to_string().contains("/usr/share/fonts"), "{error}");
            println!("skipped: {error}");
            false
        }
    }
}

fn map() -> ChartSpec {
    let query = query(r#"{"dataset":"incident","measures":["per_10k"],"by":["district"],"range":{"last":"30d"}}"#);
    let rows = [("310101", 121), ("310104", 84), ("310115", 49)]
        .map(|(code, rate)| vec![text(code), Value::Decimal { units: rate, scale: 1 }])
        .to_vec();
    let answer = table(vec![dim(Dim::field("district"), ColumnType::Region), measure("per_10k")], rows);
    let element: Element = serde_json::from_value(
        serde_json::json!({"title": {"zh": "各区万人警情", "en": "per 10k"}, "type": "choropleth"}),
    )
    .expect("an element");
    ChartSpec::from_table(&catalogue(), "map", &element, &query, &answer, Lang::Zh).expect("a chart")
}

#[test]
fn a_png_has_the_asked_size() {
    if !font() {
        return;
    }
    let bytes =
        png(&map(), Size { width: 640, height: 360, scale: 1.0 }, Theme::Dark, &Ground::default()).expect("an image");
    let decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
    let reader = decoder.read_info().expect("a PNG");
    assert_eq!((reader.info().width, reader.info().height), (640, 360));
}

#[test]
fn an_svg_holds_names_and_the_same_figures() {
    if !font() {
        return;
    }
    let spec = map();
    let svg = svg(&spec, Size::default(), Theme::Light, &Ground::default()).expect("an image");
    for text in ["各区万人警情", "浦东", "4.9", "8.4", "徐汇"] {
        assert!(svg.contains(text), "{text} is missing");
    }
    // The class colour of the page: its token's value in the light theme.
    let (low, high) = spec.extent().expect("values");
    let breaks = palette::breaks(low, high);
    let step = palette::class_step(palette::class_of(12.1, &breaks), breaks.len() - 1);
    let (r, g, b) = Color::Ramp(step).rgb(Theme::Light);
    assert!(svg.contains(&format!("#{r:02X}{g:02X}{b:02X}")), "no {step}");
}

#[test]
fn an_empty_chart_says_so() {
    if !font() {
        return;
    }
    let spec = ChartSpec { categories: Vec::new(), series: Vec::new(), ..map() };
    assert!(svg(&spec, Size::default(), Theme::Light, &Ground::default()).expect("an image").contains("没有数据"));
}

/// Points in two heaps, drawn in each style.
fn heaps(style: &str) -> ChartSpec {
    let query = query(r#"{"dataset":"incident","rows":["location"]}"#);
    let column =
        zonglan_catalog::table::Column::new("location", ColumnType::Point, zonglan_catalog::table::ColumnRole::Row);
    let heap = |lon: f64, n: usize| (0..n).map(move |i| vec![Value::Point(lon + i as f64 * 1e-5, 31.2)]);
    let answer = table(vec![column], heap(121.4, 60).chain(heap(121.6, 20)).collect());
    let element: Element = serde_json::from_value(
        serde_json::json!({"title": {"zh": "警情分布", "en": "places"}, "type": "heatmap", "heat": style, "size_m": 2000}),
    )
    .expect("an element");
    ChartSpec::from_table(&catalogue(), "map", &element, &query, &answer, Lang::Zh).expect("a chart")
}

#[test]
fn every_map_carries_the_approval_number() {
    if !font() {
        return;
    }
    let ground = Ground { credit: "测绘院 · 审图号：沪S(2026)001号", ..Ground::default() };
    for spec in [map(), heaps("glow"), heaps("hex"), heaps("density"), heaps("clusters")] {
        let with = svg(&spec, Size::default(), Theme::Light, &ground).expect("an image");
        assert!(with.contains("测绘院 · 审图号：沪S(2026)001号"), "{:?}", spec.heat);
        let without = svg(&spec, Size::default(), Theme::Light, &Ground::default()).expect("an image");
        assert!(!without.contains("审图号"));
    }
}

#[test]
fn heaps_are_drawn_with_their_counts() {
    if !font() {
        return;
    }
    let clusters = svg(&heaps("clusters"), Size::default(), Theme::Light, &Ground::default()).expect("an image");
    assert!(clusters.contains("60") && clusters.contains("20"), "{clusters}");
    let option = crate::echarts::option(&heaps("clusters"));
    let data = option["series"][0]["data"].as_array().expect("discs");
    assert_eq!(data.iter().map(|d| d["value"][2].as_f64()).collect::<Vec<_>>(), [Some(60.0), Some(20.0)]);
    let option = crate::echarts::option(&heaps("hex"));
    let data = option["series"][0]["data"].as_array().expect("hexagons");
    // A value and six corners; all points are counted once.
    assert!(data.iter().all(|d| d["value"].as_array().is_some_and(|v| v.len() == 13)));
    assert_eq!(data.iter().filter_map(|d| d["value"][0].as_f64()).sum::<f64>(), 80.0);
    let option = crate::echarts::option(&heaps("density"));
    let cells = option["series"][0]["data"].as_array().expect("cells");
    assert!(cells.len() > 20 && cells.iter().all(|d| d["value"].as_array().is_some_and(|v| v.len() == 9)));
}
