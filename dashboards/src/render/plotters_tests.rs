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
    let bytes = png(&map(), Size { width: 640, height: 360, scale: 1.0 }, Theme::Dark).expect("an image");
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
    let svg = svg(&spec, Size::default(), Theme::Light).expect("an image");
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
    assert!(svg(&spec, Size::default(), Theme::Light).expect("an image").contains("没有数据"));
}
