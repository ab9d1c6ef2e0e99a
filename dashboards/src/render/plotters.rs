//! ChartSpec to PNG and SVG with plotters. The layout is drawn by hand from the same classes,
//! colours and texts as the page's option, so that print and page agree.

mod canvas;
mod map;
mod shapes;

use super::vectors::{Mark, Vectors};
use crate::chart::{ChartSpec, Series, SeriesRole};
use crate::error::{Error, Result};
use crate::format;
use crate::palette::{self, Color, Theme};
use canvas::{Anchor, Canvas, Rect};
use zonglan_catalog::board::ElementKind;
use zonglan_geo::RegionSet;

/// Size of an image in its own pixels, and how many of them make one of the design.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
    /// 1 for a screen, 2 or more for print.
    pub scale: f64,
}

impl Default for Size {
    fn default() -> Self {
        Self { width: 960, height: 540, scale: 1.0 }
    }
}

impl Size {
    /// Bounds that a request may ask for.
    pub fn clamped(self) -> Self {
        Self {
            width: self.width.clamp(240, 7680),
            height: self.height.clamp(160, 4320),
            scale: self.scale.clamp(0.5, 6.0),
        }
    }
}

/// What maps stand on.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// Districts in force.
    pub regions: &'a RegionSet,
    /// 审图号 and maker, written below every map; empty: none.
    pub credit: &'a str,
}

impl Default for Ground<'_> {
    fn default() -> Self {
        Self { regions: RegionSet::shanghai(), credit: "" }
    }
}

/// A PNG of the chart.
pub fn png(spec: &ChartSpec, size: Size, theme: Theme, ground: &Ground<'_>) -> Result<Vec<u8>> {
    super::font::ensure()?;
    let size = size.clamped();
    let mut pixels = vec![0u8; size.width as usize * size.height as usize * 3];
    {
        use plotters::prelude::*;
        let area = BitMapBackend::with_buffer(&mut pixels, (size.width, size.height)).into_drawing_area();
        draw(spec, &mut Canvas::new(&area, size, theme), ground)?;
        area.present().map_err(failed)?;
    }
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}

/// An SVG of the chart; text stays text.
pub fn svg(spec: &ChartSpec, size: Size, theme: Theme, ground: &Ground<'_>) -> Result<String> {
    super::font::ensure()?;
    let size = size.clamped();
    let mut out = String::new();
    {
        use plotters::prelude::*;
        let area = SVGBackend::with_string(&mut out, (size.width, size.height)).into_drawing_area();
        draw(spec, &mut Canvas::new(&area, size, theme), ground)?;
        area.present().map_err(failed)?;
    }
    Ok(out)
}

