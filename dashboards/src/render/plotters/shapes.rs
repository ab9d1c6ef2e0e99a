//! Funnel, radar, calendar and scatter, as the page draws them.

use super::canvas::{Anchor, Canvas, Rect};
use super::{BODY, SMALL, legend_row};
use crate::chart::{ChartSpec, SeriesRole};
use crate::error::Result;
use crate::format;
use crate::palette::{self, Color};
use chrono::{Datelike, NaiveDate};
use plotters::backend::DrawingBackend;
use std::f64::consts::PI;

/// Stages one under the other, each centred and as wide as its figure.
pub fn funnel<DB: DrawingBackend>(spec: &ChartSpec, canvas: &mut Canvas<'_, DB>, plot: Rect) -> Result<()> {
    let Some(series) = spec.series.first() else { return Ok(()) };
    let top = spec.extent().map_or(1.0, |(_, high)| high.max(1.0));
    let step = plot.h / spec.categories.len().max(1) as f64;
    let (room, middle) = (plot.w * 0.52, plot.x + plot.w * 0.36);
    let width = |i: usize| series.values.get(i).copied().flatten().map_or(0.0, |v| (v / top * room).max(room * 0.04));
    for (i, category) in spec.categories.iter().enumerate() {
        let (y, foot) = (plot.y + step * i as f64, plot.y + step * (i + 1) as f64 - 3.0);
        let (upper, lower) = (width(i), width((i + 1).min(spec.categories.len() - 1)));
        let corners = [
            (middle - upper / 2.0, y),
            (middle + upper / 2.0, y),
            (middle + lower / 2.0, foot),
            (middle - lower / 2.0, foot),
        ];
        canvas.polygon(&corners, &Color::series(i), 1.0)?;
        let text = format!("{}  {}", category.label, series.text(i));
        canvas.text(&text, (middle + room / 2.0 + 16.0, y + step / 2.0), BODY, &Color::Text, Anchor::Left)?;
    }
    Ok(())
}

/// One spoke a category, all to one scale.
pub fn radar<DB: DrawingBackend>(spec: &ChartSpec, canvas: &mut Canvas<'_, DB>, plot: Rect) -> Result<()> {
    let count = spec.categories.len();
    let top = spec.series.iter().flat_map(|s| s.values.iter().flatten()).copied().fold(0.0, f64::max) * 1.05;
    if count == 0 || top <= 0.0 {
        return Ok(());
    }
    let (x, y, radius) = (plot.x + plot.w / 2.0, plot.y + plot.h / 2.0, plot.h.min(plot.w) * 0.4);
    let point = |i: usize, part: f64| {
        let angle = 2.0 * PI * i as f64 / count as f64 - PI / 2.0;
        (x + radius * part * angle.cos(), y + radius * part * angle.sin())
    };
    let ring = |part: f64| (0..=count).map(|i| point(i % count, part)).collect::<Vec<_>>();
    for quarter in 1..=4 {
        canvas.line(&ring(f64::from(quarter) / 4.0), &Color::Line, 1.0)?;
    }
    for (i, category) in spec.categories.iter().enumerate() {
        canvas.line(&[(x, y), point(i, 1.0)], &Color::Line, 1.0)?;
        let at = point(i, 1.12);
        let anchor = match at.0 - x {
            dx if dx > 8.0 => Anchor::Left,
            dx if dx < -8.0 => Anchor::Right,
            _ => Anchor::Middle,
        };
        canvas.text(&category.label, at, SMALL, &Color::Text, anchor)?;
    }
    for series in &spec.series {
        let shape: Vec<_> =
            (0..=count).map(|i| point(i % count, series.values[i % count].unwrap_or(0.0) / top)).collect();
        if series.role == SeriesRole::Reference {
            canvas.dashes(&shape, &series.color, 2.0)?;
        } else {
            canvas.polygon(&shape, &series.color, 0.16)?;
            canvas.line(&shape, &series.color, 2.25)?;
        }
    }
    Ok(())
}

