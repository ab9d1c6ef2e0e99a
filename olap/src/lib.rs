//! The columnar store and the engine of the logical query.

mod aggregate;
mod answer;
mod buffer;
mod cache;
mod calc;
pub mod clickhouse;
mod column;
mod compact;
mod compute;
mod copy;
mod dims;
mod each;
mod engine;
mod error;
mod export;
mod finish;
mod hash;
mod manifest;
mod pivot;
mod plan;
mod pred;
mod rollup;
mod rows;
mod scan;
mod segment;
mod sidecar;
mod store;
mod stored;
mod suppress;
mod table;
mod txn;

pub use each::{Marks, Row};
pub use error::OlapError;
pub use export::ParquetTable;
pub use rollup::{Checked, Status};
pub use store::{Options, Store};
