//! What people see: chart specifications and their renderers (ECharts options for pages, plotters
//! images for documents), boards, server-rendered pages, table writers. Values in, values out:
//! nothing here asks a store.

pub mod assets;
pub mod board;
pub mod board_style;
pub mod chart;
pub mod documents;
pub mod echarts;
pub mod error;
pub mod explore;
pub mod format;
pub mod pages;
pub mod palette;
pub mod panel;
pub mod render;
#[cfg(test)]
mod test_support;

pub use board::{BoardVars, FrameLine, board_queries};
pub use chart::ChartSpec;
pub use error::{Error, Result};
pub use panel::Panel;
