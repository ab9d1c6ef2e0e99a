//! ChartSpec to images on the server: the same numbers and colours as the page.

pub mod font;
pub mod plotters;
pub mod vectors;
