//! JSON Schemas of the declared files, for editors.

use crate::board::Board;
use crate::codes::CodeList;
use crate::dataset::Dataset;
use crate::policy::Role;
use schemars::schema_for;

/// `(folder of a pack, schema)` for each kind of file.
pub fn schemas() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("datasets", schema_for!(Dataset).to_value()),
        ("parts", schema_for!(crate::expand::Part).to_value()),
        ("codes", schema_for!(CodeList).to_value()),
        ("boards", schema_for!(Board).to_value()),
        ("services", schema_for!(crate::service::Service).to_value()),
        ("policy", schema_for!(Role).to_value()),
    ]
}
