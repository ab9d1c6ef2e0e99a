//! Errors of the stores, and their way into the shared error type.

use zonglan_catalog::error::{Classify, Error, ErrorClass};

/// What can go wrong in the stores beyond wrong input.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("记录 {dataset}/{id} 已被他人修改：您看到的是第 {expected} 版，现在是第 {current} 版")]
    Conflict { dataset: String, id: String, expected: u64, current: u64 },
    #[error("数据目录 {dir} 正由 {holder} 的程序使用")]
    Locked { dir: String, holder: String },
    #[error("磁盘空间不足，写入未保存；查询不受影响")]
    DiskFull(#[source] sqlx::Error),
    #[error("数据库正忙，写入未保存")]
    Busy(#[source] sqlx::Error),
    #[error("写入未保存：{0}")]
    NotCommitted(String),
    #[error("程序正在停止，不再接受写入")]
    Closing,
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("{context}: {source}")]
    Io { context: String, source: std::io::Error },
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// The store's error inside a shared one.
    pub fn of(error: &Error) -> Option<&StoreError> {
        std::error::Error::source(error)?.downcast_ref()
    }

    pub fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> StoreError {
        let context = context.into();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull => StoreError::DiskFull(sqlx::Error::Io(source)),
            _ => StoreError::Io { context, source },
        }
    }
}

impl Classify for StoreError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Conflict { .. } => ErrorClass::Conflict,
            Self::Locked { .. } | Self::DiskFull(_) | Self::NotCommitted(_) | Self::Closing => ErrorClass::Unavailable,
            Self::Busy(_) => ErrorClass::Busy,
            Self::Database(_) | Self::Migration(_) | Self::Io { .. } | Self::Corrupt(_) => ErrorClass::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "records.conflict",
            Self::Locked { .. } => "store.locked",
            Self::DiskFull(_) => "store.disk_full",
            Self::Busy(_) => "store.busy",
            Self::NotCommitted(_) => "store.not_committed",
            Self::Closing => "store.closing",
            Self::Database(_) | Self::Migration(_) | Self::Io { .. } => "internal",
            Self::Corrupt(_) => "store.corrupt",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Conflict { .. } => "请重新打开记录，核对对方的修改后再保存".into(),
            Self::Locked { .. } => "请通过该程序的接口写入，或先停止它".into(),
            Self::DiskFull(_) => "请清理磁盘后重试".into(),
            Self::Busy(_) | Self::NotCommitted(_) => "请稍后重试".into(),
            _ => return None,
        })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // Primary result codes of SQLite (https://www.sqlite.org/rescode.html); the low byte of extended ones.
        const BUSY: i64 = 5;
        const FULL: i64 = 13;
        let code =
            error.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<i64>().ok()).map(|c| c & 0xff);
        match code {
            Some(FULL) => Self::DiskFull(error),
            Some(BUSY) => Self::Busy(error),
            _ => Self::Database(error),
        }
    }
}

/// For `map_err` where the shared error is returned.
pub(super) fn db(error: sqlx::Error) -> Error {
    StoreError::from(error).into()
}

/// The version that the record has now, where the error is a write conflict.
pub fn conflict_version(error: &Error) -> Option<u64> {
    match StoreError::of(error)? {
        StoreError::Conflict { current, .. } => Some(*current),
        _ => None,
    }
}
