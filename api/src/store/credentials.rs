//! Sign-in, browser sessions and API tokens. Secrets are stored as hashes only.

use super::chain::AuditEntry;
use super::crypto::{hex, random};
use super::error::db;
use super::identity::{Identity, UserInfo, audit, json, secret_key, wrong_password};
use super::txn::Txn;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use zonglan_catalog::error::{Error, ErrorClass, Result};
use zonglan_catalog::policy::Principal;
use zonglan_catalog::value::instant_text;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Session,
    Token,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Session => "session",
            Kind::Token => "token",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub id: String,
    pub kind: Kind,
    pub username: String,
    pub csrf: String,
    pub scopes: Vec<String>,
    pub address: String,
    pub created_at: i64,
    /// Last use; written to disk now and then.
    pub seen_at: Arc<AtomicI64>,
    pub expires_at: i64,
}

/// A sign-in that succeeded. The token goes into the cookie and nowhere else.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub token: String,
    pub csrf: String,
    pub user: UserInfo,
    /// Milliseconds since 1970 UTC.
    pub expires_at: i64,
}

/// A session in force.
#[derive(Debug, Clone)]
pub struct Session {
    /// Names the session without being its secret; see [`Identity::rebind`].
    pub key: [u8; 32],
    pub principal: Principal,
    /// To be sent back in a header with every request that changes something.
    pub csrf: String,
    pub expires_at: i64,
    /// Nothing but changing the password is allowed.
    pub must_change: bool,
}

/// A new API token; its secret is shown this once.
#[derive(Debug, Clone, Serialize)]
pub struct ApiToken {
    pub token: String,
    pub id: String,
    pub expires_at: i64,
}

/// An API token as lists show it.
#[derive(Debug, Clone, Serialize)]
pub struct TokenInfo {
    pub id: String,
    pub scopes: Vec<String>,
    pub created_at: i64,
    pub seen_at: i64,
    pub expires_at: i64,
    pub address: String,
}

/// An API token in force.
#[derive(Debug, Clone)]
pub struct Bearer {
    pub key: [u8; 32],
    pub id: String,
    pub principal: Principal,
    pub scopes: Vec<String>,
}

fn signed_out() -> Error {
    Error::new(ErrorClass::Unauthenticated, "identity.session", "未登录或登录已过期").with_hint("请重新登录")
}

const DAY: i64 = 86_400_000;
const TOKEN_PREFIX: &str = "zlt_";

impl Identity {
    /// Signs a user in. Wrong passwords count; too many lock the user, and an address that tries
    /// too often is refused before anything is looked at.
    pub async fn login(&self, username: &str, password: &str, address: IpAddr) -> Result<NewSession> {
        let user = self.authenticate(username, password, address).await?;
        let now = self.inner.clock.now();
        let (token, csrf) = (hex(&random::<32>()?), hex(&random::<16>()?));
        let credential = Credential {
            id: hex(&random::<8>()?),
            kind: Kind::Session,
            username: user.username.clone(),
            csrf: csrf.clone(),
            scopes: Vec::new(),
            address: address.to_string(),
            created_at: now,
            seen_at: Arc::new(now.into()),
            expires_at: now + self.inner.options.absolute,
        };
        let expires_at = credential.expires_at;
        self.store(secret_key(&token), credential, "login").await?;
        let surplus = self.surplus(&user.username);
        if !surplus.is_empty() {
            self.end(surplus, "sessions_limited").await?;
        }
        Ok(NewSession { token, csrf, user, expires_at })
    }

    /// Makes a token for programs; its scopes narrow what the user's roles allow.
    pub async fn issue_token(
        &self,
        username: &str,
        password: &str,
        scopes: &[String],
        ttl_days: u32,
        address: IpAddr,
    ) -> Result<ApiToken> {
        let user = self.authenticate(username, password, address).await?;
        if user.must_change {
            return Err(Error::forbidden("identity.must_change", "请先登录并修改初始密码"));
        }
        let now = self.inner.clock.now();
        let (token, id) = (format!("{TOKEN_PREFIX}{}", hex(&random::<32>()?)), hex(&random::<8>()?));
        let expires_at = now + i64::from(ttl_days.clamp(1, 366)) * DAY;
        let credential = Credential {
            id: id.clone(),
            kind: Kind::Token,
            username: user.username,
            csrf: String::new(),
            scopes: scopes.to_vec(),
            address: address.to_string(),
            created_at: now,
            seen_at: Arc::new(now.into()),
            expires_at,
        };
        self.store(secret_key(&token), credential, "token_issued").await?;
        Ok(ApiToken { token, id, expires_at })
    }

