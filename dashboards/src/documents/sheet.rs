//! A board on paper: its panels in the places of the print layout, drawn as vectors on pages of
//! A4, with what the reader must know at the foot of each and who took it across it.

use super::pdf::{Face, Numbers, deflate, embed};
use crate::board::PaperPanel;
use crate::error::Result;
use crate::palette::{Color, Theme};
use crate::panel::{Comparison, NumberView, Panel, RankRow, RowsView, Tone};
use crate::render::plotters::{self, Ground, Size};
use crate::render::vectors::{Mark, Side};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use std::collections::BTreeSet;
use zonglan_catalog::board::ElementKind;

/// A board as it goes to paper.
#[derive(Default)]
pub struct BoardSheet {
    pub title: String,
    /// What the variables chose, and the time of the data.
    pub subtitle: String,
    pub columns: u16,
    pub panels: Vec<PaperPanel>,
    /// Lines at the foot of each page: sources, 审图号, demo data.
    pub foot: Vec<String>,
    /// Across each page: who took it and when.
    pub watermark: String,
    pub author: String,
    /// Districts of maps; without them the shipped ones.
    pub regions: Option<std::sync::Arc<zonglan_geo::RegionSet>>,
}

/// A4 across, in points, and what is left free around it.
const PAGE: (f32, f32) = (841.89, 595.28);
const SIDE: f32 = 30.0;
const TOP: f32 = 34.0;
const BOTTOM: f32 = 44.0;
const GAP: f32 = 6.0;
/// Height of a row of the layout where nothing forces another.
const UNIT: f32 = 22.0;
/// Points of a pixel of the design: body text of 15 pixels becomes 8 points.
const PIXEL: f32 = 0.54;
/// Backend pixels of a point: eighths are finer than any printer's line.
const FINE: f32 = 8.0;

type Rgb = (u8, u8, u8);

fn rgb(color: &Color) -> Rgb {
    color.rgb(Theme::Light)
}

/// What is drawn on one page, in points from the upper left.
struct Page<'a> {
    content: Content,
    face: &'a mut Face,
    /// Opacities used, in per cent.
    alphas: BTreeSet<u8>,
    now: u8,
}

