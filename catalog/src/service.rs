//! Services: what the program does for other systems over HTTP, as far as a module of the scope asks for it.

use crate::codes::Label;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service file. It declares nothing that the code does not have: it says which addresses serve which
/// modules, so that coverage can count them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub name: String,
    pub label: Label,
    /// Methods and paths, such as `POST /api/v1/geo/transform`.
    pub routes: Vec<String>,
    /// Rows of the scope that it serves.
    #[serde(default)]
    pub modules: Vec<String>,
}
