//! What can go wrong in the columnar store, and whose fault it is.

use std::path::{Path, PathBuf};
use zonglan_catalog::error::{Classify, ErrorClass};

/// Errors of the columnar store and its engine.
#[derive(Debug, thiserror::Error)]
pub enum OlapError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: cannot be read as a segment: {message}", path.display())]
    Corrupt { path: PathBuf, message: String },
    #[error("Parquet: {0}")]
    Parquet(#[from] polars::prelude::PolarsError),
    #[error("{0}")]
    Query(String),
    #[error("查询已取消 (the query was cancelled)")]
    Cancelled,
    #[error("全文条件不可用：没有可用的索引 (no index answers text conditions here)")]
    NoIndex,
    #[error("{0}")]
    TooLarge(String),
    #[error("列存服务器不可用：{0} (the columnar server is away)")]
    Away(String),
    #[error("the store was opened for reading only")]
    ReadOnly,
    #[error("{0}")]
    Internal(String),
}

impl OlapError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> OlapError + '_ {
        move |source| OlapError::Io { path: path.to_path_buf(), source }
    }

    pub(crate) fn corrupt(path: &Path, message: impl Into<String>) -> OlapError {
        OlapError::Corrupt { path: path.to_path_buf(), message: message.into() }
    }
}

impl Classify for OlapError {
    fn class(&self) -> ErrorClass {
        match self {
            OlapError::Query(_) => ErrorClass::User,
            OlapError::TooLarge(_) => ErrorClass::TooLarge,
            OlapError::Cancelled | OlapError::NoIndex | OlapError::Away(_) => ErrorClass::Unavailable,
            OlapError::ReadOnly => ErrorClass::Conflict,
            OlapError::Io { .. } | OlapError::Corrupt { .. } | OlapError::Parquet(_) | OlapError::Internal(_) => {
                ErrorClass::Internal
            }
        }
    }

    fn code(&self) -> &'static str {
        match self {
            OlapError::Query(_) => "query.unsupported",
            OlapError::TooLarge(_) => "query.too_large",
            OlapError::Cancelled => "query.cancelled",
            OlapError::NoIndex => "query.text_unavailable",
            OlapError::Away(_) => "store.away",
            OlapError::ReadOnly => "store.read_only",
            OlapError::Io { .. } => "store.io",
            OlapError::Corrupt { .. } => "store.corrupt",
            OlapError::Parquet(_) => "store.parquet",
            OlapError::Internal(_) => "internal",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            OlapError::TooLarge(_) => Some("请加条件或缩小时间范围 (narrow the filter or the range)".into()),
            OlapError::Corrupt { .. } => {
                Some("restore the folder from a backup, or remove it and load the data again".into())
            }
            _ => None,
        }
    }
}

pub(crate) type Result<T, E = OlapError> = std::result::Result<T, E>;
