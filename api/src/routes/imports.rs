//! `/api/v1/import/{dataset}`: files into datasets, with a preview before and what was set aside
//! after.

use crate::app::App;
use crate::error::{Error, Problem, Result, request_id};
use crate::extract::{Auth, percent_decode, readable};
use crate::imports;
use crate::store::AuditEvent;
use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Path, Query as Params, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use zonglan_catalog::Dataset;
use zonglan_catalog::error::ErrorClass;
use zonglan_ingest::{ImportReport, Input, Mapping};

/// Rows of a preview.
const PREVIEW_ROWS: usize = 50;

#[derive(Debug, Deserialize, IntoParams)]
pub struct ImportParams {
    /// Name of a mapping file; without it columns are taken by the fields' names or labels.
    pub mapping: Option<String>,
    /// `1`: look at the first rows and load nothing.
    pub preview: Option<String>,
    /// `1`: answer at once with the job; its result is the answer.
    pub background: Option<String>,
    /// The file's name, where the body is the file itself: its end tells the format.
    pub filename: Option<String>,
    pub lang: Option<String>,
}

fn is_set(value: Option<&String>) -> bool {
    value.is_some_and(|v| matches!(v.as_str(), "1" | "true" | ""))
}

/// What an import did: `read = loaded + duplicates + quarantined`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportOut {
    pub read: u64,
    /// Rows that are new or changed something.
    pub loaded: u64,
    /// Rows that were there already.
    pub duplicates: u64,
    /// Rows that were set aside.
    pub quarantined: u64,
    /// The rows set aside as CSV with line, column, value and reason; correct and send it again.
    pub quarantine_url: Option<String>,
    pub batch: String,
    pub seconds: f64,
    pub rows_per_second: f64,
}

impl ImportOut {
    pub fn new(dataset: &str, report: ImportReport) -> Self {
        Self {
            read: report.read,
            loaded: report.loaded,
            duplicates: report.duplicates,
            quarantined: report.quarantined,
            quarantine_url: report
                .quarantine
                .map(|_| format!("/api/v1/import/{dataset}/quarantine/{}", report.batch_id)),
            batch: report.batch_id,
            seconds: report.seconds,
            rows_per_second: report.rows_per_second,
        }
    }
}

/// A file that has arrived, and the mapping sent with it.
struct Arrived {
    file: Spooled,
    name: String,
    mapping: Option<Mapping>,
}

/// A file in the spool folder; removed when dropped unless kept for a redo.
pub struct Spooled {
    pub path: PathBuf,
    keep: bool,
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The importable dataset of the path.
fn importable(app: &App, auth: &Auth, name: &str) -> Result<Arc<Dataset>> {
    let dataset = readable(app, auth, name)?;
    if app.catalogue().policy().may_import(&auth.principal, &dataset) {
        return Ok(dataset);
    }
    Err(Error::forbidden(
        "policy.import",
        format!("您的角色不能导入「{}」(imports are not permitted)", dataset.label.zh),
    )
    .hint("请向管理员申请权限"))
}

/// Import a file: the body is the file itself, or a form with `file` and optionally `mapping` (JSON)
#[utoipa::path(post, path = "/api/v1/import/{dataset}", tag = "import", operation_id = "import_file", params(("dataset" = String, Path), ImportParams),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ImportOut), (status = 202, body = Object, description = "Running as a job"),
        (status = 400, body = Problem), (status = 403, body = Problem), (status = 413, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    auth: Auth,
    Path(name): Path<String>,
    Params(params): Params<ImportParams>,
    request: Request,
) -> Result<Response> {
    let dataset = importable(&app, &auth, &name)?;
    let arrived = receive(&app, &params, request).await?;
    let mapping = match (&params.mapping, arrived.mapping) {
        (_, Some(sent)) => imports::fitting(&dataset, sent)?,
        (Some(name), None) if !name.is_empty() => imports::mapping(&app, &dataset, name)?,
        _ => Mapping::identity(&dataset),
    };
    let catalogue = app.catalogue();
    mapping.check(&catalogue)?;
    if is_set(params.preview.as_ref()) {
        let (file, file_name) = (arrived.file, arrived.name);
        let preview = tokio::task::spawn_blocking(move || {
            zonglan_ingest::preview(
                Input::Path(&file.path),
                &file_name,
                Some(&mapping),
                Some((&dataset, &catalogue)),
                PREVIEW_ROWS,
            )
        });
        return Ok(Json(preview.await.map_err(Error::internal)??).into_response());
    }
    let event = AuditEvent::new(&auth.principal.user, "import")
        .dataset(&dataset.name)
        .purpose(auth.principal.purpose.clone())
        .detail(serde_json::json!({"file": arrived.name, "request": request_id()}));
    app.store.log.audit(event).await?;
    let mut file = arrived.file;
    let job = crate::jobs::ImportJob {
        dataset: dataset.name.clone(),
        file: file.path.clone(),
        file_name: arrived.name,
        mapping,
    };
    // From here on the job owns the file: a redo after a crash needs it.
    file.keep = true;
    imports::mark_restricted(&app, &dataset, &auth.principal, &file.path)?;
    let (id, outcome) = crate::jobs::submit_import(&app, &auth.principal, job).await?;
    if is_set(params.background.as_ref()) {
        let place = format!("/api/v1/jobs/{id}");
        let location = HeaderValue::from_str(&place).map_err(Error::internal)?;
        return Ok((
            StatusCode::ACCEPTED,
            [(header::LOCATION, location)],
            Json(serde_json::json!({"job": id, "url": place})),
        )
            .into_response());
    }
    let report = outcome.await.map_err(|_| {
        Error::new(ErrorClass::Unavailable, "import.stopped", "导入被中断，程序重启后会继续 (interrupted)")
    })??;
    Ok(Json(ImportOut::new(&dataset.name, report)).into_response())
}

/// Writes the body to the spool as it comes.
async fn receive(app: &App, params: &ImportParams, request: Request) -> Result<Arrived> {
    let multipart = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.starts_with("multipart/form-data"));
    if !multipart {
        let disposition = request
            .headers()
            .get(header::CONTENT_DISPOSITION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.split("filename=").nth(1));
        let name = params
            .filename
            .clone()
            .or_else(|| disposition.map(|n| percent_decode(n.trim_matches('"'))))
            .unwrap_or_else(|| "upload".into());
        let file = spool(app, &name, request.into_body().into_data_stream()).await?;
        return Ok(Arrived { file, name: base(&name), mapping: None });
    }
    let mut form =
        Multipart::from_request(request, app).await.map_err(|error| Error::user("import.form", error.body_text()))?;
    let (mut file, mut mapping) = (None, None);
    while let Some(field) = form.next_field().await.map_err(|error| Error::user("import.form", error.body_text()))? {
        match field.name() {
            Some("file") => {
                let name = field
                    .file_name()
                    .map_or_else(|| params.filename.clone().unwrap_or_else(|| "upload".into()), str::to_string);
                file = Some((spool(app, &name, field).await?, base(&name)));
            }
            Some("mapping") => {
                let text = field.text().await.map_err(|error| Error::user("import.form", error.body_text()))?;
                if !text.trim().is_empty() {
                    mapping = Some(Mapping::parse_json(&text)?);
                }
            }
            _ => {}
        }
    }
    let (file, name) = file.ok_or_else(|| Error::user("import.no_file", "表单里没有文件 (the form holds no file)"))?;
    Ok(Arrived { file, name, mapping })
}

