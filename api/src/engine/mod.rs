//! The model run engine (统一模型运行引擎): every computation whose results are rows runs here.
//!
//! To add a model, implement [`Model`] and name it in [`models`]; nothing else is needed to start,
//! stop, schedule and watch it over `/api/v1/models/{model}/runs`, `zonglan model run NAME` and the
//! page `/models`:
//!
//! ```ignore
//! pub struct Topics;
//! impl Model for Topics {
//!     fn name(&self) -> &'static str { "topics" }
//!     fn label(&self) -> Label { Label::new("舆情话题", "Topics") }
//!     fn inputs(&self) -> Vec<&'static str> { vec!["media_post"] }
//!     fn outputs(&self) -> Vec<&'static str> { vec!["topic_day"] }
//!     fn version(&self, app: &App) -> Result<String> { Ok("1".into()) }
//!     fn run(&self, run: &Running) -> Result<()> {
//!         run.each("media_post", &["id", "text"], Filter::True, &mut |row| ...)?;   // read
//!         run.upsert("topic_day", &rows)?;                                          // write
//!         run.warn(vec![NewWarning { .. }])?;                                       // raise
//!         Ok(())
//!     }
//! }
//! ```
//!
//! What the engine promises: a run is a record with the versions of the rules and of every dataset
//! read; the same model, version, parameters and data are the same run, however often it is asked
//! for; a run that the program's end interrupted goes on at the next start, from its last
//! [`Running::save`]; a failure is told to those who may act on jobs; results are written to the
//! same stores as imports, by key, changed rows only. Models run on a thread for blocking work.

mod deadline;
mod deadline_memory;
mod deadline_read;
mod deadline_rows;
mod deadline_tell;
mod helpers;
mod index;
mod media;
mod opinion;
mod rows;
mod run;
mod running;

pub use index::SCORES;
pub use run::{
    Engine, Health, ModelStatus, register, resume, run_to_end, scheduler, start, status, stop, with_progress,
};
pub use running::Running;

use crate::app::App;
use crate::error::Result;
use crate::store::NewTask;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use zonglan_catalog::{Catalogue, Label};

/// A computation over datasets whose results are rows of datasets.
pub trait Model: Send + Sync {
    /// As in addresses: `security-index`.
    fn name(&self) -> &'static str;
    fn label(&self) -> Label;
    /// Datasets read: their data versions are part of the run.
    fn inputs(&self) -> Vec<&'static str>;
    /// The same, where the files of the catalogue decide.
    fn reads(&self, _catalogue: &Catalogue) -> Vec<String> {
        self.inputs().into_iter().map(String::from).collect()
    }
    /// Datasets written.
    fn outputs(&self) -> Vec<&'static str>;
    /// The version of the rules in force; results of another version are another run.
    fn version(&self, app: &App) -> Result<String>;
    /// What else decides the results, such as the day of judgment; also what a caller may set.
    fn params(&self, _app: &App) -> Json {
        json!({})
    }
    /// How often the engine looks for something new to compute; `None`: only when asked.
    fn every_minutes(&self) -> Option<u32> {
        Some(30)
    }
    /// Computes and writes. Blocking; look at [`Running::check`] between pieces of work.
    fn run(&self, run: &Running) -> Result<()>;
}

/// The models of this program.
pub fn models() -> Vec<Arc<dyn Model>> {
    vec![
        Arc::new(index::SecurityIndex),
        Arc::new(deadline::CASES),
        Arc::new(deadline::MATTERS),
        Arc::new(opinion::Opinion),
        Arc::new(media::Media),
        Arc::new(helpers::CaseCheck),
        Arc::new(helpers::PriorPenalty),
        Arc::new(helpers::ShopRisk),
        // After the checks: it reads their findings.
        Arc::new(helpers::Associations),
    ]
}

/// Gives tasks; where the instance keeps no tasks, warnings alone tell of it.
fn warn_tasks(run: &Running, tasks: Vec<NewTask>) -> Result<()> {
    if run.catalogue.dataset(crate::store::TASKS).is_none() {
        return Ok(());
    }
    for task in tasks {
        run.check()?;
        run.wait(run.app.store.tasks.create("system", task))?;
    }
    Ok(())
}
