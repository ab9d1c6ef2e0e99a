//! What declarations leave out is filled in once, when files are read: inline code lists, groups
//! of fields, shared child records, the stages and actions of the short forms, the count measure.

use crate::codes::{CodeItem, CodeList, Label};
use crate::dataset::{Aggregate, Dataset, Field, FieldType, Measure, Parent};
use crate::register::{ActionRule, Register, Stage};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The field that holds what a return asks to correct, as a JSON object of remarks by field name;
/// added to registers with such an action.
pub const REMARKS: &str = "return_remarks";

/// One file of `packs/<system>/parts/`: fields that several datasets share, as a group in their
/// own rows (`use`) or as child records (`register.children`).
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub name: String,
    pub label: Label,
    #[serde(default)]
    pub description: String,
    /// Used in a dataset, the fields stand before its own and not behind them.
    #[serde(default)]
    pub at: At,
    pub field: Vec<Field>,
    /// Child records: rows are seen within one parent only; see [`Dataset::within_parent`].
    #[serde(default)]
    pub within_parent: bool,
    /// As in a dataset; for child records.
    #[serde(default)]
    pub time: Option<String>,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub list: Vec<String>,
    #[serde(default)]
    pub people: bool,
    #[serde(default)]
    pub measure: Vec<Measure>,
    #[serde(default)]
    pub register: Option<Register>,
}

/// Where a part's fields stand among those of a dataset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum At {
    Start,
    #[default]
    End,
}

/// A name that leads nowhere, in a dataset.
pub(crate) struct Missing {
    pub dataset: String,
    pub word: String,
    pub message: String,
}

pub(crate) fn expand(
    datasets: &mut BTreeMap<String, Arc<Dataset>>,
    codes: &mut BTreeMap<String, Arc<CodeList>>,
    parts: &BTreeMap<String, Part>,
) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut made = Vec::new();
    let find = |dataset: &Dataset, name: &str, missing: &mut Vec<Missing>| {
        let found = parts.get(name);
        if found.is_none() {
            let near = crate::check::nearest(name, parts.keys().map(String::as_str));
            let hint = near.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            let message = format!("unknown part '{name}'{hint}");
            missing.push(Missing { dataset: dataset.name.clone(), word: name.into(), message });
        }
        found
    };
    for dataset in datasets.values_mut() {
        let needed = dataset.register.is_some()
            || !dataset.uses.is_empty()
            || dataset.field.iter().any(|f| !f.options.is_empty());
        if !needed {
            continue;
        }
        let dataset = Arc::make_mut(dataset);
        for name in dataset.uses.clone() {
            if let Some(part) = find(dataset, &name, &mut missing) {
                let own: Vec<_> = part.field.iter().filter(|f| dataset.field(&f.name).is_none()).cloned().collect();
                if part.at == At::Start {
                    // Behind the key, which leads every form.
                    let behind = dataset.field.iter().take_while(|f| dataset.key.contains(&f.name)).count();
                    dataset.field.splice(behind..behind, own);
                } else {
                    dataset.field.extend(own);
                }
                // Figures of a group go with its fields.
                let figures = part.measure.iter().filter(|m| dataset.measure(&m.name).is_none()).cloned();
                let figures: Vec<_> = figures.collect();
                dataset.measure.extend(figures);
            }
        }
        for name in dataset.register.as_ref().map(|r| r.children.clone()).unwrap_or_default() {
            if let Some(part) = find(dataset, &name, &mut missing) {
                made.push(child(dataset, part));
            }
        }
        complete(dataset, codes);
    }
    for mut dataset in made {
        // A file of that name says more than the part does.
        if !datasets.contains_key(&dataset.name) {
            complete(&mut dataset, codes);
            datasets.insert(dataset.name.clone(), Arc::new(dataset));
        }
    }
    missing
}

