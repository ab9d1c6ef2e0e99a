//! The pages. Each handler decides who may see what and hands values to a page of
//! `zonglan-dashboards`; the pages ask the API for everything else.

use crate::app::App;
use crate::error::{Error, Result, request_id};
use crate::extract::{Auth, Credential, Language, readable};
use crate::frames::{may_see, visible};
use crate::store::ListRequest;
use axum::extract::{FromRequestParts, Path, Query as Params, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use std::collections::BTreeMap;
use std::sync::Arc;
use zonglan_catalog::error::ErrorClass;
use zonglan_catalog::traits::QueryEngine;
use zonglan_catalog::{Catalogue, Dataset};
use zonglan_dashboards::format::percent_encode;
use zonglan_dashboards::pages::{
    ApiPage, BoardCard, BoardPage, CasePage, CasesPage, Chrome, DatasetCard, DatasetPage, DatasetsPage, ErrorPage,
    ExplorePage, GeoPage, GrantsPage, HomePage, ImportPage, IndicatorPage, IndicatorsPage, Lang, LoginPage, May,
    PendingPage, PrintPage, RecordFormPage, RecordPage, RecordsPage, RegistersPage, TasksPage,
};

pub type Parameters = Params<BTreeMap<String, String>>;

/// Who looks at a page. Without a session the visitor is led to the sign-in and back.
pub struct Visitor {
    pub auth: Auth,
    pub chrome: Chrome,
    pub catalogue: Arc<Catalogue>,
}

/// Why a page cannot be shown: an error page, or the way to the sign-in.
pub enum PageError {
    SignIn(String),
    Shown { error: Error, chrome: Box<Chrome> },
}

impl FromRequestParts<App> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let lang = Language::of(&parts.uri).0;
        let back = || parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_string();
        let auth = Auth::of(app, &parts.headers).map_err(|error| match error.class() {
            ErrorClass::Unauthenticated => PageError::SignIn(back()),
            _ => PageError::Shown { error, chrome: Box::new(Chrome::anonymous(app.demo, lang)) },
        })?;
        if matches!(auth.by, Credential::Session { must_change: true, .. }) {
            return Err(PageError::SignIn(back()));
        }
        let catalogue = app.catalogue();
        let chrome = Chrome::signed_in(&catalogue, &auth.principal, auth.csrf(), app.demo, parts.uri.path(), lang);
        Ok(Self { auth, chrome, catalogue })
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn(back) if back == "/" => Redirect::to("/login").into_response(),
            Self::SignIn(back) => Redirect::to(&format!("/login?next={}", percent_encode(&back))).into_response(),
            Self::Shown { error, chrome } => error_page(*chrome, error),
        }
    }
}

fn error_page(chrome: Chrome, error: Error) -> Response {
    let problem = error.problem();
    let page = ErrorPage::new(
        chrome,
        problem.status,
        &problem.detail,
        problem.hint,
        Some(problem.instance).filter(|i| !i.is_empty()),
    );
    match page.html() {
        Ok(html) => respond(error.status(), html),
        Err(failure) => Error::from(failure).into_response(),
    }
}

fn respond(status: StatusCode, html: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html).into_response()
}

pub type Page = Result<Response, PageError>;

impl Visitor {
    /// Turns the outcome of building a page into the page or an error page.
    pub fn show<E>(chrome: Chrome, outcome: std::result::Result<String, E>) -> Page
    where
        Error: From<E>,
    {
        match outcome {
            Ok(html) => Ok(respond(StatusCode::OK, html)),
            Err(error) => Err(PageError::Shown { error: error.into(), chrome: Box::new(chrome) }),
        }
    }

    fn datasets(&self, keep: impl Fn(&Dataset) -> bool) -> Vec<&Dataset> {
        self.catalogue.datasets().map(|d| &**d).filter(|d| keep(d)).collect()
    }

