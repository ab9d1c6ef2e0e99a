//! `zonglan keys`: the keys of sealed fields.

use super::{Common, block_on};
use crate::store::{DataLock, SoftCrypto, Store, StoreOptions};
use anyhow::bail;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List the keys of sealed fields; the last one seals
    List,
    /// Add a key and seal all records with it; older keys stay for the change log
    Rotate,
}

pub fn run(common: &Common, command: &Keys) -> anyhow::Result<()> {
    let (config, catalogue) = common.open()?;
    let folder = config.data.dir.join(crate::store::KEYS);
    match command {
        Keys::List => {
            for number in SoftCrypto::field_keys(&folder)? {
                println!("field-{number}.key");
            }
        }
        Keys::Rotate => {
            if let Some(holder) = DataLock::holder(&config.data.dir) {
                bail!("{} is in use by {holder}; stop it first", config.data.dir.display());
            }
            let number = SoftCrypto::rotate(&folder)?;
            let options = StoreOptions { address: "zonglan keys".into(), ..StoreOptions::default() };
            let sealed = block_on(async {
                let store = Store::open(&config.data.dir, catalogue, options).await?;
                let sealed = store.protected;
                store.close().await;
                Ok(sealed)
            })?;
            println!("key {number} is in force; {sealed} records were sealed with it");
            println!("back up {} apart from the data", folder.display());
        }
    }
    Ok(())
}
