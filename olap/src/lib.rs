//! The columnar store and the engine of the logical query.

mod buffer;
mod cache;
mod column;
mod compact;
mod error;
mod hash;
mod manifest;
mod segment;
mod sidecar;
mod store;
mod table;
mod txn;

pub use error::OlapError;
pub use store::{Options, Store};
