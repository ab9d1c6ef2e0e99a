//! Hot words: what a period's texts say more often than the texts before.

use super::features;
use serde::Serialize;
use std::collections::HashMap;

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
