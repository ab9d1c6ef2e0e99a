//! Handlers, one file a noun. The paths stand in [`crate::router`].

pub mod assets;
pub mod board_documents;
pub mod boards;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod briefings;
pub mod case_file;
pub mod case_links;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod cases;
pub mod datasets;
pub mod drafts;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod events;
pub mod explore;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod exports;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod files;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod geo;
pub mod grants;
pub mod health;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod imports;
pub mod jobs;
pub mod model_helpers;
pub mod model_pages;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod model_runs;
pub mod model_schemas;
pub mod models;
pub mod notices;
pub mod openapi;
pub mod pages;
pub mod query;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod records;
pub mod schemas;
pub mod search;
pub mod search_exports;
pub mod searches;
pub mod session;
pub mod signatures;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod tasks;
#[expect(unused_qualifications, reason = "utoipa's params(..) expands to a qualified path")]
pub mod timeline;
pub mod tokens;
pub mod users;
pub mod views;
