//! SM2 statements that are checked without the program's data: who approved which version of a
//! record, and that a file left by an export.

use super::RecordStore;
use super::crypto::{CryptoProvider, DISTID, hex, random, sm3, unhex, verify_signature};
use super::db::Db;
use super::error::db;
use super::txn::Txn;
use serde::{Deserialize, Serialize};
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::policy::Principal;
use zonglan_catalog::value::instant_text;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedKind {
    /// An action that somebody else than the one who entered the record must do.
    Approval,
    Export,
}

/// What is signed. The signing key is the program's; the statement names the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub id: String,
    pub kind: SignedKind,
    pub dataset: String,
    /// The record; empty of exports.
    pub record: String,
    /// The version that the approval made; 0 of exports.
    pub version: u64,
    /// The action's name; of exports the file's name.
    pub action: String,
    pub actor: String,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// SM3 in hex: of an approval that of the stored document, as the change log holds it; of an
    /// export that of the file.
    pub sm3: String,
    /// SEC1 uncompressed, hex.
    pub public_key: String,
    /// `r || s` in hex, with the default identifier of GM/T 0009.
    pub signature: String,
}

impl Statement {
    /// The signed text.
    pub fn message(&self) -> String {
        let kind = match self.kind {
            SignedKind::Approval => "approval",
            SignedKind::Export => "export",
        };
        let (id, dataset, record, version) = (&self.id, &self.dataset, &self.record, self.version);
        let (action, actor, at, sm3) = (&self.action, &self.actor, self.at, &self.sm3);
        // Names and ids hold no line ends; JSON keeps apart what might.
        let parts = serde_json::json!([kind, id, dataset, record, version, action, actor, at, sm3]);
        format!("zonglan statement 1\n{parts}\n")
    }

    fn sign(mut self, crypto: &dyn CryptoProvider) -> Self {
        self.public_key = hex(&crypto.public_key());
        self.signature = hex(&crypto.sign(self.message().as_bytes()));
        self
    }

    /// Whether the signature is that of the key named in the statement. Whose key that is, the
    /// caller must know.
    pub fn holds(&self) -> bool {
        let key = unhex(&self.public_key).unwrap_or_default();
        let signature = unhex(&self.signature).unwrap_or_default();
        verify_signature(DISTID, &key, self.message().as_bytes(), &signature)
    }
}

impl std::fmt::Display for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = instant_text(self.at);
        match self.kind {
            SignedKind::Approval => write!(
                f,
                "{} did '{}' on {}/{} at {at}, making version {}",
                self.actor, self.action, self.dataset, self.record, self.version
            ),
            SignedKind::Export => write!(f, "{} exported {} of {} at {at}", self.actor, self.action, self.dataset),
        }
    }
}

/// Signs an approval inside its own transaction.
pub(super) async fn approve(txn: &mut Txn, action: &str, dataset: &str, stored: &super::list::Row) -> Result<()> {
    let statement = Statement {
        id: hex(&random::<8>()?),
        kind: SignedKind::Approval,
        dataset: dataset.into(),
        record: stored.id.clone(),
        version: stored.version,
        action: action.into(),
        actor: stored.updated_by.clone(),
        at: stored.updated_at,
        sm3: hex(&sm3(&[stored.doc.as_bytes()])),
        public_key: String::new(),
        signature: String::new(),
    };
    let statement = statement.sign(txn.crypto());
    insert(txn, &statement).await
}

async fn insert(txn: &mut Txn, statement: &Statement) -> Result<()> {
    let body = serde_json::to_string(statement).map_err(Error::internal)?;
    let kind = if statement.kind == SignedKind::Approval { "approval" } else { "export" };
    sqlx::query(
        "INSERT INTO signatures (id, kind, dataset, record, version, actor, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&statement.id)
    .bind(kind)
    .bind(&statement.dataset)
    .bind(&statement.record)
    .bind(statement.version as i64)
    .bind(&statement.actor)
    .bind(body)
    .execute(txn.conn())
    .await
    .map_err(db)?;
    Ok(())
}

fn read(bodies: &[String]) -> Result<Vec<Statement>> {
    bodies.iter().map(|body| serde_json::from_str(body).map_err(Error::internal)).collect()
}

/// A file that left, to be signed.
#[derive(Debug, Clone)]
pub struct ExportedFile {
    pub id: String,
    pub dataset: String,
    pub name: String,
    pub actor: String,
    pub sm3: [u8; 32],
}

/// Signs a file that leaves, and keeps the statement. On disk when this returns.
pub async fn sign_export(store: &Db, file: ExportedFile) -> Result<()> {
    let work = store.write(move |txn| {
        Box::pin(async move {
            let statement = Statement {
                id: file.id,
                kind: SignedKind::Export,
                dataset: file.dataset,
                record: String::new(),
                version: 0,
                action: file.name,
                actor: file.actor,
                at: txn.now(),
                sm3: hex(&file.sm3),
                public_key: String::new(),
                signature: String::new(),
            };
            let statement = statement.sign(txn.crypto());
            insert(txn, &statement).await
        })
    });
    work.await
}

/// The statement about an export: for whoever made it, and for those who look over all.
pub async fn export_statement(store: &Db, principal: &Principal, all: bool, id: &str) -> Result<Statement> {
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM signatures WHERE id = ? AND kind = 'export' AND (? OR actor = ?)")
            .bind(id)
            .bind(all)
            .bind(&principal.user)
            .fetch_all(store.readers())
            .await
            .map_err(db)?;
    read(&bodies)?.pop().ok_or_else(|| {
        Error::not_found("signatures.not_found", format!("没有编号为 {id} 的签名，或导出还未完成"))
            .with_hint("编号在导出响应的 x-signature-id 里")
    })
}

impl RecordStore {
    /// The signed approvals of a record, oldest first; for those who see the record.
    pub async fn approvals(&self, principal: &Principal, dataset: &str, id: &str) -> Result<Vec<Statement>> {
        self.get(principal, dataset, id).await?;
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM signatures WHERE dataset = ? AND record = ? AND kind = 'approval' ORDER BY version",
        )
        .bind(dataset)
        .bind(id)
        .fetch_all(self.db.readers())
        .await
        .map_err(db)?;
        read(&bodies)
    }
}
