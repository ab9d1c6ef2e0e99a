//! The examples of docs/semantic-layer.md are asked as they stand there.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::city;

#[test]
fn every_question_of_the_semantic_layer_page_is_answered() -> Result<()> {
    let text = std::fs::read_to_string(zonglan_tests::workspace().join("docs/semantic-layer.md"))?;
    let client = city().client("analyst")?;
    let mut asked = 0;
    for block in text.split("```json\n").skip(1) {
        let json = block.split("```").next().unwrap_or_default();
        let query: Value = serde_json::from_str(json).with_context(|| format!("not JSON: {json}"))?;
        let reply = client.post("/api/v1/query", &query)?;
        ensure!(reply.status == 200, "{json}\n{}", reply.text());
        let table = reply.json()?;
        ensure!(table["rows"].as_array().is_some_and(|rows| !rows.is_empty()), "no rows: {json}");
        asked += 1;
    }
    ensure!(asked >= 10, "only {asked} examples were found");
    Ok(())
}