    /// The sessions of a user beyond the limit: those that were used longest ago.
    fn surplus(&self, username: &str) -> Vec<[u8; 32]> {
        let now = self.inner.clock.now();
        let memory = self.inner.read();
        let of = |c: &Credential| c.kind == Kind::Session && c.username == username && self.is_live(c, now);
        let mut live: Vec<(i64, i64, [u8; 32])> = memory
            .credentials
            .iter()
            .filter(|(_, c)| of(c))
            .map(|(key, c)| (c.seen_at.load(Ordering::Relaxed), c.created_at, *key))
            .collect();
        live.sort_unstable();
        let many = live.len().saturating_sub(self.inner.options.sessions.max(1));
        live.into_iter().take(many).map(|(_, _, key)| key).collect()
    }

    async fn authenticate(&self, username: &str, password: &str, address: IpAddr) -> Result<UserInfo> {
        self.limit(address)?;
        let user = self.user(username);
        let now = self.inner.clock.now();
        if let Some(user) = &user
            && user.info.locked_until > now
        {
            let message = format!("用户已被锁定至 {}", instant_text(user.info.locked_until));
            return Err(Error::forbidden("identity.locked", message).with_hint("请稍后再试，或请管理员解锁"));
        }
        let right = self.inner.hasher.verify(password, user.as_ref().map(|u| u.password_hash.clone())).await?;
        let options = self.inner.options;
        match user {
            // A disabled user learns no more than a wrong password tells.
            Some(user) if right && !user.info.disabled => {
                if user.failures > 0 || user.info.locked_until > 0 {
                    self.change(username, username, "failures_cleared", |user| {
                        user.failures = 0;
                        user.info.locked_until = 0;
                    })
                    .await?;
                }
                Ok(user.info)
            }
            Some(_) => {
                let changed = self.change(username, username, "login_failed", move |user| {
                    user.failures += 1;
                    if user.failures >= options.failures {
                        user.failures = 0;
                        user.info.locked_until = now + options.lock;
                    }
                });
                if changed.await?.locked_until > now {
                    tracing::warn!(username, %address, "user locked after wrong passwords");
                }
                Err(wrong_password())
            }
            None => {
                let (name, address) = (username.chars().take(64).collect::<String>(), address.to_string());
                let work = self.inner.db.write(move |txn| {
                    Box::pin(async move {
                        let entry = AuditEntry {
                            at: txn.now(),
                            actor: &name,
                            action: "login_failed",
                            address: Some(&address),
                            ..AuditEntry::default()
                        };
                        txn.audit(&entry);
                        Ok(())
                    })
                });
                work.await?;
                Err(wrong_password())
            }
        }
    }

    async fn store(&self, key: [u8; 32], credential: Credential, action: &'static str) -> Result<()> {
        let stored = credential.clone();
        self.inner.db.write(move |txn| Box::pin(async move { insert(txn, &key, &stored, action).await })).await?;
        self.inner.write().credentials.insert(key, credential);
        Ok(())
    }

    /// The session of a cookie; a use of it, so its idle time starts anew. From memory.
    pub fn session(&self, token: &str) -> Result<Session> {
        self.open_session(secret_key(token), true)
    }

    /// The session again, for an open stream: rights as they are now, idle time running on.
    pub fn rebind(&self, key: &[u8; 32]) -> Result<Session> {
        self.open_session(*key, false)
    }

    fn open_session(&self, key: [u8; 32], used: bool) -> Result<Session> {
        let (principal, credential, must_change) = self.find(&key, Kind::Session, used)?;
        Ok(Session { key, principal, csrf: credential.csrf, expires_at: credential.expires_at, must_change })
    }

    /// The principal and scopes of an API token. From memory.
    pub fn bearer(&self, token: &str) -> Result<Bearer> {
        let key = secret_key(token);
        let (principal, credential, _) = self.find(&key, Kind::Token, true)?;
        Ok(Bearer { key, id: credential.id, principal, scopes: credential.scopes })
    }

    fn find(&self, key: &[u8; 32], kind: Kind, used: bool) -> Result<(Principal, Credential, bool)> {
        let now = self.inner.clock.now();
        let memory = self.inner.read();
        let credential =
            memory.credentials.get(key).filter(|c| c.kind == kind && self.is_live(c, now)).ok_or_else(signed_out)?;
        let user = memory.users.get(&credential.username).filter(|u| !u.info.disabled).ok_or_else(signed_out)?;
        if used {
            credential.seen_at.fetch_max(now, Ordering::Relaxed);
        }
        Ok((user.principal(now), credential.clone(), user.info.must_change))
    }

    fn is_live(&self, credential: &Credential, now: i64) -> bool {
        let idle = credential.kind == Kind::Session
            && credential.seen_at.load(Ordering::Relaxed) + self.inner.options.idle <= now;
        credential.expires_at > now && !idle
    }

    /// Ends the session of a cookie; streams that it opened end with the next tick of `changes`.
    pub async fn logout(&self, token: &str) -> Result<()> {
        self.end(vec![secret_key(token)], "logout").await
    }

