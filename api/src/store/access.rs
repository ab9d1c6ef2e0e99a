//! What one principal may see and write of one register.

use super::list::Row;
use super::records::Record;
use super::tables;
use super::values::Fields;
use std::collections::BTreeMap;
use std::sync::Arc;
use zonglan_catalog::bind::mask;
use zonglan_catalog::dataset::{Dataset, Lifecycle, Mask, Sensitivity};
use zonglan_catalog::error::{Error, FieldError, Result};
use zonglan_catalog::filter::Filter;
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::policy::Principal;
use zonglan_catalog::value::Value;

/// Resolved once a request; owned, so that the writer's task can take it along.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub dataset: Arc<Dataset>,
    pub row_rule: Filter,
    masks: BTreeMap<String, Mask>,
    lists: bool,
    writes: bool,
}

impl Access {
    /// Fails where the dataset is no register, or may not be read at all.
    pub fn new(catalogue: &Catalogue, principal: &Principal, name: &str, now: i64) -> Result<Self> {
        let dataset = catalogue.dataset(name).filter(|d| tables::is_kept(d)).ok_or_else(|| {
            Error::not_found("records.unknown_dataset", format!("没有登记簿 '{name}' (no such register)"))
                .with_hint("GET /api/v1/datasets 列出可用的数据集")
        })?;
        let policy = catalogue.policy();
        let row_rule = policy.row_rule(principal, dataset, now).ok_or_else(|| {
            Error::forbidden("policy.dataset", format!("您的角色不能查看「{}」", dataset.label.zh))
                .with_hint("请向管理员申请权限")
        })?;
        let masks = dataset.field.iter().filter(|f| f.person_key || !policy.sees_clear(principal, dataset, f, now));
        Ok(Self {
            row_rule,
            masks: masks.map(|f| (f.name.clone(), f.mask)).collect(),
            lists: policy.may_list_rows(principal, dataset),
            writes: policy.may_write(principal, dataset),
            dataset: dataset.clone(),
        })
    }

    pub fn may_list(&self) -> Result<()> {
        if self.lists {
            return Ok(());
        }
        Err(Error::forbidden("policy.rows", "您的角色只能查看统计数字，不能查看明细")
            .with_hint("请向管理员申请明细权限"))
    }

    pub fn may_write(&self, step: Lifecycle) -> Result<()> {
        self.may_list()?;
        let label = &self.dataset.label.zh;
        if !self.writes || self.dataset.register.as_ref().is_some_and(|r| r.system) {
            return Err(Error::forbidden("policy.write", format!("您的角色不能修改「{label}」"))
                .with_hint("请向管理员申请权限"));
        }
        // A register that declares no lifecycle is registered and changed only.
        let declared = self.dataset.register.as_ref().map(|r| r.lifecycle.as_slice()).filter(|l| !l.is_empty());
        let steps = declared.unwrap_or(&[Lifecycle::Register, Lifecycle::Change]);
        if !steps.contains(&step) {
            return Err(Error::user("records.lifecycle", format!("「{label}」没有此项操作")));
        }
        Ok(())
    }

    /// Whether values of the field may be filtered and sorted by.
    pub fn is_clear(&self, field: &str) -> bool {
        !self.masks.contains_key(field)
    }

    pub fn masked(&self, field: &str, value: Option<&Value>) -> Value {
        match (value, self.masks.get(field)) {
            (None, _) => Value::Null,
            (Some(value), None) => value.clone(),
            (Some(value), Some(how)) => mask(value, *how),
        }
    }

    pub fn show(&self, row: Row) -> Record {
        let editable = super::flow::editable(&self.dataset, &row.fields);
        let mut fields = row.fields;
        let mut masked = Vec::new();
        for (name, value) in &mut fields {
            if let Some(how) = self.masks.get(name) {
                *value = mask(value, *how);
                masked.push(name.clone());
            }
        }
        Record {
            dataset: self.dataset.name.clone(),
            id: row.id,
            version: row.version,
            state: row.state,
            fields,
            masked,
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
            actions: Vec::new(),
            editable,
        }
    }

    /// Whether the record shows a personal or secret value in clear.
    pub fn shows_personal(&self, record: &Record) -> bool {
        let personal = |name: &String| self.dataset.field(name).is_some_and(|f| f.sensitivity >= Sensitivity::Personal);
        record.fields.iter().any(|(name, value)| !value.is_null() && self.is_clear(name) && personal(name))
    }

    /// A form sends back what it was shown: a masked value that is unchanged is no change.
    pub fn without_masked(&self, old: &Fields, changes: Fields) -> Fields {
        let same = |name: &String, value: &Value| {
            self.masks.get(name).is_some_and(|how| old.get(name).is_some_and(|o| mask(o, *how) == *value))
        };
        changes.into_iter().filter(|(name, value)| !same(name, value)).collect()
    }

    /// The masked form of a number or code does not read as one; it is no change either.
    pub fn drop_masked_errors(&self, changes: &mut Fields, errors: Vec<FieldError>) -> Vec<FieldError> {
        let hidden = |e: &FieldError| {
            self.masks.contains_key(&e.field)
                && self.dataset.field(&e.field).is_some_and(|f| !matches!(f.kind, zonglan_catalog::FieldType::Text))
        };
        let (dropped, kept): (Vec<_>, Vec<_>) = errors.into_iter().partition(hidden);
        dropped.iter().for_each(|e| {
            changes.remove(&e.field);
        });
        kept
    }
}
