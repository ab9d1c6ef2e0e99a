//! Helpers of law enforcement, as declared rules: what a case file lacks, what to remember when a cause is
//! chosen, earlier penalties of the same organisation, matters that go together, and organisations whose
//! record calls for a visit. None of them decides; each says why, with its basis.
//!
//! Organisations only: parties that are natural persons (sole traders among them) are refused, not left out silently.

pub mod association;
pub mod checks;
pub mod hints;
pub mod prior;
pub mod risk;
pub mod row;

use crate::error::{ModelError, Result};
use zonglan_catalog::Catalogue;

/// The kind of party that these helpers look at; a code of `party_kind`.
pub const ORGANISATION: &str = "organisation";

/// Refuses parties that are natural persons.
///
/// # Errors
/// The kind is another than [`ORGANISATION`].
pub fn only_organisations(party_kind: &str) -> Result<()> {
    if party_kind == ORGANISATION {
        return Ok(());
    }
    Err(ModelError::input("party_kind: 只对法人和其他组织计算；自然人（含个体工商户）不查询历史处罚，也不评定风险"))
}

/// Reads every rule file of these helpers.
///
/// # Errors
/// The first file that is wrong.
pub fn check(catalogue: &Catalogue) -> Result<()> {
    for (name, _) in catalogue.files("checks") {
        checks::Checks::load(catalogue, name)?;
    }
    for (name, _) in catalogue.files("hints") {
        hints::Hints::load(catalogue, name)?;
    }
    association::all(catalogue)?;
    for (name, _) in catalogue.files("risks") {
        risk::Risk::load(catalogue, name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