impl Page<'_> {
    fn fill(&mut self, color: Rgb) {
        let [r, g, b] = [color.0, color.1, color.2].map(|c| f32::from(c) / 255.0);
        self.content.set_fill_rgb(r, g, b).set_stroke_rgb(r, g, b);
    }

    fn opacity(&mut self, alpha: f64) {
        let percent = (alpha * 100.0).round().clamp(1.0, 100.0) as u8;
        if percent != self.now {
            self.now = percent;
            self.alphas.insert(percent);
            self.content.set_parameters(Name(format!("A{percent}").as_bytes()));
        }
    }

    fn wide(&mut self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.face.width(c)).sum::<f32>() * size
    }

    /// The text, or as much of it as fits into `most`, with an ellipsis.
    fn cut(&mut self, text: &str, size: f32, most: f32) -> String {
        if self.wide(text, size) <= most {
            return text.to_string();
        }
        let mut out = String::new();
        let mut wide = self.face.width('…') * size;
        for c in text.chars() {
            wide += self.face.width(c) * size;
            if wide > most {
                break;
            }
            out.push(c);
        }
        out.push('…');
        out
    }

    /// One line; `y` is its baseline.
    fn text(&mut self, text: &str, (x, y): (f32, f32), size: f32, color: Rgb, side: Side) {
        let wide = self.wide(text, size);
        let x = match side {
            Side::Left => x,
            Side::Middle => x - wide / 2.0,
            Side::Right => x - wide,
        };
        self.fill(color);
        let codes = self.face.encode(text);
        self.content.begin_text().set_font(Name(b"F"), size);
        self.content.set_text_matrix([1.0, 0.0, 0.0, 1.0, x, PAGE.1 - y]).show(Str(&codes)).end_text();
    }

    fn area(&mut self, points: &[(f32, f32)], color: Rgb) {
        self.fill(color);
        self.path(points);
        self.content.fill_nonzero();
    }

    fn line(&mut self, points: &[(f32, f32)], width: f32, color: Rgb) {
        self.fill(color);
        self.content.set_line_width(width);
        self.path(points);
        self.content.stroke();
    }

    fn path(&mut self, points: &[(f32, f32)]) {
        for (i, (x, y)) in points.iter().enumerate() {
            if i == 0 {
                self.content.move_to(*x, PAGE.1 - y);
            } else {
                self.content.line_to(*x, PAGE.1 - y);
            }
        }
    }

    fn rect(&mut self, at: Place, color: Rgb) {
        self.area(&[(at.x, at.y), (at.x + at.w, at.y), (at.x + at.w, at.y + at.h), (at.x, at.y + at.h)], color);
    }

    /// Marks of the chart renderer, from `at`.
    fn marks(&mut self, marks: &[Mark], at: Place) {
        let place = |(x, y): (f32, f32)| (at.x + x / FINE, at.y + y / FINE);
        for mark in marks {
            match mark {
                Mark::Line { points, width, ink } => {
                    self.opacity(ink.alpha);
                    let points: Vec<_> = points.iter().map(|p| place(*p)).collect();
                    self.line(&points, (width / FINE).max(0.3), ink.rgb);
                }
                Mark::Area { points, ink } => {
                    self.opacity(ink.alpha);
                    let points: Vec<_> = points.iter().map(|p| place(*p)).collect();
                    self.area(&points, ink.rgb);
                }
                Mark::Text { x, y, size, side, text, ink } => {
                    self.opacity(ink.alpha);
                    let (x, y) = place((*x, *y));
                    let size = size / FINE;
                    self.text(text, (x, y + size * 0.36), size, ink.rgb, *side);
                }
            }
        }
        self.opacity(1.0);
    }
}

/// A rectangle on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    x: f32,
    y: f32,
    w: f32,
    h: f32,
}

/// Panels whose heights overlap form a band, which is not torn apart: `(first row, rows, panels)`.
fn bands(panels: &[PaperPanel]) -> Vec<(u16, u16, Vec<usize>)> {
    let mut order: Vec<usize> = (0..panels.len()).collect();
    order.sort_by_key(|i| (panels[*i].place.1, panels[*i].place.0));
    let mut bands: Vec<(u16, u16, Vec<usize>)> = Vec::new();
    for i in order {
        let (_, y, _, h) = panels[i].place;
        match bands.last_mut() {
            Some((from, rows, members)) if y < *from + *rows => {
                *rows = (*rows).max(y + h - *from);
                members.push(i);
            }
            _ => bands.push((y, h, vec![i])),
        }
    }
    bands
}

impl BoardSheet {
    /// Where each panel stands: page by page.
    fn places(&self) -> Vec<Vec<(usize, Place)>> {
        let room = PAGE.1 - TOP - BOTTOM;
        let head = 34.0;
        let column = (PAGE.0 - 2.0 * SIDE + GAP) / f32::from(self.columns.max(1));
        let mut pages: Vec<Vec<(usize, Place)>> = vec![Vec::new()];
        let mut y = head;
        for (from, rows, members) in bands(&self.panels) {
            let whole = f32::from(rows) * UNIT;
            if y + whole > room && y > head {
                pages.push(Vec::new());
                y = 0.0;
            }
            // A band higher than a page is drawn lower.
            let unit = UNIT.min((room - y) / f32::from(rows.max(1)));
            for i in members {
                let (px, py, pw, ph) = self.panels[i].place;
                let place = Place {
                    x: SIDE + f32::from(px) * column,
                    y: TOP + y + f32::from(py - from) * unit,
                    w: f32::from(pw) * column - GAP,
                    h: f32::from(ph) * unit - GAP,
                };
                if let Some(page) = pages.last_mut() {
                    page.push((i, place));
                }
            }
            y += f32::from(rows) * unit;
        }
        // What is left at the foot of a page is given to its panels, up to a quarter.
        for (n, page) in pages.iter_mut().enumerate() {
            let from = TOP + if n == 0 { head } else { 0.0 };
            let used = page.iter().map(|(_, p)| p.y + p.h + GAP).fold(from, f32::max) - from;
            let stretch = ((PAGE.1 - BOTTOM - from) / used.max(1.0)).clamp(1.0, 1.25);
            for (_, place) in page {
                place.y = from + (place.y - from) * stretch;
                place.h = (place.h + GAP) * stretch - GAP;
            }
        }
        pages
    }

