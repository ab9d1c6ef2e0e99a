//! Users, their sign-ins and their rights. Users and credentials are few and asked for with every
//! request, so they are held in memory and written through to the database.

use super::chain::AuditEntry;
use super::credentials::Credential;
use super::crypto::{hex, random, sm3};
use super::db::Db;
use super::error::db;
use super::passwords::{Hasher, check_strength};
use super::txn::Txn;
use super::users::load;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, RwLock};
use tokio::sync::watch;
use zonglan_catalog::error::{Error, ErrorClass, FieldError, Result};
use zonglan_catalog::policy::{Grant, Principal};
use zonglan_catalog::traits::Clock;

/// Limits of sign-ins and sessions; times in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct IdentityOptions {
    /// A session without requests ends after this.
    pub idle: i64,
    /// Every session ends after this.
    pub absolute: i64,
    /// Wrong passwords in a row after which a user is locked.
    pub failures: u32,
    /// How long a user stays locked.
    pub lock: i64,
    /// Sessions of one user at the same time; the one that was used longest ago ends for a new one.
    pub sessions: usize,
    /// Sign-ins that one address may try in a minute.
    pub attempts_per_minute: u32,
}

impl Default for IdentityOptions {
    fn default() -> Self {
        Self {
            idle: 30 * 60_000,
            absolute: 12 * 3_600_000,
            failures: 5,
            lock: 15 * 60_000,
            sessions: 100,
            attempts_per_minute: 60,
        }
    }
}

/// A user without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    pub username: String,
    pub name: String,
    pub roles: Vec<String>,
    /// Region codes; `310000` is the whole city.
    pub regions: Vec<String>,
    pub disabled: bool,
    pub must_change: bool,
    /// Milliseconds since 1970 UTC until when sign-ins are refused; 0: not locked.
    pub locked_until: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub username: String,
    pub name: String,
    pub password: String,
    pub roles: Vec<String>,
    pub regions: Vec<String>,
    /// The first sign-in asks for a new password.
    #[serde(default)]
    pub must_change: bool,
}

/// Changes of a user; `None` leaves as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserPatch {
    pub name: Option<String>,
    pub roles: Option<Vec<String>>,
    pub regions: Option<Vec<String>>,
    pub disabled: Option<bool>,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub info: UserInfo,
    pub password_hash: String,
    pub grants_version: u64,
    pub failures: u32,
    pub grants: Vec<Grant>,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub users: HashMap<String, User>,
    pub credentials: HashMap<[u8; 32], Credential>,
}

