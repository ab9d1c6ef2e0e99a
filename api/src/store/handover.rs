//! Handing over all of a person's work (工作移交), and the clock's part in tasks: what is due soon,
//! what is overdue, and the reminders of it.

use super::chain::AuditEntry;
use super::delegations::{self, Delegation};
use super::error::db;
use super::list::Row as Stored;
use super::records::Author;
use super::tables::{column, table};
use super::task_rows::{notice, timeliness};
use super::task_steps;
use super::tasks::{Tasks, covers, instant, register};
use super::vault::Vault;
use super::writes;
use serde::Serialize;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::policy::Principal;
use zonglan_catalog::value::Value;

/// Tasks that one transaction moves on.
const CHUNK: i64 = 200;

/// What a hand-over moved.
#[derive(Debug, Clone, Serialize)]
pub struct HandedOver {
    pub tasks: u64,
    pub delegation: i64,
}

impl Tasks {
    /// Hands all open tasks of `from` (the asker, unless an administrator or leader says another)
    /// to `to`. New work goes there too until `until`, or for good.
    pub async fn hand_over(
        &self,
        principal: &Principal,
        from: Option<&str>,
        to: &str,
        until: Option<i64>,
        reason: &str,
    ) -> Result<HandedOver> {
        let catalogue = self.catalogue.get();
        let dataset = register(&catalogue)?;
        let reason = reason.trim().to_string();
        if reason.is_empty() {
            return Err(Error::user("tasks.note", "工作移交须填写原因"));
        }
        let from = from.unwrap_or(&principal.user).to_string();
        let giver = self.identity.users().into_iter().find(|u| u.username == from);
        let giver = giver.ok_or_else(|| Error::not_found("identity.user", format!("没有用户 '{from}'")))?;
        let taker = self.identity.principal(to)?;
        if from != principal.user {
            let policy = catalogue.policy();
            let above =
                policy.may(principal, "supervise") && giver.regions.iter().all(|r| covers(&principal.regions, r));
            if !above && !policy.may(principal, "users") {
                return Err(Error::forbidden("tasks.handover", "只能移交自己的工作，或由领导、管理员代为移交"));
            }
        }
        if taker.user == from {
            return Err(Error::user("tasks.to", "不能移交给本人"));
        }
        if !taker.roles.iter().any(|r| giver.roles.contains(r)) {
            return Err(Error::user("tasks.to", format!("「{}」没有相同的岗位，不能接收这些工作", taker.name))
                .with_hint("请选择岗位相同的同事"));
        }
        if until.is_some_and(|until| until <= self.clock.now()) {
            return Err(Error::user("tasks.until", "移交期限须晚于现在"));
        }
        let (actor, to) = (principal.user.clone(), taker.user);
        let handed = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let now = txn.now();
                    let sql = "INSERT INTO delegations (from_user, to_user, since, until, reason, actor) VALUES (?, ?, ?, ?, ?, ?) RETURNING id";
                    let delegation: i64 = sqlx::query_scalar(sql)
                        .bind(&from)
                        .bind(&to)
                        .bind(now)
                        .bind(until)
                        .bind(&reason)
                        .bind(&actor)
                        .fetch_one(txn.conn())
                        .await
                        .map_err(db)?;
                    let sql = format!(
                        "SELECT {} FROM {} WHERE state = 'open' AND {} = ? ORDER BY seq",
                        Stored::COLUMNS,
                        table(&dataset),
                        column(&dataset, "owner")
                    );
                    let rows = sqlx::query(&sql).bind(&from).fetch_all(txn.conn()).await.map_err(db)?;
                    let author = Author { user: actor.clone(), purpose: Some(reason.clone()) };
                    let mut moved = Vec::new();
                    for row in &rows {
                        let old = Stored::read(&Vault::NONE, &dataset, row)?;
                        let mut fields = old.fields.clone();
                        let reported = fields.get("status").and_then(Value::as_str) == Some("reported");
                        task_steps::hand(&mut fields, &from, &to);
                        if reported {
                            // Nothing is left to do but to hear the sender's word.
                            fields.insert("status".into(), Value::Text("reported".into()));
                        }
                        let state = old.state;
                        moved.push(writes::update(txn, &dataset, old, fields, state, "hand_over", &author).await?);
                    }
                    if let Some(last) = moved.last() {
                        let what = format!("{from} 移交给您 {} 项工作，其中", moved.len());
                        notice(txn, last, &to, &what, &format!("handover/{delegation}")).await?;
                    }
                    let detail = serde_json::json!({"from": from, "to": to, "until": until, "tasks": moved.len()});
                    let detail = detail.to_string();
                    txn.audit(&AuditEntry {
                        at: now,
                        actor: &actor,
                        action: "work_handed_over",
                        dataset: None,
                        record: None,
                        purpose: Some(&reason),
                        address: None,
                        detail: Some(&detail),
                    });
                    Ok(HandedOver { tasks: moved.len() as u64, delegation })
                })
            })
            .await?;
        self.notices.touch();
        Ok(handed)
    }

    /// Hand-overs in force from and to a user.
    pub async fn delegations(&self, user: &str) -> Result<Vec<Delegation>> {
        let mut conn = self.db.readers().acquire().await.map_err(db)?;
        delegations::of(&mut conn, user, self.clock.now()).await
    }

    /// Ends a hand-over of one's own work (or, for administrators, of anybody's). Tasks stay where
    /// they are.
    pub async fn end_delegation(&self, principal: &Principal, id: i64) -> Result<()> {
        let all = self.catalogue.get().policy().may(principal, "users");
        let (user, now) = (principal.user.clone(), self.clock.now());
        let ended = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let sql = "UPDATE delegations SET until = ?1 WHERE id = ?2 AND (?3 OR from_user = ?4) AND (until IS NULL OR until > ?1)";
                    let done = sqlx::query(sql).bind(now).bind(id).bind(all).bind(user).execute(txn.conn()).await;
                    Ok(done.map_err(db)?.rows_affected())
                })
            })
            .await?;
        if ended == 0 {
            return Err(Error::not_found("tasks.delegation", "没有这项移交，或它已经结束"));
        }
        Ok(())
    }

    /// Marks what has become due soon or overdue and reminds owner and sender. Returns how many.
    pub async fn remind(&self) -> Result<u64> {
        let Ok(dataset) = register(&self.catalogue.get()) else { return Ok(0) };
        let mut count = 0;
        loop {
            let dataset = dataset.clone();
            let moved = self
                .db
                .write(move |txn| {
                    Box::pin(async move {
                        let now = txn.now();
                        let (due, timely) = (column(&dataset, "due_at"), column(&dataset, "timeliness"));
                        let sql = format!(
                            "SELECT {} FROM {} WHERE state = 'open' AND {due} < ?1 + 86400000 AND ({timely} = 'on_track' OR ({due} < ?1 AND {timely} = 'due_soon')) LIMIT {CHUNK}",
                            Stored::COLUMNS,
                            table(&dataset)
                        );
                        let rows = sqlx::query(&sql).bind(now).fetch_all(txn.conn()).await.map_err(db)?;
                        for row in &rows {
                            let old = Stored::read(&Vault::NONE, &dataset, row)?;
                            let is = timeliness(instant(&old.fields, "due_at"), now);
                            let mut fields = old.fields.clone();
                            fields.insert("timeliness".into(), Value::Text(is.into()));
                            let state = old.state;
                            let author = Author { user: "system".into(), purpose: None };
                            let stored = writes::update(txn, &dataset, old, fields, state, is, &author).await?;
                            let person = |name: &str| stored.fields.get(name).and_then(Value::as_str).map(String::from);
                            let reported = stored.fields.get("status").and_then(Value::as_str) == Some("reported");
                            let what = if is == "overdue" { "任务已超期" } else { "任务即将到期" };
                            if let Some(owner) = person("owner").filter(|_| !reported) {
                                notice(txn, &stored, &owner, what, is).await?;
                            }
                            let by_person = stored.fields.get("source").and_then(Value::as_str) == Some("person");
                            if let Some(sender) = person("sender").filter(|_| by_person && is == "overdue") {
                                notice(txn, &stored, &sender, "您交办的任务已超期", "overdue-sent").await?;
                            }
                        }
                        Ok(rows.len() as u64)
                    })
                })
                .await?;
            count += moved;
            if moved < CHUNK as u64 {
                break;
            }
        }
        if count > 0 {
            self.notices.touch();
        }
        Ok(count)
    }
}
