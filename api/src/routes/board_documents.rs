//! `/api/v1/boards/{name}/documents/{kind}`: a board on paper or as a workbook, made on the server
//! from the same answers under the same rights as the page.

use crate::app::App;
use crate::error::{Error, Problem, Result, request_id};
use crate::extract::{Auth, Language};
use crate::frames::{Answers, View};
use crate::store::AuditEvent;
use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use zonglan_catalog::board::ElementKind;
use zonglan_catalog::{Query, Table};
use zonglan_dashboards::board::{self, on_paper, panel_needs, variable_views};
use zonglan_dashboards::documents::{BoardSheet, Provenance, Workbook};
use zonglan_dashboards::format;

/// A board as a document: `pdf` or `xlsx`; parameters are the board's variables
///
/// The PDF has the panels as vectors in the places of the print layout, with sources, data time, 审图号 and who took
/// it; the workbook has one sheet a panel with typed numbers. The role must be allowed to export, and the export is
/// audited.
#[utoipa::path(get, path = "/api/v1/boards/{name}/documents/{kind}", tag = "boards", operation_id = "get_board_document",
    params(("name" = String, Path), ("kind" = String, Path, description = "`pdf` or `xlsx`")),
    responses((status = 200, body = Vec<u8>, content_type = "application/pdf"), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    Path((name, kind)): Path<(String, String)>,
    Params(params): Params<BTreeMap<String, String>>,
) -> Result<Response> {
    let pdf = match kind.as_str() {
        "pdf" => true,
        "xlsx" => false,
        other => {
            return Err(Error::not_found("board.document", format!("没有格式 '{other}' (no such format)"))
                .hint("可用：pdf, xlsx"));
        }
    };
    let view = View::open(&app, &auth.principal, &name, &params, language.0)?;
    let most = view.catalogue.policy().export_rows(&auth.principal);
    if most == 0 {
        return Err(Error::forbidden("policy.export", "您的角色不能导出 (exports are not permitted)")
            .hint("请向管理员申请导出权限"));
    }
    let event = AuditEvent::new(&auth.principal.user, "export")
        .purpose(auth.principal.purpose.clone())
        .detail(serde_json::json!({"board": name, "variables": view.vars, "format": kind, "request": request_id()}));
    // No file leaves before the audit holds it.
    app.store.log.audit(event).await?;
    let answers = view.all_answers(&app).await;
    let today = crate::geo::today(app.clock.now());
    let about = About {
        user: format!("{} ({})", auth.principal.name, auth.principal.user),
        at: app.clock.now(),
        demo: app.demo,
        approval: app.config.map.approval.clone(),
        regions: app.geo.regions().at(zonglan_geo::Level::District, today).map(|v| v.set.clone()),
        most,
    };
    let stamp = zonglan_catalog::time::to_local(about.at).format("%Y%m%d-%H%M%S");
    let title = format::percent_encode(language.0.pick(&view.board.title));
    let file = format!("attachment; filename=\"{name}-{stamp}.{kind}\"; filename*=UTF-8''{title}-{stamp}.{kind}");
    let make = move || if pdf { paper(&view, &answers, &about) } else { workbook(&view, &answers, &about) };
    let bytes = tokio::task::spawn_blocking(make).await.map_err(Error::internal)??;
    let kind =
        if pdf { "application/pdf" } else { "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" };
    let file = HeaderValue::from_str(&file).map_err(Error::internal)?;
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, file),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((head, bytes).into_response())
}

/// What a document says beside its figures.
struct About {
    user: String,
    at: i64,
    demo: bool,
    approval: String,
    /// Districts in force.
    regions: Option<std::sync::Arc<zonglan_geo::RegionSet>>,
    /// Rows of one table that the role may take.
    most: usize,
}

/// What the variables chose, in words.
fn choice(view: &View) -> String {
    let chosen = variable_views(&view.catalogue, &view.board, &view.vars, view.lang);
    let name = |v: &board::VariableView| {
        v.choices.iter().find(|(value, _)| *value == v.value).map_or_else(|| v.value.clone(), |(_, name)| name.clone())
    };
    chosen.iter().map(|v| format!("{}：{}", v.label, name(v))).collect::<Vec<_>>().join("　")
}

fn data_time(answers: &Answers) -> String {
    let latest = answers.values().flatten().filter_map(|(_, table)| table.meta.watermark).max();
    latest.map(format::minute).unwrap_or_default()
}

fn sources(view: &View) -> String {
    let names = board::datasets(&view.board);
    let labels = names.iter().filter_map(|n| view.catalogue.dataset(n)).map(|d| view.lang.pick(&d.label).to_string());
    labels.collect::<Vec<_>>().join("、")
}

fn find<'a>(answers: &'a Answers, name: &str) -> Option<(&'a Query, &'a Table)> {
    answers.get(name)?.as_ref().ok().map(|(query, table)| (query, &**table))
}

fn paper(view: &View, answers: &Answers, about: &About) -> Result<Vec<u8>> {
    let failed = |name: &str| answers.get(name)?.as_ref().err().cloned();
    let (columns, panels) =
        on_paper(&view.catalogue, &view.board, &view.vars, view.lang, &|name| find(answers, name), &failed);
    let map = view.board.elements.values().any(|e| matches!(e.kind, ElementKind::Choropleth | ElementKind::Heatmap));
    let approval = if about.approval.is_empty() { "未配置" } else { &about.approval };
    let mut notes = Vec::new();
    if map {
        notes.push(format!("审图号：{approval}"));
    }
    if about.demo {
        notes.push("演示数据：全部由程序生成，与真实情况无关".to_string());
    }
    notes.push(format!("导出：{}　{}", about.user, format::minute(about.at)));
    let sheet = BoardSheet {
        title: view.lang.pick(&view.board.title).to_string(),
        subtitle: [choice(view), format!("数据截至 {}", data_time(answers))]
            .into_iter()
            .filter(|t| !t.is_empty())
            .collect::<Vec<_>>()
            .join("　"),
        columns,
        panels,
        foot: vec![format!("数据来源：{}", sources(view)), notes.join("　")],
        watermark: format!("{}　{}", about.user, format::minute(about.at)),
        author: about.user.clone(),
        regions: about.regions.clone(),
    };
    Ok(sheet.pdf()?)
}

fn workbook(view: &View, answers: &Answers, about: &About) -> Result<Vec<u8>> {
    let provenance = Provenance {
        title: view.lang.pick(&view.board.title).to_string(),
        user: about.user.clone(),
        at: about.at,
        filter: choice(view),
        demo: about.demo,
    };
    let facts = vec![("数据截至".to_string(), data_time(answers)), ("数据来源".to_string(), sources(view))];
    let mut book = Workbook::new(provenance, facts)?;
    for shell in board::shells(&view.board, view.lang) {
        let Some(element) = view.board.elements.get(&shell.id) else { continue };
        // The first query of a panel is what it shows; spark lines and second comparisons are beside it.
        let Some((_, table)) = panel_needs(element).first().and_then(|name| find(answers, name)) else { continue };
        let mut table = table.clone();
        if element.query.is_some() && table.rows.len() > about.most {
            table.rows.truncate(about.most);
        }
        book.sheet(&shell.title, &shell.note, &table)?;
    }
    Ok(book.finish()?)
}
