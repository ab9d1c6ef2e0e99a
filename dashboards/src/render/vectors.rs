//! A drawing backend that keeps lines, areas and texts as they are, for pages of a PDF.

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};
use std::convert::Infallible;

/// Red, green, blue, and opacity from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink {
    pub rgb: (u8, u8, u8),
    pub alpha: f64,
}

/// Where a text stands in relation to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Middle,
    Right,
}

/// One drawn thing; coordinates in pixels of the backend, from the upper left.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    Line {
        points: Vec<(f32, f32)>,
        width: f32,
        ink: Ink,
    },
    Area {
        points: Vec<(f32, f32)>,
        ink: Ink,
    },
    /// `y` is the middle of the text's height, `size` its em.
    Text {
        x: f32,
        y: f32,
        size: f32,
        side: Side,
        text: String,
        ink: Ink,
    },
}

/// Collects marks.
pub struct Vectors<'a> {
    pub size: (u32, u32),
    pub marks: &'a mut Vec<Mark>,
}

/// The drawing library's size of a font is its line height: 1.24 em, as its own SVG writer has it.
const LINE: f64 = 1.24;

fn ink(color: BackendColor) -> Ink {
    Ink { rgb: color.rgb, alpha: color.alpha }
}

fn at((x, y): BackendCoord) -> (f32, f32) {
    (x as f32, y as f32)
}

type Outcome = Result<(), DrawingErrorKind<Infallible>>;

impl Vectors<'_> {
    fn shape<S: BackendStyle>(&mut self, points: Vec<(f32, f32)>, style: &S, fill: bool) -> Outcome {
        let ink = ink(style.color());
        if ink.alpha > 0.0 && points.len() > 1 {
            self.marks.push(if fill {
                Mark::Area { points, ink }
            } else {
                Mark::Line { points, width: style.stroke_width() as f32, ink }
            });
        }
        Ok(())
    }
}

impl DrawingBackend for Vectors<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Outcome {
        Ok(())
    }

    fn present(&mut self) -> Outcome {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Outcome {
        let (x, y) = at(point);
        self.shape(vec![(x, y), (x + 1.0, y), (x + 1.0, y + 1.0), (x, y + 1.0)], &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Outcome {
        self.shape(vec![at(from), at(to)], style, false)
    }

    fn draw_rect<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S, fill: bool) -> Outcome {
        let ((x0, y0), (x1, y1)) = (at(a), at(b));
        let mut points = vec![(x0, y0), (x1, y0), (x1, y1), (x0, y1)];
        if !fill {
            points.push((x0, y0));
        }
        self.shape(points, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Outcome {
        self.shape(path.into_iter().map(at).collect(), style, false)
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Outcome {
        let ((x, y), r) = (at(center), radius as f32);
        // Twenty-four sides are round at the size of a mark on paper.
        let corners = (0..=24).map(|i| {
            let (sin, cos) = (i as f32 * std::f32::consts::TAU / 24.0).sin_cos();
            (x + r * cos, y + r * sin)
        });
        self.shape(corners.collect(), style, fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vert: I, style: &S) -> Outcome {
        self.shape(vert.into_iter().map(at).collect(), style, true)
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, pos: BackendCoord) -> Outcome {
        let (x, y) = at(pos);
        let size = style.size() / LINE;
        let anchor = style.anchor();
        let side = match anchor.h_pos {
            HPos::Left => Side::Left,
            HPos::Center => Side::Middle,
            HPos::Right => Side::Right,
        };
        let half = (size / 2.0) as f32;
        let y = match anchor.v_pos {
            VPos::Top => y + half,
            VPos::Center => y,
            VPos::Bottom => y - half,
        };
        let ink = ink(style.color());
        if ink.alpha > 0.0 && !text.is_empty() {
            self.marks.push(Mark::Text { x, y, size: size as f32, side, text: text.to_string(), ink });
        }
        Ok(())
    }
}