    /// The pages as PDF: vectors, with the glyphs used embedded.
    ///
    /// # Errors
    /// No Chinese font on the machine.
    pub fn pdf(&self) -> Result<Vec<u8>> {
        let mut face = Face::load()?;
        let pages = self.places();
        let count = pages.len();
        let (mut pdf, mut numbers) = (Pdf::new(), Numbers(0));
        let (catalog, tree, font) = (numbers.next(), numbers.next(), numbers.next());
        let mut kids: Vec<Ref> = Vec::with_capacity(count);
        for (n, panels) in pages.iter().enumerate() {
            let mut page = Page { content: Content::new(), face: &mut face, alphas: BTreeSet::from([100]), now: 100 };
            self.head(&mut page, n);
            // The approval number stands at the foot of each page.
            let mut ground = Ground::default();
            if let Some(regions) = &self.regions {
                ground.regions = regions;
            }
            for (i, place) in panels {
                draw(&mut page, &self.panels[*i], *place, &ground)?;
            }
            self.foot(&mut page, n, count);
            self.mark(&mut page);
            let Page { content, alphas, .. } = page;
            let (id, stream) = (numbers.next(), numbers.next());
            let states: Vec<(u8, Ref)> = alphas.into_iter().map(|a| (a, numbers.next())).collect();
            kids.push(id);
            let mut entry = pdf.page(id);
            entry.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(stream);
            let mut resources = entry.resources();
            resources.fonts().pair(Name(b"F"), font);
            let mut names = resources.ext_g_states();
            for (alpha, state) in &states {
                names.pair(Name(format!("A{alpha}").as_bytes()), *state);
            }
            names.finish();
            resources.finish();
            entry.finish();
            for (alpha, state) in states {
                let part = f32::from(alpha) / 100.0;
                pdf.ext_graphics(state).non_stroking_alpha(part).stroking_alpha(part);
            }
            let bytes = deflate(content.finish().as_slice())?;
            pdf.stream(stream, &bytes).filter(Filter::FlateDecode);
        }
        pdf.catalog(catalog).pages(tree).lang(TextStr("zh-CN"));
        pdf.pages(tree).count(i32::try_from(kids.len()).unwrap_or(i32::MAX)).kids(kids);
        embed(&mut pdf, &mut numbers, &face, font)?;
        let info = numbers.next();
        pdf.document_info(info).title(TextStr(&self.title)).author(TextStr(&self.author)).creator(TextStr("zonglan"));
        Ok(pdf.finish())
    }

    fn head(&self, page: &mut Page<'_>, n: usize) {
        let muted = rgb(&Color::Muted);
        if n == 0 {
            page.text(&self.title, (SIDE, TOP + 14.0), 18.0, rgb(&Color::Text), Side::Left);
            page.text(&self.subtitle, (PAGE.0 - SIDE, TOP + 14.0), 9.0, muted, Side::Right);
        } else {
            page.text(&self.title, (SIDE, TOP - 10.0), 8.0, muted, Side::Left);
            page.text(&self.subtitle, (PAGE.0 - SIDE, TOP - 10.0), 8.0, muted, Side::Right);
        }
    }

