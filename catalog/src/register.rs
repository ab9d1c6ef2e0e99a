//! What makes a dataset a register: numbering, lifecycle, stages and actions, checks, tasks,
//! attachments, print-outs. Short forms (`review`, `dispatch`) become stages and actions in
//! [`crate::expand`].

use crate::codes::Label;
use crate::filter::Filter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What makes a dataset a register that clerks keep.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// How ids are made: `{prefix}`, `{yyyy}`, `{mm}`, `{region}`, `{seq:6}` and plain text.
    pub numbering: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifecycle: Vec<Lifecycle>,
    /// Where menus show it and what roles are given: a code of the list `business_area`, such as
    /// `police/regulated_trade`. Child records lie where their parent lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    /// Fields whose values must differ between open records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<String>,
    /// Sets of fields whose values, taken together, must differ between open records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_together: Vec<Vec<String>>,
    /// Conditions between fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check: Vec<Check>,
    /// The code field that holds the stage. It is added where the dataset does not declare it.
    #[serde(default = "stage_field")]
    pub stage_field: String,
    /// Stages in order; new records are in the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stage: Vec<Stage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub action: Vec<ActionRule>,
    /// Short for stages and actions: who reviews new and changed records, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub review: Vec<ReviewStep>,
    /// Short for stages and actions: 下发, 签收, 反馈, 退回, 归档.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Dispatch>,
    /// Tasks that follow from what records say: periodic inspections, deadlines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub task: Vec<TaskRule>,
    /// Which files may be attached. None: no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Attachments>,
    /// Shared child records (`packs/<system>/parts/`): each becomes the dataset `<this>_<part>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
    /// The official form for printing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<Print>,
    /// Kept by the program: nobody writes it by hand.
    #[serde(default)]
    pub system: bool,
    /// Shown as units of a house by floor (房态图).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
}

fn stage_field() -> String {
    "stage".into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// 登记
    Register,
    /// 变更
    Change,
    /// 注销
    Close,
    /// 恢复
    Restore,
}

/// What the texts of a field look like; the check digits are those of the standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// 公民身份号码, GB 11643-1999.
    IdNumber,
    /// 统一社会信用代码, GB 32100-2015.
    CreditCode,
    /// A mobile number of eleven digits, or a landline with area code.
    Phone,
    /// 机动车号牌, GA 36.
    Plate,
    Postcode,
    Email,
    /// The name of an account of this program; forms offer the colleagues.
    User,
}

/// A condition between fields.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// `a <= b`: fields, `today`, `now` or literals on both sides; `<`, `<=`, `>`, `>=`, `==`, `!=`.
    /// Holds where one side is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The record must meet this filter.
    #[serde(default, skip_serializing_if = "Filter::is_true")]
    #[schemars(with = "serde_json::Value")]
    pub must: Filter,
    /// Only where the record meets this.
    #[serde(default, skip_serializing_if = "Filter::is_true")]
    #[schemars(with = "serde_json::Value")]
    pub when: Filter,
    /// Where the message is shown.
    pub field: String,
    pub message: Label,
}

/// One stage of a record's way.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub code: String,
    /// Needed where the stage field has no code list of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Whose turn it is: they get a task. `role:<role>`, `creator`, `field:<field with a user>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<String>,
    /// Time for it: `3d` days, `15wd` working days, `24h` hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Fields may be changed in this stage.
    #[serde(default = "yes")]
    pub editable: bool,
    /// A change of fields moves the record here (a reviewed record is reviewed again).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_change: Option<String>,
    /// Nothing is left to do.
    #[serde(default)]
    pub last: bool,
}

pub(crate) fn yes() -> bool {
    true
}

/// Something done to a record: it may ask for fields, set fields and move the record on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionRule {
    pub name: String,
    pub label: Label,
    /// Stages in which it is offered. Empty: every stage that is not the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// The stage afterwards. None: it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only where the record meets this.
    #[serde(default, skip_serializing_if = "Filter::is_true")]
    #[schemars(with = "serde_json::Value")]
    pub when: Filter,
    /// Who may do it, as in a stage. Empty: whose turn the stage says; without that, who may write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<String>,
    /// Fields that are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<String>,
    /// Fields that must be filled in afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
    /// Fields set by it: a value, or `today`, `now`, `user`; `null` empties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, serde_json::Value>,
    /// Asks for a reason.
    #[serde(default)]
    pub reason: bool,
    /// Returns: names the fields to be corrected, with remarks.
    #[serde(default)]
    pub names_fields: bool,
    /// Separation of duties: not by those who entered or changed the record since it was last
    /// approved, nor by their delegates.
    #[serde(default)]
    pub separate: bool,
    /// The record may leave the actor's regions (移交).
    #[serde(default)]
    pub moves: bool,
    /// Closes the record (注销) with it.
    #[serde(default)]
    pub closes: bool,
    /// Needs a file attached before.
    #[serde(default)]
    pub needs_file: bool,
}

