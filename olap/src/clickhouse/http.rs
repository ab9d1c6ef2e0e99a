//! The way to a ClickHouse server: its HTTP interface, retries by kind of failure, a circuit
//! breaker, and the end of queries that nobody waits for.
//!
//! Columns come from the catalogue and are not known when the program is compiled, so rows travel
//! as RowBinary of our own making instead of the static row types of a client library.

use super::Server;
use crate::error::{OlapError, Result};
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use ureq::Agent;

/// Failures in a row after which the server is left alone for [`REST`].
const FAILURES: u32 = 3;
const REST: Duration = Duration::from_secs(2);
/// Tries of one statement; the pause before each is twice that of the last.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);
/// Between two looks at whether the asker is gone.
const LOOK: Duration = Duration::from_millis(20);

/// What an exception of the server means for us. Numbers are those of ClickHouse's
/// `src/Common/ErrorCodes.cpp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The same statement may do better later: lost connections, a server that starts, stops or
    /// has too much to do.
    Away,
    /// The statement needs more memory, time or rows than the server allows.
    TooLarge,
    Cancelled,
    /// Anything else fails again.
    Fault,
}

/// The kind of an exception's number.
pub fn kind(code: u32) -> Kind {
    match code {
        // SOCKET_TIMEOUT, NETWORK_ERROR, TOO_MANY_SIMULTANEOUS_QUERIES, NO_ZOOKEEPER, TABLE_IS_READ_ONLY,
        // TOO_MANY_PARTS, ALL_CONNECTION_TRIES_FAILED, KEEPER_EXCEPTION, SERVER_OVERLOADED
        209 | 210 | 202 | 225 | 242 | 252 | 279 | 999 | 745 => Kind::Away,
        // TOO_MANY_ROWS, TIMEOUT_EXCEEDED, MEMORY_LIMIT_EXCEEDED, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES
        158 | 159 | 241 | 307 | 396 => Kind::TooLarge,
        // QUERY_WAS_CANCELLED
        394 => Kind::Cancelled,
        _ => Kind::Fault,
    }
}

/// Lets a server that is away rest, and lets one question through from time to time.
#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<(u32, Option<Instant>)>,
}

impl Breaker {
    /// Whether a statement may be sent. After the rest one may; others wait for what it finds.
    fn may(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.1 {
            Some(until) if now < until => false,
            Some(_) => {
                state.1 = Some(now + REST);
                true
            }
            None => true,
        }
    }

    fn tell(&self, answered: bool, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            *state = (0, None);
        } else {
            state.0 += 1;
            if state.0 >= FAILURES {
                state.1 = Some(now + REST);
            }
        }
    }
}

pub struct Http {
    server: Server,
    agent: Agent,
    pub breaker: Breaker,
    number: AtomicU64,
    /// Tells this process's statements from others'.
    name: String,
}

enum Failure {
    Away(String),
    Said(u32, String),
}