    fn foot(&self, page: &mut Page<'_>, n: usize, count: usize) {
        let muted = rgb(&Color::Muted);
        page.text(&format!("{} / {count}", n + 1), (PAGE.0 - SIDE, PAGE.1 - 18.0), 8.0, muted, Side::Right);
        for (i, line) in self.foot.iter().take(2).enumerate() {
            let line = page.cut(line, 7.5, PAGE.0 - 2.0 * SIDE - 50.0);
            page.text(&line, (SIDE, PAGE.1 - 28.0 + 10.0 * i as f32), 7.5, muted, Side::Left);
        }
    }

    /// Who took it and when, slanting over the whole page, so faint that it can be read through.
    fn mark(&self, page: &mut Page<'_>) {
        if self.watermark.is_empty() {
            return;
        }
        page.opacity(0.07);
        page.fill(rgb(&Color::Text));
        let codes = page.face.encode(&self.watermark);
        let (sin, cos) = 20f32.to_radians().sin_cos();
        for row in 0..4 {
            for column in 0..3 {
                let (x, y) = (30.0 + 290.0 * column as f32 + 70.0 * (row % 2) as f32, 60.0 + 150.0 * row as f32);
                page.content.begin_text().set_font(Name(b"F"), 15.0);
                page.content.set_text_matrix([cos, sin, -sin, cos, x, y]).show(Str(&codes)).end_text();
            }
        }
        page.opacity(1.0);
    }
}

const PAD: f32 = 8.0;

fn draw(page: &mut Page<'_>, paper: &PaperPanel, at: Place, ground: &Ground<'_>) -> Result<()> {
    let line = rgb(&Color::Line);
    let corners = [(at.x, at.y), (at.x + at.w, at.y), (at.x + at.w, at.y + at.h), (at.x, at.y + at.h), (at.x, at.y)];
    page.line(&corners, 0.5, line);
    let panel = &paper.panel;
    let drawn = panel.number.is_some() || panel.ranking.is_some() && panel.kind == ElementKind::Ranking;
    if let Some(spec) = paper.chart.as_ref().filter(|_| panel.meta.error.is_none() && !drawn) {
        let size = Size {
            width: ((at.w - 2.0) * FINE) as u32,
            height: ((at.h - 2.0) * FINE) as u32,
            scale: f64::from(FINE * PIXEL),
        };
        let marks = plotters::marks(spec, size, Theme::Light, ground)?;
        page.marks(&marks, Place { x: at.x + 1.0, y: at.y + 1.0, ..at });
        return Ok(());
    }
    let muted = rgb(&Color::Muted);
    let title = page.cut(&panel.title, 9.5, at.w - 2.0 * PAD);
    page.text(&title, (at.x + PAD, at.y + 15.0), 9.5, rgb(&Color::Text), Side::Left);
    let body = Place { x: at.x + PAD, y: at.y + 20.0, w: at.w - 2.0 * PAD, h: at.h - 24.0 };
    if let Some(error) = &panel.meta.error {
        let text = page.cut(error, 8.0, body.w);
        page.text(&text, (body.x, body.y + 14.0), 8.0, muted, Side::Left);
    } else if let Some(number) = &panel.number {
        figure(page, number, body);
    } else if let Some(ranking) = &panel.ranking {
        ranks(page, ranking, body);
    } else if let Some(rows) = &panel.rows {
        table(page, rows, body);
    } else if let Some(facts) = &panel.facts {
        let text = facts.iter().map(|f| format!("{} {}", f.label, f.text)).collect::<Vec<_>>().join("　");
        wrapped(page, &text, body);
    } else if let Some(text) = &panel.text {
        wrapped(page, text, body);
    }
    Ok(())
}

fn wrapped(page: &mut Page<'_>, text: &str, at: Place) {
    let runs = [super::Run::plain(text)];
    let most = (at.h / 13.0) as usize;
    for (n, line) in super::pdf::lines(page.face, &runs, 8.5, at.w).into_iter().take(most).enumerate() {
        let y = at.y + 11.0 + 13.0 * n as f32;
        for (x, run) in line {
            page.text(&run.text, (at.x + x, y), 8.5, rgb(&Color::Text), Side::Left);
        }
    }
}