fn base(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or("upload").chars().take(200).collect()
}

async fn spool<E: std::fmt::Display>(
    app: &App,
    name: &str,
    stream: impl Stream<Item = Result<axum::body::Bytes, E>>,
) -> Result<Spooled> {
    let folder = app.folder("spool").map_err(Error::internal)?;
    let safe: String = base(name).chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { '_' }).collect();
    let tail: String = safe.chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
    let path = folder.join(format!("{}-{tail}", crate::operator::random(8).map_err(Error::internal)?));
    let spooled = Spooled { path: path.clone(), keep: false };
    let mut file = tokio::fs::File::create(&path).await.map_err(Error::internal)?;
    let most = app.config.server.import_mb << 20;
    let mut length = 0u64;
    let mut stream = std::pin::pin!(stream);
    while let Some(chunk) = stream.next().await {
        let chunk =
            chunk.map_err(|error| Error::user("import.upload", format!("上传中断 (upload broke off): {error}")))?;
        length += chunk.len() as u64;
        if length > most {
            return Err(Error::new(
                ErrorClass::TooLarge,
                "import.too_large",
                format!("文件超过 {} MB (file too large)", app.config.server.import_mb),
            ));
        }
        file.write_all(&chunk).await.map_err(Error::internal)?;
    }
    file.flush().await.map_err(Error::internal)?;
    if length == 0 {
        return Err(Error::user("import.empty", "文件是空的 (the file is empty)"));
    }
    Ok(spooled)
}

/// The rows of an import that were set aside, as CSV
#[utoipa::path(get, path = "/api/v1/import/{dataset}/quarantine/{batch}", tag = "import", operation_id = "get_quarantine",
    params(("dataset" = String, Path), ("batch" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "text/csv"), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn quarantine(
    State(app): State<App>,
    auth: Auth,
    Path((name, batch)): Path<(String, String)>,
) -> Result<Response> {
    let dataset = importable(&app, &auth, &name)?;
    let journal = imports::journal(&app)?;
    let id = batch.clone();
    let record = tokio::task::spawn_blocking(move || journal.get(&id)).await.map_err(Error::internal)??;
    let missing = || Error::not_found("import.no_quarantine", "没有隔离文件 (nothing was set aside)");
    let path = record.quarantine.filter(|_| record.dataset == dataset.name).ok_or_else(missing)?;
    let file = tokio::fs::File::open(&path).await.map_err(|_| missing())?;
    let name =
        HeaderValue::from_str(&format!("attachment; filename=\"quarantine-{batch}.csv\"")).map_err(Error::internal)?;
    Ok((
        [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
            (header::CONTENT_DISPOSITION, name),
        ],
        Body::from_stream(ReaderStream::new(file)),
    )
        .into_response())
}
