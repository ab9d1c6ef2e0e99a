//! Files and the change log become checked rows, and rows go into the stores.
//!
//! [`import()`] reads a file of any supported format, types and checks every cell by the dataset's
//! definition, and hands batches to all sinks; rows that fail are set aside in a quarantine file.
//! [`Journal`] makes an import survive a crash. [`Follower`] applies the change log of the records
//! store, exactly once per store.

pub mod attachment;
mod cells;
mod detect;
mod error;
mod follower;
mod gazetteer;
mod geo_parquet;
mod import;
mod journal;
mod keys;
mod mapping;
mod occurrence;
mod parse;
mod parse_time;
mod pipeline;
mod plan;
mod preview;
mod quarantine;
mod rows;
mod source;
mod split;

pub use detect::Format;
pub use error::{IngestError, Result};
pub use follower::{Applied, Follower, LOG_STREAM};
pub use gazetteer::read_gazetteer;
pub use geo_parquet::{ParquetColumns, parquet_columns, transform_parquet};
pub use import::{ImportOptions, ImportReport, ImportRequest, Progress, import, resume};
pub use journal::{BatchRecord, BatchState, Journal, SinkRecord};
pub use mapping::{FormatOptions, Mapping, Source};
pub use preview::{ColumnPreview, Input, Preview, RowError, preview};
pub use quarantine::META_COLUMNS;
