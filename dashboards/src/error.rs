//! Errors of rendering: pages, charts, images and documents.

use zonglan_catalog::error::{Classify, ErrorClass};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("页面无法生成 (the page could not be rendered): {0}")]
    Page(#[from] askama::Error),
    #[error("看板 {board} 没有面板 '{panel}' (the board has no such panel)")]
    UnknownPanel { board: String, panel: String },
    #[error("面板 '{panel}' 缺少查询 '{query}' 的结果 (the answer of a query is missing)")]
    MissingAnswer { panel: String, query: String },
    #[error("面板 '{panel}': {reason}")]
    Panel { panel: String, reason: String },
    #[error("变量 '{name}' 的值 '{value}' 无效 (not a value of this variable)")]
    Variable { name: String, value: String, allowed: String },
    #[error("图像无法生成 (the image could not be drawn): {0}")]
    Image(String),
    #[error("没有中文字体 (no CJK font); looked in: {0}")]
    Font(String),
    #[error("表格无法写出 (the table could not be written): {0}")]
    Document(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownPanel { .. } => ErrorClass::NotFound,
            Self::Variable { .. } => ErrorClass::User,
            Self::Font(_) => ErrorClass::Unavailable,
            _ => ErrorClass::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Page(_) => "page.render",
            Self::UnknownPanel { .. } => "board.unknown_panel",
            Self::MissingAnswer { .. } => "board.missing_answer",
            Self::Panel { .. } => "board.panel",
            Self::Variable { .. } => "board.variable",
            Self::Image(_) => "image.render",
            Self::Font(_) => "image.font",
            Self::Document(_) => "document.write",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Variable { allowed, .. } => Some(format!("可用: {allowed}")),
            Self::Font(_) => Some("apt-get install fonts-noto-cjk，或设置 ZONGLAN_FONT 指向一个中文字体文件".into()),
            _ => None,
        }
    }
}
