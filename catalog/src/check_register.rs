//! Checks of what registers declare: stages, actions, conditions, tasks, print-outs.

use super::{Report, nearest};
use crate::dataset::{Dataset, FieldType};
use crate::filter::Filter;
use crate::load::Catalogue;
use crate::register::{Format, Length, Register, Rule, Who};

pub(super) fn register(catalogue: &Catalogue, dataset: &Dataset, register: &Register, report: &mut Report) {
    let mut check = Check { catalogue, dataset, register, report };
    check.fields_of("unique", register.unique.iter().chain(register.unique_together.iter().flatten()));
    for rule in &register.check {
        check.condition(rule);
    }
    check.flow();
    for rule in &register.task {
        check.task(rule);
    }
    if register.attachments.as_ref().is_some_and(|a| a.max_mb > 100 || a.max_mb == 0) {
        check.fail("max_mb", "attachments: max_mb is 1 to 100".into());
    }
    if let Some(print) = &register.print {
        check.fields_of("print", print.fields.iter());
    }
    if let Some(grid) = &register.grid {
        let named = [&grid.building, &grid.floor, &grid.unit, &grid.status];
        check.fields_of("grid", named.into_iter().chain(&grid.tags));
        if dataset.field(&grid.floor).is_some_and(|f| f.kind != FieldType::Int) {
            check.fail(&grid.floor, format!("grid: the floor '{}' is not of type int", grid.floor));
        }
    }
}

/// What fields say beside their type; for every dataset.
pub(super) fn fields(catalogue: &Catalogue, dataset: &Dataset, report: &mut Report) {
    for field in &dataset.field {
        for filter in [&field.required_when, &field.shown_when] {
            filter_fields(dataset, filter, report);
        }
        if let Some(other) = &field.refers {
            if catalogue.dataset(other).is_none() {
                report.missing("dataset", other, catalogue.datasets().map(|d| d.name.as_str()));
            }
            if field.kind != FieldType::Ref {
                report.add(&field.name, format!("field '{}': refers is for type = \"ref\"", field.name));
            }
        }
        if field.format.is_some() && field.kind != FieldType::Text {
            report.add(&field.name, format!("field '{}': format is for type = \"text\"", field.name));
        }
        if !field.options.is_empty() && field.kind != FieldType::Code {
            report.add(&field.name, format!("field '{}': options are for type = \"code\"", field.name));
        }
        if field.by_action && field.required {
            let made = dataset.region.as_ref() == Some(&field.name) || dataset.made;
            if !made {
                report.add(
                    &field.name,
                    format!("field '{}' is set by actions only and so cannot be required", field.name),
                );
            }
        }
    }
}

fn filter_fields(dataset: &Dataset, filter: &Filter, report: &mut Report) {
    for name in filter.fields() {
        if dataset.field(name).is_none() {
            report.missing("field", name, dataset.field.iter().map(|f| f.name.as_str()));
        }
    }
}

struct Check<'a, 'b> {
    catalogue: &'a Catalogue,
    dataset: &'a Dataset,
    register: &'a Register,
    report: &'a mut Report<'b>,
}

impl Check<'_, '_> {
    fn fail(&mut self, word: &str, message: String) {
        self.report.add(word, message);
    }