    /// API tokens of a user.
    pub fn tokens(&self, username: &str) -> Vec<TokenInfo> {
        let now = self.inner.clock.now();
        let memory = self.inner.read();
        let own = memory
            .credentials
            .values()
            .filter(|c| c.kind == Kind::Token && c.username == username && self.is_live(c, now));
        let mut tokens: Vec<_> = own
            .map(|c| TokenInfo {
                id: c.id.clone(),
                scopes: c.scopes.clone(),
                created_at: c.created_at,
                seen_at: c.seen_at.load(Ordering::Relaxed),
                expires_at: c.expires_at,
                address: c.address.clone(),
            })
            .collect();
        tokens.sort_by_key(|t| t.created_at);
        tokens
    }

    pub async fn revoke_token(&self, username: &str, id: &str) -> Result<()> {
        let found = self
            .inner
            .read()
            .credentials
            .iter()
            .find(|(_, c)| c.kind == Kind::Token && c.username == username && c.id == id)
            .map(|(key, _)| *key);
        let key = found.ok_or_else(|| Error::not_found("identity.token", "没有此令牌"))?;
        self.end(vec![key], "token_revoked").await
    }

    /// Ends a user's sessions and tokens, but for one.
    pub async fn end_all(&self, username: &str, keep: Option<[u8; 32]>) -> Result<()> {
        let keys = self
            .inner
            .read()
            .credentials
            .iter()
            .filter(|(key, c)| c.username == username && Some(**key) != keep)
            .map(|(key, _)| *key)
            .collect();
        self.end(keys, "sessions_ended").await
    }

    async fn end(&self, keys: Vec<[u8; 32]>, action: &'static str) -> Result<()> {
        let username = {
            let mut memory = self.inner.write();
            // Out of memory first: an ended session is not valid for another moment.
            let gone: Vec<_> = keys.iter().filter_map(|key| memory.credentials.remove(key)).collect();
            match gone.first() {
                Some(credential) => credential.username.clone(),
                None => return Ok(()),
            }
        };
        self.tick();
        self.inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    for key in &keys {
                        sqlx::query("DELETE FROM credentials WHERE hash = ?")
                            .bind(&key[..])
                            .execute(txn.conn())
                            .await
                            .map_err(db)?;
                    }
                    audit(txn, &username, action, &username, None);
                    Ok(())
                })
            })
            .await
    }

    /// Once a minute: forgets what has ended and writes when sessions were last used.
    pub(super) fn spawn_upkeep(&self) {
        let inner: Weak<_> = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_secs(60));
            let mut written = 0;
            loop {
                every.tick().await;
                let Some(inner) = inner.upgrade() else { return };
                let identity = Identity { inner };
                let started = identity.inner.clock.now();
                if let Err(error) = identity.upkeep(written).await {
                    tracing::warn!(%error, "sessions were not tidied; again in a minute");
                    continue;
                }
                written = started;
            }
        });
    }

    pub(super) async fn upkeep(&self, since: i64) -> Result<()> {
        let now = self.inner.clock.now();
        self.forget_addresses();
        let (mut gone, mut seen) = (Vec::new(), Vec::new());
        for (key, credential) in &self.inner.read().credentials {
            let at = credential.seen_at.load(Ordering::Relaxed);
            if !self.is_live(credential, now) {
                gone.push(*key);
            } else if at >= since && at > credential.created_at {
                seen.push((*key, at));
            }
        }
        if gone.is_empty() && seen.is_empty() {
            return Ok(());
        }
        let ended = !gone.is_empty();
        if ended {
            let mut memory = self.inner.write();
            for key in &gone {
                memory.credentials.remove(key);
            }
        }
        if ended {
            self.tick();
        }
        self.inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    for key in gone {
                        sqlx::query("DELETE FROM credentials WHERE hash = ?")
                            .bind(&key[..])
                            .execute(txn.conn())
                            .await
                            .map_err(db)?;
                    }
                    for (key, at) in seen {
                        sqlx::query("UPDATE credentials SET seen_at = ? WHERE hash = ?")
                            .bind(at)
                            .bind(&key[..])
                            .execute(txn.conn())
                            .await
                            .map_err(db)?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

async fn insert(txn: &mut Txn, key: &[u8; 32], credential: &Credential, action: &str) -> Result<()> {
    sqlx::query("INSERT INTO credentials (hash, id, kind, username, csrf, scopes, address, created_at, seen_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(&key[..])
        .bind(&credential.id)
        .bind(credential.kind.name())
        .bind(&credential.username)
        .bind(&credential.csrf)
        .bind(json(&credential.scopes)?)
        .bind(&credential.address)
        .bind(credential.created_at)
        .bind(credential.created_at)
        .bind(credential.expires_at)
        .execute(txn.conn())
        .await
        .map_err(db)?;
    let entry = AuditEntry {
        at: txn.now(),
        actor: &credential.username,
        action,
        address: Some(&credential.address),
        ..AuditEntry::default()
    };
    txn.audit(&entry);
    Ok(())
}
