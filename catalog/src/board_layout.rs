//! Layouts made from a board's `flow`: the same rows of elements for walls, desks, phones and paper.

use crate::board::{Board, Element, ElementKind, Layout, Placement};

/// Columns and rows of a wall's grid.
const WALL: (u16, u16) = (24, 24);
/// Rows of a wall that a figure with comparisons and spark line needs.
const FIGURES: u16 = 4;
const DESKTOP_COLUMNS: u16 = 12;
const MOBILE_COLUMNS: u16 = 2;
/// The name of the title bar that boards with a flow get without asking for one.
const TITLE: &str = "title";

/// Elements side by side, each with its share of the width.
type Row<'a> = Vec<(&'a str, u16)>;

/// Completes a board as its file was read: inline queries get names, boards with a flow a title
/// bar and the layouts that the file leaves out.
pub fn complete(board: &mut Board) {
    for (id, element) in &mut board.elements {
        if let Some(query) = element.ask.take() {
            board.queries.insert(id.clone(), query);
            element.query = Some(id.clone());
        }
    }
    if board.flow.is_empty() {
        return;
    }
    board.elements.entry(TITLE.into()).or_insert_with(|| Element::new(board.title.clone(), ElementKind::Title));
    let flow = board.flow.clone();
    let rows: Vec<Row<'_>> = flow.iter().map(|row| row.iter().map(|item| weighted(item)).collect()).collect();
    let kind = |id: &str| board.elements.get(id).map(|e| e.kind);
    let wall = wall(&rows, &kind);
    let desktop = desktop(&rows, &kind);
    let mobile = mobile(&rows, &kind);
    let layouts = &mut board.layouts;
    for (layout, made) in [(&mut layouts.wall, wall), (&mut layouts.mobile, mobile)] {
        if layout.items.is_empty() {
            *layout = made;
        }
    }
    if layouts.desktop.items.is_empty() {
        layouts.desktop = desktop.clone();
    }
    layouts.print.get_or_insert(desktop);
}

/// `map:2` as the element and its share.
fn weighted(item: &str) -> (&str, u16) {
    match item.split_once(':') {
        Some((id, weight)) => (id, weight.parse().unwrap_or(1).max(1)),
        None => (item, 1),
    }
}

/// How much height a kind asks for; figures need little, maps much.
fn height(kind: Option<ElementKind>) -> u16 {
    match kind {
        Some(ElementKind::Text) => 3,
        Some(ElementKind::Number) => 4,
        Some(ElementKind::Choropleth | ElementKind::Heatmap) => 11,
        _ => 7,
    }
}

fn row_height(row: &Row<'_>, kind: &dyn Fn(&str) -> Option<ElementKind>) -> u16 {
    row.iter().map(|(id, _)| height(kind(id))).max().unwrap_or(7)
}

/// Shares `total` out by weight; the parts add up to `total` and none is 0 while that is possible.
fn shares(weights: &[u16], total: u16) -> Vec<u16> {
    let sum: u32 = weights.iter().map(|w| u32::from(*w)).sum::<u32>().max(1);
    let edge = |upto: usize| {
        let before: u32 = weights[..upto].iter().map(|w| u32::from(*w)).sum();
        ((before * u32::from(total) * 2 + sum) / (2 * sum)) as u16
    };
    (0..weights.len()).map(|i| edge(i + 1) - edge(i)).collect()
}

fn across(row: &Row<'_>, columns: u16, y: u16, height: u16, items: &mut Vec<Placement>) {
    let widths = shares(&row.iter().map(|(_, w)| *w).collect::<Vec<_>>(), columns);
    let mut x = 0;
    for ((id, _), width) in row.iter().zip(widths) {
        items.push(Placement((*id).into(), x, y, width, height));
        x += width;
    }
}