fn change_text(change: &Comparison) -> (String, Rgb) {
    let arrow = match change.change {
        Some(x) if x >= 0.05 => "▲",
        Some(x) if x <= -0.05 => "▼",
        _ => "",
    };
    let color = match change.tone {
        Tone::Good => Color::Good,
        Tone::Bad => Color::Bad,
        Tone::Neutral => Color::Muted,
    };
    (format!("{arrow}{}", change.text.trim_start_matches(['+', '\u{2212}'])), rgb(&color))
}

fn figure(page: &mut Page<'_>, number: &NumberView, at: Place) {
    let muted = rgb(&Color::Muted);
    let size = if at.h > 44.0 { 24.0 } else { 17.0 };
    let base = at.y + size;
    page.text(&number.text, (at.x, base), size, rgb(&Color::Text), Side::Left);
    let x = at.x + page.wide(&number.text, size) + 3.0;
    page.text(&format!("{}{}", number.scale, number.unit), (x, base), 9.0, muted, Side::Left);
    for (n, change) in number.comparisons.iter().take(2).enumerate() {
        let y = base + 13.0 + 11.0 * n as f32;
        if y > at.y + at.h {
            break;
        }
        page.text(&change.label, (at.x, y), 8.0, muted, Side::Left);
        let (text, color) = change_text(change);
        let x = at.x + page.wide(&change.label, 8.0) + 4.0;
        page.text(&text, (x, y), 8.0, color, Side::Left);
    }
    let known: Vec<(usize, f64)> = number.spark.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))).collect();
    if known.len() < 3 || at.w < 100.0 {
        return;
    }
    let (low, high) = known.iter().fold((f64::MAX, f64::MIN), |(l, h), (_, v)| (l.min(*v), h.max(*v)));
    let (wide, tall, right, foot) = (at.w * 0.36, 18.0, at.x + at.w, at.y + at.h - 2.0);
    let last = (number.spark.len() - 1) as f32;
    let points: Vec<(f32, f32)> = known
        .iter()
        .map(|(i, v)| {
            let part = if high > low { ((v - low) / (high - low)) as f32 } else { 0.5 };
            (right - wide + wide * *i as f32 / last, foot - tall * part)
        })
        .collect();
    page.line(&points, 1.0, rgb(&Color::Accent));
}

fn ranks(page: &mut Page<'_>, rows: &[RankRow], at: Place) {
    let step = 12.5;
    let muted = rgb(&Color::Muted);
    let name = (at.w * 0.38).min(120.0);
    let change = if rows.iter().any(|r| r.change.is_some()) { 58.0 } else { 0.0 };
    for (n, row) in rows.iter().take((at.h / step) as usize).enumerate() {
        let y = at.y + 10.0 + step * n as f32;
        page.text(&row.rank.to_string(), (at.x + 10.0, y), 8.0, muted, Side::Right);
        let label = page.cut(&row.label, 8.0, name - 4.0);
        page.text(&label, (at.x + 15.0, y), 8.0, rgb(&Color::Text), Side::Left);
        let bar = Place { x: at.x + 15.0 + name, y: y - 5.5, w: at.w - 15.0 - name - change - 48.0, h: 5.0 };
        if bar.w > 12.0 {
            page.rect(bar, rgb(&Color::NoData));
            page.rect(Place { w: bar.w * row.share as f32, ..bar }, rgb(&Color::series(0)));
        }
        page.text(&row.text, (at.x + at.w - change - 4.0, y), 8.0, rgb(&Color::Text), Side::Right);
        if let Some(change) = &row.change {
            let (text, color) = change_text(change);
            page.text(&text, (at.x + at.w, y), 7.5, color, Side::Right);
        }
    }
}

