//! `zonglan eval`: how good a dataset's search is, over questions with known answers.

use super::Common;
use anyhow::{Context, bail};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use zonglan_catalog::traits::{Clock, SystemClock};
use zonglan_catalog::{BoundSearch, Catalogue, SearchRequest, bind_search};
use zonglan_search::Indexes;
use zonglan_search::eval::{Figures, Judged, body_field, folds, paired_p};

#[derive(Debug, Args)]
pub struct Eval {
    #[arg(long)]
    dataset: String,
    /// Tab-separated, with a header: question id, question
    #[arg(long, value_name = "TSV")]
    questions: PathBuf,
    /// Tab-separated, with a header: question id, document id
    #[arg(long, value_name = "TSV")]
    relevant: PathBuf,
    /// Learn from the other folds and answer each fold with that; 0 leaves it out
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Learn from all questions and keep it in the data directory for searches from now on
    #[arg(long)]
    learn: bool,
    #[arg(long, value_enum, default_value_t)]
    format: super::output::Format,
}

/// Hits that are ranked for each question.
const RANKED: usize = 100;

pub fn run(common: &Common, args: &Eval) -> anyhow::Result<()> {
    let (config, catalogue) = common.open()?;
    let judged = judged(&args.questions, &args.relevant)?;
    if judged.is_empty() {
        bail!("no question of {} has an answer in {}", args.questions.display(), args.relevant.display());
    }
    if args.folds == 1 || args.folds > judged.len() {
        bail!("--folds must be 0, or from 2 to the number of questions");
    }
    let index = crate::app::read_index(&config, &catalogue);
    let bench = Bench { index: &index, catalogue: &catalogue, dataset: &args.dataset };
    let first = bench.bind(&judged[0].question)?;
    let body = body_field(first.dataset()).context("the dataset has no searched text")?.to_string();

    let mut systems: Vec<(String, Vec<Figures>)> = Vec::new();
    let plain: Vec<Figures> = judged
        .iter()
        .map(|j| Ok(Figures::of(&index.ranked_plainly(&bench.bind(&j.question)?, &body)?, &j.relevant)))
        .collect::<anyhow::Result<_>>()?;
    systems.push((format!("BM25, characters and pairs of {body}"), plain));
    index.set_learned(&args.dataset, None);
    let all: Vec<usize> = (0..judged.len()).collect();
    systems.push(("rules and synonyms of the packs".into(), bench.answer(&judged, &all)?));
    if args.folds > 0 {
        let fold = folds(judged.len(), args.folds);
        let mut figures = vec![Figures::default(); judged.len()];
        for k in 0..args.folds {
            let train: Vec<&Judged> = judged.iter().zip(&fold).filter(|(_, f)| **f != k).map(|(j, _)| j).collect();
            index.set_learned(&args.dataset, Some(index.learn_from(&first, &train)?));
            let asked: Vec<usize> = all.iter().copied().filter(|i| fold[*i] == k).collect();
            for (i, answer) in asked.iter().zip(bench.answer(&judged, &asked)?) {
                figures[*i] = answer;
            }
        }
        systems.push((format!("and learned words, {}-fold cross-validated", args.folds), figures));
    }
    print(args, &judged, &systems)?;
    if args.learn {
        let learned = index.learn_from(&first, &judged.iter().collect::<Vec<_>>())?;
        let path = index.save_learned(&learned)?;
        eprintln!(
            "learned {} pairs from {} questions, kept in {}; a running server takes it at its next start",
            learned.pairs(),
            learned.questions,
            path.display()
        );
    }
    Ok(())
}

struct Bench<'a> {
    index: &'a Indexes,
    catalogue: &'a Catalogue,
    dataset: &'a str,
}

impl Bench<'_> {
    fn bind(&self, question: &str) -> anyhow::Result<BoundSearch> {
        let request = SearchRequest {
            dataset: self.dataset.to_string(),
            // Quotes and the like are characters of the question here.
            query: question.replace(['"', '“', '”', '「', '」', '『', '』'], " "),
            limit: RANKED,
            ..SearchRequest::default()
        };
        let operator = crate::app::operator(self.catalogue);
        Ok(bind_search(self.catalogue, self.catalogue.policy(), &operator, &request, SystemClock.now())?)
    }

    fn answer(&self, judged: &[Judged], which: &[usize]) -> anyhow::Result<Vec<Figures>> {
        which
            .iter()
            .map(|i| {
                let ranked = self.index.ranked(&self.bind(&judged[*i].question)?)?;
                Ok(Figures::of(&ranked, &judged[*i].relevant))
            })
            .collect()
    }
}

