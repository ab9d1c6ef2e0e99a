//! `/api/v1/search/export`: the hits of a search as a table, or as a 类案检索报告.

use super::schemas;
use crate::app::App;
use crate::error::{Error, Problem, Result, request_id};
use crate::extract::{Auth, ValidatedJson};
use crate::store::AuditEvent;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use zonglan_catalog::search::{Hit, Passage};
use zonglan_catalog::table::{Column, ColumnRole, ColumnType};
use zonglan_catalog::{Catalogue, Dataset, Filter, Op, SearchRequest, Value};
use zonglan_dashboards::documents::{Block, CsvWriter, Provenance, Report, Run, Style, TableWriter, XlsxWriter};
use zonglan_dashboards::format::field_text;
use zonglan_dashboards::pages::Lang;

/// Hits of a report: more are a list, not a report.
const MOST_REPORTED: usize = 100;
/// Rows of one page of hits while a list is written.
const PAGE: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchExportFormat {
    Csv,
    Xlsx,
    Docx,
    Pdf,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchExportIn {
    #[schema(value_type = schemas::SearchRequest)]
    pub request: SearchRequest,
    pub format: SearchExportFormat,
    /// For a report: the case it is made for, and what follows from it.
    #[serde(default)]
    pub case: String,
    #[serde(default)]
    pub conclusion: String,
}

/// Export the hits of a search as CSV or XLSX, or as a report of similar cases as DOCX or PDF
#[utoipa::path(post, path = "/api/v1/search/export", tag = "search", operation_id = "export_search", request_body = SearchExportIn,
    responses((status = 200, body = Vec<u8>, content_type = "text/csv"), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<SearchExportIn>,
) -> Result<Response> {
    let catalogue = app.catalogue();
    let most = catalogue.policy().export_rows(&auth.principal);
    if most == 0 {
        return Err(Error::forbidden("policy.export", "您的角色不能导出 (exports are not permitted)")
            .hint("请向管理员申请导出权限"));
    }
    let report = matches!(body.format, SearchExportFormat::Docx | SearchExportFormat::Pdf);
    let wanted = if report { most.min(MOST_REPORTED) } else { most };
    let (hits, total) = hits(&app, &auth, &body.request, wanted).await?;
    let dataset =
        catalogue.dataset(&body.request.dataset).cloned().ok_or_else(|| Error::internal("bound, so it is there"))?;
    let event = AuditEvent::new(&auth.principal.user, "export")
        .dataset(&dataset.name)
        .purpose(auth.principal.purpose.clone())
        .detail(serde_json::json!({"search": body.request.query, "filters": body.request.filters.to_json(), "format": format!("{:?}", body.format).to_lowercase(), "rows": hits.len(), "request": request_id()}));
    // No file leaves before the audit holds it.
    app.store.log.audit(event).await?;
    let provenance = Provenance {
        title: dataset.label.zh.clone(),
        user: format!("{} ({})", auth.principal.name, auth.principal.user),
        at: app.clock.now(),
        filter: conditions(&catalogue, &dataset, &body.request)
            .into_iter()
            .map(|(k, v)| format!("{k} {v}"))
            .collect::<Vec<_>>()
            .join("；"),
        demo: app.demo,
    };
    let stamp = zonglan_catalog::time::to_local(app.clock.now()).format("%Y%m%d-%H%M%S").to_string();
    let name = dataset.name.clone();
    let (kind, extension, bytes) = tokio::task::spawn_blocking(move || -> Result<_> {
        Ok(match body.format {
            SearchExportFormat::Csv => {
                let mut bytes = Vec::new();
                list(&mut CsvWriter::new(&mut bytes, provenance, true), &catalogue, &dataset, &hits)?;
                ("text/csv; charset=utf-8", "csv", bytes)
            }
            SearchExportFormat::Xlsx => {
                let mut writer = XlsxWriter::new(std::io::Cursor::new(Vec::new()), provenance);
                list(&mut writer, &catalogue, &dataset, &hits)?;
                let bytes =
                    writer.into_inner().ok_or_else(|| Error::internal("the workbook was not written"))?.into_inner();
                ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", bytes)
            }
            SearchExportFormat::Docx => {
                let report = compose(&catalogue, &dataset, &body, &hits, total, &provenance);
                ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", report.docx()?)
            }
            SearchExportFormat::Pdf => {
                let report = compose(&catalogue, &dataset, &body, &hits, total, &provenance);
                ("application/pdf", "pdf", report.pdf()?)
            }
        })
    })
    .await
    .map_err(Error::internal)??;
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{name}-{stamp}.{extension}\""))
        .map_err(Error::internal)?;
    Ok((
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_DISPOSITION, name)],
        Body::from(bytes),
    )
        .into_response())
}

