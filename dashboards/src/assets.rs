//! Scripts and styles of the pages, bundled in the program. Names carry a hash of the content in
//! `?v=`, so browsers keep them for ever.

use rust_embed::RustEmbed;
use std::borrow::Cow;
use std::sync::OnceLock;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/web/dist"]
struct Dist;

/// A file as it is served.
#[derive(Debug, Clone)]
pub struct Asset {
    pub bytes: Cow<'static, [u8]>,
    pub content_type: &'static str,
    /// Strong entity tag, with quotes.
    pub etag: String,
}

/// The file of `/assets/{name}`. `theme.css` is made from the palette.
pub fn get(name: &str) -> Option<Asset> {
    if name == "theme.css" {
        let (css, hash) = theme();
        return Some(Asset {
            bytes: Cow::Borrowed(css.as_bytes()),
            content_type: "text/css; charset=utf-8",
            etag: format!("\"{hash}\""),
        });
    }
    let file = Dist::get(name)?;
    let etag = format!("\"{}\"", hash(&file.metadata.sha256_hash()));
    Some(Asset { bytes: file.data, content_type: content_type(name), etag })
}

/// The address of a file with its content hash.
pub fn url(name: &str) -> String {
    let version = match name {
        "theme.css" => theme().1.clone(),
        _ => Dist::get(name).map(|f| hash(&f.metadata.sha256_hash())).unwrap_or_default(),
    };
    format!("/assets/{name}?v={version}")
}

/// All file names.
pub fn names() -> Vec<String> {
    Dist::iter().map(|n| n.to_string()).chain(["theme.css".to_string()]).collect()
}

fn theme() -> &'static (String, String) {
    static THEME: OnceLock<(String, String)> = OnceLock::new();
    THEME.get_or_init(|| {
        let css = crate::palette::css();
        // FNV-1a: a name for caches, not a seal.
        let sum = css.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        (css, format!("{sum:016x}"))
    })
}

fn hash(sha256: &[u8; 32]) -> String {
    sha256.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
