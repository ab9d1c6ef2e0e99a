//! The run of the model `influence`: rankings of government accounts by day, week and month.

use super::rows::{ALL, decimal, fields, int, replace, text};
use super::{Model, Running};
use crate::app::App;
use crate::error::Result;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use zonglan_catalog::time::to_local;
use zonglan_catalog::{Label, Value};
use zonglan_models::influence::rank::{Account, Period, Post, formulas, rows};

pub struct Media;

impl Model for Media {
    fn name(&self) -> &'static str {
        "influence"
    }

    fn label(&self) -> Label {
        Label::new("政务新媒体传播力", "Influence of government media")
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec!["media_account", "media_post"]
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec!["media_influence"]
    }

    fn version(&self, app: &App) -> Result<String> {
        let list = formulas(&app.catalogue())?;
        let text = serde_json::to_string(&list).unwrap_or_default();
        let names: Vec<&str> = list.iter().map(|(name, _)| name.as_str()).collect();
        Ok(format!("{}+{}", names.join("+"), &blake3::hash(text.as_bytes()).to_hex()[..8]))
    }

    fn params(&self, _app: &App) -> Json {
        json!({"days": 60, "weeks": 53, "months": 24})
    }

    fn run(&self, run: &Running) -> Result<()> {
        let formulas = formulas(&run.catalogue)?;
        let (mut accounts, mut names) = (Vec::new(), Vec::new());
        let mut places: HashMap<String, usize> = HashMap::new();
        run.each("media_account", &["id", "platform", "name", "agency", "district"], ALL, &mut |row| {
            let owned = |field: usize| row.text(field).unwrap_or_default().to_string();
            places.insert(owned(0), accounts.len());
            accounts.push(Account { id: owned(0), platform: owned(1) });
            names.push([owned(2), owned(3), owned(4)]);
        })?;
        let (mut posts, mut titles, mut strangers) = (Vec::new(), Vec::new(), 0u64);
        let read = [
            "id",
            "account_id",
            "posted_at",
            "reads",
            "looking",
            "likes",
            "shares",
            "comments",
            "headline",
            "original",
            "title",
        ];
        run.each("media_post", &read, ALL, &mut |row| {
            let Some(account) = row.text(1).and_then(|id| places.get(id)) else {
                strangers += 1;
                return;
            };
            let number = |field: usize| row.int(field).unwrap_or_default() as f64;
            posts.push(Post {
                id: row.text(0).unwrap_or_default().to_string(),
                account: *account,
                day: to_local(row.int(2).unwrap_or_default()).date(),
                reads: number(3),
                wows: number(4),
                likes: number(5),
                shares: number(6),
                comments: number(7),
                headline: row.int(8) == Some(1),
                original: row.int(9) == Some(1),
            });
            titles.push(row.text(10).unwrap_or_default().to_string());
        })?;
        let Some(until) = posts.iter().map(|p| p.day).max() else {
            run.note("没有文章");
            return Ok(());
        };
        let mut out = Vec::new();
        for (period, name, default) in
            [(Period::Day, "days", 60), (Period::Week, "weeks", 53), (Period::Month, "months", 24)]
        {
            run.check()?;
            let count = run.params()[name].as_u64().unwrap_or(default).clamp(1, 1_500) as usize;
            for row in rows(&formulas, &accounts, &posts, until, period, count)? {
                let account = &accounts[row.account];
                let [label, agency, district] = &names[row.account];
                let best = row.best.map(|i| (posts[i].id.as_str(), titles[i].as_str()));
                out.push(fields([
                    ("account_id", text(&account.id)),
                    ("account_name", text(label)),
                    ("agency", text(agency)),
                    ("platform", text(&account.platform)),
                    ("district", text(district)),
                    ("period", text(row.period.name())),
                    ("starts_on", Value::Date(row.start)),
                    ("formula", text(&row.formula)),
                    ("value", decimal(row.value, 4)),
                    ("rank", int(row.rank)),
                    ("rise", row.rise.map_or(Value::Null, Value::Int)),
                    ("change", row.change.map_or(Value::Null, |c| decimal(c, 4))),
                    ("posts", int(row.posts)),
                    ("reads", int(row.reads as i64)),
                    ("likes", int(row.likes as i64)),
                    ("shares", int(row.shares as i64)),
                    ("comments", int(row.comments as i64)),
                    ("best_post", best.map_or(Value::Null, |b| text(b.0))),
                    ("best_title", best.map_or(Value::Null, |b| text(b.1))),
                ]));
            }
        }
        run.count(|c| c.evaluated += out.len() as u64);
        let aside = if strangers > 0 {
            format!("；{strangers} 篇文章的账号未登记，未计算")
        } else {
            String::new()
        };
        run.note(format!("{} 个账号，{} 篇文章，至 {until}{aside}", accounts.len(), posts.len()));
        replace(run, "media_influence", out)
    }
}
