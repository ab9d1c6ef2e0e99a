//! The security index: indicators scored by the improved efficacy coefficient, weighted and
//! aggregated over two levels, graded in four colours, with every score explained.
//!
//! Formula: `d = (x - inadmissible) / (satisfactory - inadmissible) * 40 + 60` (改进的功效系数法, textbook
//! form); exponential form 彭非、袁卫、惠争勤 2007 (统计研究; unconfirmed); logarithmic form its concave mirror.

pub mod aggregate;
pub mod efficacy;
pub mod evaluate;
pub mod file;
pub mod grade;
pub mod sensitivity;
pub mod series;
pub mod weights;

pub use aggregate::{Aggregation, Dimension, Indicator, Scheme, UnitScore, score_unit};
pub use efficacy::{Bounds, Form};
pub use evaluate::evaluate;
pub use file::IndexFile;
pub use grade::{Grade, GradeInput, GradeRules};
pub use series::{PeriodUnits, UnitResult, series};

#[cfg(test)]
mod tests;
