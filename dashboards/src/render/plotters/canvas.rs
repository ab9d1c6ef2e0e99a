//! Drawing in pixels of the design on any plotters backend.

use super::{Size, failed};
use crate::error::Result;
use crate::palette::{Color, Theme};
use crate::render::font::FAMILY;
use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::Color as _;
use plotters::style::text_anchor::{HPos, Pos, VPos};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

impl Rect {
    pub fn right(&self) -> f64 {
        self.x + self.w
    }
    pub fn bottom(&self) -> f64 {
        self.y + self.h
    }
    pub fn overlaps(&self, other: &Rect) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

pub(super) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    size: Size,
    theme: Theme,
}

type Point = (f64, f64);

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    pub fn new(area: &'a DrawingArea<DB, Shift>, size: Size, theme: Theme) -> Self {
        Self { area, size, theme }
    }

    /// The whole image in design pixels.
    pub fn page(&self) -> Rect {
        Rect {
            x: 0.0,
            y: 0.0,
            w: f64::from(self.size.width) / self.size.scale,
            h: f64::from(self.size.height) / self.size.scale,
        }
    }

    fn rgb(&self, color: &Color) -> RGBColor {
        let (r, g, b) = color.rgb(self.theme);
        RGBColor(r, g, b)
    }

    fn at(&self, (x, y): Point) -> (i32, i32) {
        ((x * self.size.scale).round() as i32, (y * self.size.scale).round() as i32)
    }

    fn stroke(&self, width: f64) -> u32 {
        (width * self.size.scale).round().max(1.0) as u32
    }

    pub fn fill(&self) -> Result<()> {
        self.area.fill(&self.rgb(&Color::Panel)).map_err(failed)
    }

    pub fn rect(&self, rect: Rect, color: &Color) -> Result<()> {
        if rect.w <= 0.0 || rect.h <= 0.0 {
            return Ok(());
        }
        let corners = [self.at((rect.x, rect.y)), self.at((rect.right(), rect.bottom()))];
        self.area.draw(&Rectangle::new(corners, self.rgb(color).filled())).map_err(failed)
    }

    pub fn line(&self, points: &[Point], color: &Color, width: f64) -> Result<()> {
        let points: Vec<(i32, i32)> = points.iter().map(|p| self.at(*p)).collect();
        self.area.draw(&PathElement::new(points, self.rgb(color).stroke_width(self.stroke(width)))).map_err(failed)
    }

    /// A dashed line: 6 drawn, 4 left out.
    pub fn dashes(&self, points: &[Point], color: &Color, width: f64) -> Result<()> {
        let (on, off) = (6.0, 4.0);
        let mut drawn = 0.0;
        for pair in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let length = (x1 - x0).hypot(y1 - y0);
            let mut at = 0.0;
            while at < length {
                let phase: f64 = (drawn + at) % (on + off);
                let step = if phase < on { on - phase } else { on + off - phase }.min(length - at).max(1e-6);
                if phase < on {
                    let point = |t: f64| (x0 + (x1 - x0) * t / length, y0 + (y1 - y0) * t / length);
                    self.line(&[point(at), point(at + step)], color, width)?;
                }
                at += step;
            }
            drawn += length;
        }
        Ok(())
    }

    pub fn polygon(&self, points: &[Point], color: &Color, opacity: f64) -> Result<()> {
        let points: Vec<(i32, i32)> = points.iter().map(|p| self.at(*p)).collect();
        self.area.draw(&Polygon::new(points, self.rgb(color).mix(opacity).filled())).map_err(failed)
    }

    pub fn dot(&self, point: Point, radius: f64, color: &Color) -> Result<()> {
        let radius = (radius * self.size.scale).round() as i32;
        self.area.draw(&Circle::new(self.at(point), radius, self.rgb(color).filled())).map_err(failed)
    }

    fn font(&self, size: f64) -> FontDesc<'static> {
        FontDesc::new(FontFamily::Name(FAMILY), size * self.size.scale, FontStyle::Normal)
    }

    /// Width in design pixels.
    pub fn text_width(&self, text: &str, size: f64) -> f64 {
        self.font(size).box_size(text).map_or(0.0, |(w, _)| f64::from(w) / self.size.scale)
    }

    /// One line of text, centred on `point` in height.
    pub fn text(&self, text: &str, point: Point, size: f64, color: &Color, anchor: Anchor) -> Result<()> {
        let h = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let rgb = self.rgb(color);
        let style = TextStyle::from(self.font(size)).color(&rgb).pos(Pos::new(h, VPos::Center));
        self.area.draw(&Text::new(text.to_string(), self.at(point), style)).map_err(failed)
    }
}
