//! Who may see what: principals, roles from files, and grants.

use crate::codes::Label;
use crate::dataset::{Dataset, Field, Sensitivity};
use crate::filter::{Filter, Op};
use crate::value::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody signed in, as resolved from the session or token for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub user: String,
    pub name: String,
    pub roles: Vec<String>,
    /// Region codes; `310000` is the whole city.
    pub regions: Vec<String>,
    /// Stated purpose of this request, where one is needed.
    pub purpose: Option<String>,
    /// Grants in force, already filtered by subject.
    pub grants: Vec<Grant>,
    /// Counts up with every change to this user's roles, regions or grants.
    pub grants_version: u64,
}

/// Who waits for whom when the engine is busy: the first three have slots of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    Wall,
    Leader,
    Legal,
    #[default]
    Analyst,
    Export,
}

/// A role file: what its holders may read, see in clear, write and export.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    pub name: String,
    pub label: Label,
    /// Datasets that may be read; `*` is all, `pack:police` those of a pack, `police/*` the registers of a
    /// business area.
    #[serde(default)]
    pub read: Vec<String>,
    /// Registers that may be written.
    #[serde(default)]
    pub write: Vec<String>,
    /// Datasets that may be imported.
    #[serde(default)]
    pub import: Vec<String>,
    /// Sensitivities seen in clear.
    #[serde(default)]
    pub clear: Vec<Sensitivity>,
    /// Rows of one export; 0 forbids exports.
    #[serde(default)]
    pub export_rows: usize,
    /// May list rows, not only figures.
    #[serde(default)]
    pub rows: bool,
    /// Sees explanations that tell of the whole corpus (scores, plans).
    #[serde(default)]
    pub full_view: bool,
    /// The lane of its queries.
    #[serde(default)]
    pub lane: Lane,
    /// Other things: `users`, `audit`, `verify`, `metrics`, `jobs`; `geo_import` (boundaries, gazetteers),
    /// `geo_fit` and `geo_sign` (control points, by two persons), `geo_area`, `geo_review`.
    #[serde(default)]
    pub actions: Vec<String>,
}

/// Extra access given to one user, with purpose and end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub id: String,
    pub dataset: String,
    /// Regions added to the user's own on this dataset.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Fields seen in clear.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Rows added by their key: cases assigned to the user.
    #[serde(default)]
    pub records: Vec<String>,
    pub purpose: String,
    /// Milliseconds since 1970 UTC.
    pub expires: i64,
}

/// All roles of an instance.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    roles: Vec<Role>,
}

/// The region of those who may see every district.
pub const WHOLE_CITY: &str = "310000";

