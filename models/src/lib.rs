//! Pure computations on rows and events. They take values and return values; their rules are files.

pub mod period;