/// The hits from the first on, page by page, each page bound to the rights of its moment.
async fn hits(app: &App, auth: &Auth, request: &SearchRequest, wanted: usize) -> Result<(Vec<Hit>, u64)> {
    let mut hits: Vec<Hit> = Vec::new();
    loop {
        let page = SearchRequest {
            offset: hits.len(),
            limit: PAGE.min(wanted - hits.len()),
            facets: Vec::new(),
            histogram: None,
            explain: false,
            ..request.clone()
        };
        let bound = app.bind_search(&auth.principal, &page)?;
        let answer = app.search(&bound).await?;
        let last = answer.hits.is_empty() || answer.hits.len() < page.limit;
        hits.extend(answer.hits);
        if last || hits.len() >= wanted {
            return Ok((hits, answer.total));
        }
    }
}

fn shown(catalogue: &Catalogue, dataset: &Dataset, hit: &Hit, name: &str) -> String {
    match (dataset.field(name), hit.fields.get(name)) {
        (Some(field), Some(value)) if !value.is_null() => field_text(catalogue, field, value, Lang::Zh),
        _ => String::new(),
    }
}

fn columns(dataset: &Dataset) -> Vec<String> {
    dataset.list_fields().into_iter().map(str::to_string).collect()
}

fn list(writer: &mut dyn TableWriter, catalogue: &Catalogue, dataset: &Dataset, hits: &[Hit]) -> Result<()> {
    let names = columns(dataset);
    let label = |name: &str, label: &str| {
        let mut column = Column::new(name, ColumnType::Text, ColumnRole::Row);
        column.label = label.to_string();
        column
    };
    let mut heads: Vec<Column> =
        names.iter().map(|n| label(n, dataset.field(n).map_or(n.as_str(), |f| f.label.zh.as_str()))).collect();
    heads.push(label("passages", "命中片段"));
    writer.begin(&heads)?;
    for hit in hits {
        let mut row: Vec<Value> = names.iter().map(|n| Value::Text(shown(catalogue, dataset, hit, n))).collect();
        row.push(Value::Text(hit.highlights.iter().take(3).map(|p| p.text.trim()).collect::<Vec<_>>().join(" … ")));
        writer.row(&row)?;
    }
    Ok(writer.finish()?)
}

/// The conditions in words.
fn conditions(catalogue: &Catalogue, dataset: &Dataset, request: &SearchRequest) -> Vec<(String, String)> {
    let mut out =
        vec![("检索式".to_string(), if request.query.is_empty() { "（全部）".into() } else { request.query.clone() })];
    out.extend(request.within.iter().map(|q| ("在结果中检索".to_string(), q.clone())));
    request.filters.leaves(&mut |leaf| {
        let text = |field: &str, value: &Value| {
            dataset.field(field).map_or_else(|| value.to_text(), |f| field_text(catalogue, f, value, Lang::Zh))
        };
        let label = |field: &str| dataset.field(field).map_or_else(|| field.to_string(), |f| f.label.zh.clone());
        match leaf {
            Filter::In { field, values } => {
                out.push((label(field), values.iter().map(|v| text(field, v)).collect::<Vec<_>>().join("、")))
            }
            Filter::Cmp { field, op, value } => {
                let how = match op {
                    Op::Eq => "",
                    Op::Gte => "不早于（不小于）",
                    Op::Gt => "大于",
                    Op::Lt => "早于（小于）",
                    Op::Lte => "不晚于（不大于）",
                    _ => "符合",
                };
                out.push((label(field), format!("{how}{}", text(field, value))));
            }
            _ => {}
        }
    });
    out
}

/// Levels of authority of 《关于统一法律适用加强类案检索的指导意见（试行）》 (2020), item 4, as far as a
/// court's name tells them.
const LEVELS: [&str; 4] =
    ["最高人民法院发布或裁判的案例", "高级人民法院的裁判", "中级及专门人民法院的裁判", "基层人民法院的裁判"];

fn level(catalogue: &Catalogue, dataset: &Dataset, hit: &Hit) -> usize {
    let court = shown(catalogue, dataset, hit, "court");
    let authority = shown(catalogue, dataset, hit, "authority");
    if court.contains("最高人民法院") || authority.contains("指导") {
        0
    } else if court.contains("高级人民法院") {
        1
    } else if ["中级", "知识产权法院", "金融法院", "海事法院", "互联网法院", "铁路运输"]
        .iter()
        .any(|w| court.contains(w))
    {
        2
    } else {
        3
    }
}

