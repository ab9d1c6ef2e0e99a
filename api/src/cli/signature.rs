//! `zonglan signature`: checks signed statements without server and data directory.

use super::Common;
use crate::store::{CryptoProvider, SignedKind, SoftCrypto, Statement, hex, sm3_of};
use anyhow::Context;
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub enum Signature {
    /// Print the public key that this data directory signs with
    Key,
    /// Check statements (a JSON object or a list of them), and the exported file where one is given
    Verify {
        /// The statement, as the API gives it
        statement: PathBuf,
        /// The exported file that the statement is about
        file: Option<PathBuf>,
        /// The key that must have signed: hex, from `zonglan signature key`
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
    },
}

pub fn run(common: &Common, command: &Signature) -> anyhow::Result<ExitCode> {
    match command {
        Signature::Key => {
            let config = common.resolve(false)?;
            let crypto = SoftCrypto::load_or_create(&config.data.dir.join(crate::store::KEYS), false)?;
            println!("{}", hex(&crypto.public_key()));
            Ok(ExitCode::SUCCESS)
        }
        Signature::Verify { statement, file, key } => verify(statement, file.as_deref(), key.as_deref()),
    }
}

fn verify(path: &Path, file: Option<&Path>, key: Option<&str>) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    let list = if json.is_array() { json } else { serde_json::Value::Array(vec![json]) };
    let statements: Vec<Statement> =
        serde_json::from_value(list).with_context(|| format!("{} holds no signed statements", path.display()))?;
    let digest = match file {
        Some(file) => {
            let reader = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
            Some(hex(&sm3_of(reader).with_context(|| format!("cannot read {}", file.display()))?))
        }
        None => None,
    };
    let mut sound = !statements.is_empty();
    for statement in &statements {
        let wrong = if !statement.holds() {
            Some("the signature does not hold")
        } else if key.is_some_and(|key| !key.trim().eq_ignore_ascii_case(&statement.public_key)) {
            Some("signed by another key")
        } else if statement.kind == SignedKind::Export && digest.as_ref().is_some_and(|d| *d != statement.sm3) {
            Some("the file is not the one that was exported")
        } else {
            None
        };
        match wrong {
            Some(why) => println!("WRONG {statement}: {why}"),
            None => println!("holds: {statement}"),
        }
        sound &= wrong.is_none();
    }
    if key.is_none() {
        println!("note: without --key this proves only that one key signed it, not whose key that is");
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
