//! Reads the text of attached files in the background and has their records indexed with it. What
//! is left to do stands in the database, so a stop of the program only puts it off.

use crate::app::App;
use crate::live::back_off;
use crate::store::{FileText, OpenFile};
use std::time::Duration;
use zonglan_catalog::error::{Error, Result};
use zonglan_ingest::attachment::{self, AttachmentError, Limits};

/// Files looked up at a time.
const STEP: u32 = 50;

/// What reading one file may cost: attachments are at most 100 MB, most texts far below a megabyte.
const LIMITS: Limits =
    Limits { bytes: 100 << 20, unpacked: 256 << 20, characters: 1_000_000, time: Duration::from_secs(20) };

/// Works until the program stops.
pub async fn run(app: App) {
    let mut changed = app.store.records.files_changed();
    let mut failures = 0;
    while !app.stopping.is_cancelled() {
        changed.borrow_and_update();
        match step(&app).await {
            Ok(true) => failures = 0,
            Ok(false) => {
                failures = 0;
                tokio::select! {
                    told = changed.changed() => if told.is_err() { return },
                    () = tokio::time::sleep(Duration::from_secs(60)) => {}
                    () = app.stopping.cancelled() => return,
                }
            }
            Err(error) => {
                failures += 1;
                back_off(&app, &error, failures).await;
            }
        }
    }
}

/// Some files. True: there may be more.
async fn step(app: &App) -> Result<bool> {
    let files = app.store.records.open_files(STEP).await?;
    for file in &files {
        if app.stopping.is_cancelled() {
            return Ok(false);
        }
        if !file.read {
            let text = read(app, file).await?;
            app.store.records.keep_file_text(file.id, text).await?;
        }
        let catalogue = app.catalogue();
        if let Some(dataset) = catalogue.dataset(&file.dataset).cloned() {
            let (index, record) = (app.index.clone(), file.record.clone());
            tokio::task::spawn_blocking(move || index.refresh(&dataset, &record)).await.map_err(Error::internal)??;
        }
        app.store.records.file_is_indexed(file.id).await?;
    }
    Ok(files.len() == STEP as usize)
}

/// The text of one file. A file that cannot be read is no failure of the work.
async fn read(app: &App, file: &OpenFile) -> Result<FileText> {
    if file.media.starts_with("image/") || file.media.ends_with("spreadsheetml.sheet") {
        return Ok(FileText::None);
    }
    let (records, of) = (app.store.records.clone(), file.clone());
    let read = move || -> Result<FileText> {
        let content = records.file_content(&of)?;
        Ok(match attachment::text(&content, &of.name, &LIMITS) {
            Ok(extract) if extract.text.is_empty() => FileText::None,
            Ok(extract) => FileText::Text { text: extract.text, cut: extract.cut },
            Err(AttachmentError::Unknown) => FileText::None,
            Err(error) => FileText::Failed(error.to_string()),
        })
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(outcome) => outcome,
        // A file that brings the reader down must not come again and again.
        Err(panic) => {
            tracing::error!(file = file.id, %panic, "reading an attachment failed");
            Ok(FileText::Failed("读取时出错 (reading failed)".into()))
        }
    }
}
