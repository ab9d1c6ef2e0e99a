//! `zonglan user`: accounts, through the running server if there is one.

use super::output::grid;
use super::remote::Remote;
use super::{Common, block_on};
use crate::config::Config;
use crate::store::{NewUser, Store, StoreOptions, UserInfo, UserPatch};
use anyhow::{Context, bail};
use clap::Subcommand;
use std::sync::Arc;
use zonglan_catalog::Catalogue;

#[derive(Debug, Subcommand)]
pub enum User {
    /// Add an account; prints a one-time password unless --password is given
    Add {
        username: String,
        /// Full name [default: the username]
        #[arg(long)]
        name: Option<String>,
        /// Roles separated by commas
        #[arg(long, value_delimiter = ',', required = true)]
        role: Vec<String>,
        /// Region codes separated by commas; 310000 is the whole city
        #[arg(long, value_delimiter = ',', default_value = "310000")]
        region: Vec<String>,
        /// Read the password from this variable instead of making one
        #[arg(long, value_name = "VARIABLE")]
        password_env: Option<String>,
    },
    /// Give an account a new password; prints a one-time password unless --password-env is given
    Passwd {
        username: String,
        #[arg(long, value_name = "VARIABLE")]
        password_env: Option<String>,
    },
    /// Disable or enable an account
    Disable {
        username: String,
        /// Enable it again
        #[arg(long)]
        undo: bool,
    },
    /// List the accounts
    List {
        #[arg(long)]
        json: bool,
    },
}

/// Who did it, in the audit.
const ACTOR: &str = "operator";

/// The given password, or a new one-time password.
fn password(variable: Option<&str>) -> anyhow::Result<(String, bool)> {
    match variable {
        Some(name) => Ok((std::env::var(name).with_context(|| format!("variable {name} is not set"))?, false)),
        None => Ok((crate::store::random_password()?, true)),
    }
}

pub fn run(common: &Common, command: User) -> anyhow::Result<()> {
    let (config, catalogue) = common.open()?;
    let known: Vec<&str> = catalogue.policy().roles().iter().map(|r| r.name.as_str()).collect();
    match command {
        User::Add { username, name, role, region, password_env } => {
            if let Some(wrong) = role.iter().find(|r| !known.contains(&r.as_str())) {
                bail!("no role '{wrong}'; roles: {}", known.join(", "));
            }
            let (password, once) = password(password_env.as_deref())?;
            let new = NewUser {
                name: name.unwrap_or_else(|| username.clone()),
                username,
                password: password.clone(),
                roles: role,
                regions: region,
                must_change: once,
            };
            let username = new.username.clone();
            match Remote::find(&config)? {
                Some(remote) => {
                    let body = serde_json::json!({"username": new.username, "name": new.name, "password": new.password, "roles": new.roles, "regions": new.regions, "must_change": once});
                    remote.post("/api/v1/users", &body)?;
                }
                None => drop(with_store(&config, &catalogue, async |store| {
                    Ok(store.identity.create_user(ACTOR, new).await?)
                })?),
            }
            println!("added {username}");
            if once {
                println!("one-time password: {password}");
            }
        }
        User::Passwd { username, password_env } => {
            let (password, once) = password(password_env.as_deref())?;
            match Remote::find(&config)? {
                Some(remote) => drop(remote.patch(
                    &format!("/api/v1/users/{username}"),
                    &serde_json::json!({"password": password, "must_change": once}),
                )?),
                None => with_store(&config, &catalogue, async |store| {
                    Ok(store.identity.set_password(ACTOR, &username, &password, once).await?)
                })?,
            }
            println!("password of {username} changed");
            if once {
                println!("one-time password: {password}");
            }
        }
        User::Disable { username, undo } => {
            match Remote::find(&config)? {
                Some(remote) => {
                    drop(remote.patch(&format!("/api/v1/users/{username}"), &serde_json::json!({"disabled": !undo}))?)
                }
                None => {
                    let patch = UserPatch { disabled: Some(!undo), ..UserPatch::default() };
                    drop(with_store(&config, &catalogue, async |store| {
                        Ok(store.identity.update_user(ACTOR, &username, patch).await?)
                    })?);
                }
            }
            println!("{username} {}", if undo { "enabled" } else { "disabled" });
        }
        User::List { json } => {
            let users = users(&config, &catalogue)?;
            if json {
                println!("{}", serde_json::to_string(&users)?);
                return Ok(());
            }
            let rows: Vec<Vec<String>> = users
                .iter()
                .map(|u| {
                    let state = if u.disabled {
                        "disabled"
                    } else if u.must_change {
                        "one-time password"
                    } else {
                        ""
                    };
                    vec![u.username.clone(), u.name.clone(), u.roles.join(","), u.regions.join(","), state.to_string()]
                })
                .collect();
            grid(
                &mut std::io::stdout().lock(),
                &["username", "name", "roles", "regions", "state"].map(String::from),
                &rows,
                &[],
            )?;
        }
    }
    Ok(())
}

/// All accounts.
pub fn users(config: &Config, catalogue: &Arc<Catalogue>) -> anyhow::Result<Vec<UserInfo>> {
    match Remote::find(config)? {
        Some(remote) => Ok(serde_json::from_value(remote.get("/api/v1/users")?)?),
        None => with_store(config, catalogue, async |store| Ok(store.identity.users())),
    }
}

/// Opens the records side of the data directory for one piece of work.
fn with_store<T>(
    config: &Config,
    catalogue: &Arc<Catalogue>,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    block_on(async {
        std::fs::create_dir_all(&config.data.dir)
            .with_context(|| format!("cannot create {}", config.data.dir.display()))?;
        let store = Store::open(&config.data.dir, catalogue.clone(), StoreOptions::default()).await?;
        let outcome = work(&store).await;
        store.close().await;
        outcome
    })
}
