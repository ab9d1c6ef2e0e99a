//! How good an order of hits is: figures over questions with known answers, and learning from them.
//!
//! R@k is the share of a question's answers among the first k hits, MRR the mean of 1 / rank of
//! the first answer (0 beyond what was ranked), NDCG@k the discounted gain with one point an
//! answer; all are means over questions. The paired test flips signs of the differences between
//! two systems per question at random (two-sided, seeded).

use crate::analyze::normalise;
use crate::asked::Asked;
use crate::error::SearchError;
use crate::learned::{Answer, Example, Learned, rarity};
use crate::plan::grams_of;
use crate::rules::Knowledge;
use crate::schema::{text_name, values_of};
use crate::{Indexes, Inner};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use tantivy::TantivyDocument;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query as EngineQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use zonglan_catalog::bind::BoundSearch;
use zonglan_catalog::dataset::{Dataset, SearchMode};
use zonglan_catalog::error::Result;
use zonglan_catalog::traits::Cancel;
use zonglan_catalog::value::Value;

/// A question and the ids of the documents that answer it.
#[derive(Debug, Clone)]
pub struct Judged {
    pub question: String,
    pub relevant: BTreeSet<String>,
}

/// Figures of one question.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    pub r5: f64,
    pub r10: f64,
    pub r20: f64,
    pub r100: f64,
    pub mrr: f64,
    pub ndcg10: f64,
    pub ndcg100: f64,
}

impl Figures {
    pub const NAMES: [&'static str; 7] = ["R@5", "R@10", "R@20", "R@100", "MRR", "NDCG@10", "NDCG@100"];

    /// In the order of the names.
    pub fn list(&self) -> [f64; 7] {
        [self.r5, self.r10, self.r20, self.r100, self.mrr, self.ndcg10, self.ndcg100]
    }

    /// Of a ranked list of ids.
    pub fn of(ranked: &[String], relevant: &BTreeSet<String>) -> Self {
        let places: Vec<usize> = (0..ranked.len()).filter(|i| relevant.contains(&ranked[*i])).collect();
        let all = relevant.len().max(1);
        let recall = |k: usize| places.iter().filter(|p| **p < k).count() as f64 / all as f64;
        let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
        let ndcg = |k: usize| {
            let best: f64 = (0..all.min(k)).map(gain).sum();
            places.iter().filter(|p| **p < k).map(|p| gain(*p)).sum::<f64>() / best
        };
        Self {
            r5: recall(5),
            r10: recall(10),
            r20: recall(20),
            r100: recall(100),
            mrr: places.first().map_or(0.0, |p| 1.0 / (*p as f64 + 1.0)),
            ndcg10: ndcg(10),
            ndcg100: ndcg(100),
        }
    }

    /// Means over questions.
    pub fn mean(list: &[Figures]) -> [f64; 7] {
        let mut sums = [0.0; 7];
        for figures in list {
            sums.iter_mut().zip(figures.list()).for_each(|(sum, value)| *sum += value);
        }
        sums.map(|sum| sum / list.len().max(1) as f64)
    }
}

/// Two-sided p of the mean difference of pairs, by 10,000 random flips of signs.
pub fn paired_p(differences: &[f64]) -> f64 {
    let seen = differences.iter().sum::<f64>().abs();
    let mut state = 0x5EED_u64;
    let mut random = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    const ROUNDS: usize = 10_000;
    let mut as_far = 0;
    for _ in 0..ROUNDS {
        let mut sum = 0.0;
        for part in differences.chunks(64) {
            let bits = random();
            for (i, difference) in part.iter().enumerate() {
                sum += if bits >> i & 1 == 1 { *difference } else { -difference };
            }
        }
        as_far += usize::from(sum.abs() >= seen - 1e-12);
    }
    (as_far + 1) as f64 / (ROUNDS + 1) as f64
}

/// Which fold each question is in: a fixed shuffle, then by turns, so that folds are of one size.
pub fn folds(questions: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..questions).collect();
    order.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29));
    let mut fold = vec![0; questions];
    order.into_iter().enumerate().for_each(|(turn, i)| fold[i] = turn % count.max(1));
    fold
}

/// The searched text that is not the title: where answers stand.
pub fn body_field(dataset: &Dataset) -> Option<&str> {
    let texts = || dataset.field.iter().filter(|f| f.search == SearchMode::Zh);
    let body = texts().rfind(|f| dataset.title.as_ref() != Some(&f.name));
    body.or_else(|| texts().next_back()).map(|f| f.name.as_str())
}

impl Indexes {
    /// Ids of the best hits as a search gives them; blocking.
    pub fn ranked(&self, search: &BoundSearch) -> Result<Vec<String>> {
        let inner = &self.0;
        let Some(shelf) = inner.serving(search.dataset())? else { return Ok(Vec::new()) };
        let searcher = shelf.searcher();
        let asked = Asked::of(inner, search)?;
        let found = inner.find(&shelf, &searcher, search, &asked, &Cancel::default())?;
        let fail = SearchError::engine(&shelf.name);
        let mut ids = Vec::new();
        for ranked in found.top.iter().take(search.request().limit) {
            let stored: TantivyDocument = searcher.doc(ranked.address).map_err(&fail)?;
            ids.push(values_of(&shelf.slots, search.dataset(), &stored).0);
        }
        Ok(ids)
    }