/// The child records of a part under a register.
fn child(parent: &Dataset, part: &Part) -> Dataset {
    let link = format!("{}_id", parent.name);
    let key = |name: &str, zh: &str, en: &str, kind: FieldType| {
        let mut field = plain(name, Label::new(zh, en), kind);
        field.required = true;
        field.search = crate::dataset::SearchMode::Keyword;
        field
    };
    let mut field = vec![key("id", &format!("{}编号", part.label.zh), "Number", FieldType::Text)];
    let mut own = key(&link, &parent.label.zh, &parent.label.en, FieldType::Ref);
    own.refers = Some(parent.name.clone());
    field.push(own);
    field.extend(part.field.iter().cloned());
    // Row rules act on the parent's region, which the store copies into the child.
    for name in parent.region.iter().chain(street(parent)) {
        if let Some(region) = parent.field(name)
            && !field.iter().any(|f| f.name == *name)
        {
            field.push(Field { by_action: true, section: None, ..region.clone() });
        }
    }
    let mut list = vec!["id".to_string()];
    list.extend(part.list.iter().cloned());
    Dataset {
        name: format!("{}_{}", parent.name, part.name),
        label: Label::new(
            format!("{}{}", parent.label.zh, part.label.zh),
            format!("{}: {}", parent.label.en, part.label.en.to_lowercase()),
        ),
        description: part.description.clone(),
        source: crate::dataset::Source::Records,
        key: vec!["id".into()],
        time: part.time.clone(),
        place: None,
        region: parent.region.clone(),
        shared: parent.shared,
        owner: parent.owner.clone(),
        parent: Some(Parent { dataset: parent.name.clone(), field: link }),
        people: part.people,
        within_parent: part.within_parent,
        people_dimensions: Vec::new(),
        title: part.title.clone(),
        list: if part.list.is_empty() { Vec::new() } else { list },
        modules: Vec::new(),
        field,
        measure: part.measure.clone(),
        hierarchy: Vec::new(),
        rollup: Vec::new(),
        register: Some(Register {
            area: parent.register.as_ref().and_then(|r| r.area.clone()),
            ..part.register.clone().unwrap_or_else(|| Register::plain("{prefix}{yyyy}{seq:6}"))
        }),
        uses: Vec::new(),
        pack: parent.pack.clone(),
        made: true,
    }
}

fn street(parent: &Dataset) -> Option<&String> {
    let street = |f: &&Field| f.kind == FieldType::Region && f.level == Some(crate::dataset::RegionLevel::Street);
    parent.field.iter().find(street).map(|f| &f.name)
}

/// A field with nothing but name, label and type.
fn plain(name: &str, label: Label, kind: FieldType) -> Field {
    Field {
        name: name.into(),
        label,
        kind,
        required: false,
        codes: None,
        sensitivity: Default::default(),
        mask: Default::default(),
        search: Default::default(),
        unit: None,
        basis: None,
        scale: 0,
        level: None,
        min: None,
        max: None,
        max_length: None,
        person_key: false,
        section: None,
        help: None,
        options: Vec::new(),
        format: None,
        default: None,
        by_action: false,
        required_when: Default::default(),
        shown_when: Default::default(),
        refers: None,
    }
}

