//! `/api/v1/events`: live data as server-sent events.

use crate::app::App;
use crate::error::Result;
use crate::extract::Auth;
use axum::extract::{Query as Params, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
pub struct EventParams {
    /// Names separated by commas; all readable ones unless given.
    pub datasets: Option<String>,
}

/// Counts the open streams.
struct Open(App);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.streams.fetch_sub(1, Relaxed);
    }
}

/// Data versions as they change: `tick` with `{dataset: version}` (all of them first, then those
/// that changed), `closed` when the session has ended or the server stops
#[utoipa::path(get, path = "/api/v1/events", tag = "live", operation_id = "watch_data", params(EventParams),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub async fn watch(
    State(app): State<App>,
    auth: Auth,
    headers: HeaderMap,
    Params(params): Params<EventParams>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let wanted: Option<Vec<String>> =
        params.datasets.map(|names| names.split(',').map(|n| n.trim().to_string()).collect());
    app.metrics.streams.fetch_add(1, Relaxed);
    let open = Open(app.clone());
    let state = Watch {
        ticks: app.live.subscribe(),
        rights: app.store.identity.changes(),
        auth: Some(auth),
        sent: BTreeMap::new(),
        wanted,
        headers,
        app,
        first: true,
        _open: open,
    };
    let stream = futures_util::stream::unfold(state, |mut state| async move {
        let event = state.next().await?;
        Some((Ok(event), state))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

struct Watch {
    app: App,
    ticks: tokio::sync::watch::Receiver<std::sync::Arc<crate::live::Versions>>,
    rights: tokio::sync::watch::Receiver<u64>,
    /// None: the stream has said that it is closed.
    auth: Option<Auth>,
    headers: HeaderMap,
    wanted: Option<Vec<String>>,
    sent: BTreeMap<String, u64>,
    first: bool,
    _open: Open,
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let auth = self.auth.as_ref()?;
            if !self.first {
                let stopping = self.app.stopping.clone();
                tokio::select! {
                    () = stopping.cancelled() => return Some(self.close("stopping")),
                    changed = self.ticks.changed() => changed.ok()?,
                    changed = self.rights.changed() => {
                        changed.ok()?;
                        // Logout, expiry and changed roles bind the stream again.
                        match Auth::of(&self.app, &self.headers) {
                            Ok(again) if again.principal == auth.principal => continue,
                            Ok(again) => {
                                self.auth = Some(again);
                                self.sent.clear();
                            }
                            Err(_) => return Some(self.close("session")),
                        }
                    }
                }
                // A session that ended by its age does not tick the identity.
                if Auth::of(&self.app, &self.headers).is_err() {
                    return Some(self.close("session"));
                }
            }
            let fresh = self.fresh();
            if !fresh.is_empty() || self.first {
                self.first = false;
                let event = Event::default().event("tick");
                return Some(event.json_data(&fresh).unwrap_or_default());
            }
        }
    }

    /// Versions that this client does not know yet and may.
    fn fresh(&mut self) -> BTreeMap<String, u64> {
        let Some(auth) = &self.auth else { return BTreeMap::new() };
        let catalogue = self.app.catalogue();
        let versions = self.ticks.borrow_and_update().clone();
        let visible = |name: &str| {
            self.wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|w| w == name))
                && catalogue.dataset(name).is_some_and(|d| catalogue.policy().may_read(&auth.principal, d))
        };
        let fresh: BTreeMap<String, u64> = versions
            .iter()
            .filter(|(name, version)| self.sent.get(*name) != Some(version) && visible(name))
            .map(|(n, v)| (n.clone(), *v))
            .collect();
        self.sent.extend(fresh.clone());
        fresh
    }

    fn close(&mut self, reason: &str) -> Event {
        self.auth = None;
        Event::default().event("closed").json_data(serde_json::json!({"reason": reason})).unwrap_or_default()
    }
}
