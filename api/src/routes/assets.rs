//! `/assets/*`: scripts and styles of the pages, from the program itself. Their addresses carry a
//! hash of the content, so browsers keep them for ever.

use crate::error::{Error, Result};
use async_compression::Level;
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder};
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use zonglan_dashboards::assets;

/// Compressed files by name and encoding.
type Packed = HashMap<(String, &'static str), Arc<Bytes>>;

/// Compressed once, on first use: the names are few and fixed.
static PACKED: LazyLock<Mutex<Packed>> = LazyLock::new(Mutex::default);

pub async fn get(Path(name): Path<String>, headers: HeaderMap) -> Result<Response> {
    let asset = assets::get(&name).ok_or_else(|| Error::not_found("route.unknown", "没有这个文件 (no such file)"))?;
    let etag = HeaderValue::from_str(&asset.etag).map_err(Error::internal)?;
    let common = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::ETAG, etag.clone()),
    ];
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let textual = asset.content_type.starts_with("text/")
        || asset.content_type.contains("json")
        || asset.content_type.contains("svg");
    let encoding = match textual {
        true if accepted.contains("br") => "br",
        true if accepted.contains("gzip") => "gzip",
        _ => return Ok((common, Bytes::from(asset.bytes.into_owned())).into_response()),
    };
    let packed = pack(name, encoding, &asset.bytes).await?;
    Ok((common, [(header::CONTENT_ENCODING, encoding)], Bytes::clone(&packed)).into_response())
}

async fn pack(name: String, encoding: &'static str, bytes: &[u8]) -> Result<Arc<Bytes>> {
    let mut packed = PACKED.lock().await;
    let key = (name, encoding);
    if let Some(bytes) = packed.get(&key) {
        return Ok(bytes.clone());
    }
    let mut out = Vec::with_capacity(bytes.len() / 3);
    // Level 9 of 11: the last two take seconds for ECharts and win two percent.
    match encoding {
        "br" => BrotliEncoder::with_quality(bytes, Level::Precise(9)).read_to_end(&mut out).await,
        _ => GzipEncoder::with_quality(bytes, Level::Precise(9)).read_to_end(&mut out).await,
    }
    .map_err(Error::internal)?;
    let out = Arc::new(Bytes::from(out));
    packed.insert(key, out.clone());
    Ok(out)
}
