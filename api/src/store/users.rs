//! Users and credentials as the database holds them.

use super::credentials::{Credential, Kind};
use super::db::Db;
use super::error::db;
use super::identity::{Memory, User, UserInfo};
use sqlx::Row;
use std::sync::Arc;
use zonglan_catalog::error::{Error, Result};

/// Everything that [`super::Identity`] keeps in memory.
pub(super) async fn load(database: &Db, now: i64) -> Result<Memory> {
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(Error::internal);
    let mut memory = Memory::default();
    for row in sqlx::query("SELECT * FROM users").fetch_all(database.readers()).await.map_err(db)? {
        let info = UserInfo {
            username: row.get("username"),
            name: row.get("name"),
            roles: list(row.get("roles"))?,
            regions: list(row.get("regions"))?,
            disabled: row.get("disabled"),
            must_change: row.get("must_change"),
            locked_until: row.get("locked_until"),
        };
        let user = User {
            password_hash: row.get("password_hash"),
            grants_version: row.get::<i64, _>("grants_version") as u64,
            failures: row.get("failures"),
            grants: Vec::new(),
            info,
        };
        memory.users.insert(user.info.username.clone(), user);
    }
    for row in sqlx::query("SELECT username, body FROM grants").fetch_all(database.readers()).await.map_err(db)? {
        if let Some(user) = memory.users.get_mut(row.get::<&str, _>("username")) {
            user.grants.push(serde_json::from_str(row.get("body")).map_err(Error::internal)?);
        }
    }
    for row in sqlx::query("SELECT * FROM credentials WHERE expires_at > ?")
        .bind(now)
        .fetch_all(database.readers())
        .await
        .map_err(db)?
    {
        let Ok(key) = <[u8; 32]>::try_from(row.get::<&[u8], _>("hash")) else { continue };
        let kind = if row.get::<&str, _>("kind") == Kind::Token.name() { Kind::Token } else { Kind::Session };
        let credential = Credential {
            id: row.get("id"),
            kind,
            username: row.get("username"),
            csrf: row.get("csrf"),
            scopes: list(row.get("scopes"))?,
            address: row.get("address"),
            created_at: row.get("created_at"),
            seen_at: Arc::new(row.get::<i64, _>("seen_at").into()),
            expires_at: row.get("expires_at"),
        };
        memory.credentials.insert(key, credential);
    }
    Ok(memory)
}
