//! The columnar store and the engine of the logical query.

mod aggregate;
mod answer;
mod buffer;
mod cache;
mod column;
mod compact;
mod dims;
mod engine;
mod error;
mod finish;
mod hash;
mod manifest;
mod plan;
mod pred;
mod rows;
mod scan;
mod segment;
mod sidecar;
mod store;
mod table;
mod txn;

pub use error::OlapError;
pub use store::{Options, Store};
