//! The run of the model `opinion`: texts cleaned, classified and sorted, alert rules by day, hot words by week.

use super::rows::{ALL, decimal, fields, int, replace, text};
use super::{Model, Running};
use crate::app::App;
use crate::error::Result;
use crate::store::NewWarning;
use chrono::{Datelike, Days, NaiveDate};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use zonglan_catalog::batch::{date_of, days};
use zonglan_catalog::time::to_local;
use zonglan_catalog::{Label, Value};
use zonglan_models::ModelError;
use zonglan_models::opinion::{Alert, Assessed, Text, TopicRule, Topics, alerts, assess};
use zonglan_models::sentiment::{self, hot};

pub struct Opinion;

/// Words of a week's list.
const WORDS: usize = 30;

impl Model for Opinion {
    fn name(&self) -> &'static str {
        "opinion"
    }

    fn label(&self) -> Label {
        Label::new("舆情研判与预警", "Public opinion by topic")
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec!["public_opinion"]
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec!["opinion_assessment", "opinion_alert", "hot_word"]
    }

    fn version(&self, app: &App) -> Result<String> {
        let trained = app.models.sentiment()?.ok_or(ModelError::NotTrained)?;
        Ok(format!("{}+{}", Topics::load(&app.catalogue())?.version(), trained.card.version))
    }

    fn params(&self, _app: &App) -> Json {
        json!({"alert_days": 120, "word_weeks": 26})
    }

    fn run(&self, run: &Running) -> Result<()> {
        let model = run.app.models.sentiment()?.ok_or(ModelError::NotTrained)?;
        let topics = Topics::load(&run.catalogue)?;
        // The text as collected is not shown to anybody: mentions in it are names.
        let mut rows: Vec<(i64, String, Text)> = Vec::new();
        run.each_clear("public_opinion", &["id", "published_at", "platform", "district", "text"], ALL, &mut |row| {
            let at = row.int(1).unwrap_or_default();
            let owned = |field: usize| row.text(field).unwrap_or_default().to_string();
            let day = days(to_local(at).date());
            rows.push((at, owned(0), Text { text: owned(4), platform: owned(2), district: owned(3), day }));
        })?;
        rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let Some(last) = rows.last().map(|r| r.2.day) else {
            run.note("没有文本");
            return Ok(());
        };
        let mut ids = Vec::with_capacity(rows.len());
        let mut texts = Vec::with_capacity(rows.len());
        for (at, id, text) in rows {
            ids.push((at, id));
            texts.push(text);
        }
        run.progress(0.1, format!("{} 条文本", texts.len()));
        let assessed = assess(&texts, &model, &topics);
        run.count(|c| c.evaluated += texts.len() as u64);
        run.check()?;
        replace(run, "opinion_assessment", assessments(&ids, &texts, &assessed, &model.card.version))?;
        run.progress(0.6, "预警规则");
        let number =
            |name: &str, default: i32| run.params()[name].as_i64().map_or(default, |n| n.clamp(1, 3_660) as i32);
        let states = alerts(topics.rules(), &texts, &assessed, last - number("alert_days", 120) + 1..=last);
        warn(run, topics.rules(), &states, last)?;
        replace(run, "opinion_alert", states.iter().map(|s| alert(&topics.rules()[s.rule], s)).collect())?;
        run.progress(0.8, "热词");
        let words = hot_words(&texts, &assessed, date_of(last), number("word_weeks", 26));
        replace(run, "hot_word", words)?;
        let copies = assessed.iter().enumerate().filter(|(i, a)| a.first != *i).count();
        let open = states.iter().filter(|s| s.day == last && s.alert).count();
        run.note(format!("{} 条文本，其中近似转载 {copies} 条；最近一日 {open} 条规则达到阈值", texts.len()));
        Ok(())
    }
}

