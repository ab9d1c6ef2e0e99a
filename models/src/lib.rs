//! Pure computations on rows and events. They take values and return values; their rules are files.

pub mod briefing;
pub mod deadline;
pub mod discretion;
#[cfg(test)]
mod docs;
pub mod enforcement;
pub mod error;
mod evaluate;
pub mod extract;
pub mod index;
pub mod influence;
pub mod opinion;
pub mod period;
pub mod sentiment;

pub use error::{ModelError, Result};
pub use evaluate::{MODELS, check, evaluate, evaluate_with};
