//! The steps of a task as values: who may take which, and what it leaves behind.
//!
//! ```text
//! open ──acknowledge──► acknowledged ──report──► reported ──confirm──► done
//!                             ▲                      │ return
//!                             └──────────────────────┘
//! ```

use super::task_rows::timeliness;
use super::tasks::StepInput;
use super::values::{Fields, State};
use serde::{Deserialize, Serialize};
use zonglan_catalog::error::{Error, ErrorClass, Result};
use zonglan_catalog::value::Value;

/// What somebody is to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Owner,
    Sender,
    Supervisor,
    /// Sees it and no more.
    Reader,
}

/// What may be done with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// 签收
    Acknowledge,
    /// 反馈: done, or for the sender to confirm
    Report,
    /// 办结
    Complete,
    /// 确认办结
    Confirm,
    /// 退回
    Return,
    /// 说明情况
    Explain,
    /// 上报
    Escalate,
    /// 延期
    Extend,
    /// 转派
    Reassign,
    /// 催办
    Urge,
    /// 撤销
    Cancel,
}

const ALL: [Step; 11] = [
    Step::Acknowledge,
    Step::Report,
    Step::Complete,
    Step::Confirm,
    Step::Return,
    Step::Explain,
    Step::Escalate,
    Step::Extend,
    Step::Reassign,
    Step::Urge,
    Step::Cancel,
];

impl Step {
    pub fn name(self) -> &'static str {
        match self {
            Step::Acknowledge => "acknowledge",
            Step::Report => "report",
            Step::Complete => "complete",
            Step::Confirm => "confirm",
            Step::Return => "return",
            Step::Explain => "explain",
            Step::Escalate => "escalate",
            Step::Extend => "extend",
            Step::Reassign => "reassign",
            Step::Urge => "urge",
            Step::Cancel => "cancel",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Step::Acknowledge => "签收",
            Step::Report => "反馈",
            Step::Complete => "办结",
            Step::Confirm => "确认办结",
            Step::Return => "退回",
            Step::Explain => "说明",
            Step::Escalate => "上报",
            Step::Extend => "延期",
            Step::Reassign => "转派",
            Step::Urge => "催办",
            Step::Cancel => "撤销",
        }
    }
}

impl std::str::FromStr for Step {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|s| s.name()).collect();
            Error::not_found("tasks.action", format!("没有操作 '{name}' (no such action)"))
                .with_hint(format!("可用: {}", names.join(", ")))
        })
    }
}

fn flag(fields: &Fields, name: &str) -> bool {
    fields.get(name) == Some(&Value::Bool(true))
}

/// The steps that are offered.
pub(super) fn offered(fields: &Fields, state: State, roles: &[Role]) -> Vec<Step> {
    if state == State::Closed {
        return Vec::new();
    }
    let is = |role: Role| roles.contains(&role);
    let status = fields.get("status").and_then(Value::as_str).unwrap_or_default();
    let (automatic, confirm) = (flag(fields, "automatic"), flag(fields, "confirm"));
    let by_person = fields.get("source").and_then(Value::as_str) == Some("person");
    let owned = fields.contains_key("owner");
    let working = matches!(status, "open" | "acknowledged");
    let fits = |step: Step| match step {
        Step::Acknowledge => is(Role::Owner) && status == "open",
        Step::Report => is(Role::Owner) && working && confirm && !automatic,
        Step::Complete => is(Role::Owner) && working && !confirm && !automatic,
        Step::Confirm | Step::Return => is(Role::Sender) && status == "reported",
        Step::Explain => is(Role::Owner) && working,
        Step::Escalate => is(Role::Owner) && working && !flag(fields, "escalated"),
        Step::Extend => (is(Role::Sender) && by_person || is(Role::Supervisor)) && working && !automatic,
        Step::Reassign => (is(Role::Owner) || is(Role::Supervisor)) && working,
        Step::Urge => (is(Role::Sender) && by_person || is(Role::Supervisor)) && working && owned && !is(Role::Owner),
        Step::Cancel => (is(Role::Sender) && by_person || is(Role::Supervisor)) && !automatic,
    };
    ALL.into_iter().filter(|s| fits(*s)).collect()
}

