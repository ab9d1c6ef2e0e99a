//! Pure computations on rows and events. They take values and return values; their rules are files.

pub mod deadline;
pub mod discretion;
pub mod error;
pub mod index;
pub mod influence;
pub mod period;

pub use error::{ModelError, Result};