/// One step of a review.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewStep {
    pub role: String,
    /// Such as 「所长审核」; 「审核」 where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

/// 下发 to somebody, 签收, 反馈, 退回, 归档.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// Who dispatches and archives. None: who may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The field with the user who handles it; added where the dataset does not declare it.
    #[serde(default = "handler")]
    pub handler: String,
    /// The field of the feedback; added where the dataset does not declare it.
    #[serde(default = "feedback")]
    pub feedback: String,
    /// Time to sign for it, and time to report back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge_due: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

fn handler() -> String {
    "handler".into()
}

fn feedback() -> String {
    "feedback".into()
}

/// A task that exists while a record meets a condition.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskRule {
    pub name: String,
    pub title: Label,
    #[serde(default, skip_serializing_if = "Filter::is_true")]
    #[schemars(with = "serde_json::Value")]
    pub when: Filter,
    /// What the time counts from: a date field, `created_at`, or `<child dataset>.<date field>` for
    /// the latest of the children (without children: `created_at`).
    pub since: String,
    /// When it is due after that: `90d`, `15wd`, `6m`. `0d`: on the date itself.
    pub after: String,
    /// Who does it, as in a stage.
    pub who: Vec<String>,
    /// How long before it is due the task appears; `7d` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<String>,
}

/// Files of a record.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachments {
    /// Of one file.
    #[serde(default = "max_mb")]
    pub max_mb: u32,
    #[serde(default = "max_count")]
    pub max_count: u32,
    /// Empty: all that the program knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<FileType>,
    /// What files may be of: `[["licence", "许可证", "Licence"]]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<(String, String, String)>,
}

fn max_mb() -> u32 {
    20
}

fn max_count() -> u32 {
    50
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    Pdf,
    Docx,
    Xlsx,
    Ofd,
    /// JPEG, PNG, WebP, TIFF.
    Image,
    /// Plain text in UTF-8 or GB18030.
    Txt,
}

/// The official form of a record.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Print {
    /// Heading of the form.
    pub title: String,
    /// Fields in order; empty: all that have a section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Lines for signatures: 「填表人」, 「审核人」.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
    /// The form that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
}

/// Units of a house by floor.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Field that groups units into buildings.
    pub building: String,
    /// Field of the floor (int).
    pub floor: String,
    /// Field of the unit's number.
    pub unit: String,
    /// Code field that colours the unit.
    pub status: String,
    /// Code or text fields shown as tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Register {
    pub fn has_flow(&self) -> bool {
        !self.stage.is_empty()
    }

    pub fn stage(&self, code: &str) -> Option<&Stage> {
        self.stage.iter().find(|s| s.code == code)
    }

    pub fn action(&self, name: &str) -> Option<&ActionRule> {
        self.action.iter().find(|a| a.name == name)
    }

    /// Whether an action is offered in a stage.
    pub fn offers(&self, action: &ActionRule, stage: &str) -> bool {
        if action.from.is_empty() {
            self.stage(stage).is_none_or(|s| !s.last)
        } else {
            action.from.iter().any(|f| f == stage)
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who<'a> {
    Role(&'a str),
    Creator,
    /// The user that a field names.
    Field(&'a str),
}

impl<'a> Who<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        match text.split_once(':') {
            Some(("role", role)) if !role.is_empty() => Some(Who::Role(role)),
            Some(("field", field)) if !field.is_empty() => Some(Who::Field(field)),
            None if text == "creator" => Some(Who::Creator),
            _ => None,
        }
    }
}

/// A length of time as files write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Hours(i64),
    Days(i64),
    Workdays(i64),
    Months(i64),
}

