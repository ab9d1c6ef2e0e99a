//! What the crates of Zonglan share: definitions read from files, the logical query, policy and
//! the traits between stores, engines and the program. It does no I/O but reading catalogue files.

pub mod batch;
pub mod bind;
pub mod board;
pub mod board_layout;
pub mod calc;
pub mod calendar;
pub mod check;
pub mod codes;
pub mod coverage;
pub mod dataset;
pub mod default_board;
pub mod error;
pub mod expand;
pub mod filter;
pub mod governance;
pub mod load;
pub mod policy;
pub mod query;
pub mod register;
pub mod schema;
pub mod search;
pub mod service;
pub mod table;
pub mod time;
pub mod traits;
pub mod value;

pub use batch::{Batch, ColumnData, RowKey};
pub use bind::{BoundQuery, BoundSearch, Fingerprint, bind, bind_search};
pub use board::Board;
pub use calc::Calc;
pub use codes::{CodeList, Label};
pub use dataset::{Dataset, Field, FieldType, Measure};
pub use error::{Classify, Error, ErrorClass, FieldError, Result};
pub use filter::{ClockPart, Filter, Op};
pub use load::Catalogue;
pub use policy::{Grant, Lane, Policy, Principal, Role};
pub use query::{Compare, Compute, ComputeKind, Dim, Query};
pub use search::{
    Bucket, Chip, Correction, Facet, Histogram, Hit, Likeness, ParsedQuery, QueryProblem, Reason, SearchPage,
    SearchRequest, SimilarPage, Step, Suggestion,
};
pub use table::{Column, Meta, Table};
pub use time::{Grain, Range};
pub use value::Value;
