//! Board frames: one for each (board, rights, data, variables), computed once, streamed to all who
//! wait while it is made, and kept compressed afterwards.

use crate::app::App;
use crate::error::{Error, REQUEST_ID, Result, request_id};
use crate::query::Answer;
use async_compression::tokio::bufread::GzipEncoder;
use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use moka::future::Cache;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use zonglan_catalog::board::VariableKind;
use zonglan_catalog::policy::WHOLE_CITY;
use zonglan_catalog::{Board, BoundQuery, Catalogue, Principal, Query, Table};
use zonglan_dashboards::board::{FrameLine, board_queries, draw, panel_ids, panel_needs};
use zonglan_dashboards::pages::Lang;
use zonglan_dashboards::{BoardVars, Panel};

/// A finished frame.
#[derive(Debug)]
pub struct Frame {
    pub plain: Bytes,
    pub gzip: Bytes,
}

/// Finished frames, and those being made.
pub struct Frames {
    done: Cache<[u8; 32], Arc<Frame>>,
    flying: Mutex<HashMap<[u8; 32], Arc<Flight>>>,
}

/// A frame being made: its lines so far, and whether it is whole.
struct Flight {
    lines: Mutex<Vec<Bytes>>,
    progress: watch::Sender<(usize, bool)>,
}

