//! The golden queries over the demo city, on every engine.

mod golden;
mod server;
