//! What evaluating models needs beside the catalogue: the parsed deadline rules and the trained
//! sentiment model of the data directory.

use anyhow::Context;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use zonglan_catalog::Catalogue;
use zonglan_models::deadline::{self, Rules};
use zonglan_models::sentiment;
use zonglan_models::{ModelError, Result};

/// Where `zonglan model train` puts its model and the server looks for it, inside the data directory.
pub const SENTIMENT_FILE: &str = "models/sentiment.model";

/// Size and time of a file: another one has been put there when they differ.
type Stamp = (u64, Option<SystemTime>);

#[derive(Debug)]
pub struct Models {
    sentiment: PathBuf,
    /// With the version of the catalogue that they were read from: parsing all files costs more
    /// than evaluating one.
    rules: Mutex<Option<(String, Arc<Rules>)>>,
    trained: Mutex<Option<(Stamp, Arc<sentiment::Model>)>>,
}

impl Models {
    pub fn new(data: &Path) -> Self {
        Self { sentiment: data.join(SENTIMENT_FILE), rules: Mutex::default(), trained: Mutex::default() }
    }

    /// The deadline rules of a catalogue.
    pub fn rules(&self, catalogue: &Catalogue) -> Result<Arc<Rules>> {
        let mut slot = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, rules)) = &*slot
            && version == catalogue.version()
        {
            return Ok(rules.clone());
        }
        let rules = Arc::new(Rules::load(catalogue)?);
        *slot = Some((catalogue.version().to_string(), rules.clone()));
        Ok(rules)
    }

    /// The trained sentiment model; `None` where nobody has put one there. A new file is taken up
    /// with the next request.
    pub fn sentiment(&self) -> Result<Option<Arc<sentiment::Model>>> {
        let broken = |error: std::io::Error| ModelError::ModelFile(format!("{}: {error}", self.sentiment.display()));
        let stamp: Stamp = match std::fs::metadata(&self.sentiment) {
            Ok(found) => (found.len(), found.modified().ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(broken(error)),
        };
        let mut slot = self.trained.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, model)) = &*slot
            && *seen == stamp
        {
            return Ok(Some(model.clone()));
        }
        let model = Arc::new(sentiment::Model::from_bytes(&std::fs::read(&self.sentiment).map_err(broken)?)?);
        tracing::info!(model.version = %model.card.version, "sentiment model loaded");
        *slot = Some((stamp, model.clone()));
        Ok(Some(model))
    }

    /// Evaluates a model on a body.
    pub fn evaluate(&self, model: &str, body: serde_json::Value, catalogue: &Catalogue) -> Result<serde_json::Value> {
        match model {
            "deadline" => deadline::evaluate(body, &*self.rules(catalogue)?, catalogue.calendar()),
            "sentiment" | "opinion" => {
                zonglan_models::evaluate_with(model, body, catalogue, self.sentiment()?.as_deref())
            }
            _ => zonglan_models::evaluate(model, body, catalogue),
        }
    }
}

/// Puts the file there whole or not at all: a server may be reading it.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut part =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    part.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Different texts about `word`: the rest of each is made of other characters.
    fn texts(word: &str) -> Vec<String> {
        let letter = |n: u32| char::from_u32(0x4e00 + n % 20_000).unwrap_or('一');
        (0..400).map(|i| (0..6).map(|k| letter(i * 37 + k * 4_001)).collect::<String>() + word).collect()
    }

    #[test]
    fn a_trained_model_is_taken_up_and_a_broken_one_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let models = Models::new(dir.path());
        let body = || json!({"texts": ["服务很好很满意"]});
        assert!(matches!(models.evaluate("sentiment", body(), &catalogue), Err(ModelError::NotTrained)));
        let (good, bad) = (texts("很满意"), texts("很失望"));
        fn refs(list: &[String]) -> Vec<&str> {
            list.iter().map(String::as_str).collect()
        }
        let trained =
            sentiment::train(&refs(&good), &refs(&bad), &sentiment::Options::default()).expect("enough texts");
        let path = dir.path().join(SENTIMENT_FILE);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(&path, trained.to_bytes()).expect("written");
        let out = models.evaluate("sentiment", body(), &catalogue).expect("evaluates");
        assert_eq!(out["results"][0]["label"], "positive", "{out}");
        assert_eq!(out["model"], json!(trained.card.version));
        std::fs::write(&path, b"ZLSENT1\nshort").expect("written");
        assert!(matches!(models.evaluate("sentiment", body(), &catalogue), Err(ModelError::ModelFile(_))));
    }

    #[test]
    fn rules_are_read_once_a_version() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let models = Models::new(dir.path());
        let first = models.rules(&catalogue).expect("valid");
        assert!(Arc::ptr_eq(&first, &models.rules(&catalogue).expect("valid")));
        let only_base = Catalogue::load(&["base".into()], &[]).expect("valid");
        assert!(!Arc::ptr_eq(&first, &models.rules(&only_base).expect("valid")));
    }
}