    /// Ids of the best hits by BM25 (k1 1.2, b 0.75) over unigrams and bigrams of one field and
    /// nothing else, for comparison; blocking. For those with full view.
    pub fn ranked_plainly(&self, search: &BoundSearch, field: &str) -> Result<Vec<String>> {
        let dataset = search.dataset();
        let Some(shelf) = self.0.serving(dataset)? else { return Ok(Vec::new()) };
        if !search.full_view() {
            return Err(SearchError::Field {
                field: field.to_string(), reason: "只有全部可见的用户可以评测"
            }
            .into());
        }
        let name = text_name(dataset, field);
        let mut grams: BTreeSet<Vec<char>> = BTreeSet::new();
        grams_of(&normalise(&search.request().query), |gram| {
            grams.insert(gram.to_vec());
        });
        let term = |gram: &Vec<char>| -> (Occur, Box<dyn EngineQuery>) {
            (Occur::Should, Box::new(TermQuery::new(shelf.slots.gram(&name, gram), IndexRecordOption::WithFreqs)))
        };
        let query = BooleanQuery::new(grams.iter().map(term).collect());
        let searcher = shelf.searcher();
        let fail = SearchError::engine(&shelf.name);
        let top = searcher.search(&query, &TopDocs::with_limit(search.request().limit.max(1)).order_by_score());
        let mut ids = Vec::new();
        for (_, address) in top.map_err(&fail)? {
            let stored: TantivyDocument = searcher.doc(address).map_err(&fail)?;
            ids.push(values_of(&shelf.slots, dataset, &stored).0);
        }
        Ok(ids)
    }

    /// Learns from questions with known answers; blocking. The binding must have full view: what
    /// is learned holds words of every document that answers.
    pub fn learn_from(&self, search: &BoundSearch, judged: &[&Judged]) -> Result<Learned> {
        let dataset = search.dataset();
        if !search.full_view() {
            let field = dataset.label.zh.clone();
            return Err(SearchError::Field { field, reason: "只有全部可见的用户可以训练" }.into());
        }
        let Some(shelf) = self.0.serving(dataset)? else { return Ok(Learned::default()) };
        let body = body_field(dataset).unwrap_or_default().to_string();
        let ids: BTreeSet<&String> = judged.iter().flat_map(|j| &j.relevant).collect();
        let mut place: HashMap<&String, usize> = HashMap::new();
        let mut answers: HashMap<usize, Answer> = HashMap::new();
        for id in ids {
            let Some(document) = self.get(search, id)? else { continue };
            let text = |name: &str| document.fields.get(name).and_then(Value::as_str);
            place.insert(id, answers.len());
            let group = dataset.title.as_deref().and_then(text).map(String::from);
            answers.insert(answers.len(), Answer { text: normalise(text(&body).unwrap_or_default()), group });
        }
        let examples: Vec<Example> = judged
            .iter()
            .map(|j| Example {
                question: normalise(&j.question),
                answers: j.relevant.iter().filter_map(|id| place.get(id).copied()).collect(),
            })
            .filter(|e| !e.answers.is_empty())
            .collect();
        let list: Vec<&Example> = examples.iter().collect();
        let searcher = shelf.searcher();
        let name = text_name(dataset, &body);
        let documents = searcher.num_docs();
        // A gram that cannot be counted is taken for one that is nowhere.
        let rare = |gram: &[char]| rarity(documents, searcher.doc_freq(&shelf.slots.gram(&name, gram)).unwrap_or(0));
        let unknown = rarity(documents, 0);
        Ok(Learned::from_examples(&dataset.name, dataset.title.as_deref(), &list, &answers, &rare, unknown))
    }

    /// Uses what was learned from now on, in this process.
    pub fn set_learned(&self, dataset: &str, learned: Option<Learned>) {
        self.0.change_knowledge(|knowledge| {
            match learned {
                Some(learned) => knowledge.learned.insert(dataset.to_string(), Arc::new(learned)),
                None => knowledge.learned.remove(dataset),
            };
        });
    }

    /// Writes what was learned beside the indexes, where a server reads it at its start.
    pub fn save_learned(&self, learned: &Learned) -> Result<PathBuf> {
        Ok(learned.write(&self.0.dir)?)
    }
}

impl Inner {
    fn change_knowledge(&self, change: impl FnOnce(&mut Knowledge)) {
        let key = self.known.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let mut place = self.knowledge.write().unwrap_or_else(PoisonError::into_inner);
        let mut knowledge = (**place).clone();
        knowledge.key = key;
        change(&mut knowledge);
        *place = Arc::new(knowledge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_ranking() {
        let ranked: Vec<String> = ["a", "b", "c", "d"].map(String::from).into();
        let relevant: BTreeSet<String> = ["b", "d", "x"].map(String::from).into();
        let figures = Figures::of(&ranked, &relevant);
        assert!((figures.r5 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(figures.mrr, 0.5);
        // (1/log2 3 + 1/log2 5) / (1 + 1/log2 3 + 1/2), by hand.
        assert!((figures.ndcg10 - 0.498_2).abs() < 1e-3, "{}", figures.ndcg10);
        assert_eq!(Figures::of(&[], &relevant), Figures::default());
    }

    #[test]
    fn the_paired_test_tells_a_difference_from_none() {
        let better: Vec<f64> = (0..200).map(|i| if i % 3 == 0 { -0.1 } else { 0.2 }).collect();
        let equal: Vec<f64> = (0..200).map(|i| if i % 2 == 0 { -0.1 } else { 0.1 }).collect();
        assert!(paired_p(&better) < 0.001);
        assert!(paired_p(&equal) > 0.9);
    }

    #[test]
    fn folds_are_of_one_size() {
        let fold = folds(1_235, 5);
        assert!((0..5).all(|k| fold.iter().filter(|f| **f == k).count() == 247));
    }
}