/// A task after a step.
#[derive(Debug)]
pub(super) struct Done {
    pub fields: Fields,
    pub state: State,
}

/// Takes a step, or says why not.
pub(super) fn take(
    fields: &Fields,
    state: State,
    roles: &[Role],
    user: &str,
    step: Step,
    input: &StepInput,
    now: i64,
) -> Result<Done> {
    if !offered(fields, state, roles).contains(&step) {
        let automatic = flag(fields, "automatic") && matches!(step, Step::Complete | Step::Report);
        let message = if automatic {
            "此任务随业务办结，请在记录页面办理".to_string()
        } else {
            format!("此任务现在不能{}", step.label())
        };
        return Err(Error::new(ErrorClass::Conflict, "tasks.step", message).with_hint("请刷新后查看任务状态"));
    }
    let note = input.note.as_deref().map(str::trim).filter(|n| !n.is_empty());
    let needs_note = matches!(step, Step::Report | Step::Return | Step::Explain | Step::Extend | Step::Cancel);
    if needs_note && note.is_none() {
        return Err(Error::user("tasks.note", format!("{}须填写说明", step.label())));
    }
    if note.is_some_and(|n| n.chars().count() > 2000) {
        return Err(Error::user("tasks.note", "说明最多 2000 个字"));
    }
    let mut fields = fields.clone();
    let text = |v: &str| Value::Text(v.to_string());
    let own = |fields: &mut Fields| {
        fields.entry("owner".into()).or_insert_with(|| text(user));
        fields.entry("acknowledged_at".into()).or_insert(Value::Instant(now));
    };
    let mut state = state;
    match step {
        Step::Acknowledge => {
            own(&mut fields);
            fields.insert("status".into(), text("acknowledged"));
        }
        Step::Report => {
            own(&mut fields);
            fields.insert("status".into(), text("reported"));
            fields.insert("reported_at".into(), Value::Instant(now));
            fields.insert("feedback".into(), text(note.unwrap_or_default()));
        }
        Step::Complete => {
            own(&mut fields);
            if let Some(note) = note {
                fields.insert("feedback".into(), text(note));
            }
            fields = finished(&fields, user, now, false);
            state = State::Closed;
        }
        Step::Confirm => {
            // Whether it was in time is decided by the report, not by when the sender looked.
            let at = match fields.get("reported_at") {
                Some(Value::Instant(ms)) => *ms,
                _ => now,
            };
            let owner = fields.get("owner").map(Value::to_text).unwrap_or_default();
            fields = finished(&fields, &owner, at, false);
            state = State::Closed;
        }
        Step::Return => {
            fields.insert("status".into(), text("acknowledged"));
            fields.remove("reported_at");
        }
        Step::Explain => {
            own(&mut fields);
            fields.insert("status".into(), text("acknowledged"));
            fields.insert("explanation".into(), text(note.unwrap_or_default()));
        }
        Step::Escalate => {
            fields.insert("escalated".into(), Value::Bool(true));
            let urgency = fields.get("urgency").and_then(Value::as_str).unwrap_or_default();
            let raised = if urgency == "normal" { "urgent" } else { "critical" };
            fields.insert("urgency".into(), text(raised));
        }
        Step::Extend => {
            let due = input.due_at.filter(|due| *due > now);
            let due = due.ok_or_else(|| Error::user("tasks.due", "请给出晚于现在的期限"))?;
            fields.insert("due_at".into(), Value::Instant(due));
            fields.insert("timeliness".into(), text(timeliness(Some(due), now)));
        }
        Step::Reassign => {
            let to = input.to.as_deref().filter(|t| !t.is_empty());
            let to = to.ok_or_else(|| Error::user("tasks.to", "请选择接收人"))?;
            hand(&mut fields, user, to);
        }
        Step::Urge => {
            let urges = fields.get("urges").and_then(Value::as_f64).unwrap_or_default() as i64;
            fields.insert("urges".into(), Value::Int(urges + 1));
        }
        Step::Cancel => {
            fields = finished(&fields, user, now, true);
            state = State::Closed;
        }
    }
    Ok(Done { fields, state })
}