fn assessments(
    ids: &[(i64, String)],
    texts: &[Text],
    assessed: &[Assessed],
    version: &str,
) -> Vec<super::running::Fields> {
    let label = |label| match label {
        sentiment::Label::Positive => "positive",
        sentiment::Label::Negative => "negative",
        sentiment::Label::Uncertain => "uncertain",
    };
    ids.iter()
        .zip(texts)
        .zip(assessed)
        .enumerate()
        .map(|(index, (((at, id), t), a))| {
            fields([
                ("id", text(id)),
                ("published_at", Value::Instant(*at)),
                ("platform", text(&t.platform)),
                ("district", text(&t.district)),
                ("text", text(&a.text)),
                ("topic", text(&a.topic)),
                ("sentiment", text(label(a.label))),
                ("negative_probability", decimal(1.0 - a.positive, 3)),
                ("copy", Value::Bool(a.first != index)),
                ("first_id", text(&ids[a.first].1)),
                ("copies", int(a.copies)),
                ("model_version", text(version)),
            ])
        })
        .collect()
}

fn alert(rule: &TopicRule, state: &Alert) -> super::running::Fields {
    let platforms: Vec<String> = state.platforms.iter().map(|(p, n)| format!("{p} {n}")).collect();
    fields([
        ("rule", text(&rule.name)),
        ("rule_label", text(&rule.label.zh)),
        ("rule_version", text(&rule.version)),
        ("topic", text(&rule.topic)),
        ("day", Value::Date(date_of(state.day))),
        ("district", text(&state.district)),
        ("window_days", int(rule.window_days)),
        ("texts", int(state.texts)),
        ("negative", int(state.negative)),
        ("uncertain", int(state.uncertain)),
        ("share", decimal(state.share * 100.0, 1)),
        ("platforms", text(platforms.join("、"))),
        ("alert", Value::Bool(state.alert)),
        ("started", Value::Bool(state.started)),
    ])
}

/// Raises a warning for each alert of the last day, once from its first day on, and closes those that are over.
fn warn(run: &Running, rules: &[TopicRule], states: &[Alert], last: i32) -> Result<()> {
    let mut since: BTreeMap<(usize, &str), i32> = BTreeMap::new();
    let (mut open, mut over) = (Vec::new(), Vec::new());
    let key = |rule: usize, district: &str, day: i32| format!("{}:{district}:{}", rules[rule].name, date_of(day));
    for state in states {
        let at = (state.rule, state.district.as_str());
        if state.alert {
            let first = *since.entry(at).or_insert(state.day);
            if state.day == last {
                open.push(NewWarning {
                    key: key(state.rule, &state.district, first),
                    title: format!("{}：{}", rules[state.rule].label.zh, rules[state.rule].explain(state)),
                    region: state.district.clone(),
                    link: "/boards/public_opinion".into(),
                });
            }
        } else if let Some(first) = since.remove(&at) {
            over.push(key(state.rule, &state.district, first));
        }
    }
    let held: Vec<&String> = open.iter().map(|w| &w.key).collect();
    over.extend(since.iter().map(|((r, d), day)| key(*r, d, *day)).filter(|k| !held.contains(&k)).collect::<Vec<_>>());
    run.warn(open)?;
    run.close_warnings(over)
}

/// The hot words of each week against the four weeks before, from texts that copy none.
fn hot_words(texts: &[Text], assessed: &[Assessed], last: NaiveDate, weeks: i32) -> Vec<super::running::Fields> {
    let monday = |date: NaiveDate| date - Days::new(u64::from(date.weekday().num_days_from_monday()));
    let mut by_week: BTreeMap<NaiveDate, Vec<&str>> = BTreeMap::new();
    for (index, (t, a)) in texts.iter().zip(assessed).enumerate() {
        if a.first == index {
            by_week.entry(monday(date_of(t.day))).or_default().push(&a.text);
        }
    }
    let mut out = Vec::new();
    for n in 0..weeks.max(0) {
        let week = monday(last) - Days::new(7 * n as u64);
        let Some(now) = by_week.get(&week) else { continue };
        let before: Vec<&str> =
            by_week.range(week - Days::new(28)..week).flat_map(|(_, t)| t.iter().copied()).collect();
        if before.is_empty() {
            continue;
        }
        for (rank, word) in hot::hot_words(now, &before, WORDS).into_iter().enumerate() {
            out.push(fields([
                ("week", Value::Date(week)),
                ("word", text(&word.word)),
                ("rank", int(rank + 1)),
                ("texts", int(word.texts)),
                ("before", int(word.before)),
                ("z", decimal(word.z, 1)),
                ("district", text("310000")),
            ]));
        }
    }
    out
}
