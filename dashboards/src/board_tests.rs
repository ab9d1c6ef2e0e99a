//! Tests of boards: variables, queries, frames.

use super::*;
use crate::test_support::*;
use zonglan_catalog::Value;
use zonglan_catalog::board::Layout;
use zonglan_catalog::table::ColumnType;

fn vars(catalogue: &Catalogue, board: &Board, pairs: &[(&str, &str)]) -> Result<BoardVars> {
    let params = pairs.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
    BoardVars::read(catalogue, board, &params)
}

fn find<'a>(queries: &'a [(String, Query)], name: &str) -> &'a Query {
    &queries.iter().find(|(n, _)| n == name).expect(name).1
}

#[test]
fn a_district_filters_what_has_districts() {
    let catalogue = catalogue();
    let board = catalogue.board("home").expect("home");
    let vars = vars(&catalogue, board, &[("district", "310104")]).expect("vars");
    let queries = board_queries(&catalogue, board, &vars).expect("queries");
    assert_eq!(find(&queries, "incidents").filter, Filter::eq("district", "310104"));
    // The map keeps the city around the chosen district; the ranking steps down to its streets.
    assert!(find(&queries, "by_district").filter.is_true());
    assert_eq!(find(&queries, "ranked").by, [Dim::field("street")]);
    assert_eq!(find(&queries, "ranked").filter, Filter::eq("district", "310104"));
    // The weather has no district.
    assert!(find(&queries, "weather").filter.is_true());
    assert_eq!(vars.region(board), Some(("district", "310104")));
    assert_eq!(vars.key(), "district=310104&period=30d");
}

#[test]
fn a_period_moves_the_ranges_that_follow_it() {
    let catalogue = catalogue();
    let board = catalogue.board("home").expect("home");
    let vars = vars(&catalogue, board, &[("period", "7d")]).expect("vars");
    let queries = board_queries(&catalogue, board, &vars).expect("queries");
    assert_eq!(find(&queries, "incidents").range.last.as_deref(), Some("7d"));
    assert_eq!(find(&queries, "incidents_day").range.last.as_deref(), Some("90d"), "a trend keeps its length");
}

#[test]
fn unknown_values_are_refused_with_what_is_known() {
    let catalogue = catalogue();
    let board = catalogue.board("home").expect("home");
    for (name, value) in [("district", "999999"), ("period", "31d"), ("period", "30d' or 1=1")] {
        let error = vars(&catalogue, board, &[(name, value)]).expect_err(value);
        assert!(matches!(error, Error::Variable { .. }), "{error}");
    }
    // The whole city is no choice, and an abolished district means its successor.
    assert_eq!(vars(&catalogue, board, &[("district", "310000")]).expect("vars").get("district"), None);
    assert_eq!(vars(&catalogue, board, &[("district", "310108")]).expect("vars").get("district"), Some("310106"));
}

#[test]
fn figures_say_whether_a_change_is_good() {
    let catalogue = catalogue();
    let board = catalogue.board("home").expect("home");
    let vars = BoardVars::default();
    let queries: BTreeMap<String, Query> =
        board_queries(&catalogue, board, &vars).expect("queries").into_iter().collect();
    let columns =
        |name: &str| vec![measure(name), comparison(name, "prev"), comparison(name, "delta"), comparison(name, "pct")];
    let tenth = |units| Value::Decimal { units, scale: 1 };
    let fires = table(columns("count"), vec![vec![Value::Int(80), Value::Int(100), Value::Int(-20), tenth(-200)]]);
    let rate = table(columns("settled_rate"), vec![vec![tenth(951), tenth(939), tenth(12), tenth(13)]]);
    let spark = table(
        vec![dim(Dim::time(zonglan_catalog::Grain::Month), ColumnType::Period), measure("settled_rate")],
        vec![vec![date("2026-01-01"), tenth(940)]],
    );
    let tables = BTreeMap::from([
        ("fires", &fires),
        ("fires_mom", &fires),
        ("fires_week", &fires),
        ("disputes", &rate),
        ("disputes_mom", &rate),
        ("disputes_month", &spark),
    ]);
    let answer = |name: &str| Some((queries.get(name)?, *tables.get(name)?));

    let fire = draw(&catalogue, board, &vars, "disputes", Lang::Zh, &answer).expect("panel").number.expect("number");
    assert_eq!((fire.text.as_str(), fire.unit.as_str()), ("95.1", "%"));
    assert_eq!(fire.comparisons[0].text, "+1.2 个百分点");
    assert_eq!(fire.comparisons[0].tone, crate::panel::Tone::Good);
    assert_eq!(fire.comparisons[1].label, "环比");

    let missing = draw(&catalogue, board, &vars, "incidents", Lang::Zh, &answer).expect_err("no answer");
    assert!(matches!(missing, Error::MissingAnswer { .. }), "{missing}");
    assert!(matches!(draw(&catalogue, board, &vars, "nothing", Lang::Zh, &answer), Err(Error::UnknownPanel { .. })));
}

