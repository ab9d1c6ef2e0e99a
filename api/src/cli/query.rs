//! `zonglan query`: a logical query against the data directory, also beside a running server.

use super::output::{Format, print};
use super::{Common, block_on};
use anyhow::{Context, bail};
use clap::Args;
use zonglan_catalog::filter::Filter;
use zonglan_catalog::query::{Dim, LevelDim, TimeDim};
use zonglan_catalog::time::Range;
use zonglan_catalog::traits::{Cancel, Clock, QueryEngine, SystemClock};
use zonglan_catalog::{Query, bind};

#[derive(Debug, Args)]
pub struct QueryArgs {
    #[arg(long)]
    dataset: Option<String>,
    /// Measures separated by commas
    #[arg(long, value_delimiter = ',')]
    measures: Vec<String>,
    /// Dimensions separated by commas: a field, time:month, closed_at:time:month, street:level:district
    #[arg(long, value_delimiter = ',')]
    by: Vec<String>,
    /// Fields of the rows, instead of measures
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Filter as JSON: {"category":{"eq":"theft"}}
    #[arg(long = "where", value_name = "JSON")]
    filter: Option<String>,
    /// Range as JSON, a period such as 30d, or FROM..TO
    #[arg(long)]
    range: Option<String>,
    #[arg(long, value_parser = ["yoy", "mom", "yoy_workday"])]
    compare: Option<String>,
    /// Columns separated by commas, - before descending ones
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    order: Vec<String>,
    #[arg(long)]
    limit: Option<usize>,
    /// The whole query as JSON, instead of the flags
    #[arg(long, value_name = "JSON")]
    json: Option<String>,
    /// Show how the query would be answered
    #[arg(long)]
    explain: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl QueryArgs {
    fn query(&self) -> anyhow::Result<Query> {
        if let Some(json) = &self.json {
            return serde_json::from_str(json).context("--json is not a query");
        }
        let Some(dataset) = self.dataset.clone() else { bail!("give --dataset, or the whole query with --json") };
        let filter = match &self.filter {
            Some(text) => Filter::from_json(&serde_json::from_str(text).context("--where is not JSON")?)
                .map_err(|e| anyhow::anyhow!("--where: {e}"))?,
            None => Filter::True,
        };
        Ok(Query {
            dataset,
            measures: self.measures.clone(),
            by: self.by.iter().map(|text| dim(text)).collect::<anyhow::Result<_>>()?,
            rows: self.rows.clone(),
            filter,
            range: self.range.as_deref().map(range).transpose()?.unwrap_or_default(),
            compare: self.compare.as_ref().map(|c| serde_json::from_value(c.clone().into())).transpose()?,
            order: self.order.clone(),
            limit: self.limit,
            ..Query::default()
        })
    }
}

fn dim(text: &str) -> anyhow::Result<Dim> {
    let word = |value: &str| serde_json::Value::String(value.to_string());
    Ok(match text.split(':').collect::<Vec<_>>().as_slice() {
        [field] => Dim::field(*field),
        ["time", grain] => Dim::Time(TimeDim {
            time: serde_json::from_value(word(grain)).with_context(|| format!("--by {text}"))?,
            field: None,
        }),
        [field, "time", grain] => Dim::Time(TimeDim {
            time: serde_json::from_value(word(grain)).with_context(|| format!("--by {text}"))?,
            field: Some((*field).into()),
        }),
        [field, "level", level] => Dim::Level(LevelDim {
            field: (*field).into(),
            level: serde_json::from_value(word(level)).with_context(|| format!("--by {text}"))?,
        }),
        _ => bail!("--by {text}: write a field, time:month, field:time:month or field:level:district"),
    })
}

fn range(text: &str) -> anyhow::Result<Range> {
    if text.starts_with('{') {
        return serde_json::from_str(text).context("--range is not a range");
    }
    if let Some((from, to)) = text.split_once("..") {
        let bound = |text: &str| {
            (!text.is_empty())
                .then(|| serde_json::from_value(text.into()))
                .transpose()
                .with_context(|| format!("--range: '{text}' is not a date"))
        };
        return Ok(Range { from: bound(from)?, to: bound(to)?, ..Range::default() });
    }
    Ok(Range { last: Some(text.to_string()), ..Range::default() })
}

pub fn run(common: &Common, args: &QueryArgs) -> anyhow::Result<()> {
    let (config, catalogue) = common.open()?;
    let query = args.query()?;
    let columns = crate::app::read_columns(&config, &catalogue)?;
    let now = SystemClock.now();
    let data_time = QueryEngine::state(&columns, &query.dataset).watermark.map_or(now, |w| w.min(now));
    let bound = bind(&catalogue, catalogue.policy(), &crate::app::operator(&catalogue), &query, data_time)?;
    block_on(async {
        if args.explain {
            println!("{}", serde_json::to_string_pretty(&columns.explain(&bound).await?)?);
            return Ok(());
        }
        let mut table = columns.query(&bound, &Cancel::default()).await?;
        table.label(&catalogue, &query.dataset, false);
        print(&table, args.format)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_and_ranges_have_short_forms() {
        assert_eq!(dim("time:month").expect("month").column(), "month");
        assert_eq!(dim("closed_at:time:year").expect("year").column(), "closed_at_year");
        assert_eq!(dim("street:level:district").expect("district").column(), "district");
        assert!(dim("time:fortnight").is_err());
        assert_eq!(range("30d").expect("last").last.as_deref(), Some("30d"));
        assert!(range("2025-01-01..").expect("from").to.is_none());
        assert!(range("a..b").is_err());
    }
}
