//! District map: classes of the ramp, the centre enlarged beside it, labels that do not overlap.

use super::canvas::{Anchor, Canvas, Rect};
use super::{BODY, Ground, SMALL};
use crate::chart::{ChartSpec, HeatLayer};
use crate::echarts::CORE_DISTRICTS;
use crate::error::Result;
use crate::format;
use crate::palette::{self, Color};
use plotters::backend::DrawingBackend;
use zonglan_geo::Region;

/// Plate carrée with the parallel of Shanghai true to length: cos 31.2°.
const ASPECT: f64 = 0.855;

struct View {
    frame: Rect,
    west: f64,
    north: f64,
    /// Design pixels per degree of latitude.
    scale: f64,
}

impl View {
    /// Fits the regions into `room`, in its middle.
    fn fit(regions: &[&Region], room: Rect) -> Self {
        let fold = |f: fn(f64, f64) -> f64, start: f64, get: &dyn Fn(&Region) -> f64| {
            regions.iter().map(|r| get(r)).fold(start, f)
        };
        let west = fold(f64::min, f64::INFINITY, &|r| r.bbox().west);
        let east = fold(f64::max, f64::NEG_INFINITY, &|r| r.bbox().east);
        let south = fold(f64::min, f64::INFINITY, &|r| r.bbox().south);
        let north = fold(f64::max, f64::NEG_INFINITY, &|r| r.bbox().north);
        let scale = (room.w / ((east - west) * ASPECT)).min(room.h / (north - south));
        let (w, h) = ((east - west) * ASPECT * scale, (north - south) * scale);
        Self {
            frame: Rect { x: room.x + (room.w - w) / 2.0, y: room.y + (room.h - h) / 2.0, w, h },
            west,
            north,
            scale,
        }
    }

    fn at(&self, lon: f64, lat: f64) -> (f64, f64) {
        (self.frame.x + (lon - self.west) * ASPECT * self.scale, self.frame.y + (self.north - lat) * self.scale)
    }
}

pub(super) fn draw<DB: DrawingBackend>(
    spec: &ChartSpec,
    canvas: &mut Canvas<'_, DB>,
    plot: Rect,
    ground: &Ground<'_>,
) -> Result<()> {
    let plot = credit(canvas, plot, ground.credit)?;
    let all: Vec<&Region> = ground.regions.iter().filter(|r| r.code.len() == 6 && r.valid_to.is_none()).collect();
    let core: Vec<&Region> = all.iter().copied().filter(|r| CORE_DISTRICTS.contains(&r.code.as_str())).collect();
    let whole = View::fit(&all, Rect { x: plot.x + plot.w * 0.40, y: plot.y, w: plot.w * 0.60, h: plot.h });
    if !spec.points.is_empty() {
        return heat(spec, canvas, plot, &all);
    }
    let Some((low, high)) = spec.extent() else { return Ok(()) };
    let breaks = palette::breaks(low, high);
    let mut taken: Vec<Rect> = Vec::new();
    shapes(spec, canvas, &whole, &all, &breaks)?;
    let outer: Vec<&Region> = all.iter().copied().filter(|r| !CORE_DISTRICTS.contains(&r.code.as_str())).collect();
    labels(spec, canvas, &whole, &outer, &mut taken)?;

    let inset = Rect { x: plot.x, y: plot.y + 26.0, w: plot.w * 0.38, h: plot.h * 0.60 };
    canvas.text(spec.lang.t("中心城区", "City centre"), (plot.x, plot.y + 8.0), SMALL, &Color::Muted, Anchor::Left)?;
    let view = View::fit(&core, inset);
    shapes(spec, canvas, &view, &core, &breaks)?;
    labels(spec, canvas, &view, &core, &mut taken)?;
    legend(canvas, &breaks, (plot.x, plot.bottom()))
}

/// The map's approval number and maker below it; what is left of the room.
fn credit<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, plot: Rect, text: &str) -> Result<Rect> {
    if text.is_empty() {
        return Ok(plot);
    }
    canvas.text(text, (plot.right(), plot.bottom() - 2.0), SMALL, &Color::Muted, Anchor::Right)?;
    Ok(Rect { h: plot.h - 20.0, ..plot })
}

/// The class colour and the figure of a region.
fn figure<'a>(spec: &'a ChartSpec, code: &str) -> Option<(usize, f64, &'a str)> {
    let at = spec.categories.iter().position(|c| c.cell.as_ref().is_some_and(|(_, v)| v.as_str() == Some(code)))?;
    Some((at, spec.series.first()?.values[at]?, &spec.categories[at].label))
}