fn complete(dataset: &mut Dataset, codes: &mut BTreeMap<String, Arc<CodeList>>) {
    let owner = dataset.owner.clone();
    let mut add = |name: String, label: Label, items: Vec<(String, Label)>| {
        let item = items
            .into_iter()
            .map(|(code, label)| CodeItem {
                code,
                zh: label.zh,
                en: label.en,
                parent: None,
                replaced_by: None,
                alias: Vec::new(),
                color: None,
            })
            .collect();
        codes.entry(name.clone()).or_insert_with(|| Arc::new(CodeList { name, label, basis: owner.clone(), item }));
    };
    if let Some(mut register) = dataset.register.take() {
        short_forms(dataset, &mut register);
        if register.has_flow() {
            let name = register.stage_field.clone();
            let labels = register.stage.iter().filter_map(|s| Some((s.code.clone(), s.label.clone()?))).collect();
            if dataset.field(&name).is_none() {
                let mut field = plain(&name, Label::new("环节", "Stage"), FieldType::Code);
                field.search = crate::dataset::SearchMode::Keyword;
                dataset.field.push(field);
                if !dataset.list.is_empty() && !dataset.list.contains(&name) {
                    dataset.list.push(name.clone());
                }
            }
            let list = format!("{}_{name}", dataset.name);
            if let Some(field) = dataset.field.iter_mut().find(|f| f.name == name) {
                field.by_action = true;
                if field.codes.is_none() && field.options.is_empty() {
                    field.codes = Some(list.clone());
                    add(list, field.label.clone(), labels);
                }
            }
        }
        if register.action.iter().any(|a| a.names_fields) && dataset.field(REMARKS).is_none() {
            let mut field = plain(REMARKS, Label::new("退回意见", "To correct"), FieldType::Text);
            field.by_action = true;
            dataset.field.push(field);
        }
        dataset.register = Some(register);
        if dataset.measure.is_empty() {
            dataset.measure.push(count(dataset));
        }
    }
    for field in dataset.field.iter_mut().filter(|f| f.codes.is_none() && !f.options.is_empty()) {
        let list = format!("{}_{}", dataset.name, field.name);
        let items = field.options.iter().map(|(code, zh, en)| (code.clone(), Label::new(zh, en))).collect();
        add(list.clone(), field.label.clone(), items);
        field.codes = Some(list);
    }
}

fn count(dataset: &Dataset) -> Measure {
    Measure {
        name: "count".into(),
        label: Label::new(format!("{}数", dataset.label.zh), "Count"),
        agg: Aggregate::Count,
        field: None,
        filter: Default::default(),
        q: None,
        numerator: None,
        denominator: None,
        factor: None,
        start: None,
        end: None,
        digits: None,
        unit: "条".into(),
        definition: format!("登记的{}数", dataset.label.zh),
        basis: None,
        owner: None,
        effective_from: None,
        effective_to: None,
        direction: Default::default(),
        version: Vec::new(),
    }
}

fn stage(code: &str, zh: &str, en: &str) -> Stage {
    Stage {
        code: code.into(),
        label: Some(Label::new(zh, en)),
        who: Vec::new(),
        due: None,
        editable: true,
        on_change: None,
        last: false,
    }
}

fn action(name: &str, zh: &str, en: &str, from: &[String], to: &str) -> ActionRule {
    ActionRule {
        name: name.into(),
        label: Label::new(zh, en),
        from: from.to_vec(),
        to: Some(to.into()),
        when: Default::default(),
        who: Vec::new(),
        input: Vec::new(),
        require: Vec::new(),
        set: BTreeMap::new(),
        reason: false,
        names_fields: false,
        separate: false,
        moves: false,
        closes: false,
        needs_file: false,
    }
}

/// `review` and `dispatch` in stages and actions. A register that declares stages keeps its own.
fn short_forms(dataset: &mut Dataset, register: &mut Register) {
    if !register.stage.is_empty() {
        return;
    }
    if !register.review.is_empty() {
        review(register);
    } else if register.dispatch.is_some() {
        dispatch(dataset, register);
    }
}

/// draft → review_1 → … → approved, with return and withdrawal. A change of an approved record is
/// reviewed again.
fn review(register: &mut Register) {
    let steps = register.review.clone();
    let codes: Vec<String> = (1..=steps.len()).map(|n| format!("review_{n}")).collect();
    let own = |code: &str| vec![code.to_string()];
    register.stage = vec![stage("draft", "待提交", "Draft")];
    for (code, step) in codes.iter().zip(&steps) {
        let label = step.label.clone().unwrap_or_else(|| Label::new("审核", "Review"));
        let mut at = stage(code, &format!("待{}", label.zh), &format!("{} pending", label.en));
        at.who = vec![format!("role:{}", step.role)];
        at.due.clone_from(&step.due);
        at.editable = false;
        register.stage.push(at);
    }
    let mut returned = stage("returned", "已退回", "Returned");
    returned.who = vec!["creator".into()];
    let mut approved = stage("approved", "已通过", "Approved");
    approved.last = true;
    approved.on_change = Some(codes[0].clone());
    register.stage.extend([returned, approved]);

    let mut actions = vec![action("submit", "提交审核", "Submit", &["draft".into(), "returned".into()], &codes[0])];
    for (i, code) in codes.iter().enumerate() {
        let next = codes.get(i + 1).map_or("approved", String::as_str);
        let name = if codes.len() == 1 { "approve".to_string() } else { format!("approve_{}", i + 1) };
        let mut approve = action(&name, "通过", "Approve", &own(code), next);
        approve.separate = true;
        actions.push(approve);
    }
    let mut back = action("return", "退回", "Return", &codes, "returned");
    (back.reason, back.names_fields) = (true, true);
    let mut withdraw = action("withdraw", "撤回", "Withdraw", &own(&codes[0]), "draft");
    withdraw.who = vec!["creator".into()];
    actions.extend([back, withdraw]);
    actions.append(&mut register.action);
    register.action = actions;
}