pub(super) struct Inner {
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    pub options: IdentityOptions,
    pub memory: RwLock<Memory>,
    pub changes: watch::Sender<u64>,
    pub hasher: Hasher,
    limiter: DefaultKeyedRateLimiter<IpAddr>,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Identity {
    pub(super) inner: Arc<Inner>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Users of the demo city: name, Chinese name, role, region.
const DEMO_USERS: [(&str, &str, &str, &str); 10] = [
    ("admin", "演示管理员", "admin", "310000"),
    ("leader", "演示领导", "leader", "310000"),
    ("analyst", "演示分析员", "analyst", "310000"),
    ("legal", "演示法制员", "legal", "310000"),
    ("clerk", "演示登记员", "clerk", "310000"),
    ("auditor", "演示审计员", "auditor", "310000"),
    ("leader-310104", "徐汇区领导", "leader", "310104"),
    ("analyst-310104", "徐汇区分析员", "analyst", "310104"),
    ("clerk-310104", "徐汇区登记员", "clerk", "310104"),
    ("clerk-310105", "长宁区登记员", "clerk", "310105"),
];

pub(super) fn wrong_password() -> Error {
    Error::new(ErrorClass::Unauthenticated, "identity.password", "用户名或密码不正确")
        .with_hint("请核对大小写；连续多次错误会被暂时锁定")
}

impl Identity {
    pub(super) async fn open(database: Db, clock: Arc<dyn Clock>, options: IdentityOptions) -> Result<Self> {
        let memory = load(&database, clock.now()).await?;
        let attempts = NonZeroU32::new(options.attempts_per_minute).unwrap_or(NonZeroU32::MIN);
        let inner = Inner {
            db: database,
            clock,
            options,
            memory: RwLock::new(memory),
            changes: watch::Sender::new(0),
            hasher: Hasher::new(),
            limiter: RateLimiter::keyed(Quota::per_minute(attempts)),
        };
        let identity = Self { inner: Arc::new(inner) };
        identity.spawn_upkeep();
        Ok(identity)
    }

    /// Ticks with every end of a session and change of rights: whoever holds an open stream then
    /// asks [`Identity::rebind`] again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    pub(super) fn tick(&self) {
        self.inner.changes.send_modify(|n| *n += 1);
    }

    pub(super) fn user(&self, username: &str) -> Option<User> {
        self.inner.read().users.get(username).cloned()
    }

    pub(super) fn limit(&self, address: IpAddr) -> Result<()> {
        self.inner.limiter.check_key(&address).map_err(|_| {
            Error::new(ErrorClass::Busy, "identity.rate", "此地址登录尝试过于频繁").with_hint("请一分钟后再试")
        })
    }

    pub(super) fn forget_addresses(&self) {
        self.inner.limiter.retain_recent();
    }

    /// All users, by name.
    pub fn users(&self) -> Vec<UserInfo> {
        let mut users: Vec<_> = self.inner.read().users.values().map(|u| u.info.clone()).collect();
        users.sort_by(|a, b| a.username.cmp(&b.username));
        users
    }

    /// What `user` may do now, as `zonglan policy explain` and jobs ask it. Fails for disabled users.
    pub fn principal(&self, username: &str) -> Result<Principal> {
        let user = self.user(username).filter(|u| !u.info.disabled);
        let user = user.ok_or_else(|| Error::not_found("identity.user", format!("没有用户 '{username}'，或已停用")))?;
        Ok(user.principal(self.inner.clock.now()))
    }

    pub async fn create_user(&self, actor: &str, new: NewUser) -> Result<UserInfo> {
        check_strength(&new.username, &new.password)?;
        self.add_user(actor, new).await
    }

    async fn add_user(&self, actor: &str, new: NewUser) -> Result<UserInfo> {
        let named = (2..=64).contains(&new.username.len())
            && new.username.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'));
        if !named {
            let message = "用户名为 2 到 64 个字母、数字或 - _ . @".to_string();
            return Err(Error::user("identity.username", message.clone())
                .with_fields(vec![FieldError { field: "username".into(), message }]));
        }
        let password_hash = self.inner.hasher.hash(&new.password).await?;
        let info = UserInfo {
            username: new.username,
            name: new.name,
            roles: new.roles,
            regions: new.regions,
            disabled: false,
            must_change: new.must_change,
            locked_until: 0,
        };
        let user = User { info: info.clone(), password_hash, grants_version: 1, failures: 0, grants: Vec::new() };
        let (stored, actor) = (user.clone(), actor.to_string());
        self.inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let info = &stored.info;
                    let done = sqlx::query(
                        "INSERT INTO users (username, name, password_hash, roles, regions, must_change, created_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    )
                    .bind(&info.username)
                    .bind(&info.name)
                    .bind(&stored.password_hash)
                    .bind(json(&info.roles)?)
                    .bind(json(&info.regions)?)
                    .bind(info.must_change)
                    .bind(txn.now())
                    .execute(txn.conn())
                    .await
                    .map_err(db)?;
                    if done.rows_affected() == 0 {
                        let message = format!("用户 {} 已存在", info.username);
                        return Err(Error::new(ErrorClass::Conflict, "identity.exists", message));
                    }
                    audit(txn, &actor, "user_created", &info.username, Some(json(info)?));
                    Ok(())
                })
            })
            .await?;
        self.inner.write().users.insert(info.username.clone(), user);
        Ok(info)
    }

    /// Changes name, roles, regions or whether a user is disabled; open sessions feel it at once.
    pub async fn update_user(&self, actor: &str, username: &str, patch: UserPatch) -> Result<UserInfo> {
        self.change(actor, username, "user_changed", move |user| {
            let info = &mut user.info;
            info.name = patch.name.clone().unwrap_or_else(|| info.name.clone());
            info.roles = patch.roles.clone().unwrap_or_else(|| info.roles.clone());
            info.regions = patch.regions.clone().unwrap_or_else(|| info.regions.clone());
            info.disabled = patch.disabled.unwrap_or(info.disabled);
            user.grants_version += 1;
        })
        .await
    }

    /// Lets a locked user sign in again at once.
    pub async fn unlock(&self, actor: &str, username: &str) -> Result<UserInfo> {
        self.change(actor, username, "user_unlocked", |user| {
            user.failures = 0;
            user.info.locked_until = 0;
        })
        .await
    }

    /// A new password given by an administrator; ends the user's sessions.
    pub async fn set_password(&self, actor: &str, username: &str, password: &str, must_change: bool) -> Result<()> {
        check_strength(username, password)?;
        self.store_password(actor, username, password, must_change).await?;
        self.end_all(username, None).await
    }

    /// A user changes their own password; their other sessions end. `keep` is the key of the
    /// session that goes on.
    pub async fn change_password(&self, username: &str, old: &str, new: &str, keep: Option<[u8; 32]>) -> Result<()> {
        let user = self.user(username).ok_or_else(wrong_password)?;
        if !self.inner.hasher.verify(old, Some(user.password_hash)).await? {
            let message = "原密码不正确".to_string();
            return Err(Error::user("identity.password", message.clone())
                .with_fields(vec![FieldError { field: "old".into(), message }]));
        }
        if old == new {
            return Err(Error::user("identity.weak_password", "新密码不能与原密码相同"));
        }
        check_strength(username, new)?;
        self.store_password(username, username, new, false).await?;
        self.end_all(username, keep).await
    }

    async fn store_password(&self, actor: &str, username: &str, password: &str, must_change: bool) -> Result<()> {
        let hash = self.inner.hasher.hash(password).await?;
        self.change(actor, username, "password_changed", move |user| {
            user.password_hash.clone_from(&hash);
            user.info.must_change = must_change;
            user.info.locked_until = 0;
            user.failures = 0;
        })
        .await
        .map(|_| ())
    }

    /// Gives extra access with purpose and end; open sessions feel it at once.
    pub async fn grant(&self, actor: &str, username: &str, grant: Grant) -> Result<()> {
        let body = json(&grant)?;
        let (id, user) = (grant.id.clone(), username.to_string());
        self.inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let sql = "INSERT INTO grants (username, id, body) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body";
                    sqlx::query(sql).bind(user).bind(id).bind(body).execute(txn.conn()).await.map(|_| ()).map_err(db)
                })
            })
            .await?;
        self.change(actor, username, "grant_given", move |user| {
            user.grants.retain(|g| g.id != grant.id);
            user.grants.push(grant.clone());
            user.grants_version += 1;
        })
        .await
        .map(|_| ())
    }

    pub async fn revoke_grant(&self, actor: &str, username: &str, id: &str) -> Result<()> {
        let (user, grant) = (username.to_string(), id.to_string());
        self.inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM grants WHERE username = ? AND id = ?")
                        .bind(user)
                        .bind(grant)
                        .execute(txn.conn())
                        .await
                        .map(|_| ())
                        .map_err(db)
                })
            })
            .await?;
        let id = id.to_string();
        self.change(actor, username, "grant_revoked", move |user| {
            user.grants.retain(|g| g.id != id);
            user.grants_version += 1;
        })
        .await
        .map(|_| ())
    }

    /// Applies a change to the stored user, then to the one in memory. Changes of one user come
    /// one after another, since the writer runs them so.
    pub(super) async fn change(
        &self,
        actor: &str,
        username: &str,
        action: &'static str,
        change: impl Fn(&mut User) + Send + 'static,
    ) -> Result<UserInfo> {
        let inner = self.inner.clone();
        let (actor, name) = (actor.to_string(), username.to_string());
        let info = self
            .inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let Some(mut user) = inner.read().users.get(&name).cloned() else {
                        return Err(Error::not_found("identity.user", format!("没有用户 '{name}'")));
                    };
                    change(&mut user);
                    let info = &user.info;
                    sqlx::query(
                        "UPDATE users SET name = ?, password_hash = ?, roles = ?, regions = ?, disabled = ?, must_change = ?, grants_version = ?, failures = ?, locked_until = ? WHERE username = ?",
                    )
                    .bind(&info.name)
                    .bind(&user.password_hash)
                    .bind(json(&info.roles)?)
                    .bind(json(&info.regions)?)
                    .bind(info.disabled)
                    .bind(info.must_change)
                    .bind(user.grants_version as i64)
                    .bind(user.failures)
                    .bind(info.locked_until)
                    .bind(&name)
                    .execute(txn.conn())
                    .await
                    .map_err(db)?;
                    audit(txn, &actor, action, &name, Some(json(info)?));
                    let info = user.info.clone();
                    inner.write().users.insert(name, user);
                    Ok(info)
                })
            })
            .await;
        if info.is_err() {
            // The transaction may have failed after memory was changed; disk is right.
            self.reload(username).await;
        }
        // Counting wrong passwords changes nobody's rights; strangers must not wake every stream.
        if !matches!(action, "login_failed" | "failures_cleared") {
            self.tick();
        }
        info
    }

    async fn reload(&self, username: &str) {
        match load(&self.inner.db, self.inner.clock.now()).await {
            Ok(mut fresh) => {
                if let Some(user) = fresh.users.remove(username) {
                    self.inner.write().users.insert(username.to_string(), user);
                }
            }
            Err(error) => tracing::error!(%error, username, "user could not be read again"),
        }
    }

    /// At the first start, makes `admin` with a random password, which is returned this once and
    /// must be changed at the first sign-in.
    pub async fn ensure_admin(&self) -> Result<Option<String>> {
        if !self.inner.read().users.is_empty() {
            return Ok(None);
        }
        let password = random_password()?;
        let new = NewUser {
            username: "admin".into(),
            name: "系统管理员".into(),
            password: password.clone(),
            roles: vec!["admin".into()],
            regions: vec!["310000".into()],
            must_change: true,
        };
        self.create_user("system", new).await?;
        Ok(Some(password))
    }

    /// Makes the users of the demo, or gives those that are there this password. Only for `--demo`.
    pub async fn ensure_demo_users(&self, password: &str) -> Result<Vec<UserInfo>> {
        let mut users = Vec::with_capacity(DEMO_USERS.len());
        for (username, name, role, region) in DEMO_USERS {
            let info = match self.user(username) {
                None => {
                    let (roles, regions) = (vec![role.into()], vec![region.into()]);
                    let new = NewUser {
                        username: username.into(),
                        name: name.into(),
                        password: password.into(),
                        roles,
                        regions,
                        must_change: false,
                    };
                    self.add_user("system", new).await?
                }
                Some(user) if self.inner.hasher.verify(password, Some(user.password_hash.clone())).await? => user.info,
                Some(user) => {
                    self.store_password("system", username, password, false).await?;
                    user.info
                }
            };
            users.push(info);
        }
        Ok(users)
    }
}

