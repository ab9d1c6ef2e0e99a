//! Pure computations on rows and events