/// The chart as lines, areas and texts in pixels of `size`.
///
/// # Errors
/// No Chinese font on the machine.
pub fn marks(spec: &ChartSpec, size: Size, theme: Theme, ground: &Ground<'_>) -> Result<Vec<Mark>> {
    super::font::ensure()?;
    let size = size.clamped();
    let mut marks = Vec::new();
    {
        use plotters::prelude::*;
        let vectors = Vectors { size: (size.width, size.height), marks: &mut marks };
        let area = vectors.into_drawing_area();
        draw(spec, &mut Canvas::new(&area, size, theme), ground)?;
        area.present().map_err(failed)?;
    }
    Ok(marks)
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Error {
    Error::Image(error.to_string())
}

/// Text sizes of the design.
const TITLE: f64 = 20.0;
const BODY: f64 = 15.0;
const SMALL: f64 = 13.0;

fn draw<DB: plotters::backend::DrawingBackend>(
    spec: &ChartSpec,
    canvas: &mut Canvas<'_, DB>,
    ground: &Ground<'_>,
) -> Result<()> {
    canvas.fill()?;
    let page = canvas.page();
    canvas.text(&spec.title, (16.0, 24.0), TITLE, &Color::Text, Anchor::Left)?;
    let mut right = page.right() - 16.0;
    if !spec.unit.is_empty() {
        let unit = format!("{} {}", spec.lang.t("单位", "unit"), spec.unit);
        canvas.text(&unit, (right, 24.0), SMALL, &Color::Muted, Anchor::Right)?;
        right -= canvas.text_width(&unit, SMALL) + 24.0;
    }
    let plot = Rect { x: 16.0, y: 48.0, w: page.w - 32.0, h: page.h - 64.0 };
    if spec.is_empty() {
        return canvas.text(
            spec.lang.t("没有数据", "no data"),
            (plot.x + plot.w / 2.0, plot.y + plot.h / 2.0),
            BODY,
            &Color::Muted,
            Anchor::Middle,
        );
    }
    if spec.series.len() > 1 && matches!(spec.kind, ElementKind::Line | ElementKind::Bar | ElementKind::Radar) {
        for series in &spec.series {
            right -= canvas.text_width(&series.name, SMALL);
            canvas.text(&series.name, (right, 24.0), SMALL, &Color::Muted, Anchor::Left)?;
            right -= 24.0;
            canvas.line(&[(right, 24.0), (right + 18.0, 24.0)], &series.color, 3.0)?;
            right -= 20.0;
        }
    }
    match spec.kind {
        ElementKind::Choropleth | ElementKind::Heatmap => map::draw(spec, canvas, plot, ground),
        ElementKind::Grid => hours(spec, canvas, plot),
        ElementKind::Radar => shapes::radar(spec, canvas, plot),
        ElementKind::Funnel => shapes::funnel(spec, canvas, plot),
        ElementKind::Calendar => shapes::calendar(spec, canvas, plot),
        ElementKind::Scatter => shapes::scatter(spec, canvas, plot),
        ElementKind::Line => columns(spec, canvas, plot, true),
        ElementKind::Bar if crate::echarts::is_upright(spec) => columns(spec, canvas, plot, false),
        _ => bars(spec, canvas, plot),
    }
}

/// Value axis on round numbers that hold zero and all values.
fn value_range(spec: &ChartSpec) -> Vec<f64> {
    let all = || spec.series.iter().flat_map(|s| s.values.iter().copied().flatten());
    let start = if spec.from_zero() { 0.0 } else { f64::INFINITY };
    let (low, mut high) = (all().fold(start, f64::min), all().fold(0.0, f64::max));
    if spec.stacked {
        let sum = |i: usize| {
            spec.series.iter().filter(|s| s.role == SeriesRole::Main).filter_map(|s| s.values[i]).sum::<f64>()
        };
        high = (0..spec.categories.len()).map(sum).fold(high, f64::max);
    }
    palette::breaks(low, if high > low { high } else { low + 1.0 })
}

/// Lines and upright bars over a common category axis.
fn columns<DB: plotters::backend::DrawingBackend>(
    spec: &ChartSpec,
    canvas: &mut Canvas<'_, DB>,
    plot: Rect,
    lines: bool,
) -> Result<()> {
    let breaks = value_range(spec);
    let digits = palette::break_digits(&breaks);
    let labels: Vec<String> = breaks.iter().map(|b| format::decimal(*b, digits)).collect();
    let gutter = labels.iter().map(|l| canvas.text_width(l, SMALL)).fold(0.0, f64::max) + 10.0;
    let inner = Rect { x: plot.x + gutter, y: plot.y + 8.0, w: plot.w - gutter - 8.0, h: plot.h - 34.0 };
    let (low, high) = (breaks[0], breaks[breaks.len() - 1]);
    let y = |v: f64| inner.bottom() - (v - low) / (high - low) * inner.h;
    for (limit, label) in breaks.iter().zip(&labels) {
        canvas.line(&[(inner.x, y(*limit)), (inner.right(), y(*limit))], &Color::Line, 1.0)?;
        canvas.text(label, (inner.x - 8.0, y(*limit)), SMALL, &Color::Muted, Anchor::Right)?;
    }
    let count = spec.categories.len().max(1) as f64;
    let step = if lines && count > 1.0 { inner.w / (count - 1.0) } else { inner.w / count };
    let x = |i: usize| if lines { inner.x + step * i as f64 } else { inner.x + step * (i as f64 + 0.5) };
    let widest = spec.categories.iter().map(|c| canvas.text_width(&c.label, SMALL)).fold(1.0, f64::max) + 14.0;
    let every = (widest / step.max(0.1)).ceil().max(1.0) as usize;
    for i in (0..spec.categories.len()).step_by(every) {
        let label = &spec.categories[i].label;
        let half = canvas.text_width(label, SMALL) / 2.0;
        let at = x(i).clamp(inner.x - gutter + half, plot.right() - half);
        canvas.text(label, (at, inner.bottom() + 18.0), SMALL, &Color::Muted, Anchor::Middle)?;
    }
    if lines {
        for series in &spec.series {
            curve(canvas, series, &x, &y, y(low.max(0.0)))?;
        }
        return Ok(());
    }
    let width = (step * 0.62).min(64.0);
    let groups = if spec.stacked { 1 } else { spec.series.len().max(1) };
    let each = width / groups as f64;
    for i in 0..spec.categories.len() {
        let mut base = 0.0;
        for (n, series) in spec.series.iter().enumerate() {
            let Some(value) = series.values[i] else { continue };
            let left = x(i) - width / 2.0 + if spec.stacked { 0.0 } else { each * n as f64 };
            let (from, to) = (base, base + value);
            let (top, foot) = (y(from.max(to)), y(from.min(to)));
            canvas.rect(Rect { x: left, y: top, w: each - 1.0, h: (foot - top).max(0.0) }, &series.color)?;
            if spec.stacked {
                base = to;
            }
        }
    }
    Ok(())
}

fn curve<DB: plotters::backend::DrawingBackend>(
    canvas: &mut Canvas<'_, DB>,
    series: &Series,
    x: &dyn Fn(usize) -> f64,
    y: &dyn Fn(f64) -> f64,
    floor: f64,
) -> Result<()> {
    let reference = series.role == SeriesRole::Reference;
    let mut piece: Vec<(f64, f64)> = Vec::new();
    for i in 0..=series.values.len() {
        if let Some(value) = series.values.get(i).copied().flatten() {
            piece.push((x(i), y(value)));
            continue;
        }
        if piece.len() > 1 {
            if reference {
                canvas.dashes(&piece, &series.color, 1.75)?;
            } else {
                let mut area = piece.clone();
                area.push((piece[piece.len() - 1].0, floor));
                area.push((piece[0].0, floor));
                canvas.polygon(&area, &series.color, 0.14)?;
                canvas.line(&piece, &series.color, 2.75)?;
            }
        } else if let Some(&point) = piece.first() {
            canvas.dot(point, 4.0, &series.color)?;
        }
        piece.clear();
    }
    Ok(())
}

/// Bars to the right with names before and figures behind; also for shares (pie).
fn bars<DB: plotters::backend::DrawingBackend>(
    spec: &ChartSpec,
    canvas: &mut Canvas<'_, DB>,
    plot: Rect,
) -> Result<()> {
    let Some((at, series)) = spec.series.iter().enumerate().find(|(_, s)| s.role == SeriesRole::Main) else {
        return Ok(());
    };
    let top = series.values.iter().copied().flatten().fold(0.0, f64::max);
    let total: f64 = series.values.iter().flatten().sum();
    let names =
        spec.categories.iter().map(|c| canvas.text_width(&c.label, BODY)).fold(0.0, f64::max).min(plot.w * 0.4) + 20.0;
    let mains: Vec<usize> = (0..spec.series.len()).filter(|i| spec.series[*i].role == SeriesRole::Main).collect();
    if mains.len() > 1 {
        return many_bars(spec, canvas, plot, names, &mains);
    }
    let texts: Vec<String> = (0..spec.categories.len())
        .map(|i| match (spec.kind, series.values[i]) {
            (ElementKind::Pie, Some(v)) if total > 0.0 => {
                format!("{}  {}%", series.text(i), format::decimal(v / total * 100.0, 1))
            }
            _ => series.text(i),
        })
        .collect();
    let figures = texts.iter().map(|t| canvas.text_width(t, BODY)).fold(0.0, f64::max) + 12.0;
    let step = (plot.h / spec.categories.len().max(1) as f64).min(44.0);
    for (i, category) in spec.categories.iter().enumerate() {
        let middle = plot.y + step * (i as f64 + 0.5);
        canvas.text(&category.label, (plot.x, middle), BODY, &Color::Text, Anchor::Left)?;
        let Some(value) = series.values[i] else { continue };
        let room = (plot.w - names - figures).max(1.0);
        let length = if top > 0.0 { (value / top).clamp(0.0, 1.0) * room } else { 0.0 };
        let color = match spec.kind {
            ElementKind::Pie if category.cell.is_none() => Color::Reference,
            ElementKind::Pie => Color::of_level(&category.label).unwrap_or_else(|| Color::series(i)),
            _ => spec.series[at].color.clone(),
        };
        canvas.rect(Rect { x: plot.x + names, y: middle - step * 0.3, w: length, h: step * 0.6 }, &color)?;
        canvas.text(&texts[i], (plot.x + names + length + 8.0, middle), BODY, &Color::Text, Anchor::Left)?;
    }
    Ok(())
}

/// Lying bars of several series: one behind the other where they are stacked, else one below the
/// other. The legend stands above.
fn many_bars<DB: plotters::backend::DrawingBackend>(
    spec: &ChartSpec,
    canvas: &mut Canvas<'_, DB>,
    plot: Rect,
    names: f64,
    mains: &[usize],
) -> Result<()> {
    let value = |s: usize, i: usize| spec.series[s].values[i].unwrap_or(0.0).max(0.0);
    let reach = |i: usize| {
        let all = mains.iter().map(|s| value(*s, i));
        if spec.stacked { all.sum() } else { all.fold(0.0, f64::max) }
    };
    let top = (0..spec.categories.len()).map(reach).fold(0.0, f64::max);
    let digits = mains.iter().map(|s| usize::from(spec.series[*s].digits)).max().unwrap_or(0);
    let widest = canvas.text_width(&format::decimal(top, digits), BODY) + 16.0;
    let room = (plot.w - names - widest).max(1.0);
    let step = (plot.h / spec.categories.len().max(1) as f64).min(44.0);
    for (i, category) in spec.categories.iter().enumerate() {
        let (from, middle) = (plot.y + step * i as f64, plot.y + step * (i as f64 + 0.5));
        canvas.text(&category.label, (plot.x, middle), BODY, &Color::Text, Anchor::Left)?;
        let mut x = plot.x + names;
        for (n, s) in mains.iter().enumerate() {
            let length = if top > 0.0 { value(*s, i) / top * room } else { 0.0 };
            let part = step * 0.7 / mains.len() as f64;
            let bar = if spec.stacked {
                Rect { x, y: middle - step * 0.3, w: length, h: step * 0.6 }
            } else {
                Rect { x, y: from + step * 0.15 + part * n as f64, w: length, h: part }
            };
            canvas.rect(bar, &spec.series[*s].color)?;
            if spec.stacked {
                x += length;
            }
        }
        let end = plot.x + names + if top > 0.0 { reach(i) / top * room } else { 0.0 };
        canvas.text(&format::decimal(reach(i), digits), (end + 8.0, middle), BODY, &Color::Text, Anchor::Left)?;
    }
    Ok(())
}

/// Hour of day by weekday.
fn hours<DB: plotters::backend::DrawingBackend>(
    spec: &ChartSpec,
    canvas: &mut Canvas<'_, DB>,
    plot: Rect,
) -> Result<()> {
    let Some((low, high)) = spec.extent() else { return Ok(()) };
    let breaks = palette::breaks(low, high);
    let gutter = spec.series.iter().map(|s| canvas.text_width(&s.name, SMALL)).fold(0.0, f64::max) + 10.0;
    let inner = Rect { x: plot.x + gutter, y: plot.y + 24.0, w: plot.w - gutter, h: plot.h - 50.0 };
    legend_row(canvas, &breaks, (plot.right(), plot.y + 8.0))?;
    let (w, h) = (inner.w / spec.categories.len().max(1) as f64, inner.h / spec.series.len().max(1) as f64);
    for (row, series) in spec.series.iter().enumerate() {
        let y = inner.y + h * row as f64;
        canvas.text(&series.name, (inner.x - 8.0, y + h / 2.0), SMALL, &Color::Muted, Anchor::Right)?;
        for (column, value) in series.values.iter().enumerate() {
            let color = value.map_or(Color::NoData, |v| {
                Color::Ramp(palette::class_step(palette::class_of(v, &breaks), breaks.len() - 1))
            });
            canvas.rect(Rect { x: inner.x + w * column as f64 + 0.75, y: y + 0.75, w: w - 1.5, h: h - 1.5 }, &color)?;
        }
    }
    for (i, category) in spec.categories.iter().enumerate().step_by(if w < 26.0 { 3 } else { 1 }) {
        canvas.text(
            &category.label,
            (inner.x + w * (i as f64 + 0.5), inner.bottom() + 14.0),
            SMALL,
            &Color::Muted,
            Anchor::Middle,
        )?;
    }
    Ok(())
}

/// Classes side by side, ending at the right.
fn legend_row<DB: plotters::backend::DrawingBackend>(
    canvas: &mut Canvas<'_, DB>,
    breaks: &[f64],
    end: (f64, f64),
) -> Result<()> {
    let digits = palette::break_digits(breaks);
    let count = breaks.len() - 1;
    let mut right = end.0;
    for class in (0..count).rev() {
        let label =
            format!("{}–{}", format::decimal(breaks[class], digits), format::decimal(breaks[class + 1], digits));
        right -= canvas.text_width(&label, SMALL);
        canvas.text(&label, (right, end.1), SMALL, &Color::Muted, Anchor::Left)?;
        right -= 20.0;
        canvas.rect(
            Rect { x: right, y: end.1 - 6.0, w: 15.0, h: 12.0 },
            &Color::Ramp(palette::class_step(class, count)),
        )?;
        right -= 12.0;
    }
    Ok(())
}

#[cfg(test)]
#[path = "plotters_tests.rs"]
mod tests;