    fn may_read(&self, dataset: &Dataset) -> bool {
        self.catalogue.policy().may_read(&self.auth.principal, dataset)
    }

    fn may_list(&self, dataset: &Dataset) -> bool {
        self.catalogue.policy().may_list_rows(&self.auth.principal, dataset)
    }

    /// What the visitor may do with a register.
    fn may(&self, dataset: &Dataset) -> May {
        let (policy, principal) = (self.catalogue.policy(), &self.auth.principal);
        let by_hand = dataset.register.as_ref().is_none_or(|r| !r.system);
        May {
            write: by_hand && policy.may_write(principal, dataset),
            import: by_hand && policy.may_import(principal, dataset),
            export: policy.export_rows(principal) > 0,
            supervise: policy.may(principal, "supervise"),
        }
    }

    /// A register that the visitor may list.
    fn register(&self, app: &App, name: &str) -> Result<Arc<Dataset>> {
        let dataset = readable(app, &self.auth, name)?;
        if dataset.source != zonglan_catalog::dataset::Source::Records {
            return Err(Error::not_found("records.not_register", format!("'{name}' 不是登记簿 (not a register)"))
                .hint(format!("/datasets/{name}")));
        }
        if !self.may_list(&dataset) {
            return Err(Error::forbidden("policy.rows", "您的角色只能查看统计数字，不能查看明细"));
        }
        Ok(dataset)
    }
}

pub async fn login(State(app): State<App>, language: Language, Params(params): Parameters) -> Page {
    let chrome = Chrome::anonymous(app.demo, language.0);
    let page = LoginPage::new(chrome.clone(), params.get("next").map(String::as_str));
    Visitor::show(chrome, page.html())
}

pub async fn home(State(app): State<App>, visitor: Visitor) -> Page {
    let lang = visitor.chrome.lang;
    let mut boards: Vec<_> =
        visitor.catalogue.boards().filter(|b| may_see(&visitor.catalogue, &visitor.auth.principal, b)).collect();
    boards.sort_by_key(|board| (board.order, board.name.clone()));
    // Registers have an index of their own.
    let own = |d: &Dataset| d.register.is_none() && visitor.may_read(d);
    let datasets = visitor.datasets(own).into_iter().map(|d| card(&app, d, lang)).collect();
    let page = HomePage {
        chrome: visitor.chrome.clone(),
        boards: boards.into_iter().map(|b| BoardCard::new(b, lang)).collect(),
        datasets,
    };
    Visitor::show(visitor.chrome, page.html())
}

fn card(app: &App, dataset: &Dataset, lang: Lang) -> DatasetCard {
    DatasetCard::new(dataset, &QueryEngine::state(&app.columns, &dataset.name), lang)
}

pub async fn board(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    Params(params): Parameters,
) -> Page {
    let build = || {
        let board = visible(&visitor.catalogue, &visitor.auth.principal, &name)?;
        let params = crate::frames::at_home(&visitor.auth.principal, &board, &params);
        Ok::<_, Error>(
            BoardPage::new(
                visitor.chrome.clone(),
                &visitor.catalogue,
                &board,
                &params,
                &serde_json::json!(app.config.map),
            )?
            .html()?,
        )
    };
    let outcome = build();
    Visitor::show(visitor.chrome, outcome)
}

/// The grid of a board's layouts; a file of its own because the CSP allows no inline style.
pub async fn board_style(State(app): State<App>, auth: Auth, Path(name): Path<String>) -> Result<Response> {
    let board = visible(&app.catalogue(), &auth.principal, &name)?;
    let css = zonglan_dashboards::board_style::css(&board);
    Ok(([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "private, max-age=60")], css)
        .into_response())
}

pub async fn explore(visitor: Visitor) -> Page {
    let datasets = visitor.datasets(|d| visitor.may_read(d));
    let policy = visitor.catalogue.policy();
    let (rows, plan) = (policy.export_rows(&visitor.auth.principal), policy.full_view(&visitor.auth.principal));
    let html = ExplorePage::new(visitor.chrome.clone(), &visitor.catalogue, &datasets, rows, plan).html();
    Visitor::show(visitor.chrome, html)
}

