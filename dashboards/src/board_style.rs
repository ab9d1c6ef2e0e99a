//! The style sheet of a board's layouts: `/boards/{name}/layout.css`. Placement is CSS, so that
//! the content policy needs no inline style, and one page serves wall, desktop and phone.

use std::fmt::Write;
use zonglan_catalog::board::{Board, Layout};

/// Windows that get the wall layout unless the address chooses: wide and large.
pub const WALL_MEDIA: &str = "(min-width:1600px) and (min-aspect-ratio:3/2)";
const MOBILE_MEDIA: &str = "(max-width:759px)";

/// The rules of all layouts. `data-layout` on the board chooses; `auto` follows the window:
/// desktop first, then what overrides it on phones and walls (equal weight, so the later rule wins).
pub fn css(board: &Board) -> String {
    let layouts = &board.layouts;
    let mut css = String::with_capacity(16 * 1024);
    for (name, layout, wall) in
        [("desktop", &layouts.desktop, false), ("mobile", &layouts.mobile, false), ("wall", &layouts.wall, true)]
    {
        let _ = writeln!(css, "{}", body(layout, &format!(".board[data-layout={name}]"), wall));
    }
    let auto = ".board[data-layout=auto]";
    let _ = writeln!(css, "{}", body(&layouts.desktop, auto, false));
    let _ = writeln!(css, "@media {MOBILE_MEDIA}{{{}}}", body(&layouts.mobile, auto, false));
    let _ = writeln!(css, "@media {WALL_MEDIA}{{{}}}", body(&layouts.wall, auto, true));
    if let Some(print) = &layouts.print {
        let _ = writeln!(css, "@media print{{{}}}", body(print, ".board[data-layout]", false));
    }
    css
}

fn body(layout: &Layout, scope: &str, wall: bool) -> String {
    let mut css = String::new();
    let rows = layout.rows.unwrap_or_else(|| layout.items.iter().map(|p| p.2 + p.4).max().unwrap_or(1));
    let row = if wall {
        format!("grid-template-rows:repeat({rows},minmax(0,1fr))")
    } else {
        "grid-auto-rows:var(--row)".to_string()
    };
    let _ = write!(css, "{scope}{{grid-template-columns:repeat({},minmax(0,1fr));{row}}}", layout.columns);
    // What a layout does not place, it does not show.
    let _ = write!(css, "{scope}>[data-panel]{{display:none}}");
    for place in &layout.items {
        let _ = write!(
            css,
            "{scope}>[data-panel=\"{}\"]{{display:flex;grid-area:{}/{}/span {}/span {}}}",
            place.0,
            place.2 + 1,
            place.1 + 1,
            place.4,
            place.3
        );
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_places_its_panels() {
        let catalogue = zonglan_catalog::Catalogue::builtin().expect("packs");
        let board = catalogue.board("home").expect("home board");
        let css = css(board);
        assert!(css.contains(".board[data-layout=wall]{grid-template-columns:repeat(24,minmax(0,1fr))"), "{css}");
        for place in &board.layouts.wall.items {
            assert!(css.contains(&format!(">[data-panel=\"{}\"]{{display:flex;grid-area:", place.0)), "{}", place.0);
        }
        assert_eq!(css.matches('{').count(), css.matches('}').count());
    }
}
