//! Personal and secret fields in stored documents: sealed by SM4-GCM, found again by a keyed hash.
//!
//! In a document a sealed field is `{"k": key number, "c": hex of nonce, ciphertext and tag,
//! "b": hex of the blind index}`; a plain one is never an object. What is sealed is bound to
//! register, field and record, so that it opens nowhere else.

use super::crypto::{CryptoProvider, Sealed, hex, unhex};
use super::error::StoreError;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use zonglan_catalog::bind::mask;
use zonglan_catalog::dataset::{Dataset, Field, Sensitivity};
use zonglan_catalog::value::Value;

/// Opens and seals fields. Clones share the keys.
#[derive(Clone)]
pub struct Vault(Option<Arc<dyn CryptoProvider>>);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

/// Whether stored documents hold the field sealed. Keys are names of records and never personal.
pub(super) fn is_sealed(dataset: &Dataset, field: &Field) -> bool {
    field.sensitivity >= Sensitivity::Personal && !dataset.key.contains(&field.name)
}

/// The same by the field's name.
pub(super) fn seals(dataset: &Dataset, field: &str) -> bool {
    dataset.field(field).is_some_and(|f| is_sealed(dataset, f))
}

/// What columns and index get of a personal value: its masked text, or nothing.
pub(super) fn outside(field: &Field, value: &Value) -> Value {
    match value {
        Value::Text(_) if field.kind == zonglan_catalog::FieldType::Text => mask(value, field.mask),
        _ => Value::Null,
    }
}

impl Vault {
    pub(super) fn new(crypto: Arc<dyn CryptoProvider>) -> Self {
        Self(Some(crypto))
    }

    /// For registers of the program itself, which hold no personal fields.
    pub(super) const NONE: Vault = Vault(None);

    fn keys(&self) -> Result<&dyn CryptoProvider, StoreError> {
        self.0.as_deref().ok_or_else(|| StoreError::Corrupt("a sealed field where none may be".into()))
    }

    /// The number of the newest key.
    pub(super) fn key(&self) -> Result<u32, StoreError> {
        Ok(self.keys()?.field_key())
    }

    /// The sealed form of a stored value.
    pub(super) fn seal(&self, dataset: &str, field: &str, record: &str, stored: &Json) -> Result<Json, StoreError> {
        let keys = self.keys()?;
        let sealed = keys.seal(&place(dataset, field, record), stored.to_string().as_bytes());
        let blind = &self.blind(dataset, field, stored)?[0];
        Ok(json!({"k": sealed.key, "c": hex(&sealed.bytes), "b": blind}))
    }

    /// The stored value of a sealed form; a plain value is itself.
    pub(super) fn open(&self, dataset: &str, field: &str, record: &str, stored: Json) -> Result<Json, StoreError> {
        let Json::Object(form) = &stored else { return Ok(stored) };
        let read = || {
            let key = u32::try_from(form.get("k")?.as_u64()?).ok()?;
            Some(Sealed { key, bytes: unhex(form.get("c")?.as_str()?)? })
        };
        let corrupt = |why: &str| StoreError::Corrupt(format!("{dataset}/{record}, field {field}: {why}"));
        let sealed = read().ok_or_else(|| corrupt("no sealed value"))?;
        let plain = self
            .keys()?
            .open(&place(dataset, field, record), &sealed)
            .ok_or_else(|| corrupt(&format!("does not open with key {} (keys/field-{0}.key)", sealed.key)))?;
        serde_json::from_slice(&plain).map_err(|_| corrupt("no JSON inside"))
    }

    /// The blind indexes of a stored value, of the newest key first.
    pub(super) fn blind(&self, dataset: &str, field: &str, stored: &Json) -> Result<Vec<String>, StoreError> {
        // Written differently, the same: capital X of identity numbers, blanks around names.
        let value = match stored {
            Json::String(text) => text.trim().to_lowercase(),
            other => other.to_string(),
        };
        let context = format!("{dataset}\0{field}");
        Ok(self.keys()?.blind(context.as_bytes(), value.as_bytes()).iter().map(|hash| hex(hash)).collect())
    }
}

fn place(dataset: &str, field: &str, record: &str) -> Vec<u8> {
    // Names of registers and fields hold no zero byte.
    format!("{dataset}\0{field}\0{record}").into_bytes()
}