/// A password of twenty characters that passes the check of strength: 96 random bits.
pub fn random_password() -> Result<String> {
    let bytes = hex(&random::<12>()?);
    Ok(format!("Zl-{}-{}-{}", &bytes[..8], &bytes[8..16], &bytes[16..]))
}

impl User {
    pub fn principal(&self, now: i64) -> Principal {
        Principal {
            user: self.info.username.clone(),
            name: self.info.name.clone(),
            roles: self.info.roles.clone(),
            regions: self.info.regions.clone(),
            purpose: None,
            grants: self.grants.iter().filter(|g| g.expires > now).cloned().collect(),
            grants_version: self.grants_version,
        }
    }
}

impl Inner {
    // A panic while the lock is held cannot leave a half-made map entry: entries are inserted whole.
    pub fn read(&self) -> std::sync::RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn write(&self) -> std::sync::RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

pub(super) fn audit(txn: &mut Txn, actor: &str, action: &str, username: &str, detail: Option<String>) {
    let entry = AuditEntry {
        at: txn.now(),
        actor,
        action,
        record: Some(username),
        detail: detail.as_deref(),
        ..AuditEntry::default()
    };
    txn.audit(&entry);
}

/// The key under which a secret is stored.
pub(super) fn secret_key(token: &str) -> [u8; 32] {
    sm3(&[b"zonglan credential", token.as_bytes()])
}