fn passage(passage: &Passage) -> Vec<Run> {
    let chars: Vec<char> = passage.text.chars().collect();
    let piece = |from: usize, to: usize| chars[from.min(chars.len())..to.min(chars.len())].iter().collect::<String>();
    let mut runs = Vec::new();
    let mut at = 0;
    for (start, end) in &passage.marks {
        if *start > at {
            runs.push(Run::plain(piece(at, *start)));
        }
        runs.push(Run::new(piece((*start).max(at), *end), Style::Mark));
        at = at.max(*end);
    }
    runs.push(Run::plain(piece(at, chars.len())));
    runs.retain(|r| !r.text.is_empty());
    runs
}

fn compose(
    catalogue: &Catalogue,
    dataset: &Dataset,
    body: &SearchExportIn,
    hits: &[Hit],
    total: u64,
    provenance: &Provenance,
) -> Report {
    let when = zonglan_catalog::time::to_local(provenance.at).format("%Y年%m月%d日 %H:%M").to_string();
    let mut report = Report {
        subtitle: format!("检索人：{}　检索时间：{when}", provenance.user),
        author: provenance.user.clone(),
        foot: format!(
            "类案检索报告　数据来源：{}{}",
            dataset.label.zh,
            if provenance.demo { "　演示数据" } else { "" }
        ),
        ..Report::new("类案检索报告")
    };
    report.heading(1, "一、检索情况");
    let mut facts = vec![("检索平台".to_string(), format!("纵览·{}", dataset.label.zh))];
    if !body.case.trim().is_empty() {
        facts.push(("待决案件".into(), body.case.trim().to_string()));
    }
    facts.extend(conditions(catalogue, dataset, &body.request));
    facts.push(("检索结果".into(), format!("共 {total} 件，本报告列出前 {} 件", hits.len())));
    report.blocks.push(Block::Facts(facts));
    report.heading(1, "二、检索结果一览");
    report
        .blocks
        .push(Block::Paragraph(vec![Run::new("按案例的参照效力由高到低排列，同级之中按检索时的次序。", Style::Faint)]));
    let mut ranked: Vec<(usize, &Hit)> = hits.iter().map(|h| (level(catalogue, dataset, h), h)).collect();
    ranked.sort_by_key(|(level, _)| *level);
    let names: Vec<String> = columns(dataset).into_iter().filter(|n| n != "result").take(5).collect();
    let head = std::iter::once("序号".to_string())
        .chain(names.iter().map(|n| dataset.field(n).map_or(n.clone(), |f| f.label.zh.clone())))
        .collect();
    let rows = ranked.iter().enumerate().map(|(n, (_, hit))| {
        let first = vec![Run::plain((n + 1).to_string())];
        std::iter::once(first)
            .chain(names.iter().map(|name| vec![Run::plain(shown(catalogue, dataset, hit, name))]))
            .collect()
    });
    let widths = std::iter::once(0.6).chain(names.iter().map(|n| match n.as_str() {
        "case_number" | "title" | "court" => 2.4,
        _ => 1.3,
    }));
    report.blocks.push(Block::Table { head, widths: widths.collect(), rows: rows.collect() });
    report.heading(1, "三、案例要点");
    let mut last = usize::MAX;
    for (n, (level, hit)) in ranked.iter().enumerate() {
        if *level != last {
            report.heading(2, LEVELS[*level]);
            last = *level;
        }
        let title = dataset.title.as_deref().map(|t| shown(catalogue, dataset, hit, t)).filter(|t| !t.is_empty());
        report.heading(3, format!("{}. {}", n + 1, title.unwrap_or_else(|| hit.id.clone())));
        let details: Vec<String> = columns(dataset)
            .iter()
            .filter(|c| Some(c.as_str()) != dataset.title.as_deref())
            .map(|c| shown(catalogue, dataset, hit, c))
            .filter(|t| !t.is_empty())
            .collect();
        report.blocks.push(Block::Paragraph(vec![Run::new(details.join("　"), Style::Faint)]));
        report.blocks.extend(hit.highlights.iter().take(3).map(|p| Block::Paragraph(passage(p))));
    }
    report.heading(1, "四、参考意见");
    let conclusion = body.conclusion.trim();
    report.text(if conclusion.is_empty() {
        "（由承办人填写：类案的裁判要点、与待决案件的异同、是否参照及理由。）"
    } else {
        conclusion
    });
    report
}