fn dispatch(dataset: &mut Dataset, register: &mut Register) {
    let Some(rule) = register.dispatch.clone() else { return };
    if dataset.field(&rule.handler).is_none() {
        let mut field = plain(&rule.handler, Label::new("承办人", "Handler"), FieldType::Text);
        (field.format, field.by_action) = (Some(crate::register::Format::User), true);
        dataset.field.push(field);
    }
    if dataset.field(&rule.feedback).is_none() {
        let mut field = plain(&rule.feedback, Label::new("反馈情况", "Feedback"), FieldType::Text);
        (field.max_length, field.by_action) = (Some(2000), true);
        dataset.field.push(field);
    }
    let handler = vec![format!("field:{}", rule.handler)];
    let sender: Vec<String> = rule.role.iter().map(|r| format!("role:{r}")).collect();
    let own = |code: &str| vec![code.to_string()];
    let mut dispatched = stage("dispatched", "待签收", "Dispatched");
    (dispatched.who, dispatched.due, dispatched.editable) = (handler.clone(), rule.acknowledge_due.clone(), false);
    let mut handling = stage("handling", "办理中", "Being handled");
    (handling.who, handling.due) = (handler, rule.due.clone());
    let mut reported = stage("reported", "已反馈", "Reported back");
    reported.who.clone_from(&sender);
    reported.editable = false;
    let mut archived = stage("archived", "已归档", "Archived");
    (archived.last, archived.editable) = (true, false);
    let mut open = stage("registered", "待下发", "Registered");
    open.who.clone_from(&sender);
    register.stage = vec![open, dispatched, handling, reported, archived];

    let mut send = action("dispatch", "下发", "Dispatch", &own("registered"), "dispatched");
    (send.input, send.require) = (own(&rule.handler), own(&rule.handler));
    let sign = action("acknowledge", "签收", "Acknowledge", &own("dispatched"), "handling");
    let mut refuse = action("refuse", "拒收", "Refuse", &own("dispatched"), "registered");
    refuse.reason = true;
    let mut report = action("report_back", "反馈", "Report back", &own("handling"), "reported");
    (report.input, report.require) = (own(&rule.feedback), own(&rule.feedback));
    let mut back = action("return", "退回重办", "Return", &own("reported"), "handling");
    back.reason = true;
    let archive = action("archive", "归档", "Archive", &own("reported"), "archived");
    let mut actions = vec![send, sign, refuse, report, back, archive];
    actions.append(&mut register.action);
    register.action = actions;
}

impl Register {
    /// Numbering and nothing else.
    pub fn plain(numbering: &str) -> Self {
        Self {
            numbering: numbering.into(),
            lifecycle: Vec::new(),
            area: None,
            unique: Vec::new(),
            unique_together: Vec::new(),
            check: Vec::new(),
            stage_field: "stage".into(),
            stage: Vec::new(),
            action: Vec::new(),
            review: Vec::new(),
            dispatch: None,
            task: Vec::new(),
            attachments: None,
            children: Vec::new(),
            print: None,
            system: false,
            grid: None,
        }
    }
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
