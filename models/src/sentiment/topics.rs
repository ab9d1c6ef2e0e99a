//! Hot words by log-odds, topics by keywords, and the alert rules on a topic.

use super::Label;
use super::features;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// A word that a period's texts use more than the texts before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HotWord {
    pub word: String,
    /// Texts of the period that have it.
    pub texts: usize,
    pub before: usize,
    /// Log-odds with a prior from all texts, in standard deviations.
    pub z: f64,
}

/// The hot words of `now` against `before`: z-scored log-odds with an informative Dirichlet prior
/// (Monroe, Colaresi, Quinn 2008), over 2- to 4-grams of Chinese characters and whole Latin words.
/// A part of a longer word that occurs hardly ever without it is dropped.
pub fn hot_words(now: &[&str], before: &[&str], limit: usize) -> Vec<HotWord> {
    let (here, there) = (counts(now), counts(before));
    let total = |m: &HashMap<String, usize>| m.values().sum::<usize>() as f64;
    let (n, m) = (total(&here), total(&there));
    let all = n + m;
    // The prior weighs as much as a hundred texts' words.
    let prior_total = 1_000.0;
    let mut words: Vec<HotWord> = here
        .iter()
        .filter(|(_, texts)| **texts >= 3)
        .map(|(word, texts)| {
            let other = there.get(word).copied().unwrap_or_default();
            let prior = (*texts + other) as f64 / all * prior_total;
            let (a, b) = (*texts as f64 + prior, other as f64 + prior);
            let odds = |x: f64, total: f64| (x / (total + prior_total - x).max(1e-9)).ln();
            let z = (odds(a, n) - odds(b, m)) / (1.0 / a + 1.0 / b).sqrt();
            HotWord { word: word.clone(), texts: *texts, before: other, z }
        })
        .filter(|w| w.z > 1.96)
        .collect();
    let mut kept: Vec<HotWord> = Vec::new();
    words.sort_by(|a, b| b.z.total_cmp(&a.z).then_with(|| a.word.cmp(&b.word)));
    for word in words {
        let overlap = kept.iter_mut().find(|k| k.word.contains(&word.word) || word.word.contains(&k.word));
        match overlap {
            Some(k) if word.word.len() > k.word.len() && word.texts * 10 >= k.texts * 8 => *k = word,
            Some(_) => {}
            None => kept.push(word),
        }
        if kept.len() >= limit * 2 {
            break;
        }
    }
    kept.truncate(limit);
    kept
}

/// In how many texts each candidate word occurs.
fn counts(texts: &[&str]) -> HashMap<String, usize> {
    let mut out: HashMap<String, usize> = HashMap::new();
    let mut clean = Vec::new();
    for text in texts {
        features::clean_into(text, &mut clean);
        let mut words: Vec<&[char]> = Vec::new();
        for run in clean.split(|c| !c.is_alphanumeric()) {
            for part in run.chunk_by(|a, b| is_han(*a) == is_han(*b)) {
                if !is_han(part[0]) {
                    if part.len() > 1 && part.iter().any(|c| c.is_alphabetic()) {
                        words.push(part);
                    }
                    continue;
                }
                for n in 2..=4 {
                    words.extend(part.windows(n).filter(|w| !has_stop(w)));
                }
            }
        }
        words.sort_unstable();
        words.dedup();
        for word in words {
            *out.entry(word.iter().collect()).or_default() += 1;
        }
    }
    out
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{323AF}')
}

/// Words do not begin or end with these characters.
fn has_stop(word: &[char]) -> bool {
    const STOP: &str = "的了是我你他她它们这那在有和与就都也很不没还又被把给让到说要会能可以吗吧呢啊着过得地之其及或但而因所为于从对等个一";
    word.first().is_some_and(|c| STOP.contains(*c)) || word.last().is_some_and(|c| STOP.contains(*c))
}

/// A text of a topic as the rules see it. There is no field for an author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post<'a> {
    pub text: &'a str,
    pub platform: &'a str,
    pub label: Label,
}

/// An alert rule on a topic: keywords and exclusions choose the texts, share and number decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicRule {
    pub topic: String,
    /// Any of them.
    pub keywords: Vec<String>,
    /// None of them.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Only these platforms; all where empty.
    #[serde(default)]
    pub platforms: Vec<String>,
    pub min_negative: usize,
    pub min_share: f64,
}

/// A topic in a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicState {
    pub topic: String,
    pub texts: usize,
    pub negative: usize,
    pub uncertain: usize,
    /// Negative texts among those decided.
    pub negative_share: f64,
    pub by_platform: BTreeMap<String, [usize; 2]>,
    pub alert: bool,
}

impl TopicRule {
    pub fn matches(&self, post: &Post<'_>) -> bool {
        (self.platforms.is_empty() || self.platforms.iter().any(|p| p == post.platform))
            && self.keywords.iter().any(|k| post.text.contains(k.as_str()))
            && !self.exclude.iter().any(|k| post.text.contains(k.as_str()))
    }

    /// The state of the topic over the texts of a period; `by_platform` holds texts and negative texts.
    pub fn state(&self, posts: &[Post<'_>]) -> TopicState {
        let mut state = TopicState {
            topic: self.topic.clone(),
            texts: 0,
            negative: 0,
            uncertain: 0,
            negative_share: 0.0,
            by_platform: BTreeMap::new(),
            alert: false,
        };
        for post in posts.iter().filter(|p| self.matches(p)) {
            let negative = usize::from(post.label == Label::Negative);
            state.texts += 1;
            state.negative += negative;
            state.uncertain += usize::from(post.label == Label::Uncertain);
            let platform = state.by_platform.entry(post.platform.to_string()).or_default();
            platform[0] += 1;
            platform[1] += negative;
        }
        let decided = state.texts - state.uncertain;
        if decided > 0 {
            state.negative_share = state.negative as f64 / decided as f64;
        }
        state.alert = state.negative >= self.min_negative.max(1) && state.negative_share >= self.min_share;
        state
    }
}