fn shapes<DB: DrawingBackend>(
    spec: &ChartSpec,
    canvas: &Canvas<'_, DB>,
    view: &View,
    regions: &[&Region],
    breaks: &[f64],
) -> Result<()> {
    let border = |canvas: &Canvas<'_, DB>, region: &Region, color: &Color, width: f64| -> Result<()> {
        for rings in region.rings() {
            for ring in rings {
                let points: Vec<(f64, f64)> = ring.iter().map(|[x, y]| view.at(*x, *y)).collect();
                canvas.line(&points, color, width)?;
            }
        }
        Ok(())
    };
    for region in regions {
        let color = match figure(spec, &region.code) {
            Some((_, value, _)) => Color::Ramp(palette::class_step(palette::class_of(value, breaks), breaks.len() - 1)),
            None => Color::NoData,
        };
        for rings in region.rings() {
            if let Some(outer) = rings.first() {
                let points: Vec<(f64, f64)> = outer.iter().map(|[x, y]| view.at(*x, *y)).collect();
                canvas.polygon(&points, &color, 1.0)?;
            }
        }
        border(canvas, region, &Color::Panel, 1.5)?;
    }
    for region in regions {
        if figure(spec, &region.code).is_some_and(|(at, _, _)| spec.selected == Some(at)) {
            border(canvas, region, &Color::Text, 3.0)?;
        }
    }
    Ok(())
}

/// Names and figures, the largest regions first; a label without room is left out.
fn labels<DB: DrawingBackend>(
    spec: &ChartSpec,
    canvas: &Canvas<'_, DB>,
    view: &View,
    regions: &[&Region],
    taken: &mut Vec<Rect>,
) -> Result<()> {
    let mut order: Vec<&&Region> = regions.iter().collect();
    order.sort_by(|a, b| b.drawn_area_km2().total_cmp(&a.drawn_area_km2()));
    for region in order {
        let name = crate::chart::short_region(if spec.lang == crate::pages::Lang::Zh {
            &region.name
        } else {
            &region.name_en
        })
        .to_string();
        let text = figure(spec, &region.code).and_then(|(at, _, _)| spec.series.first().map(|s| s.text(at)));
        let (x, y) = view.at(region.label.0, region.label.1);
        let width = canvas.text_width(&name, BODY).max(text.as_ref().map_or(0.0, |t| canvas.text_width(t, BODY)));
        let height = if text.is_some() { 36.0 } else { 18.0 };
        let room = Rect { x: x - width / 2.0, y: y - height / 2.0, w: width, h: height };
        if taken.iter().any(|t| t.overlaps(&room)) {
            continue;
        }
        taken.push(room);
        let ground = figure(spec, &region.code).map(|(_, value, _)| value);
        let color = label_color(spec, ground);
        canvas.text(&name, (x, if text.is_some() { y - 9.0 } else { y }), BODY, &color, Anchor::Middle)?;
        if let Some(text) = text {
            canvas.text(&text, (x, y + 9.0), BODY, &color, Anchor::Middle)?;
        }
    }
    Ok(())
}

fn label_color(spec: &ChartSpec, value: Option<f64>) -> Color {
    let (Some(value), Some((low, high))) = (value, spec.extent()) else { return Color::Text };
    let breaks = palette::breaks(low, high);
    Color::OnRamp(palette::class_step(palette::class_of(value, &breaks), breaks.len() - 1))
}

fn legend<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, breaks: &[f64], (x, bottom): (f64, f64)) -> Result<()> {
    let digits = palette::break_digits(breaks);
    let count = breaks.len() - 1;
    for class in 0..count {
        let y = bottom - 10.0 - 19.0 * (count - 1 - class) as f64;
        canvas.rect(Rect { x, y: y - 6.0, w: 16.0, h: 12.0 }, &Color::Ramp(palette::class_step(class, count)))?;
        let label =
            format!("{}–{}", format::decimal(breaks[class], digits), format::decimal(breaks[class + 1], digits));
        canvas.text(&label, (x + 24.0, y), SMALL, &Color::Muted, Anchor::Left)?;
    }
    Ok(())
}

fn heat<DB: DrawingBackend>(spec: &ChartSpec, canvas: &Canvas<'_, DB>, plot: Rect, regions: &[&Region]) -> Result<()> {
    let view = View::fit(regions, plot);
    for region in regions {
        for rings in region.rings() {
            if let Some(outer) = rings.first() {
                let points: Vec<(f64, f64)> = outer.iter().map(|[x, y]| view.at(*x, *y)).collect();
                canvas.polygon(&points, &Color::NoData, 1.0)?;
                canvas.line(&points, &Color::Panel, 1.0)?;
            }
        }
    }
    match spec.heat_layer() {
        HeatLayer::Points => {
            for [lon, lat, _] in &spec.points {
                canvas.dot(view.at(*lon, *lat), 1.5, &Color::Accent)?;
            }
        }
        HeatLayer::Patches(patches) => {
            let breaks = palette::breaks(0.0, patches.iter().map(|p| p.value).fold(0.0, f64::max));
            for patch in &patches {
                let step = palette::class_step(palette::class_of(patch.value, &breaks), breaks.len() - 1);
                let ring: Vec<(f64, f64)> = patch.ring.iter().map(|[x, y]| view.at(*x, *y)).collect();
                canvas.polygon(&ring, &Color::Ramp(step), 0.85)?;
            }
            legend(canvas, &breaks, (plot.x, plot.bottom()))?;
        }
        HeatLayer::Discs(discs) => {
            for disc in &discs {
                let at = view.at(disc.at[0], disc.at[1]);
                canvas.dot(at, disc.radius, &Color::Accent)?;
                if disc.radius > 11.0 {
                    canvas.text(&format::decimal(disc.value, 0), at, SMALL, &Color::Panel, Anchor::Middle)?;
                }
            }
        }
    }
    Ok(())
}
