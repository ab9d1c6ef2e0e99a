//! Who has taken over whose work. In turns of records and in the separation of duties the two
//! count as one person.

use super::error::db;
use serde::Serialize;
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeSet;
use zonglan_catalog::error::Result;

/// A hand-over of work. Times in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Serialize)]
pub struct Delegation {
    pub id: i64,
    pub from: String,
    pub to: String,
    pub since: i64,
    /// None: for good.
    pub until: Option<i64>,
    pub reason: String,
}

/// Who does a user's work now, where that was handed over; follows chains.
pub(super) async fn successor(conn: &mut SqliteConnection, user: &str, now: i64) -> Result<Option<String>> {
    let mut at = user.to_string();
    let mut seen = BTreeSet::from([at.clone()]);
    loop {
        let sql = "SELECT to_user FROM delegations WHERE from_user = ? AND since <= ? AND (until IS NULL OR until > ?) ORDER BY id DESC LIMIT 1";
        let next: Option<String> =
            sqlx::query_scalar(sql).bind(&at).bind(now).bind(now).fetch_optional(&mut *conn).await.map_err(db)?;
        match next {
            // A circle gives the work back.
            Some(next) if !seen.insert(next.clone()) => return Ok(None),
            Some(next) => at = next,
            None => return Ok((at != user).then_some(at)),
        }
    }
}

/// The users who count as the same person as this one: whose work they do now, and who does
/// theirs. The user is among them.
pub(super) async fn same_person(conn: &mut SqliteConnection, user: &str, now: i64) -> Result<BTreeSet<String>> {
    let sql = "SELECT from_user, to_user FROM delegations WHERE since <= ? AND (until IS NULL OR until > ?)";
    let rows = sqlx::query(sql).bind(now).bind(now).fetch_all(conn).await.map_err(db)?;
    let pairs: Vec<(String, String)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
    let mut same = BTreeSet::from([user.to_string()]);
    loop {
        let before = same.len();
        for (from, to) in &pairs {
            if same.contains(from) || same.contains(to) {
                same.insert(from.clone());
                same.insert(to.clone());
            }
        }
        if same.len() == before {
            return Ok(same);
        }
    }
}

/// Whose turns a user may take: the own, and those of users whose work was handed to them.
pub(super) async fn stands_for(conn: &mut SqliteConnection, user: &str, now: i64) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::from([user.to_string()]);
    let mut next = vec![user.to_string()];
    let sql = "SELECT from_user FROM delegations WHERE to_user = ? AND since <= ? AND (until IS NULL OR until > ?)";
    while let Some(at) = next.pop() {
        let from: Vec<String> =
            sqlx::query_scalar(sql).bind(&at).bind(now).bind(now).fetch_all(&mut *conn).await.map_err(db)?;
        next.extend(from.into_iter().filter(|f| found.insert(f.clone())));
    }
    Ok(found)
}

/// Hand-overs in force that concern a user.
pub(super) async fn of(conn: &mut SqliteConnection, user: &str, now: i64) -> Result<Vec<Delegation>> {
    let sql = "SELECT id, from_user, to_user, since, until, reason FROM delegations WHERE (from_user = ?1 OR to_user = ?1) AND (until IS NULL OR until > ?2) ORDER BY id DESC LIMIT 200";
    let rows = sqlx::query(sql).bind(user).bind(now).fetch_all(conn).await.map_err(db)?;
    let read = |row: &sqlx::sqlite::SqliteRow| Delegation {
        id: row.get("id"),
        from: row.get("from_user"),
        to: row.get("to_user"),
        since: row.get("since"),
        until: row.get("until"),
        reason: row.get("reason"),
    };
    Ok(rows.iter().map(read).collect())
}