    fn fields_of<'n>(&mut self, what: &str, names: impl Iterator<Item = &'n String>) {
        for name in names {
            if self.dataset.field(name).is_none() {
                let near = nearest(name, self.dataset.field.iter().map(|f| f.name.as_str()));
                let hint = near.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
                self.fail(name, format!("{what}: unknown field '{name}'{hint}"));
            }
        }
    }

    fn filter(&mut self, filter: &Filter) {
        filter_fields(self.dataset, filter, self.report);
    }

    fn condition(&mut self, rule: &crate::register::Check) {
        self.fields_of("check", std::iter::once(&rule.field));
        self.filter(&rule.when);
        self.filter(&rule.must);
        match rule.rule.as_deref().map(Rule::parse) {
            Some(Ok(parsed)) => {
                for name in parsed.fields() {
                    self.fields_of("check", std::iter::once(&name.to_string()));
                }
            }
            Some(Err(message)) => self.fail(rule.rule.as_deref().unwrap_or_default(), message),
            None if rule.must.is_true() => {
                self.fail(&rule.field, "a check needs rule = \"a <= b\" or must = { ... }".into())
            }
            None => {}
        }
    }

    fn who(&mut self, list: &[String]) {
        for text in list {
            match Who::parse(text) {
                Some(Who::Role(role)) => {
                    let roles = self.catalogue.policy().roles();
                    if !roles.iter().any(|r| r.name == role) {
                        let near = nearest(role, roles.iter().map(|r| r.name.as_str()));
                        let hint = near.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
                        self.fail(text, format!("unknown role '{role}'{hint}"));
                    }
                }
                Some(Who::Field(name)) => {
                    let user = self.dataset.field(name).is_some_and(|f| f.format == Some(Format::User));
                    if !user {
                        self.fail(text, format!("'{text}': field '{name}' is no field with format = \"user\""));
                    }
                }
                Some(Who::Creator) => {}
                None => self.fail(text, format!("'{text}' is nobody; say role:<role>, creator or field:<field>")),
            }
        }
    }

    fn length(&mut self, text: &str) {
        if Length::parse(text).is_none() {
            self.fail(text, format!("'{text}' is no length of time such as 24h, 3d, 15wd, 6m, 1y"));
        }
    }

    fn stage(&mut self, code: &str) {
        if self.register.stage(code).is_none() {
            let near = nearest(code, self.register.stage.iter().map(|s| s.code.as_str()));
            let hint = near.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            self.fail(code, format!("unknown stage '{code}'{hint}"));
        }
    }

    fn flow(&mut self) {
        let register = self.register;
        let codes = self.dataset.field(&register.stage_field).and_then(|f| self.catalogue.codes_of(f));
        for stage in &register.stage {
            if codes.is_none_or(|c| c.get(&stage.code).is_none()) {
                self.fail(&stage.code, format!("stage '{}' needs a label, or a code in the list", stage.code));
            }
            self.who(&stage.who);
            stage.due.iter().for_each(|due| self.length(due));
            stage.on_change.iter().for_each(|code| self.stage(code));
        }
        let mut seen = std::collections::BTreeSet::new();
        for action in &register.action {
            if !seen.insert(&action.name) || ["close", "restore"].contains(&action.name.as_str()) {
                self.fail(&action.name, format!("action '{}' is named twice or is one of every register", action.name));
            }
            if !super::is_name(&action.name) {
                self.fail(&action.name, format!("action '{}' is not snake_case", action.name));
            }
            action.from.iter().chain(&action.to).for_each(|code| self.stage(code));
            self.who(&action.who);
            self.filter(&action.when);
            self.fields_of("action", action.input.iter().chain(&action.require).chain(action.set.keys()));
            if action.needs_file && register.attachments.is_none() {
                self.fail(
                    &action.name,
                    format!("action '{}' needs a file, but no attachments are declared", action.name),
                );
            }
        }
        let reached = |code: &str| {
            register.stage.first().is_some_and(|s| s.code == code)
                || register.action.iter().any(|a| a.to.as_deref() == Some(code))
                || register.stage.iter().any(|s| s.on_change.as_deref() == Some(code))
        };
        for stage in &register.stage {
            if !reached(&stage.code) {
                self.fail(&stage.code, format!("no action leads to stage '{}'", stage.code));
            }
            if !stage.last && !register.action.iter().any(|a| register.offers(a, &stage.code)) {
                self.fail(&stage.code, format!("no action leads out of stage '{}'; say last = true", stage.code));
            }
        }
    }

    fn task(&mut self, rule: &crate::register::TaskRule) {
        self.filter(&rule.when);
        self.who(&rule.who);
        if rule.who.is_empty() {
            self.fail(&rule.name, format!("task '{}' says not who does it", rule.name));
        }
        self.length(&rule.after);
        rule.lead.iter().for_each(|lead| self.length(lead));
        let dates = |dataset: &Dataset, name: &str| {
            dataset.field(name).is_some_and(|f| matches!(f.kind, FieldType::Date | FieldType::Instant))
        };
        let fits = match rule.since.split_once('.') {
            Some((child, field)) => self
                .catalogue
                .dataset(child)
                .is_some_and(|c| dates(c, field) && c.parent.as_ref().is_some_and(|p| p.dataset == self.dataset.name)),
            None => rule.since == "created_at" || dates(self.dataset, &rule.since),
        };
        if !fits {
            self.fail(&rule.since, format!("task '{}': '{}' is no date to count from", rule.name, rule.since));
        }
    }
}