pub async fn cases(visitor: Visitor) -> Page {
    let mut datasets = visitor.datasets(|d| d.is_searchable() && visitor.may_list(d));
    // Those with full texts first, judgments before all.
    datasets.sort_by_key(|d| (d.name != "judgment", d.searched().next().is_none(), d.name.clone()));
    let html = CasesPage::new(visitor.chrome.clone(), &visitor.catalogue, &datasets).html();
    Visitor::show(visitor.chrome, html)
}

/// A case by its id alone: a judgment, or of `?dataset=`.
pub async fn case(visitor: Visitor, Path(id): Path<String>, Params(params): Parameters) -> Response {
    let dataset = params.get("dataset").map_or("judgment", String::as_str);
    let words = params.get("q").map(|q| format!("?q={}", percent_encode(q))).unwrap_or_default();
    drop(visitor);
    Redirect::to(&format!("/cases/{}/{}{words}", percent_encode(dataset), percent_encode(&id))).into_response()
}

/// The case file.
pub async fn case_file(
    State(app): State<App>,
    visitor: Visitor,
    Path((dataset, id)): Path<(String, String)>,
    Params(params): Parameters,
) -> Page {
    let words = params.get("q").cloned().unwrap_or_default();
    let build = async {
        let document = super::cases::document(&app, &visitor.auth, &dataset, &id).await?;
        super::case_file::note_open(&app, &visitor.auth, &dataset, &document.id);
        let mut page =
            CasePage::new(visitor.chrome.clone(), &visitor.catalogue, &document.dataset, &id, &document.fields, &words);
        page.timeline = super::case_file::stages(&app, &visitor.auth, &document, visitor.chrome.lang).await?;
        Ok::<_, Error>(page.html()?)
    };
    let outcome = build.await;
    Visitor::show(visitor.chrome, outcome)
}

pub async fn grants(visitor: Visitor) -> Page {
    let mut datasets = visitor.datasets(|d| d.is_searchable() || d.register.is_some());
    datasets.sort_by_key(|d| (d.name != "judgment" && d.name != "case", d.name.clone()));
    let html = GrantsPage::new(visitor.chrome.clone(), &visitor.catalogue, &datasets).html();
    Visitor::show(visitor.chrome, html)
}

pub async fn pending(visitor: Visitor, Params(params): Parameters) -> Page {
    let dataset = params.get("dataset").cloned().unwrap_or_else(|| "judgment".into());
    let html = PendingPage { chrome: visitor.chrome.clone(), dataset }.html();
    Visitor::show(visitor.chrome, html)
}

pub async fn geo(State(app): State<App>, visitor: Visitor) -> Page {
    let may = |action: &str| visitor.catalogue.policy().may(&visitor.auth.principal, action);
    let lang = visitor.chrome.lang;
    let places: Vec<_> = visitor
        .datasets(|d| visitor.may_list(d))
        .into_iter()
        .filter_map(|d| {
            let field = d.field.iter().find(|f| f.kind == zonglan_catalog::FieldType::Point)?;
            Some(serde_json::json!({"dataset": d.name, "field": field.name, "label": lang.pick(&d.label)}))
        })
        .collect();
    let data = serde_json::json!({
        "may": {
            "fit": may("geo_fit"), "sign": may("geo_sign"), "import": may("geo_import"),
            "review": may("geo_review"), "area": may("geo_area"),
        },
        "map": app.config.map,
        "user": visitor.auth.principal.user,
        "places": places,
    });
    let html = GeoPage::new(visitor.chrome.clone(), &data).html();
    Visitor::show(visitor.chrome, html)
}