fn table(page: &mut Page<'_>, view: &RowsView, at: Place) {
    let (size, step) = (7.8, 12.0);
    let muted = rgb(&Color::Muted);
    // Where there is hardly room for rows, the head gives its place to one.
    let head = if at.h < 3.0 * step { 0.0 } else { step };
    let shown: Vec<&Vec<String>> = view.rows.iter().take(((at.h - head) / step).max(0.0) as usize).collect();
    let widest: Vec<f32> = view
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let texts = shown.iter().filter_map(|row| row.get(i)).chain([&column.label]);
            texts.map(|t| page.wide(t, size)).fold(12.0, f32::max).min(at.w * 0.5) + 6.0
        })
        .collect();
    let total: f32 = widest.iter().sum();
    let part = at.w / total.max(1.0);
    let mut x = at.x;
    for (i, column) in view.columns.iter().enumerate() {
        let w = widest[i] * part;
        let (tx, side) = if column.numeric { (x + w - 6.0, Side::Right) } else { (x, Side::Left) };
        if head > 0.0 {
            let label = page.cut(&column.label, size, w - 4.0);
            page.text(&label, (tx, at.y + 9.0), size, muted, side);
        }
        for (n, row) in shown.iter().enumerate() {
            let text = page.cut(row.get(i).map_or("", String::as_str), size, w - 4.0);
            page.text(&text, (tx, at.y + 9.0 + head + step * n as f32), size, rgb(&Color::Text), side);
        }
        x += w;
    }
    for n in 0..shown.len() {
        let y = at.y + head + step * n as f32;
        page.line(&[(at.x, y), (at.x + at.w, y)], 0.3, rgb(&Color::Line));
    }
}

/// Kinds that a page of paper shows with words of its own.
pub(crate) fn has_chart(panel: &Panel) -> bool {
    !matches!(
        panel.kind,
        ElementKind::Title
            | ElementKind::Number
            | ElementKind::Gauge
            | ElementKind::Table
            | ElementKind::Feed
            | ElementKind::Weather
            | ElementKind::Duty
            | ElementKind::Text
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(place: (u16, u16, u16, u16)) -> PaperPanel {
        let element = zonglan_catalog::board::Element::new(
            zonglan_catalog::codes::Label { zh: "文字".into(), en: "Text".into() },
            ElementKind::Text,
        );
        let mut panel = Panel::failed("x", &element, crate::pages::Lang::Zh, "");
        panel.meta.error = None;
        panel.text = Some("一段说明文字，换行以后仍在框内。".repeat(4));
        PaperPanel { place, panel, chart: None }
    }

    #[test]
    fn panels_stay_on_their_page_and_apart() {
        let panels = vec![
            panel((0, 0, 6, 4)),
            panel((6, 0, 6, 4)),
            panel((0, 4, 8, 11)),
            panel((8, 4, 4, 5)),
            panel((8, 9, 4, 6)),
            panel((0, 15, 12, 60)),
        ];
        let sheet = BoardSheet { columns: 12, panels, ..BoardSheet::default() };
        let pages = sheet.places();
        assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 6);
        for page in &pages {
            for (i, (_, a)) in page.iter().enumerate() {
                assert!(a.x >= SIDE - 0.1 && a.x + a.w <= PAGE.0 - SIDE + 0.1, "{a:?}");
                assert!(a.y >= TOP && a.y + a.h <= PAGE.1 - BOTTOM + 0.1, "{a:?}");
                for (_, b) in &page[i + 1..] {
                    let apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
                    assert!(apart, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn a_sheet_is_vectors_with_its_own_font() {
        let sheet = BoardSheet {
            title: "示例看板".into(),
            columns: 12,
            panels: vec![panel((0, 0, 12, 5))],
            watermark: "张三 2026-03-15".into(),
            foot: vec!["数据来源".into()],
            ..BoardSheet::default()
        };
        let bytes = match sheet.pdf() {
            Ok(bytes) => bytes,
            Err(crate::error::Error::Font(looked)) => return println!("skipped: no Chinese font in {looked}"),
            Err(error) => panic!("{error}"),
        };
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|w| w == text);
        assert!(bytes.starts_with(b"%PDF-") && holds(b"/ExtGState") && !holds(b"/Image"));
    }
}
