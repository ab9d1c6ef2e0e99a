//! What can be wrong with a computation's input, its rule file or its model file.

use zonglan_catalog::error::{Classify, ErrorClass};
use zonglan_catalog::load::Problem;

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("没有名为“{name}”的模型")]
    UnknownModel { name: String, known: String },
    #[error("没有名为“{name}”的{what}")]
    UnknownRule { what: &'static str, name: String, known: String },
    #[error("输入不符合要求:{0}")]
    Input(String),
    #[error("规则文件有误:{0}")]
    RuleFile(String),
    #[error("情感模型尚未训练")]
    NotTrained,
    #[error("模型文件不可用:{0}")]
    ModelFile(String),
}

pub type Result<T, E = ModelError> = std::result::Result<T, E>;

impl ModelError {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }
}

impl From<Problem> for ModelError {
    fn from(problem: Problem) -> Self {
        Self::RuleFile(problem.to_string())
    }
}

impl Classify for ModelError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownModel { .. } | Self::UnknownRule { .. } => ErrorClass::NotFound,
            Self::Input(_) => ErrorClass::User,
            Self::RuleFile(_) | Self::ModelFile(_) => ErrorClass::Internal,
            Self::NotTrained => ErrorClass::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownModel { .. } => "model.unknown",
            Self::UnknownRule { .. } => "model.unknown_rule",
            Self::Input(_) => "model.input",
            Self::RuleFile(_) => "model.rule_file",
            Self::NotTrained => "model.not_trained",
            Self::ModelFile(_) => "model.file",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownModel { known, .. } => Some(format!("可用的模型:{known}")),
            Self::UnknownRule { known, .. } => Some(format!("可用的名称:{known}")),
            Self::NotTrained => Some("用 zonglan model train 训练并登记模型文件".into()),
            Self::Input(_) | Self::RuleFile(_) | Self::ModelFile(_) => None,
        }
    }
}
