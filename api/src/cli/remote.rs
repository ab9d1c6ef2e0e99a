//! Talking to the server that holds the data directory, over the loopback and HTTP/1.0: enough
//! for the command line of the same machine, with the key that only its owner can read.

use crate::config::Config;
use crate::store::DataLock;
use anyhow::{Context, bail};
use serde_json::Value as Json;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

/// The running server of a data directory.
#[derive(Debug, Clone)]
pub struct Remote {
    authority: String,
    key: String,
}

impl Remote {
    /// The server that holds the directory, if one does.
    pub fn find(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(address) = DataLock::holder(&config.data.dir) else { return Ok(None) };
        let Some(authority) = address.trim().strip_prefix("http://").map(|a| a.trim_end_matches('/').to_string())
        else {
            bail!(
                "the data directory {} is in use by another command; wait until it has ended",
                config.data.dir.display()
            );
        };
        // A server on all addresses is reached over the loopback.
        let authority = authority.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
        Ok(Some(Self { authority, key: crate::operator::read(&config.data.dir)? }))
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn get(&self, path: &str) -> anyhow::Result<Json> {
        self.send("GET", path, "application/json", 0, &mut std::io::empty())
    }

    pub fn post(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        let bytes = serde_json::to_vec(body)?;
        self.send("POST", path, "application/json", bytes.len() as u64, &mut bytes.as_slice())
    }

    pub fn patch(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        let bytes = serde_json::to_vec(body)?;
        self.send("PATCH", path, "application/json", bytes.len() as u64, &mut bytes.as_slice())
    }

    /// Sends a body of `length` bytes and reads the JSON answer. A problem becomes an error.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        length: u64,
        body: &mut dyn Read,
    ) -> anyhow::Result<Json> {
        let mut stream = TcpStream::connect(&self.authority)
            .with_context(|| format!("cannot reach the server at {}", self.authority))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            self.authority, self.key
        )?;
        // A server that refuses early closes its side; its answer says why.
        let sent = std::io::copy(body, &mut stream);
        let mut answer = Vec::new();
        BufReader::new(&stream).read_to_end(&mut answer).context("the server broke off")?;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").with_context(|| match sent {
            Err(error) => format!("the server broke off: {error}"),
            Ok(_) => "the server's answer is not HTTP".to_string(),
        })?;
        let head = String::from_utf8_lossy(&answer[..end]);
        let status: u16 =
            head.split_whitespace().nth(1).and_then(|s| s.parse().ok()).context("the server's answer has no status")?;
        let body = &answer[end + 4..];
        if status == 204 || body.is_empty() && status < 300 {
            return Ok(Json::Null);
        }
        let json: Json =
            serde_json::from_slice(body).with_context(|| format!("the server answered {status} without JSON"))?;
        if status >= 300 {
            let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_string();
            let hint = text("hint");
            let fields: Vec<String> = json
                .get("errors")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .map(|e| {
                    format!(
                        "{}: {}",
                        e["field"].as_str().unwrap_or_default(),
                        e["message"].as_str().unwrap_or_default()
                    )
                })
                .collect();
            bail!(
                "{} [{}]{}{}",
                text("detail"),
                text("code"),
                if hint.is_empty() { String::new() } else { format!(" ({hint})") },
                if fields.is_empty() { String::new() } else { format!("\n  {}", fields.join("\n  ")) }
            );
        }
        Ok(json)
    }
}
