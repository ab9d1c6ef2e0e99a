//! A small HTTP client: JSON in and out, with the session's cookie and CSRF token.

use anyhow::{Context, Result, bail};
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;

/// One user's view of a server.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    address: String,
    csrf: Option<String>,
    cookie: Option<String>,
    bearer: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {} without JSON: {}", self.status, self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// The JSON of an answer that must have succeeded.
    pub fn ok(self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, self.text());
        }
        self.json()
    }
}

impl Client {
    pub fn new(address: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Self { agent: config.new_agent(), address: address.to_string(), csrf: None, cookie: None, bearer: None }
    }

    /// Signs in and keeps the cookie and the CSRF token.
    pub fn login(&mut self, user: &str, password: &str) -> Result<()> {
        let reply = self.post("/api/v1/session", &json!({"username": user, "password": password}))?;
        let cookie = reply.header("set-cookie").and_then(|c| c.split(';').next()).map(str::to_string);
        let answer = reply.ok()?;
        self.cookie = Some(cookie.context("the session comes as a cookie")?);
        self.csrf = answer["csrf"].as_str().map(str::to_string);
        Ok(())
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { bearer: Some(token.to_string()), cookie: None, csrf: None, ..self.clone() }
    }

    /// The same session without its CSRF token, as a forged form would come.
    pub fn without_csrf(&self) -> Self {
        Self { csrf: None, ..self.clone() }
    }

    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn get(&self, path: &str) -> Result<Reply> {
        self.send("GET", path, &[], Vec::new())
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send("POST", path, &[("content-type", "application/json")], serde_json::to_vec(body)?)
    }

    pub fn patch(&self, path: &str, version: &str, body: &Value) -> Result<Reply> {
        let headers = [("content-type", "application/json"), ("if-match", version)];
        self.send("PATCH", path, &headers, serde_json::to_vec(body)?)
    }

    /// Sends a file as the body of a request.
    pub fn upload(&self, path: &str, name: &str, content: Vec<u8>) -> Result<Reply> {
        let disposition = format!("attachment; filename=\"{name}\"");
        let headers = [("content-type", "application/octet-stream"), ("content-disposition", disposition.as_str())];
        self.send("POST", path, &headers, content)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        if let Some(token) = &self.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = self.agent.run(request.body(body)?).with_context(|| format!("{method} {path}"))?;
        let body = response.body_mut().with_config().limit(512 << 20).read_to_vec()?;
        Ok(Reply { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }

    /// The answer to a logical query.
    pub fn query(&self, query: &Value) -> Result<Value> {
        self.post("/api/v1/query", query)?.ok()
    }

    /// The single number that a query answers.
    pub fn number(&self, query: &Value) -> Result<f64> {
        let answer = self.query(query)?;
        answer["rows"][0][0].as_f64().with_context(|| format!("one number was expected: {answer}"))
    }
}
