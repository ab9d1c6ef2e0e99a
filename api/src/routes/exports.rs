//! `/api/v1/exports`: the answer to a query as a file, as long as the role permits.

use super::schemas;
use crate::app::App;
use crate::error::{Error, Problem, Result, request_id};
use crate::extract::{Auth, Language, ValidatedJson};
use crate::store::{AuditEvent, ExportedFile, StreamHash, hex, sign_export};
use axum::body::{Body, Bytes};
use axum::extract::{Query as Params, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::io::{Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use zonglan_catalog::query::MAX_LIMIT;
use zonglan_catalog::{Principal, Query, Table};
use zonglan_dashboards::documents::{CsvWriter, Provenance, TableWriter, XlsxWriter};
use zonglan_olap::ParquetTable;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    Csv,
    Xlsx,
    Parquet,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportIn {
    #[schema(value_type = schemas::Query)]
    pub query: Query,
    pub format: ExportFormat,
}

/// An export on its way: pages of rows up to the limit of the role.
struct Export {
    /// The id of its signature.
    id: String,
    dataset: String,
    name: String,
    app: App,
    principal: Principal,
    query: Query,
    english: bool,
    /// Rows still permitted.
    left: usize,
    done: bool,
}

impl Export {
    /// Signs the whole file, before its last bytes leave.
    async fn sign(&self, sm3: [u8; 32]) -> Result<()> {
        let file = ExportedFile {
            id: self.id.clone(),
            dataset: self.dataset.clone(),
            name: self.name.clone(),
            actor: self.principal.user.clone(),
            sm3,
        };
        Ok(sign_export(&self.app.store.db, file).await?)
    }

    /// The next rows, with labels. `None`: there are no more, or the role permits no more.
    async fn page(&mut self) -> Result<Option<Table>> {
        if self.done || self.left == 0 {
            return Ok(None);
        }
        let rows = !self.query.rows.is_empty();
        self.query.limit = Some(self.left.min(MAX_LIMIT));
        // Bound page by page: rights that end meanwhile end the export.
        let bound = self.app.bind(&self.principal, &self.query)?;
        let table = self.app.answer_uncached(&bound, self.english).await?;
        super::query::note_personal_read(&self.app, &self.principal, &bound, table.rows.len());
        self.left -= table.rows.len().min(self.left);
        self.query.cursor.clone_from(&table.meta.cursor);
        self.done = !rows || table.meta.cursor.is_none() || table.rows.is_empty();
        Ok(Some(table))
    }
}

/// Export the answer to a query; the number of rows is limited by the role, and the export is audited
#[utoipa::path(post, path = "/api/v1/exports", tag = "exports", operation_id = "create_export", request_body = ExportIn,
    responses((status = 200, body = Vec<u8>, content_type = "text/csv"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    ValidatedJson(body): ValidatedJson<ExportIn>,
) -> Result<Response> {
    export(app, auth, language, body).await
}

#[derive(Deserialize, IntoParams)]
pub struct ExportParams {
    /// The query as JSON. Filters on personal fields do not belong into addresses: use POST.
    pub q: String,
    #[param(inline)]
    pub format: ExportFormat,
    pub lang: Option<String>,
}

/// Export the answer to a query, as a link
#[utoipa::path(get, path = "/api/v1/exports", tag = "exports", operation_id = "get_export", params(ExportParams),
    responses((status = 200, body = Vec<u8>, content_type = "text/csv"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn get(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    Params(params): Params<ExportParams>,
) -> Result<Response> {
    let query = crate::extract::parse_json(params.q.as_bytes())?;
    export(app, auth, language, ExportIn { query, format: params.format }).await
}

async fn export(app: App, auth: Auth, language: Language, body: ExportIn) -> Result<Response> {
    let catalogue = app.catalogue();
    let most = catalogue.policy().export_rows(&auth.principal);
    if most == 0 {
        return Err(Error::forbidden("policy.export", "您的角色不能导出 (exports are not permitted)")
            .hint("请向管理员申请导出权限"));
    }
    let wanted = body.query.limit.unwrap_or(most).min(most);
    let mut query = body.query;
    query.limit = Some(wanted.min(MAX_LIMIT));
    query.cursor = None;
    let bound = app.bind(&auth.principal, &query)?;
    let dataset = bound.dataset().clone();
    let provenance = Provenance {
        title: language.0.pick(&dataset.label).to_string(),
        user: format!("{} ({})", auth.principal.name, auth.principal.user),
        at: app.clock.now(),
        filter: conditions(&query),
        demo: app.demo,
    };
    let event = AuditEvent::new(&auth.principal.user, "export")
        .dataset(&dataset.name)
        .purpose(auth.principal.purpose.clone())
        .detail(serde_json::json!({"query": query, "format": format!("{:?}", body.format).to_lowercase(), "limit": wanted, "request": request_id()}));
    // No file leaves before the audit holds it.
    app.store.log.audit(event).await?;
    let id = hex(&crate::store::crypto::random::<8>()?);
    let stamp = zonglan_catalog::time::to_local(app.clock.now()).format("%Y%m%d-%H%M%S");
    let extension = match body.format {
        ExportFormat::Csv => "csv",
        ExportFormat::Xlsx => "xlsx",
        ExportFormat::Parquet => "parquet",
    };
    let name = format!("{}-{stamp}.{extension}", dataset.name);
    let mut export = Export {
        id: id.clone(),
        dataset: dataset.name.clone(),
        name: name.clone(),
        app: app.clone(),
        principal: auth.principal,
        query,
        english: language.english(),
        left: wanted,
        done: false,
    };
    // The first page is fetched before the answer starts, so that refusals have their status.
    let first = export.page().await?.unwrap_or_default();
    let total = first.meta.total.unwrap_or(first.rows.len() as u64);
    let rows = total.min(wanted as u64);
    let (kind, body) = match body.format {
        ExportFormat::Csv => ("text/csv; charset=utf-8", csv(export, first, provenance)),
        ExportFormat::Xlsx => (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            xlsx(export, first, provenance).await?,
        ),
        ExportFormat::Parquet => ("application/vnd.apache.parquet", parquet(export, first, &provenance)),
    };
    let text = |text: &str| HeaderValue::from_str(text).map_err(Error::internal);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, text(&format!("attachment; filename=\"{name}\""))?),
        (HeaderName::from_static("x-signature-id"), text(&id)?),
        // How much there is to come, for whoever shows how far it is; and how much the role cut off.
        (HeaderName::from_static("x-zonglan-rows"), HeaderValue::from(rows)),
        (HeaderName::from_static("x-zonglan-cut"), HeaderValue::from(total.saturating_sub(rows))),
    ];
    Ok((headers, body).into_response())
}

/// The query's conditions as JSON, for the foot of the document.
fn conditions(query: &Query) -> String {
    let mut parts = Vec::new();
    if !query.filter.is_true() {
        parts.push(query.filter.to_json().to_string());
    }
    if !query.range.is_unbounded() {
        parts.push(serde_json::to_string(&query.range).unwrap_or_default());
    }
    parts.join(" ")
}

/// What the writer has written since it was last emptied.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Bytes {
        Bytes::from(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The documents that are written as they go.
enum Flow {
    Csv(Box<CsvWriter<Buffer>>),
    Parquet(Box<ParquetTable<Buffer>>),
}

impl Flow {
    fn begin(&mut self, table: &Table) -> Result<()> {
        match self {
            Flow::Csv(writer) => Ok(writer.begin(&table.columns)?),
            Flow::Parquet(writer) => Ok(writer.begin(&table.columns).map_err(zonglan_catalog::Error::from)?),
        }
    }

    fn rows(&mut self, table: &Table) -> Result<()> {
        match self {
            Flow::Csv(writer) => table.rows.iter().try_for_each(|row| writer.row(row))?,
            Flow::Parquet(writer) => {
                table.rows.iter().try_for_each(|row| writer.row(row)).map_err(zonglan_catalog::Error::from)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        match self {
            Flow::Csv(writer) => Ok(writer.finish()?),
            Flow::Parquet(writer) => Ok(writer.finish().map_err(zonglan_catalog::Error::from)?),
        }
    }
}

fn csv(export: Export, first: Table, provenance: Provenance) -> Body {
    let buffer = Buffer::default();
    let writer = CsvWriter::new(buffer.clone(), provenance, true);
    stream(export, first, Flow::Csv(Box::new(writer)), buffer)
}

/// Who, when and which filter stand in the file's metadata.
fn parquet(export: Export, first: Table, provenance: &Provenance) -> Body {
    let buffer = Buffer::default();
    let about = vec![("zonglan".to_string(), provenance.line())];
    stream(export, first, Flow::Parquet(Box::new(ParquetTable::new(buffer.clone(), about))), buffer)
}

/// Streams page after page; the reader's pace holds back the queries.
fn stream(mut export: Export, first: Table, mut flow: Flow, buffer: Buffer) -> Body {
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(2);
    tokio::spawn(async move {
        let mut page = Some(first);
        let mut begun = false;
        let mut hash = StreamHash::default();
        let outcome = async {
            while let Some(table) = page.take() {
                if !begun {
                    flow.begin(&table)?;
                    begun = true;
                }
                flow.rows(&table)?;
                let bytes = buffer.take();
                hash.add(&bytes);
                if sender.send(Ok(bytes)).await.is_err() {
                    return Ok(Bytes::new());
                }
                page = export.page().await?;
            }
            flow.finish()?;
            let bytes = buffer.take();
            hash.add(&bytes);
            export.sign(hash.finish()).await?;
            Ok::<_, Error>(bytes)
        };
        let last = match outcome.await {
            Ok(bytes) => Ok(bytes),
            // The status is sent already; a cut body is how the client learns of it.
            Err(error) => Err(std::io::Error::other(error.problem().detail)),
        };
        let _ = sender.send(last).await;
    });
    Body::from_stream(ReceiverStream::new(receiver))
}

/// A workbook is whole before its first byte is known: it is written to a spool file first.
async fn xlsx(mut export: Export, first: Table, provenance: Provenance) -> Result<Body> {
    let spool = export.app.folder("spool").map_err(Error::internal)?;
    let file = tempfile::tempfile_in(&spool).map_err(Error::internal)?;
    let mut writer = XlsxWriter::new(file, provenance);
    writer.begin(&first.columns)?;
    let mut page = Some(first);
    while let Some(table) = page.take() {
        for row in &table.rows {
            writer.row(row)?;
        }
        page = export.page().await?;
    }
    let (file, sm3) = tokio::task::spawn_blocking(move || {
        writer.finish()?;
        let mut file = writer.into_inner().ok_or_else(|| Error::internal("the workbook was not written"))?;
        file.rewind().map_err(Error::internal)?;
        let sm3 = crate::store::sm3_of(&mut file).map_err(Error::internal)?;
        file.rewind().map_err(Error::internal)?;
        Ok::<_, Error>((file, sm3))
    })
    .await
    .map_err(Error::internal)??;
    export.sign(sm3).await?;
    Ok(Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file))))
}
