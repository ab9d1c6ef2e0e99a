//! What can go wrong in the index, by whose fault.

use zonglan_catalog::error::{Classify, ErrorClass};

/// Errors of the full-text index. The text is shown to users unless the class is internal.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("全文索引 {index} 出错: {source}")]
    Engine { index: String, source: tantivy::TantivyError },
    #[error("全文索引目录 {path} 无法读写: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("全文索引 {index} 的提交信息已损坏: {reason}")]
    Payload { index: String, reason: String },
    #[error("检索规则有误: {what}")]
    Rules { what: String },
    #[error("全文索引以只读方式打开，不能写入")]
    ReadOnly,
    #[error("全文索引正忙: 同时写入的索引过多")]
    Busy,
    #[error("检索已取消")]
    Cancelled,
    #[error("字段 '{field}' {reason}")]
    Field { field: String, reason: &'static str },
    #[error("字段「{field}」不能与 '{value}' 比较")]
    Value { field: String, value: String },
    #[error("检索式第 {} 到 {} 字: {message}", from + 1, to)]
    Syntax { from: usize, to: usize, message: String, hint: String },
    #[error("符合 '{text}' 的行超过 {limit} 条")]
    TooMany { text: String, limit: usize },
}

impl SearchError {
    /// Wraps an engine error with the index's name.
    pub(crate) fn engine(index: &str) -> impl Fn(tantivy::TantivyError) -> Self + '_ {
        move |source| Self::Engine { index: index.to_string(), source }
    }
}

impl Classify for SearchError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Engine { .. } | Self::Io { .. } | Self::Payload { .. } | Self::ReadOnly | Self::Rules { .. } => {
                ErrorClass::Internal
            }
            Self::Busy | Self::Cancelled => ErrorClass::Busy,
            Self::Field { .. } | Self::Value { .. } | Self::Syntax { .. } => ErrorClass::User,
            Self::TooMany { .. } => ErrorClass::TooLarge,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Engine { .. } => "search.engine",
            Self::Io { .. } => "search.io",
            Self::Payload { .. } => "search.payload",
            Self::Rules { .. } => "search.rules",
            Self::ReadOnly => "search.read_only",
            Self::Busy => "search.busy",
            Self::Cancelled => "search.cancelled",
            Self::Field { .. } => "search.field",
            Self::Value { .. } => "search.value",
            Self::Syntax { .. } => "search.syntax",
            Self::TooMany { .. } => "search.too_many",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { hint, .. } => Some(hint.clone()),
            Self::Value { .. } => {
                Some("日期写 2019、2019-05 或 2019-05-06，范围写 2019..2021，数字写 >=3，是否写 是 或 否".into())
            }
            Self::Busy => Some("请稍后再试".into()),
            Self::TooMany { .. } => Some("请加条件或换更具体的词".into()),
            Self::Payload { .. } => Some("删除该索引目录后重新导入".into()),
            _ => None,
        }
    }
}