impl Policy {
    pub fn new(roles: Vec<Role>) -> Self {
        Self { roles }
    }

    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|r| r.name == name)
    }

    fn held<'a>(&'a self, principal: &'a Principal) -> impl Iterator<Item = &'a Role> {
        self.roles.iter().filter(|r| principal.roles.contains(&r.name))
    }

    /// Whether the roles, or a grant of regions or rows, open the dataset.
    pub fn may_read(&self, principal: &Principal, dataset: &Dataset) -> bool {
        self.role_reads(principal, dataset) || principal.grants.iter().any(|g| g.dataset == dataset.name && g.opens())
    }

    fn role_reads(&self, principal: &Principal, dataset: &Dataset) -> bool {
        self.held(principal).any(|r| names(&r.read, dataset))
    }

    pub fn may_write(&self, principal: &Principal, dataset: &Dataset) -> bool {
        self.held(principal).any(|r| names(&r.write, dataset))
    }

    pub fn may_import(&self, principal: &Principal, dataset: &Dataset) -> bool {
        self.held(principal).any(|r| names(&r.import, dataset))
    }

    pub fn may_list_rows(&self, principal: &Principal, dataset: &Dataset) -> bool {
        self.held(principal).any(|r| r.rows && names(&r.read, dataset))
            || principal.grants.iter().any(|g| g.dataset == dataset.name && g.opens())
    }

    pub fn may(&self, principal: &Principal, action: &str) -> bool {
        self.held(principal).any(|r| r.actions.iter().any(|a| a == action))
    }

    pub fn export_rows(&self, principal: &Principal) -> usize {
        self.held(principal).map(|r| r.export_rows).max().unwrap_or(0)
    }

    pub fn full_view(&self, principal: &Principal) -> bool {
        self.held(principal).any(|r| r.full_view) && principal.regions.iter().any(|r| r == WHOLE_CITY)
    }

    /// Whether the role lets this principal see the field as it is.
    pub fn sees_clear(&self, principal: &Principal, dataset: &Dataset, field: &Field, now: i64) -> bool {
        field.sensitivity == Sensitivity::Public
            || self.held(principal).any(|r| r.clear.contains(&field.sensitivity))
            || live(principal, dataset, now).any(|g| g.fields.contains(&field.name))
    }

    /// The rows of a dataset that this principal may see. `None`: not any.
    pub fn row_rule(&self, principal: &Principal, dataset: &Dataset, now: i64) -> Option<Filter> {
        if !self.may_read(principal, dataset) {
            return None;
        }
        let by_role = self.role_reads(principal, dataset);
        if dataset.shared && by_role {
            return Some(Filter::True);
        }
        // Who reads by a grant alone sees what the grant names and nothing of the own regions.
        let own = principal.regions.iter().filter(|_| by_role).map(String::as_str);
        let mut regions: Vec<&str> = own.collect();
        regions.extend(live(principal, dataset, now).flat_map(|g| g.regions.iter().map(String::as_str)));
        if regions.contains(&WHOLE_CITY) {
            return Some(Filter::True);
        }
        regions.sort_unstable();
        regions.dedup();
        let mut rules: Vec<Filter> = match &dataset.region {
            Some(field) => regions
                .into_iter()
                .map(|code| Filter::Cmp { field: field.clone(), op: Op::Prefix, value: Value::Text(code.to_string()) })
                .collect(),
            None => Vec::new(),
        };
        let mut records: Vec<&str> =
            live(principal, dataset, now).flat_map(|g| g.records.iter().map(String::as_str)).collect();
        records.sort_unstable();
        records.dedup();
        if let ([key], false) = (dataset.key.as_slice(), records.is_empty()) {
            let values = records.into_iter().map(|id| Value::Text(id.to_string())).collect();
            rules.push(Filter::In { field: key.clone(), values });
        }
        match rules.len() {
            0 => None,
            1 => rules.pop(),
            _ => Some(Filter::Or(rules)),
        }
    }

    /// The best lane among the principal's roles.
    pub fn lane(&self, principal: &Principal) -> Lane {
        self.held(principal).map(|role| role.lane).min().unwrap_or_default()
    }

    /// When the answer to a query of this principal must be bound again: the nearest end of a grant.
    pub fn valid_until(&self, principal: &Principal, now: i64) -> Option<i64> {
        principal.grants.iter().map(|g| g.expires).filter(|e| *e > now).min()
    }
}

impl Grant {
    /// Whether rows become visible by it, not only fields.
    fn opens(&self) -> bool {
        !self.regions.is_empty() || !self.records.is_empty()
    }
}

fn names(list: &[String], dataset: &Dataset) -> bool {
    let area = dataset.register.as_ref().and_then(|r| r.area.as_deref());
    list.iter().any(|name| {
        name == "*" || *name == dataset.name || name.strip_suffix("/*").is_some_and(|folder| within(area, folder))
            || name.strip_prefix("pack:").is_some_and(|pack| pack == dataset.pack)
            // Shared child records go with their parent.
            || (dataset.made && dataset.parent.as_ref().is_some_and(|p| p.dataset == *name))
    })
}

/// Whether a business area is `folder` or lies in it.
fn within(area: Option<&str>, folder: &str) -> bool {
    area.and_then(|area| area.strip_prefix(folder)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn live<'a>(principal: &'a Principal, dataset: &'a Dataset, now: i64) -> impl Iterator<Item = &'a Grant> {
    principal.grants.iter().filter(move |g| g.dataset == dataset.name && g.expires > now)
}