pub async fn import(visitor: Visitor, Params(params): Parameters) -> Page {
    let datasets = visitor.datasets(|d| visitor.catalogue.policy().may_import(&visitor.auth.principal, d));
    let html = ImportPage::new(
        visitor.chrome.clone(),
        &visitor.catalogue,
        &datasets,
        params.get("dataset").map(String::as_str),
    )
    .html();
    Visitor::show(visitor.chrome, html)
}

pub async fn tasks(State(_app): State<App>, visitor: Visitor) -> Page {
    let supervises = visitor.catalogue.policy().may(&visitor.auth.principal, "supervise");
    let user = visitor.auth.principal.user.clone();
    let outcome = TasksPage::new(visitor.chrome.clone(), &visitor.catalogue, &user, supervises).html();
    Visitor::show(visitor.chrome, outcome)
}

/// The registers that the visitor may list, by system and business area.
pub async fn registers(State(app): State<App>, visitor: Visitor) -> Page {
    let datasets = visitor
        .datasets(|d| d.parent.is_none() && d.register.as_ref().is_some_and(|r| !r.system) && visitor.may_list(d));
    let whole = visitor.auth.principal.regions.iter().any(|r| r == zonglan_catalog::policy::WHOLE_CITY);
    let rows = |d: &Dataset| (whole || d.shared).then(|| QueryEngine::state(&app.columns, &d.name).rows);
    let html = RegistersPage::new(visitor.chrome.clone(), &visitor.catalogue, &datasets, rows).html();
    Visitor::show(visitor.chrome, html)
}

pub async fn records(State(app): State<App>, visitor: Visitor, Path(name): Path<String>) -> Page {
    let build = || {
        let dataset = visitor.register(&app, &name)?;
        Ok::<_, Error>(
            RecordsPage::new(visitor.chrome.clone(), &visitor.catalogue, &dataset, &visitor.may(&dataset)).html()?,
        )
    };
    let outcome = build();
    Visitor::show(visitor.chrome, outcome)
}

pub async fn record_new(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    Params(params): Parameters,
) -> Page {
    let build = || {
        let dataset = visitor.register(&app, &name)?;
        let parent = dataset
            .parent
            .as_ref()
            .and_then(|p| Some((p.field.as_str(), params.get(&p.field).or_else(|| params.get("parent"))?.as_str())));
        Ok::<_, Error>(RecordFormPage::new(visitor.chrome.clone(), &visitor.catalogue, &dataset, None, parent).html()?)
    };
    let outcome = build();
    Visitor::show(visitor.chrome, outcome)
}

pub async fn record(State(app): State<App>, visitor: Visitor, Path((name, id)): Path<(String, String)>) -> Page {
    let build = || {
        let dataset = visitor.register(&app, &name)?;
        let children: Vec<&Dataset> =
            visitor.catalogue.children(&name).map(|d| &**d).filter(|d| visitor.may_list(d)).collect();
        Ok::<_, Error>(
            RecordPage::new(
                visitor.chrome.clone(),
                &visitor.catalogue,
                &dataset,
                &children,
                &id,
                &visitor.may(&dataset),
            )
            .html()?,
        )
    };
    let outcome = build();
    Visitor::show(visitor.chrome, outcome)
}

pub async fn record_edit(State(app): State<App>, visitor: Visitor, Path((name, id)): Path<(String, String)>) -> Page {
    let build = || {
        let dataset = visitor.register(&app, &name)?;
        Ok::<_, Error>(
            RecordFormPage::new(visitor.chrome.clone(), &visitor.catalogue, &dataset, Some(&id), None).html()?,
        )
    };
    let outcome = build();
    Visitor::show(visitor.chrome, outcome)
}

