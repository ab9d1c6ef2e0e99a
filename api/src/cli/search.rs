//! `zonglan search`: full-text search in the data directory, also beside a running server.

use super::output::{Format, grid, quote};
use super::{Common, block_on};
use anyhow::Context;
use clap::Args;
use std::io::Write;
use zonglan_catalog::filter::Filter;
use zonglan_catalog::traits::{Cancel, Clock, SearchIndex, SystemClock};
use zonglan_catalog::{SearchRequest, bind_search};

#[derive(Debug, Args)]
pub struct SearchArgs {
    #[arg(long)]
    dataset: String,
    /// Words, or fragments in double quotes
    words: Vec<String>,
    /// Filter as JSON
    #[arg(long = "where", value_name = "JSON")]
    filter: Option<String>,
    #[arg(long, default_value_t = 10)]
    limit: usize,
    #[arg(long, default_value_t = 0)]
    offset: usize,
    /// Fields to count values of, separated by commas
    #[arg(long, value_delimiter = ',')]
    facets: Vec<String>,
    /// relevance, or a field with - before it for descending
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(common: &Common, args: &SearchArgs) -> anyhow::Result<()> {
    let (config, catalogue) = common.open()?;
    let filters = match &args.filter {
        Some(text) => Filter::from_json(&serde_json::from_str(text).context("--where is not JSON")?)
            .map_err(|e| anyhow::anyhow!("--where: {e}"))?,
        None => Filter::True,
    };
    let request = SearchRequest {
        dataset: args.dataset.clone(),
        query: args.words.join(" "),
        filters,
        facets: args.facets.clone(),
        sort: args.sort.clone(),
        offset: args.offset,
        limit: args.limit,
        ..SearchRequest::default()
    };
    let index = crate::app::read_index(&config, &catalogue);
    let operator = crate::app::operator(&catalogue);
    let bound = bind_search(&catalogue, catalogue.policy(), &operator, &request, SystemClock.now())?;
    let page = block_on(async { Ok(index.search(&bound, &Cancel::default()).await?) })?;
    let mut out = std::io::stdout().lock();
    let passage =
        |hit: &zonglan_catalog::Hit| hit.highlights.first().map(|p| marked(&p.text, &p.marks)).unwrap_or_default();
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&page)?)?,
        Format::Csv => {
            writeln!(out, "id,score,passage")?;
            for hit in &page.hits {
                writeln!(out, "{},{},{}", quote(&hit.id), hit.score, quote(&passage(hit)))?;
            }
        }
        Format::Table => {
            let title = bound.dataset().title.clone();
            let rows: Vec<Vec<String>> = page
                .hits
                .iter()
                .map(|hit| {
                    let title = title
                        .as_ref()
                        .and_then(|t| hit.fields.get(t))
                        .map(zonglan_catalog::Value::to_text)
                        .unwrap_or_default();
                    vec![hit.id.clone(), format!("{:.2}", hit.score), title, passage(hit)]
                })
                .collect();
            grid(
                &mut out,
                &["id", "score", "title", "passage"].map(String::from),
                &rows,
                &[false, true, false, false],
            )?;
            for (field, values) in &page.facets {
                let counts: Vec<String> =
                    values.iter().map(|f| format!("{} {}", f.label.as_deref().unwrap_or(&f.value), f.count)).collect();
                writeln!(out, "{field}: {}", counts.join(", "))?;
            }
            eprintln!("{} of {} hits", rows.len(), page.total);
        }
    }
    Ok(())
}

/// The passage with 【】 around what matched.
fn marked(text: &str, marks: &[(usize, usize)]) -> String {
    let mut out = String::with_capacity(text.len() + marks.len() * 6);
    for (at, c) in text.chars().enumerate() {
        if marks.iter().any(|(start, _)| *start == at) {
            out.push('【');
        }
        out.push(c);
        if marks.iter().any(|(_, end)| *end == at + 1) {
            out.push('】');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn marks_are_in_characters() {
        assert_eq!(super::marked("盗窃电动车", &[(2, 5)]), "盗窃【电动车】");
    }
}
