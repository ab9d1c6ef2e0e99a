//! What can go wrong with an import as a whole; a wrong row is no error but goes to quarantine.

use zonglan_catalog::error::{Classify, ErrorClass};

pub type Result<T, E = IngestError> = std::result::Result<T, E>;

/// Texts are for page users, in Chinese.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    #[error("映射有误：{0}")]
    Mapping(String),
    #[error("文件中没有列「{column}」；文件的列：{known}")]
    MissingColumn { column: String, known: String, near: Option<String> },
    #[error("必填字段「{0}」没有对应的列")]
    RequiredUnmapped(String),
    #[error("文件「{file}」无法读取：{reason}")]
    Unreadable { file: String, reason: String },
    #[error("文件「{file}」的格式无法识别")]
    UnknownFormat { file: String },
    #[error("工作表「{sheet}」不存在；文件中的工作表：{known}")]
    NoSheet { sheet: String, known: String },
    #[error("文件是空的，或没有表头")]
    Empty,
    #[error("解压后的内容超过上限 {limit} 字节")]
    TooLarge { limit: u64 },
    #[error("导入已取消，没有写入任何数据")]
    Cancelled,
    #[error("导入记录「{0}」不存在")]
    NoBatch(String),
    #[error("导入文件已不在或内容已变，批次「{0}」不能重做")]
    SpoolChanged(String),
    #[error("导入日志：{path}：{source}")]
    Io { path: String, source: std::io::Error },
    #[error("写入「{sink}」失败：{source}")]
    Sink { sink: &'static str, source: Box<zonglan_catalog::Error> },
    #[error("{0}")]
    Internal(String),
}

impl IngestError {
    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }

    pub(crate) fn unreadable(file: &str, reason: impl std::fmt::Display) -> Self {
        Self::Unreadable { file: file.to_string(), reason: reason.to_string() }
    }
}

impl Classify for IngestError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Mapping(_)
            | Self::MissingColumn { .. }
            | Self::RequiredUnmapped(_)
            | Self::Unreadable { .. }
            | Self::UnknownFormat { .. }
            | Self::NoSheet { .. }
            | Self::Empty
            | Self::Cancelled => ErrorClass::User,
            Self::TooLarge { .. } => ErrorClass::TooLarge,
            Self::NoBatch(_) => ErrorClass::NotFound,
            Self::SpoolChanged(_) => ErrorClass::Conflict,
            Self::Sink { source, .. } => source.class,
            Self::Io { .. } => ErrorClass::Unavailable,
            Self::Internal(_) => ErrorClass::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Mapping(_) => "ingest.mapping",
            Self::MissingColumn { .. } => "ingest.missing_column",
            Self::RequiredUnmapped(_) => "ingest.required_unmapped",
            Self::Unreadable { .. } => "ingest.unreadable",
            Self::UnknownFormat { .. } => "ingest.unknown_format",
            Self::NoSheet { .. } => "ingest.no_sheet",
            Self::Empty => "ingest.empty",
            Self::TooLarge { .. } => "ingest.too_large",
            Self::Cancelled => "ingest.cancelled",
            Self::NoBatch(_) => "ingest.no_batch",
            Self::SpoolChanged(_) => "ingest.spool_changed",
            Self::Io { .. } => "ingest.io",
            Self::Sink { .. } => "ingest.sink",
            Self::Internal(_) => "internal",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MissingColumn { near: Some(near), .. } => format!("是否指「{near}」？"),
            Self::MissingColumn { .. } | Self::RequiredUnmapped(_) => "请在导入页重新指定列与字段的对应关系".into(),
            Self::UnknownFormat { .. } => "支持 csv、tsv、jsonl、xlsx、parquet，以及它们的 .gz".into(),
            Self::Io { .. } => "请检查磁盘空间与目录权限后重试".into(),
            Self::Empty => "请检查表头所在的行和所选的工作表".into(),
            _ => return None,
        })
    }
}