#[test]
fn fewer_fires_are_good() {
    let catalogue = catalogue();
    let board = catalogue.board("home").expect("home");
    let mut element = board.elements["fires"].clone();
    (element.spark, element.versus) = (None, None);
    let query = &board.queries["fires"];
    let answer = table(
        vec![measure("count"), comparison("count", "prev"), comparison("count", "delta"), comparison("count", "pct")],
        vec![vec![Value::Int(80), Value::Int(100), Value::Int(-20), Value::Decimal { units: -200, scale: 1 }]],
    );
    let input = Input {
        catalogue: &catalogue,
        id: "fires",
        element: &element,
        main: Some((query, &answer)),
        spark: None,
        versus: None,
        lang: Lang::Zh,
        selected: None,
    };
    let panel = Panel::draw(&input).expect("panel");
    let number = panel.number.expect("number");
    assert_eq!(
        number.comparisons[0],
        crate::panel::Comparison {
            label: "同比".into(),
            text: "−20.0%".into(),
            change: Some(-20.0),
            tone: crate::panel::Tone::Good
        }
    );
    assert!(panel.href.expect("link").starts_with("/explore?q=%7B%22dataset%22%3A%22fire_incident%22"));
}

#[test]
fn no_panel_overlaps_another() {
    let catalogue = catalogue();
    for board in catalogue.boards() {
        let layouts =
            [("wall", &board.layouts.wall), ("desktop", &board.layouts.desktop), ("mobile", &board.layouts.mobile)];
        for (name, layout) in layouts {
            overlaps(&board.name, name, layout);
        }
    }
}

fn overlaps(board: &str, name: &str, layout: &Layout) {
    for (i, a) in layout.items.iter().enumerate() {
        assert!(layout.rows.is_none_or(|rows| a.2 + a.4 <= rows), "{board}/{name}: {} leaves the canvas", a.0);
        for b in &layout.items[i + 1..] {
            let apart = a.1 + a.3 <= b.1 || b.1 + b.3 <= a.1 || a.2 + a.4 <= b.2 || b.2 + b.4 <= a.2;
            assert!(apart, "{board}/{name}: {} and {} overlap", a.0, b.0);
        }
    }
}

#[test]
fn frames_are_lines() {
    let catalogue = catalogue();
    let board = catalogue.board("home").expect("home");
    let bytes = FrameLine::start(board, &BoardVars::default(), Lang::En).bytes();
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        "{\"frame\":\"start\",\"board\":\"home\",\"title\":\"City at a glance\",\"variables\":{}}\n"
    );
    let end = FrameLine::end(3, 12.345, Some(0), BTreeMap::from([("incident".to_string(), 7)])).bytes();
    assert_eq!(
        String::from_utf8_lossy(&end),
        "{\"frame\":\"end\",\"panels\":3,\"took_ms\":12.3,\"data_time\":\"1970-01-01T08:00:00+08:00\",\"data_version\":{\"incident\":7}}\n"
    );
}
