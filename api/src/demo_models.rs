//! The demo's sentiment model, trained on made texts.

use crate::app::App;
use crate::models::SENTIMENT_FILE;
use anyhow::Context;
use std::sync::Arc;
use zonglan_fixtures::DemoCity;
use zonglan_models::sentiment::{self, Options};

/// Texts of each kind that the demo's model learns from.
const EACH: usize = 1_200;

/// Trains the demo's sentiment model unless there is one. Its scores say nothing about real texts, and its
/// card says so.
pub async fn train(app: &App, city: &Arc<DemoCity>) -> anyhow::Result<()> {
    let path = app.config.data.dir.join(SENTIMENT_FILE);
    if path.exists() {
        return Ok(());
    }
    let city = city.clone();
    tokio::task::spawn_blocking(move || {
        let (good, bad) = city.labelled_texts(EACH);
        let options = Options {
            powers: vec![0.3],
            source: "演示城市生成的文本".into(),
            licence: "随程序".into(),
            field: "演示文本：句式有限，得分不代表真实文本".into(),
            ..Options::default()
        };
        let (good, bad): (Vec<&str>, Vec<&str>) =
            (good.iter().map(String::as_str).collect(), bad.iter().map(String::as_str).collect());
        let model = sentiment::train(&good, &bad, &options)?;
        crate::models::write(&path, &model.to_bytes())
    })
    .await?
    .context("the demo's sentiment model was not trained")
}
