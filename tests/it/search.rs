//! Full-text search over HTTP: fragments, highlights, facets, pages.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::city;

#[test]
fn quoted_fragments_are_found_exactly_and_marked() -> Result<()> {
    let city = city();
    let legal = city.client("legal")?;
    let all = legal.post("/api/v1/search", &json!({"dataset": "judgment", "query": "", "limit": 5}))?.ok()?;
    let id = all["hits"][0]["id"].as_str().context("the city has judgments")?.to_string();
    let number = all["hits"][0]["fields"]["case_number"].as_str().context("a case number")?.to_string();
    // The number is found whole and in part, whatever the brackets.
    let ascii = number.replace('（', "(").replace('）', ")");
    for query in [format!("\"{number}\""), format!("“{ascii}”")] {
        let page = legal.post("/api/v1/search", &json!({"dataset": "judgment", "query": query}))?.ok()?;
        let ids: Vec<&Value> = page["hits"].as_array().context("hits")?.iter().map(|h| &h["id"]).collect();
        ensure!(ids.iter().any(|i| **i == id.as_str()), "{query} does not find {id}: {ids:?}");
    }
    let page =
        legal.post("/api/v1/search", &json!({"dataset": "judgment", "query": "\"本院认为\"", "limit": 3}))?.ok()?;
    let hit = &page["hits"][0];
    let passage = &hit["highlights"][0];
    let text: Vec<char> = passage["text"].as_str().context("a passage")?.chars().collect();
    let (from, to) =
        (passage["marks"][0][0].as_u64().context("mark")?, passage["marks"][0][1].as_u64().context("mark")?);
    let marked: String = text[from as usize..to as usize].iter().collect();
    ensure!(marked == "本院认为", "marked {marked}");
    Ok(())
}

#[test]
fn pages_and_sorting_cover_all_hits_once() -> Result<()> {
    let city = city();
    let analyst = city.client("analyst")?;
    let page = |offset: usize| {
        let body =
            json!({"dataset": "incident", "query": "\"电动\"", "sort": "-reported_at", "offset": offset, "limit": 40});
        analyst.post("/api/v1/search", &body)?.ok()
    };
    let first = page(0)?;
    let total = first["total"].as_u64().context("total")? as usize;
    ensure!(total > 50, "only {total} hits");
    let mut seen = std::collections::BTreeSet::new();
    let mut last = String::from("9999");
    for offset in (0..total).step_by(40) {
        for hit in page(offset)?["hits"].as_array().context("hits")? {
            ensure!(seen.insert(hit["id"].to_string()), "{} came twice", hit["id"]);
            let at = hit["fields"]["reported_at"].as_str().context("time")?.to_string();
            ensure!(at <= last, "{at} after {last}");
            last = at;
        }
    }
    ensure!(seen.len() == total, "{} of {total}", seen.len());
    // The engine answers the same question through the index.
    let count = analyst.number(&json!({"dataset": "incident", "measures": ["count"],
        "where": {"or": [{"narrative": {"text": "\"电动\""}}, {"address": {"text": "\"电动\""}}]}}))?;
    ensure!(count as usize == total, "the query counts {count}, the search {total}");
    Ok(())
}

#[test]
fn strange_queries_get_an_answer() -> Result<()> {
    let city = city();
    let analyst = city.client("analyst")?;
    for query in ["\"", "“", "\"\"", "(((", "\u{3000}", "a\u{0}b", "*", "-", "非", "😀", &"电".repeat(3_000)] {
        let reply = analyst.post("/api/v1/search", &json!({"dataset": "incident", "query": query}))?;
        ensure!(reply.status == 200 || reply.status == 400, "{query:?}: {} {}", reply.status, reply.text());
    }
    Ok(())
}