/// The official form of a record, with its children, for printing; a look at personal data like any.
pub async fn record_print(State(app): State<App>, visitor: Visitor, Path((name, id)): Path<(String, String)>) -> Page {
    let build = async {
        let dataset = visitor.register(&app, &name)?;
        let (principal, records) = (&visitor.auth.principal, &app.store.records);
        let record = records.get(principal, &name, &id).await?;
        let mut children = Vec::new();
        for child in visitor.catalogue.children(&name).filter(|d| visitor.may_list(d)) {
            let page = records.children(principal, &name, &id, &child.name, &ListRequest::default()).await?;
            children.push((&**child, page.records.into_iter().map(|r| r.fields).collect()));
        }
        let chrome = visitor.chrome.clone();
        let now = app.clock.now();
        Ok::<_, Error>(
            PrintPage::new(chrome, &visitor.catalogue, &dataset, &id, &record.fields, &children, now).html()?,
        )
    };
    let outcome = build.await;
    Visitor::show(visitor.chrome, outcome)
}

pub async fn datasets(State(app): State<App>, visitor: Visitor) -> Page {
    let lang = visitor.chrome.lang;
    let shown = |d: &Dataset| !d.made && visitor.may_read(d);
    let datasets = visitor.datasets(shown).into_iter().map(|d| card(&app, d, lang)).collect();
    let html = DatasetsPage { chrome: visitor.chrome.clone(), datasets }.html();
    Visitor::show(visitor.chrome, html)
}

pub async fn dataset(State(app): State<App>, visitor: Visitor, Path(name): Path<String>) -> Page {
    let build = || {
        let dataset = readable(&app, &visitor.auth, &name)?;
        let state = QueryEngine::state(&app.columns, &name);
        Ok::<_, Error>(DatasetPage::new(visitor.chrome.clone(), &visitor.catalogue, &dataset, &state).html()?)
    };
    let outcome = build();
    Visitor::show(visitor.chrome, outcome)
}

/// All measures with their definitions; `?q=` looks for words.
pub async fn indicators(visitor: Visitor, Params(params): Parameters) -> Page {
    let datasets = visitor.datasets(|d| visitor.may_read(d));
    let words = params.get("q").map(|q| q.trim()).unwrap_or_default();
    let html = IndicatorsPage::new(visitor.chrome.clone(), &visitor.catalogue, &datasets, words).html();
    Visitor::show(visitor.chrome, html)
}

/// One measure: what it means, and what it meant.
pub async fn indicator(
    State(app): State<App>,
    visitor: Visitor,
    Path((dataset, measure)): Path<(String, String)>,
) -> Page {
    let build = || {
        let dataset = readable(&app, &visitor.auth, &dataset)?;
        let found = dataset.measure(&measure).ok_or_else(|| {
            Error::not_found(
                "indicator.unknown",
                format!("数据集 {} 没有指标 '{measure}' (no such measure)", dataset.name),
            )
            .hint("/indicators 列出全部指标")
        })?;
        let query = serde_json::json!({"dataset": dataset.name, "measures": [found.name]}).to_string();
        let explore = format!("/explore?q={}", percent_encode(&query));
        Ok::<_, Error>(IndicatorPage::new(visitor.chrome.clone(), &visitor.catalogue, &dataset, found, explore).html()?)
    };
    let outcome = build();
    Visitor::show(visitor.chrome, outcome)
}

/// The browsable page of the OpenAPI document; public like the document.
pub async fn api_docs(State(app): State<App>, language: Language) -> Page {
    let chrome = Chrome::anonymous(app.demo, language.0);
    let html = ApiPage { chrome: chrome.clone() }.html();
    Visitor::show(chrome, html)
}

/// Whatever has no route: a page for browsers, a problem for programs.
pub async fn missing(State(app): State<App>, uri: Uri) -> Response {
    let error = Error::not_found("route.unknown", "没有这个地址 (no such address)");
    if uri.path().starts_with("/api/") {
        return error.hint("GET /api/openapi.json").into_response();
    }
    tracing::debug!(request.id = %request_id(), "no such page");
    error_page(Chrome::anonymous(app.demo, Language::of(&uri).0), error)
}