/// What is sent for a frame.
pub enum Sent {
    Whole(Arc<Frame>),
    Lines(std::pin::Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl Frames {
    pub fn new(bytes: u64) -> Self {
        let weigh =
            |_: &[u8; 32], frame: &Arc<Frame>| u32::try_from(frame.plain.len() + frame.gzip.len()).unwrap_or(u32::MAX);
        Self {
            done: Cache::builder().max_capacity(bytes).weigher(weigh).time_to_idle(Duration::from_secs(600)).build(),
            flying: Mutex::default(),
        }
    }
}

/// A board as one asker sees it: variables read, queries bound.
pub struct View {
    pub catalogue: Arc<Catalogue>,
    pub board: Arc<Board>,
    pub vars: BoardVars,
    pub lang: Lang,
    queries: BTreeMap<String, Bound>,
    key: [u8; 32],
}

/// A query with its binding, or why the asker may not have it.
type Bound = (Query, Result<BoundQuery, String>);

/// Query and answer by the query's name, or why there is no answer.
pub type Answers = BTreeMap<String, Result<(Query, Arc<Table>), String>>;

/// Who may see one district only starts there: maps and rankings then go one level down.
pub fn at_home(principal: &Principal, board: &Board, params: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut params = params.clone();
    if let [region] = principal.regions.as_slice()
        && region != WHOLE_CITY
    {
        for (name, _) in board.variables.iter().filter(|(_, v)| v.kind == VariableKind::Region) {
            params.entry(name.clone()).or_insert_with(|| region.clone());
        }
    }
    params
}

/// The board, if there is one and the asker may see it. Others are told the same.
pub fn visible(catalogue: &Catalogue, principal: &Principal, name: &str) -> Result<Arc<Board>> {
    let board = catalogue.board(name).filter(|board| may_see(catalogue, principal, board));
    board.cloned().ok_or_else(|| {
        Error::not_found("board.unknown", format!("没有看板 '{name}'，或您不能查看它 (no such board)"))
            .hint("GET /api/v1/boards")
    })
}

/// Whether the asker's role sees the board and may read any of its datasets.
pub fn may_see(catalogue: &Catalogue, principal: &Principal, board: &Board) -> bool {
    let role = board.roles.is_empty() || principal.roles.iter().any(|r| board.roles.contains(r));
    let mut datasets = board.queries.values().filter_map(|q| catalogue.dataset(&q.dataset)).peekable();
    role && (datasets.peek().is_none() || datasets.any(|d| catalogue.policy().may_read(principal, d)))
}

impl View {
    pub fn open(
        app: &App,
        principal: &Principal,
        name: &str,
        params: &BTreeMap<String, String>,
        lang: Lang,
    ) -> Result<Self> {
        let catalogue = app.catalogue();
        let board = visible(&catalogue, principal, name)?;
        let vars = BoardVars::read(&catalogue, &board, &at_home(principal, &board, params))?;
        let mut queries = BTreeMap::new();
        let mut hasher = blake3::Hasher::new();
        for part in [name, &vars.key(), lang.code(), catalogue.version()] {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        for (query_name, query) in board_queries(&catalogue, &board, &vars)? {
            let bound = match app.bind(principal, &query) {
                Ok(bound) => {
                    hasher.update(&bound.cache_key(&app.versions(&bound)));
                    Ok(bound)
                }
                Err(error) => {
                    let problem = error.problem();
                    hasher.update(problem.code.as_bytes());
                    Err(problem.detail)
                }
            };
            queries.insert(query_name, (query, bound));
        }
        Ok(Self { board, vars, lang, queries, key: *hasher.finalize().as_bytes(), catalogue })
    }

    /// Changes whenever the frame would.
    pub fn etag(&self) -> String {
        self.key[..12].iter().map(|b| format!("{b:02x}")).collect()
    }

    /// All answers of the board, each or why there is none.
    pub async fn all_answers(&self, app: &App) -> Answers {
        let english = self.lang == Lang::En;
        let mut running = FuturesUnordered::new();
        let mut answers = Answers::new();
        for (name, (query, bound)) in &self.queries {
            match bound {
                Ok(bound) => running.push(async move { (name, query, app.answer(bound, english).await) }),
                Err(reason) => drop(answers.insert(name.clone(), Err(reason.clone()))),
            }
        }
        while let Some((name, query, answer)) = running.next().await {
            let answer = answer.map(|a| (query.clone(), a.table)).map_err(|e| e.problem().detail);
            answers.insert(name.clone(), answer);
        }
        answers
    }

    /// The answers that a panel needs, for its image.
    pub async fn answers(&self, app: &App, panel: &str) -> Result<BTreeMap<String, (Query, Arc<Table>)>> {
        let element = self.board.elements.get(panel).ok_or_else(|| {
            Error::not_found("board.unknown_panel", format!("看板没有面板 '{panel}' (no such panel)"))
        })?;
        let mut answers = BTreeMap::new();
        for name in panel_needs(element) {
            let Some((query, bound)) = self.queries.get(name) else { continue };
            let bound = bound.as_ref().map_err(|reason| Error::forbidden("policy.panel", reason.clone()))?;
            answers.insert(name.to_string(), (query.clone(), app.answer(bound, self.lang == Lang::En).await?.table));
        }
        Ok(answers)
    }
}

/// The frame of a view: whole from the cache, or line by line while it is made.
pub async fn frame(app: &App, view: View) -> Sent {
    if let Some(frame) = app.frames.done.get(&view.key).await {
        app.metrics.frames_hit.fetch_add(1, Relaxed);
        return Sent::Whole(frame);
    }
    let key = view.key;
    let mut flying = app.frames.flying.lock().unwrap_or_else(PoisonError::into_inner);
    let flight = match flying.get(&key) {
        Some(flight) => {
            app.metrics.frames_hit.fetch_add(1, Relaxed);
            flight.clone()
        }
        None => {
            app.metrics.frames_miss.fetch_add(1, Relaxed);
            let flight = Arc::new(Flight { lines: Mutex::default(), progress: watch::channel((0, false)).0 });
            flying.insert(key, flight.clone());
            // The frame is everybody's: it is finished even if the one who asked first goes away.
            tokio::spawn(REQUEST_ID.scope(request_id(), fly(app.clone(), view, flight.clone())));
            flight
        }
    };
    drop(flying);
    let progress = flight.progress.subscribe();
    let lines = futures_util::stream::unfold((flight, progress, 0), |(flight, mut progress, sent)| async move {
        loop {
            let (count, whole) = *progress.borrow_and_update();
            if count > sent {
                let line = flight.lines.lock().unwrap_or_else(PoisonError::into_inner).get(sent).cloned()?;
                return Some((line, (flight, progress, sent + 1)));
            }
            if whole || progress.changed().await.is_err() {
                return None;
            }
        }
    });
    // Compression asks once more after the end, which a bare `unfold` answers with a panic.
    Sent::Lines(Box::pin(lines.fuse()))
}

/// Ends a flight however its task ends, so that nobody waits for a frame that will not come.
struct Landing<'a> {
    app: &'a App,
    key: [u8; 32],
    flight: &'a Flight,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.app.frames.flying.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.flight.progress.send_modify(|(_, whole)| *whole = true);
    }
}

async fn fly(app: App, view: View, flight: Arc<Flight>) {
    let landing = Landing { app: &app, key: view.key, flight: &flight };
    let send = |line: FrameLine| {
        let mut lines = flight.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(Bytes::from(line.bytes()));
        let count = lines.len();
        drop(lines);
        flight.progress.send_modify(|(sent, _)| *sent = count);
    };
    let whole = compose(&app, &view, &send).await;
    if whole {
        let plain = Bytes::from(flight.lines.lock().unwrap_or_else(PoisonError::into_inner).concat());
        let mut gzip = Vec::with_capacity(plain.len() / 4);
        if GzipEncoder::new(&plain[..]).read_to_end(&mut gzip).await.is_ok() {
            app.frames.done.insert(view.key, Arc::new(Frame { plain, gzip: Bytes::from(gzip) })).await;
        }
    }
    drop(landing);
}

/// Asks all queries at once and draws each panel as soon as it has its answers. False: something
/// failed that may work the next time.
async fn compose(app: &App, view: &View, send: &(dyn Fn(FrameLine) + Sync)) -> bool {
    let start = Instant::now();
    let english = view.lang == Lang::En;
    send(FrameLine::start(&view.board, &view.vars, view.lang));
    let mut waiting: Vec<&str> = panel_ids(&view.board);
    let panels = waiting.len();
    let mut answers: BTreeMap<&str, Result<Answer, String>> = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    for (name, (_, bound)) in &view.queries {
        match bound {
            Ok(bound) => running.push(async move { (name.as_str(), app.answer(bound, english).await) }),
            Err(reason) => {
                answers.insert(name, Err(reason.clone()));
            }
        }
    }
    let mut whole = true;
    loop {
        waiting.retain(|id| {
            let Some(element) = view.board.elements.get(*id) else { return false };
            let needs = panel_needs(element);
            if needs.iter().any(|need| view.queries.contains_key(*need) && !answers.contains_key(need)) {
                return true;
            }
            let failed = needs.iter().find_map(|need| answers.get(need)?.as_ref().err());
            let find = |name: &str| {
                let (query, _) = view.queries.get(name)?;
                Some((query, &*answers.get(name)?.as_ref().ok()?.table))
            };
            let panel = match failed {
                Some(reason) => Panel::failed(id, element, view.lang, reason),
                None => draw(&view.catalogue, &view.board, &view.vars, id, view.lang, &find).unwrap_or_else(|error| {
                    whole = false;
                    Panel::failed(id, element, view.lang, &Error::from(error).problem().detail)
                }),
            };
            send(FrameLine::panel(panel));
            false
        });
        let Some((name, answer)) = running.next().await else { break };
        let answer = answer.map_err(|error| {
            whole = false;
            error.problem().detail
        });
        answers.insert(name, answer);
    }
    let metas = || answers.values().flatten().map(|answer| &answer.table.meta);
    let data_time = metas().filter_map(|meta| meta.watermark).max();
    let versions = metas().flat_map(|meta| meta.data_version.clone()).collect();
    send(FrameLine::end(panels, start.elapsed().as_secs_f64() * 1000.0, data_time, versions));
    whole
}