/// The task with another owner, who has to sign for it again.
pub(super) fn hand(fields: &mut Fields, from: &str, to: &str) {
    let before = fields.insert("owner".into(), Value::Text(to.into())).map(|v| v.to_text());
    fields.insert("handed_from".into(), Value::Text(before.unwrap_or_else(|| from.into())));
    fields.remove("acknowledged_at");
    fields.remove("role");
    fields.insert("status".into(), Value::Text("open".into()));
}

/// The task when it is over.
pub(super) fn finished(fields: &Fields, by: &str, now: i64, cancelled: bool) -> Fields {
    let mut fields = fields.clone();
    let instant = |fields: &Fields, name: &str| match fields.get(name) {
        Some(Value::Instant(ms)) => Some(*ms),
        _ => None,
    };
    let late = instant(&fields, "due_at").is_some_and(|due| due < now);
    let result = match (cancelled, late) {
        (true, _) => "cancelled",
        (false, true) => "late",
        (false, false) => "in_time",
    };
    let status = if cancelled { "cancelled" } else { "done" };
    for (name, value) in [("status", status), ("result", result), ("done_by", by)] {
        if !value.is_empty() {
            fields.insert(name.into(), Value::Text(value.into()));
        }
    }
    // Who did what waited for a post has taken it.
    if !cancelled && !by.is_empty() {
        fields.entry("owner".into()).or_insert_with(|| Value::Text(by.into()));
    }
    fields.insert("done_at".into(), Value::Instant(now));
    if let (Some(created), false) = (instant(&fields, "created_on"), cancelled) {
        // Tenths of hours, rounded to the nearest.
        let units = ((now - created).max(0) + 180_000) / 360_000;
        fields.insert("hours".into(), Value::Decimal { units, scale: 1 });
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Fields {
        let text = |v: &str| Value::Text(v.into());
        Fields::from([
            ("status".to_string(), text("open")),
            ("source".to_string(), text("person")),
            ("owner".to_string(), text("clerk")),
            ("sender".to_string(), text("leader")),
            ("urgency".to_string(), text("normal")),
            ("confirm".to_string(), Value::Bool(true)),
            ("created_on".to_string(), Value::Instant(0)),
            ("due_at".to_string(), Value::Instant(10_000_000)),
        ])
    }

    fn go(fields: &Fields, roles: &[Role], step: Step, note: &str, now: i64) -> Result<Done> {
        let input = StepInput { note: Some(note.into()), ..StepInput::default() };
        take(fields, State::Open, roles, "clerk", step, &input, now)
    }

    #[test]
    fn an_order_goes_its_way() {
        let owner = [Role::Owner];
        let signed = go(&order(), &owner, Step::Acknowledge, "", 1).expect("signed").fields;
        assert_eq!(go(&signed, &owner, Step::Report, " ", 2).expect_err("no note").code, "tasks.note");
        let reported = go(&signed, &owner, Step::Report, "已整改", 9_000_000).expect("reported").fields;
        assert!(offered(&reported, State::Open, &owner).is_empty(), "the owner waits for the sender");
        let back = go(&reported, &[Role::Sender], Step::Return, "证据不足", 9_100_000).expect("returned").fields;
        assert_eq!(back["status"], Value::Text("acknowledged".into()));
        // Confirmed after the end, but reported before it.
        let done = go(&reported, &[Role::Sender], Step::Confirm, "", 20_000_000).expect("confirmed");
        assert_eq!((done.state, &done.fields["result"]), (State::Closed, &Value::Text("in_time".into())));
        assert_eq!(done.fields["hours"], Value::Decimal { units: 25, scale: 1 });
    }

    #[test]
    fn tasks_that_close_with_a_record_are_not_closed_by_hand() {
        let mut fields = order();
        fields.insert("automatic".into(), Value::Bool(true));
        assert!(go(&fields, &[Role::Owner], Step::Complete, "", 1).expect_err("refused").message.contains("记录页面"));
        assert!(!offered(&fields, State::Open, &[Role::Supervisor]).contains(&Step::Cancel));
    }
}
