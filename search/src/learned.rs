//! Words of texts that answer words of questions, learned from questions with known answers.
//!
//! Lay people ask in other words than the law uses. From pairs of a question and the documents
//! that answer it, each gram of questions gets the grams of documents that occur with it more
//! often than by chance: (c - e) / (n + 3), with c the pairs that have both, e the number expected
//! if they were independent, n the questions with the gram. A question is searched with the grams
//! that its own grams bring, as a vector of a fixed part of its length. Groups of documents (all
//! articles of one law) that often answer get a factor.
//!
//! No neural model; what is learned is a file of plain numbers per dataset.

use crate::error::SearchError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Least number of questions in which two grams meet, least logarithm of observed by expected,
/// least weight.
const PAIRS: u32 = 2;
const LIFT: f32 = 0.7;
const WEIGHT: f32 = 0.05;
const SHRINK: f32 = 3.0;
/// Grams that one gram may bring, and that are added to one question.
const PER_GRAM: usize = 60;
const ADDED: usize = 60;
/// Length of what is added beside the question's own.
const SHARE: f32 = 0.4;
/// Factor of a group per unit of ln(1 + 2 answers).
const GROUP: f32 = 0.05;

/// What was learned for one dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    pub dataset: String,
    /// Questions that it was learned from.
    pub questions: usize,
    /// Rarity of grams: ln(1 + (N - n + 0.5) / (n + 0.5)) over all documents.
    rarity: BTreeMap<String, f32>,
    /// Rarity of a gram that is in no document.
    unknown: f32,
    /// Grams of documents by gram of questions, with weights.
    brings: BTreeMap<String, Vec<(String, f32)>>,
    /// The field whose values name a group: the part before the last 第.
    group_field: Option<String>,
    groups: BTreeMap<String, f32>,
}

/// A question and the documents that answer it, as positions in the list of documents.
#[derive(Debug, Clone)]
pub struct Example {
    pub question: Vec<char>,
    pub answers: Vec<usize>,
}

/// What [`Learned::from_examples`] needs of a document.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Normalised.
    pub text: Vec<char>,
    /// Value of the field that names its group.
    pub group: Option<String>,
}

/// ln(1 + (N - n + 0.5) / (n + 0.5)): how rare a gram is that n of N documents have.
pub fn rarity(documents: u64, having: u64) -> f32 {
    let (all, n) = (documents as f32, having as f32);
    (1.0 + (all - n + 0.5) / (n + 0.5)).ln()
}

fn set_of(text: &[char]) -> BTreeSet<&[char]> {
    let mut set = BTreeSet::new();
    for (at, c) in text.iter().enumerate() {
        if c.is_alphanumeric() {
            set.insert(&text[at..=at]);
        }
        if let Some(pair) = text.get(at..at + 2)
            && pair.iter().any(|c| c.is_alphanumeric())
        {
            set.insert(pair);
        }
    }
    set
}

/// The group that a value names: 中华人民共和国民法典第五十四条 is of 中华人民共和国民法典.
pub(crate) fn group_of(value: &str) -> &str {
    value.rfind('第').map_or(value, |at| &value[..at])
}

impl Learned {
    /// Learns from examples. `answers` holds at least the documents that examples name.
    pub fn from_examples(
        dataset: &str,
        group_field: Option<&str>,
        examples: &[&Example],
        answers: &HashMap<usize, Answer>,
        rare: &dyn Fn(&[char]) -> f32,
        unknown: f32,
    ) -> Self {
        let mut known: HashMap<Vec<char>, f32> = HashMap::new();
        let mut rare = |gram: &[char]| -> f32 {
            if let Some(rare) = known.get(gram) {
                return *rare;
            }
            let found = rare(gram);
            known.insert(gram.to_vec(), found);
            found
        };
        let mut in_questions: HashMap<&[char], u32> = HashMap::new();
        let mut in_answers: HashMap<&[char], u32> = HashMap::new();
        let mut together: HashMap<(&[char], &[char]), u32> = HashMap::new();
        let mut groups: BTreeMap<String, f32> = BTreeMap::new();
        for example in examples {
            let question = set_of(&example.question);
            let known: Vec<&Answer> = example.answers.iter().filter_map(|a| answers.get(a)).collect();
            let answer: BTreeSet<&[char]> = known.iter().flat_map(|a| set_of(&a.text)).collect();
            for gram in &question {
                *in_questions.entry(gram).or_default() += 1;
            }
            for gram in &answer {
                *in_answers.entry(gram).or_default() += 1;
            }
            for q in &question {
                for a in &answer {
                    *together.entry((q, a)).or_default() += 1;
                }
            }
            for group in known.iter().filter_map(|a| a.group.as_deref()) {
                *groups.entry(group_of(group).to_string()).or_default() += 1.0 / known.len() as f32;
            }
        }
        let mut brings: BTreeMap<String, Vec<(String, f32)>> = BTreeMap::new();
        let mut rarity = BTreeMap::new();
        let text = |gram: &[char]| gram.iter().collect::<String>();
        for ((q, a), count) in together.into_iter().filter(|(_, count)| *count >= PAIRS) {
            let expected = in_questions[q] as f32 * in_answers[a] as f32 / examples.len().max(1) as f32;
            let weight = (count as f32 - expected) / (in_questions[q] as f32 + SHRINK);
            if (count as f32 / expected).ln() > LIFT && weight > WEIGHT {
                brings.entry(text(q)).or_default().push((text(a), weight));
            }
        }
        for list in brings.values_mut() {
            list.sort_by_cached_key(|(gram, weight)| {
                let worth = weight * rare(&gram.chars().collect::<Vec<_>>());
                (std::cmp::Reverse((worth * 1e6) as i64), gram.clone())
            });
            list.truncate(PER_GRAM);
        }
        for gram in in_questions.keys() {
            rarity.insert(text(gram), round(rare(gram)));
        }
        for (gram, _) in brings.values().flatten() {
            let chars: Vec<char> = gram.chars().collect();
            rarity.entry(gram.clone()).or_insert_with(|| round(rare(&chars)));
        }
        for list in brings.values_mut() {
            list.iter_mut().for_each(|(_, weight)| *weight = round(*weight));
        }
        groups.values_mut().for_each(|n| *n = round(GROUP * (1.0 + 2.0 * *n).ln()));
        Self {
            dataset: dataset.to_string(),
            questions: examples.len(),
            rarity,
            unknown: round(unknown),
            brings,
            group_field: group_field.map(String::from),
            groups,
        }
    }