/// A cell a day: weeks across, Monday at the top.
pub fn calendar<DB: DrawingBackend>(spec: &ChartSpec, canvas: &mut Canvas<'_, DB>, plot: Rect) -> Result<()> {
    let Some((low, high)) = spec.extent() else { return Ok(()) };
    let breaks = palette::breaks(low, high);
    let days: Vec<(NaiveDate, Option<f64>)> = spec
        .categories
        .iter()
        .enumerate()
        .filter_map(|(i, c)| {
            let day = c.cell.as_ref()?.1.as_str()?.get(..10)?.parse().ok()?;
            Some((day, spec.series.first()?.values[i]))
        })
        .collect();
    let Some((first, _)) = days.first() else { return Ok(()) };
    let monday = *first - chrono::Days::new(first.weekday().num_days_from_monday().into());
    let week = |day: NaiveDate| ((day - monday).num_days() / 7) as f64;
    let weeks = days.last().map_or(1.0, |(day, _)| week(*day) + 1.0);
    legend_row(canvas, &breaks, (plot.right(), plot.y + 8.0))?;
    let area = Rect { x: plot.x + 8.0, y: plot.y + 48.0, w: plot.w - 8.0, h: plot.h - 56.0 };
    let side = (area.w / weeks).min(area.h / 7.0);
    for (day, value) in &days {
        let at = (area.x + week(*day) * side, area.y + f64::from(day.weekday().num_days_from_monday()) * side);
        let color = value.map_or(Color::NoData, |v| {
            Color::Ramp(palette::class_step(palette::class_of(v, &breaks), breaks.len() - 1))
        });
        canvas.rect(Rect { x: at.0, y: at.1, w: side - 1.5, h: side - 1.5 }, &color)?;
        if day.day() == 1 {
            let name = format!("{}", day.format("%Y-%m"));
            canvas.text(&name, (at.0, area.y - 12.0), SMALL, &Color::Muted, Anchor::Left)?;
        }
    }
    Ok(())
}

/// The first measure along the foot, the second up the side.
pub fn scatter<DB: DrawingBackend>(spec: &ChartSpec, canvas: &mut Canvas<'_, DB>, plot: Rect) -> Result<()> {
    let mains: Vec<_> = spec.series.iter().filter(|s| s.role == SeriesRole::Main).collect();
    let [across, up, ..] = mains.as_slice() else { return Ok(()) };
    let range = |values: &[Option<f64>]| {
        let known = || values.iter().copied().flatten();
        let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
        if low.is_finite() { palette::breaks(low, if high > low { high } else { low + 1.0 }) } else { vec![0.0, 1.0] }
    };
    let (feet, sides) = (range(&across.values), range(&up.values));
    let inner = Rect { x: plot.x + 64.0, y: plot.y + 24.0, w: plot.w - 96.0, h: plot.h - 72.0 };
    let place = |value: f64, breaks: &[f64]| (value - breaks[0]) / (breaks[breaks.len() - 1] - breaks[0]);
    for limit in &feet {
        let x = inner.x + place(*limit, &feet) * inner.w;
        canvas.line(&[(x, inner.y), (x, inner.bottom())], &Color::Line, 1.0)?;
        let text = format::decimal(*limit, palette::break_digits(&feet));
        canvas.text(&text, (x, inner.bottom() + 14.0), SMALL, &Color::Muted, Anchor::Middle)?;
    }
    for limit in &sides {
        let y = inner.bottom() - place(*limit, &sides) * inner.h;
        canvas.line(&[(inner.x, y), (inner.right(), y)], &Color::Line, 1.0)?;
        let text = format::decimal(*limit, palette::break_digits(&sides));
        canvas.text(&text, (inner.x - 8.0, y), SMALL, &Color::Muted, Anchor::Right)?;
    }
    canvas.text(&across.name, (inner.right(), inner.bottom() + 34.0), SMALL, &Color::Muted, Anchor::Right)?;
    canvas.text(&up.name, (plot.x, plot.y + 6.0), SMALL, &Color::Muted, Anchor::Left)?;
    for (i, category) in spec.categories.iter().enumerate() {
        let (Some(a), Some(b)) = (across.values[i], up.values[i]) else { continue };
        let at = (inner.x + place(a, &feet) * inner.w, inner.bottom() - place(b, &sides) * inner.h);
        canvas.dot(at, 6.0, &Color::Accent)?;
        canvas.text(&category.label, (at.0 + 10.0, at.1), SMALL, &Color::Text, Anchor::Left)?;
    }
    Ok(())
}
