//! `zonglan policy explain`: what somebody may do, and which role or rule decides it.

use super::Common;
use super::user::users;
use anyhow::{Context, bail};
use clap::Subcommand;
use zonglan_catalog::Principal;
use zonglan_catalog::policy::{Policy, Role};
use zonglan_catalog::traits::{Clock, SystemClock};

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Explain whether USER may do ACTION to RESOURCE
    Explain {
        user: String,
        /// read, rows, write, import, export, or an action such as users or metrics
        action: String,
        /// A dataset, or - for actions
        #[arg(default_value = "-")]
        resource: String,
    },
}

pub fn run(common: &Common, command: PolicyCommand) -> anyhow::Result<()> {
    let PolicyCommand::Explain { user, action, resource } = command;
    let (config, catalogue) = common.open()?;
    let known = users(&config, &catalogue)?;
    let info = known.iter().find(|u| u.username == user).with_context(|| {
        let names: Vec<&str> = known.iter().map(|u| u.username.as_str()).collect();
        format!("no user '{user}'; users: {}", names.join(", "))
    })?;
    let principal = Principal {
        user: info.username.clone(),
        name: info.name.clone(),
        roles: info.roles.clone(),
        regions: info.regions.clone(),
        purpose: None,
        grants: Vec::new(),
        grants_version: 0,
    };
    let policy = catalogue.policy();
    println!("{} ({}): roles {}, regions {}", info.username, info.name, info.roles.join(", "), info.regions.join(", "));
    let say = |allowed: bool, why: String| {
        println!("{action} {resource}: {} — {why}", if allowed { "allowed" } else { "denied" })
    };
    let held: Vec<_> = policy.roles().iter().filter(|r| info.roles.contains(&r.name)).collect();
    let by = |found: Vec<&str>| {
        if found.is_empty() {
            "no role of the user permits it".to_string()
        } else {
            format!("by role {}", found.join(", "))
        }
    };
    if info.disabled {
        say(false, "the account is disabled".into());
        return Ok(());
    }
    if resource == "-" && action != "export" {
        let found: Vec<&str> = held.iter().filter(|r| r.actions.contains(&action)).map(|r| r.name.as_str()).collect();
        say(!found.is_empty(), by(found));
        return Ok(());
    }
    if action == "export" {
        let rows = policy.export_rows(&principal);
        say(rows > 0, format!("{rows} rows of one export at most"));
        return Ok(());
    }
    let dataset = catalogue.dataset(&resource).with_context(|| format!("no dataset '{resource}'"))?;
    // Each role by itself, asked as the program asks: packs and business areas count, too.
    let alone = |role: &Role| Policy::new(vec![role.clone()]);
    let found: Vec<&str> = held
        .iter()
        .filter(|r| match action.as_str() {
            "read" => alone(r).may_read(&principal, dataset),
            "rows" => alone(r).may_list_rows(&principal, dataset),
            "write" => alone(r).may_write(&principal, dataset),
            "import" => alone(r).may_import(&principal, dataset),
            _ => r.actions.contains(&action),
        })
        .map(|r| r.name.as_str())
        .collect();
    if !["read", "rows", "write", "import"].contains(&action.as_str()) {
        bail!("unknown action '{action}' on a dataset; actions: read, rows, write, import");
    }
    say(!found.is_empty(), by(found));
    let now = SystemClock.now();
    match policy.row_rule(&principal, dataset, now) {
        None => println!("rows: none"),
        Some(rule) if rule.is_true() => println!("rows: all{}", if dataset.shared { " (shared dataset)" } else { "" }),
        Some(rule) => println!("rows: {}", rule.to_json()),
    }
    let masked: Vec<String> = dataset
        .field
        .iter()
        .filter(|f| !policy.sees_clear(&principal, dataset, f, now))
        .map(|f| format!("{} ({:?})", f.name, f.mask).to_lowercase())
        .collect();
    println!("masked fields: {}", if masked.is_empty() { "none".into() } else { masked.join(", ") });
    Ok(())
}