fn wall(rows: &[Row<'_>], kind: &dyn Fn(&str) -> Option<ElementKind>) -> Layout {
    let mut items = vec![Placement(TITLE.into(), 0, 0, WALL.0, 2)];
    // A wall is as high as it is: figures get their four rows, the others share what is left.
    let figures = |row: &Row<'_>| row.iter().all(|(id, _)| kind(id) == Some(ElementKind::Number));
    let fixed: u16 = rows.iter().filter(|r| figures(r)).map(|_| FIGURES).sum();
    let rest: Vec<u16> = rows.iter().filter(|r| !figures(r)).map(|r| row_height(r, kind)).collect();
    let mut rest = shares(&rest, (WALL.1 - 2).saturating_sub(fixed)).into_iter();
    let heights = rows.iter().map(|r| if figures(r) { FIGURES } else { rest.next().unwrap_or(1) });
    let mut y = 2;
    for (row, height) in rows.iter().zip(heights) {
        across(row, WALL.0, y, height, &mut items);
        y += height;
    }
    Layout { columns: WALL.0, rows: Some(WALL.1), items }
}

fn desktop(rows: &[Row<'_>], kind: &dyn Fn(&str) -> Option<ElementKind>) -> Layout {
    let mut items = vec![Placement(TITLE.into(), 0, 0, DESKTOP_COLUMNS, 2)];
    let mut y = 2;
    for row in rows {
        let height = row_height(row, kind);
        // More than four panels side by side are too narrow at a desk, six figures are not.
        let most = if row.iter().all(|(id, _)| kind(id) == Some(ElementKind::Number)) { 6 } else { 4 };
        for part in row.chunks(row.len().div_ceil(row.len().div_ceil(most))) {
            across(&part.to_vec(), DESKTOP_COLUMNS, y, height, &mut items);
            y += height;
        }
    }
    Layout { columns: DESKTOP_COLUMNS, rows: None, items }
}

/// Figures in pairs, everything else one below the other.
fn mobile(rows: &[Row<'_>], kind: &dyn Fn(&str) -> Option<ElementKind>) -> Layout {
    let mut items = vec![Placement(TITLE.into(), 0, 0, MOBILE_COLUMNS, 3)];
    let mut y = 3;
    for row in rows {
        let (figures, charts): (Vec<_>, Vec<_>) =
            row.iter().copied().partition(|(id, _)| kind(id) == Some(ElementKind::Number));
        for pair in figures.chunks(2) {
            let pair: Row<'_> = pair.iter().map(|(id, _)| (*id, 1)).collect();
            across(&pair, MOBILE_COLUMNS, y, 3, &mut items);
            y += 3;
        }
        for (id, _) in charts {
            let tall = match kind(id) {
                Some(ElementKind::Choropleth | ElementKind::Heatmap) => 13,
                Some(ElementKind::Ranking | ElementKind::Table | ElementKind::Feed) => 8,
                Some(ElementKind::Text) => 3,
                _ => 7,
            };
            items.push(Placement(id.into(), 0, y, MOBILE_COLUMNS, tall));
            y += tall;
        }
    }
    Layout { columns: MOBILE_COLUMNS, rows: None, items }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (weights, total) in [(vec![1, 1, 1], 24), (vec![4, 11, 7], 22), (vec![2, 1], 12), (vec![1; 7], 24)] {
            let parts = shares(&weights, total);
            assert_eq!(parts.iter().sum::<u16>(), total, "{weights:?}");
            assert!(parts.iter().all(|p| *p > 0), "{parts:?}");
        }
    }

    #[test]
    fn a_flow_makes_every_layout() {
        let text = r#"
name = "x"
title = { zh = "示例", en = "Example" }
flow = [["a", "b"], ["map:2", "c"]]
[elements.a]
title = { zh = "甲", en = "A" }
type = "number"
ask = { dataset = "incident", measures = ["count"] }
[elements.b]
title = { zh = "乙", en = "B" }
type = "number"
query = "a"
[elements.map]
title = { zh = "图", en = "Map" }
type = "choropleth"
ask = { dataset = "incident", measures = ["count"], by = ["district"] }
[elements.c]
title = { zh = "丙", en = "C" }
type = "pie"
query = "map"
"#;
        let mut board: Board = toml::from_str(text).expect("a board");
        complete(&mut board);
        assert_eq!(board.queries.len(), 2);
        assert_eq!(board.elements["a"].query.as_deref(), Some("a"));
        let layouts = &board.layouts;
        for layout in [&layouts.wall, &layouts.desktop, &layouts.mobile] {
            let mut cells = std::collections::HashSet::new();
            for Placement(id, x, y, w, h) in &layout.items {
                assert!(board.elements.contains_key(id) && x + w <= layout.columns, "{id}");
                for cell in (*x..x + w).flat_map(|x| (*y..y + h).map(move |y| (x, y))) {
                    assert!(cells.insert(cell), "{id} lies over another");
                }
            }
            assert_eq!(layout.items.len(), 5, "four elements and the title");
        }
        let map = layouts.wall.items.iter().find(|p| p.0 == "map").expect("the map");
        assert_eq!((map.3, map.4), (16, 18), "two thirds of the width, all the height below the figures");
    }
}