impl Length {
    /// `24h`, `3d`, `15wd`, `6m`, `1y`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let n: i64 = text[..digits].parse().ok().filter(|n| *n <= 100_000)?;
        Some(match &text[digits..] {
            "h" => Length::Hours(n),
            "d" => Length::Days(n),
            "wd" => Length::Workdays(n),
            "m" => Length::Months(n),
            "y" => Length::Months(12 * n),
            _ => return None,
        })
    }

    /// The moment that lies this long after `start` (milliseconds since 1970 UTC). Days end with
    /// the local day; the day of the start does not count (民法典 201).
    pub fn after(self, start: i64, calendar: &crate::calendar::Calendar) -> i64 {
        use crate::time::{local_midnight, to_local};
        let day = to_local(start).date();
        let end_of = |date: chrono::NaiveDate| local_midnight(date.succ_opt().unwrap_or(date)) - 1;
        match self {
            Length::Hours(n) => start + n * 3_600_000,
            Length::Days(n) => end_of(day.checked_add_days(chrono::Days::new(n as u64)).unwrap_or(day)),
            Length::Months(n) => end_of(day.checked_add_months(chrono::Months::new(n as u32)).unwrap_or(day)),
            Length::Workdays(n) => {
                let (mut date, mut left) = (day, n);
                while left > 0 {
                    let Some(next) = date.succ_opt() else { break };
                    date = next;
                    left -= i64::from(calendar.is_workday(date));
                }
                end_of(date)
            }
        }
    }

    /// Milliseconds, working days as days and months as thirty days; for lead times.
    pub fn millis(self) -> i64 {
        match self {
            Length::Hours(n) => n * 3_600_000,
            Length::Days(n) | Length::Workdays(n) => n * 86_400_000,
            Length::Months(n) => n * 30 * 86_400_000,
        }
    }
}

/// A comparison of a [`Check`], read from its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule<'a> {
    pub left: Operand<'a>,
    pub sign: &'a str,
    pub right: Operand<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operand<'a> {
    Field(&'a str),
    Today,
    Now,
    Number(f64),
    Text(&'a str),
}

impl<'a> Rule<'a> {
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let signs = ["<=", ">=", "==", "!=", "<", ">"];
        let found = signs.iter().filter_map(|sign| text.find(sign).map(|at| (at, *sign)));
        let (at, sign) = found
            .min_by_key(|(at, sign)| (*at, std::cmp::Reverse(sign.len())))
            .ok_or_else(|| format!("rule '{text}' has no comparison ({})", signs.join(" ")))?;
        let operand = |part: &'a str| {
            let part = part.trim();
            let quoted = part.strip_prefix('\'').and_then(|p| p.strip_suffix('\''));
            match part {
                "" => Err(format!("rule '{text}' lacks one side")),
                "today" => Ok(Operand::Today),
                "now" => Ok(Operand::Now),
                _ if quoted.is_some() => Ok(Operand::Text(quoted.unwrap_or_default())),
                number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                    number.parse().map(Operand::Number).map_err(|_| format!("rule '{text}': '{number}' is no number"))
                }
                field => Ok(Operand::Field(field)),
            }
        };
        Ok(Self { left: operand(&text[..at])?, sign, right: operand(&text[at + sign.len()..])? })
    }

    pub fn fields(&self) -> impl Iterator<Item = &'a str> {
        [&self.left, &self.right].into_iter().filter_map(|o| match o {
            Operand::Field(name) => Some(*name),
            _ => None,
        })
    }

    /// Whether an ordering of left against right satisfies the sign.
    pub fn accepts(&self, ordering: std::cmp::Ordering) -> bool {
        match self.sign {
            "<" => ordering.is_lt(),
            "<=" => ordering.is_le(),
            ">" => ordering.is_gt(),
            ">=" => ordering.is_ge(),
            "==" => ordering.is_eq(),
            _ => ordering.is_ne(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;

    #[test]
    fn lengths_count_from_the_next_day() {
        let start = crate::time::local_instant("2025-01-03T15:00:00".parse().expect("a moment"));
        let local = |length: &str| {
            let end = Length::parse(length).expect(length).after(start, &Calendar::default());
            crate::time::to_local(end).format("%Y-%m-%d %H:%M").to_string()
        };
        assert_eq!(local("24h"), "2025-01-04 15:00");
        assert_eq!(local("3d"), "2025-01-06 23:59");
        // A Friday: the weekend does not count.
        assert_eq!(local("3wd"), "2025-01-08 23:59");
        assert_eq!(local("1m"), "2025-02-03 23:59");
        assert_eq!(Length::parse("3 days"), None);
    }

    #[test]
    fn rules_read() {
        let rule = Rule::parse("cleared_on >= inspected_on").expect("reads");
        assert_eq!((rule.sign, rule.fields().collect::<Vec<_>>()), (">=", vec!["cleared_on", "inspected_on"]));
        assert_eq!(Rule::parse("a <= today").expect("reads").right, Operand::Today);
        assert_eq!(Rule::parse("a < 3.5").expect("reads").right, Operand::Number(3.5));
        assert_eq!(Rule::parse("a != 'x'").expect("reads").right, Operand::Text("x"));
        assert!(Rule::parse("a b").is_err() && Rule::parse("a <").is_err());
    }
}