fn print(args: &Eval, judged: &[Judged], systems: &[(String, Vec<Figures>)]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let base = &systems[0].1;
    let against = |figures: &[Figures]| -> Vec<f64> {
        (0..Figures::NAMES.len())
            .map(|m| {
                let pairs: Vec<f64> = figures.iter().zip(base).map(|(a, b)| a.list()[m] - b.list()[m]).collect();
                paired_p(&pairs)
            })
            .collect()
    };
    if args.format == super::output::Format::Json {
        let list: Vec<_> = systems
            .iter()
            .map(|(name, figures)| {
                let named = |values: &[f64]| -> BTreeMap<&str, f64> {
                    Figures::NAMES.into_iter().zip(values.iter().copied()).collect()
                };
                serde_json::json!({"system": name, "figures": named(&Figures::mean(figures)), "p": named(&against(figures))})
            })
            .collect();
        writeln!(out, "{}", serde_json::json!({"questions": judged.len(), "systems": list}))?;
        return Ok(());
    }
    let header: Vec<String> = std::iter::once("system".to_string()).chain(Figures::NAMES.map(String::from)).collect();
    let mut rows = Vec::new();
    for (name, figures) in systems {
        let means = Figures::mean(figures).map(|v| format!("{v:.4}"));
        rows.push(std::iter::once(name.clone()).chain(means).collect::<Vec<_>>());
        if !std::ptr::eq(figures, base) {
            let tests = against(figures).into_iter().map(|p| format!("{p:.4}"));
            rows.push(std::iter::once("  p against the first".to_string()).chain(tests).collect());
        }
    }
    let right: Vec<bool> = (0..header.len()).map(|i| i > 0).collect();
    if args.format == super::output::Format::Csv {
        writeln!(out, "{}", header.join(","))?;
        for row in &rows {
            writeln!(out, "{}", row.iter().map(|c| super::output::quote(c)).collect::<Vec<_>>().join(","))?;
        }
    } else {
        super::output::grid(&mut out, &header, &rows, &right)?;
    }
    eprintln!(
        "{} questions, {RANKED} hits ranked each; p: paired sign-flip test, two-sided, 10,000 rounds",
        judged.len()
    );
    Ok(())
}

/// Questions that have at least one answer, in the order of their file.
fn judged(questions: &Path, relevant: &Path) -> anyhow::Result<Vec<Judged>> {
    let mut answers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, document) in pairs(relevant)? {
        answers.entry(id).or_default().insert(document);
    }
    let found = pairs(questions)?.into_iter().filter_map(|(id, question)| {
        let relevant = answers.remove(&id)?;
        Some(Judged { question, relevant })
    });
    Ok(found.collect())
}

/// The first two columns of a file, without its header.
fn pairs(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut found = Vec::new();
    for (line, text) in text.lines().enumerate().skip(1).filter(|(_, l)| !l.trim().is_empty()) {
        let mut columns = text.split('\t');
        match (columns.next(), columns.next()) {
            (Some(a), Some(b)) => found.push((a.trim().to_string(), b.trim().to_string())),
            _ => bail!("{}:{}: needs two columns divided by a tab", path.display(), line + 1),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn questions_meet_their_answers() {
        let dir = tempfile::tempdir().expect("a folder");
        let (q, r) = (dir.path().join("q.tsv"), dir.path().join("r.tsv"));
        std::fs::write(&q, "id\tquestion\n1\t谁可以？\n2\t没有答案\n").expect("writes");
        std::fs::write(&r, "id\tdoc\n1\ta\n1\tb\n9\tc\n").expect("writes");
        let judged = super::judged(&q, &r).expect("reads");
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].relevant.len(), 2);
        std::fs::write(&r, "id\tdoc\nbroken\n").expect("writes");
        assert!(super::judged(&q, &r).expect_err("is broken").to_string().contains(":2:"));
    }
}