impl Http {
    pub fn new(server: Server) -> Arc<Self> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(3)))
            .timeout_global(Some(server.timeout))
            .build()
            .into();
        let name = format!("zonglan-{}-{}", std::process::id(), chrono::Utc::now().timestamp_millis());
        Arc::new(Self { server, agent, breaker: Breaker::default(), number: AtomicU64::new(0), name })
    }

    fn send(&self, id: &str, sql: &str, body: Option<&[u8]>) -> Result<Box<dyn Read + Send>, Failure> {
        let mut request = self.agent.post(&self.server.url).query("query_id", id);
        if let Some(user) = &self.server.user {
            request = request.header("X-ClickHouse-User", user);
        }
        if let Some(password) = &self.server.password {
            request = request.header("X-ClickHouse-Key", password);
        }
        let reply = match body {
            Some(body) => request.query("query", sql).send(body),
            None => request.query("cancel_http_readonly_queries_on_client_close", "1").send(sql.as_bytes()),
        };
        let reply = reply.map_err(|e| Failure::Away(e.to_string()))?;
        let status = reply.status().as_u16();
        let code =
            reply.headers().get("X-ClickHouse-Exception-Code").and_then(|v| v.to_str().ok()?.parse::<u32>().ok());
        if status == 200 && code.is_none() {
            return Ok(Box::new(reply.into_body().into_with_config().limit(u64::MAX).reader()));
        }
        let text = reply.into_body().read_to_string().unwrap_or_default();
        let text: String = text.trim().chars().take(600).collect();
        match code {
            Some(code) => Err(Failure::Said(code, text)),
            None if matches!(status, 408 | 429 | 502 | 503 | 504) => Err(Failure::Away(format!("{status} {text}"))),
            None => Err(Failure::Said(0, format!("{status} {text}"))),
        }
    }

    fn failed(failure: Failure) -> OlapError {
        match failure {
            Failure::Away(text) => OlapError::Away(text),
            Failure::Said(code, text) => match kind(code) {
                Kind::Away => OlapError::Away(text),
                Kind::TooLarge => OlapError::TooLarge(format!("ClickHouse: {text}")),
                Kind::Cancelled => OlapError::Cancelled,
                Kind::Fault => OlapError::Internal(format!("ClickHouse {code}: {text}")),
            },
        }
    }

    /// Sends a statement until it is answered or has failed for good, at most [`TRIES`] times.
    /// Inserts carry a token by which the server knows a repetition.
    fn tried(&self, id: &str, sql: &str, body: Option<&[u8]>) -> Result<Box<dyn Read + Send>> {
        let mut pause = PAUSE;
        for left in (0..TRIES).rev() {
            if !self.breaker.may(Instant::now()) {
                return Err(OlapError::Away("连续失败，稍后再试 (it failed several times and is left alone)".into()));
            }
            match self.send(id, sql, body) {
                Ok(reader) => {
                    self.breaker.tell(true, Instant::now());
                    return Ok(reader);
                }
                Err(failure) => {
                    let error = Self::failed(failure);
                    let away = matches!(error, OlapError::Away(_));
                    self.breaker.tell(!away, Instant::now());
                    if !away || left == 0 {
                        return Err(error);
                    }
                }
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        Err(OlapError::Away("不可用".into()))
    }

    fn id(&self) -> String {
        format!("{}-{}", self.name, self.number.fetch_add(1, Relaxed))
    }

    /// A statement without an answer worth reading.
    pub fn execute(&self, sql: &str) -> Result<()> {
        let mut rest = Vec::new();
        let mut reader = self.tried(&self.id(), sql, None)?;
        reader.read_to_end(&mut rest).map(drop).map_err(|e| OlapError::Away(e.to_string()))
    }

    /// Rows in RowBinary.
    pub fn insert(&self, sql: &str, rows: &[u8]) -> Result<()> {
        let mut rest = Vec::new();
        let mut reader = self.tried(&self.id(), sql, Some(rows))?;
        reader.read_to_end(&mut rest).map(drop).map_err(|e| OlapError::Away(e.to_string()))
    }

    /// An answer, read as it comes.
    pub fn read(&self, sql: &str) -> Result<Box<dyn Read + Send>> {
        self.tried(&self.id(), sql, None)
    }

    /// A whole answer; where the asker goes first, the server is told to stop.
    pub fn ask(self: &Arc<Self>, sql: String, gone: &dyn Fn() -> bool) -> Result<Vec<u8>> {
        let id = self.id();
        let (send, receive) = mpsc::channel();
        let (http, name) = (self.clone(), id.clone());
        std::thread::Builder::new()
            .name("clickhouse".into())
            .spawn(move || {
                let answer = http.tried(&name, &sql, None).and_then(|mut reader| {
                    let mut out = Vec::new();
                    reader.read_to_end(&mut out).map_err(|e| OlapError::Away(e.to_string()))?;
                    Ok(out)
                });
                // Nobody listens once the asker is gone.
                let _ = send.send(answer);
            })
            .map_err(|e| OlapError::Internal(e.to_string()))?;
        loop {
            match receive.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(OlapError::Internal("the thread of a query ended".into()));
                }
                Err(mpsc::RecvTimeoutError::Timeout) if gone() => {
                    let (http, name) = (self.clone(), id.clone());
                    // The asker does not wait for the server to have stopped.
                    std::thread::spawn(move || {
                        let sql = format!("KILL QUERY WHERE query_id = '{name}' ASYNC");
                        http.send(&format!("{name}-kill"), &sql, None).map(drop)
                    });
                    return Err(OlapError::Cancelled);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_is_left_alone_for_a_while() {
        let breaker = Breaker::default();
        let start = Instant::now();
        for _ in 0..FAILURES {
            assert!(breaker.may(start));
            breaker.tell(false, start);
        }
        assert!(!breaker.may(start));
        let later = start + REST;
        assert!(breaker.may(later), "one may look");
        assert!(!breaker.may(later), "and only one");
        breaker.tell(true, later);
        assert!(breaker.may(later) && breaker.may(later));
    }

    #[test]
    fn exceptions_are_told_apart() {
        assert_eq!(kind(202), Kind::Away);
        assert_eq!(kind(241), Kind::TooLarge);
        assert_eq!(kind(394), Kind::Cancelled);
        assert_eq!(kind(62), Kind::Fault);
    }
}