    /// Grams to add to a question, with their weights beside 1 for each of its own.
    pub(crate) fn expand<'a>(&self, own: impl Iterator<Item = &'a Vec<char>>) -> Vec<(Vec<char>, f32)> {
        let mut found: HashMap<&str, f32> = HashMap::new();
        let mut length = 0.0f32;
        let mut own: Vec<String> = own.map(|gram| gram.iter().collect()).collect();
        own.sort_unstable();
        for gram in own {
            let rare = self.rarity(&gram);
            length += rare * rare;
            for (other, weight) in self.brings.get(&gram).into_iter().flatten() {
                *found.entry(other).or_default() += rare * weight;
            }
        }
        let mut list: Vec<(&str, f32, f32)> =
            found.into_iter().map(|(gram, weight)| (gram, weight, weight * self.rarity(gram))).collect();
        list.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(b.0)));
        list.truncate(ADDED);
        let norm = list.iter().map(|(_, _, worth)| worth * worth).sum::<f32>().sqrt();
        if norm <= 0.0 {
            return Vec::new();
        }
        let scale = SHARE * length.sqrt() / norm;
        list.into_iter().map(|(gram, weight, _)| (gram.chars().collect(), weight * scale)).collect()
    }

    fn rarity(&self, gram: &str) -> f32 {
        self.rarity.get(gram).copied().unwrap_or(self.unknown)
    }

    /// The field whose values name groups.
    pub(crate) fn group_field(&self) -> Option<&str> {
        self.group_field.as_deref().filter(|_| !self.groups.is_empty())
    }

    /// What the score of a document of this group is multiplied by, less one.
    pub(crate) fn group_factor(&self, value: &str) -> f32 {
        self.groups.get(group_of(value)).copied().unwrap_or(0.0)
    }

    /// How many pairs of grams it holds.
    pub fn pairs(&self) -> usize {
        self.brings.values().map(Vec::len).sum()
    }

    /// Reads the file of a dataset; `None` where there is none.
    pub(crate) fn read(dir: &Path, dataset: &str) -> Result<Option<Self>, SearchError> {
        let path = dir.join(format!("{dataset}.learned.json"));
        let fail = |source| SearchError::Io { path: path.display().to_string(), source };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| fail(e.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    /// Writes the file of its dataset, whole or not at all.
    pub(crate) fn write(&self, dir: &Path) -> Result<std::path::PathBuf, SearchError> {
        let path = dir.join(format!("{}.learned.json", self.dataset));
        let fail = |source| SearchError::Io { path: path.display().to_string(), source };
        let draft = path.with_extension("draft");
        let bytes = serde_json::to_vec(self).map_err(|e| fail(e.into()))?;
        std::fs::create_dir_all(dir).map_err(fail)?;
        let mut file = std::fs::File::create(&draft).map_err(fail)?;
        std::io::Write::write_all(&mut file, &bytes).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        std::fs::rename(&draft, &path).map_err(fail)?;
        Ok(path)
    }
}

/// Four digits are enough, and make small files.
fn round(value: f32) -> f32 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::normalise;

    #[test]
    fn words_of_answers_follow_words_of_questions() {
        let texts = ["用人单位应当支付劳动报酬", "借款人应当返还借款", "夫妻共同财产", "机动车驾驶人"];
        let answers: HashMap<usize, Answer> = texts
            .iter()
            .enumerate()
            .map(|(i, t)| (i, Answer { text: normalise(t), group: Some(format!("法{}第一条", i % 2)) }))
            .collect();
        let example = |q: &str, a: usize| Example { question: normalise(q), answers: vec![a] };
        let examples: Vec<Example> = (0..4)
            .flat_map(|i| {
                [
                    example(&format!("老板拖欠工资{i}"), 0),
                    example(&format!("欠钱不还{i}"), 1),
                    example(&format!("离婚{i}"), 2),
                ]
            })
            .collect();
        let list: Vec<&Example> = examples.iter().collect();
        let learned = Learned::from_examples("statute", Some("name"), &list, &answers, &|_| 1.0, 2.0);
        let own: Vec<Vec<char>> = set_of(&normalise("老板发工资")).into_iter().map(<[char]>::to_vec).collect();
        let grams: Vec<String> = learned.expand(own.iter()).into_iter().map(|(g, _)| g.iter().collect()).collect();
        assert!(grams.contains(&"报酬".to_string()) && !grams.contains(&"借款".to_string()), "{grams:?}");
        assert!(learned.group_factor("法0第九条") > learned.group_factor("法1第九条"));
        assert_eq!(learned.group_factor("法2第九条"), 0.0);
        let dir = tempfile::tempdir().expect("a folder");
        learned.write(dir.path()).expect("writes");
        assert_eq!(Learned::read(dir.path(), "statute").expect("reads"), Some(learned));
        assert_eq!(Learned::read(dir.path(), "other").expect("reads"), None);
    }
}
