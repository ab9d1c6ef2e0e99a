//! Signed results: a statement of what was made, by which transform and for whom, under the program's SM2
//! key. Only here a coordinate system has to be verified.

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::crypto::hex;
use serde::Serialize;
use utoipa::ToSchema;
use zonglan_catalog::error::ErrorClass;
use zonglan_geo::{Status, Transform};

/// A signature over [`Self::statement`].
#[derive(Debug, Clone, Serialize, serde::Deserialize, ToSchema)]
pub struct Signature {
    /// JSON: SM3 of the content, transform, user, time.
    pub statement: String,
    /// SM2 `r || s`, hex, over the statement with the identifier 1234567812345678.
    pub value: String,
    /// SEC1 uncompressed, hex.
    pub public_key: String,
}

/// Refuses a transform with an unverified system.
pub fn permitted(transform: &Transform) -> Result<()> {
    if transform.info().status == Status::Verified {
        return Ok(());
    }
    Err(Error::new(
        ErrorClass::Conflict,
        "geo.unverified",
        format!("坐标系定义未经官方确认，不能用于签名导出 (unverified): {}", transform.info().version),
    )
    .hint("先用控制点求解并由第二人签发，或不要签名 (signed=false)"))
}

/// Signs content by its SM3.
pub fn sign(app: &App, sm3: &[u8; 32], transform: &Transform, user: &str) -> Signature {
    let statement = serde_json::json!({
        "sm3": hex(sm3),
        "transform": transform.info().version,
        "from": transform.from(),
        "to": transform.to(),
        "user": user,
        "at": zonglan_catalog::time::to_local(app.clock.now()).format("%Y-%m-%dT%H:%M:%S+08:00").to_string(),
    })
    .to_string();
    let crypto = &app.store.crypto.0;
    let value = hex(&crypto.sign(statement.as_bytes()));
    Signature { statement, value, public_key: hex(&crypto.public_key()) }
}

/// SM3 of what is written through it.
pub struct Hashing<W> {
    inner: W,
    hasher: sm3::Sm3,
}

impl<W: std::io::Write> Hashing<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: sm3::Digest::new() }
    }

    pub fn finish(self) -> (W, [u8; 32]) {
        (self.inner, sm3::Digest::finalize(self.hasher).into())
    }
}

impl<W: std::io::Write> std::io::Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        sm3::Digest::update(&mut self.hasher, &bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
