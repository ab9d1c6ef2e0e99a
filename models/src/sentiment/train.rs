//! Training: de-duplicate, split by groups of near duplicates, fit, calibrate, and score on what was held out.

use super::features::{self, WIDTH};
use super::model::{Choice, DataCard, Model};
use super::score::{Scores, scores};
use super::simhash::{groups, simhash};
use crate::error::{ModelError, Result};

/// How to train. The same options and texts give the same model.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    pub epochs: usize,
    pub rate: f32,
    /// Strength of the pull towards zero.
    pub decay: f32,
    /// Share of the groups held out for the scores.
    pub held_out: f64,
    /// Positive probabilities labelled uncertain.
    pub band: [f64; 2],
    /// Powers of the ratio to choose from (see [`Choice`]); a single one is taken as it is.
    pub powers: Vec<f32>,
    pub source: String,
    pub licence: String,
    pub field: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 12,
            rate: 0.3,
            decay: 3e-4,
            held_out: 0.2,
            band: [0.4, 0.6],
            powers: vec![0.0, 0.15, 0.3, 0.5, 0.8],
            source: String::new(),
            licence: String::new(),
            field: String::new(),
        }
    }
}

/// A text as features. Character lists are kept: the classifier reads repeated features, as in use.
struct Example {
    features: Vec<u32>,
    positive: bool,
}

/// Trains on two lists of texts and scores on the share held out.
///
/// # Errors
/// Fewer than 100 different texts of either kind.
pub fn train(positive: &[&str], negative: &[&str], options: &Options) -> Result<Model> {
    let (examples, group, duplicates) = examples(positive, negative);
    let count = |wanted: bool| examples.iter().filter(|e| e.positive == wanted).count();
    let (n_positive, n_negative) = (count(true), count(false));
    if n_positive.min(n_negative) < 100 {
        return Err(ModelError::input(format!(
            "训练文本太少:正面 {n_positive} 条,负面 {n_negative} 条(各至少 100 条)"
        )));
    }
    // Groups, not texts, are dealt out: a near duplicate of a training text is no test.
    let place = |i: usize| split(options.seed, group[i] as u64);
    let (mut fit, mut calibrate, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for (i, example) in examples.iter().enumerate() {
        let at = place(i);
        if at < options.held_out {
            held.push(example);
        } else if at < options.held_out + 0.1 {
            calibrate.push(example);
        } else {
            fit.push(example);
        }
    }
    // Power and curve are chosen on texts the weights have not seen, of the training share: the texts
    // held out decide nothing. Then the weights learn those texts too.
    let mut choices: Vec<Choice> = Vec::new();
    let mut best: Option<(Choice, [f64; 2])> = None;
    for power in &options.powers {
        let margins = results(&fitted(&fit, *power, options), &calibrate);
        let curve = platt(&margins);
        let curved = |margin: f64| 1.0 / (1.0 + (-(curve[0] * margin + curve[1])).exp());
        let probabilities: Vec<_> = margins.into_iter().map(|(margin, y)| (curved(margin), y)).collect();
        let choice = Choice { ratio_power: *power, log_loss: scores(&probabilities, options.band).log_loss };
        choices.push(choice);
        if best.is_none_or(|(best, _)| choice.log_loss < best.log_loss) {
            best = Some((choice, curve));
        }
    }
    let (choice, curve) = best.ok_or_else(|| ModelError::input("powers: 至少一个值"))?;
    let trained: Vec<&Example> = fit.iter().chain(&calibrate).copied().collect();
    let mut model = fitted(&trained, choice.ratio_power, options);
    model.platt = curve;
    let probabilities: Vec<_> =
        results(&model, &held).into_iter().map(|(margin, y)| (model.probability(margin), y)).collect();
    model.card = DataCard {
        version: String::new(),
        source: options.source.clone(),
        licence: options.licence.clone(),
        field: options.field.clone(),
        positive: n_positive,
        negative: n_negative,
        duplicates,
        trained: trained.len(),
        calibrated: calibrate.len(),
        seed: options.seed,
        features: format!("character 1- to 3-grams in at least 2 texts, hashed to {WIDTH}"),
        ratio_power: choice.ratio_power,
        choices,
        held_out: scores(&probabilities, options.band),
        other_fields: std::collections::BTreeMap::new(),
        notes: vec!["只对文本判断,不含作者信息".into(), "训练领域以外准确率会下降;不确定的标为 uncertain".into()],
    };
    model.card.version = model.fingerprint();
    Ok(model)
}

/// Scores of a model on other texts, of another field say.
pub fn score_on(model: &Model, positive: &[&str], negative: &[&str]) -> Scores {
    let one = |text: &&str, y: bool| (model.positive(text), y);
    let results: Vec<_> = positive.iter().map(|t| one(t, true)).chain(negative.iter().map(|t| one(t, false))).collect();
    scores(&results, model.band)
}

fn examples(positive: &[&str], negative: &[&str]) -> (Vec<Example>, Vec<usize>, usize) {
    let labelled = positive.iter().map(|t| (*t, true)).chain(negative.iter().map(|t| (*t, false)));
    let mut seen = std::collections::HashSet::new();
    let (mut out, mut hashes, mut duplicates) = (Vec::new(), Vec::new(), 0);
    let mut clean = Vec::new();
    for (text, positive) in labelled {
        features::clean_into(text, &mut clean);
        if clean.is_empty() || !seen.insert(clean.clone()) {
            duplicates += usize::from(!clean.is_empty());
            continue;
        }
        let mut features = Vec::with_capacity(clean.len() * 3);
        features::each(&clean, |f| features.push(f));
        out.push(Example { features, positive });
        hashes.push(simhash(text));
    }
    let group = groups(&hashes);
    (out, group, duplicates)
}

/// A number in [0, 1) for a group.
fn split(seed: u64, group: u64) -> f64 {
    (mix(seed, group) >> 11) as f64 / (1u64 << 53) as f64
}

fn mix(seed: u64, n: u64) -> u64 {
    let mut x = n.wrapping_add(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Logistic regression by AdaGrad over features scaled by the size of their log-count ratio to a power (0: not
/// scaled, 1: the full scaling of naive Bayes, Wang and Manning 2012), averaged over the last half.
fn fitted(examples: &[&Example], power: f32, options: &Options) -> Model {
    let ratios = ratios(examples);
    let scales: Vec<f32> =
        ratios.iter().map(|r| if *r == 0.0 { 0.0 } else { r.signum() * r.abs().powf(power) }).collect();
    let mut weights = vec![0.0f32; WIDTH];
    let mut squares = vec![1e-8f32; WIDTH];
    let mut average = vec![0.0f32; WIDTH];
    let (mut bias, mut average_bias, mut taken) = (0.0f32, 0.0f32, 0.0f32);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    for epoch in 0..options.epochs {
        order.sort_by_key(|i| mix(options.seed.wrapping_add(epoch as u64 + 1), *i as u64));
        for i in &order {
            let Example { features, positive } = examples[*i];
            let scale = 1.0 / (features.len().max(1) as f32).sqrt();
            let sum: f32 = features.iter().map(|f| weights[*f as usize] * scales[*f as usize]).sum();
            let p = 1.0 / (1.0 + (-(sum * scale + bias)).exp());
            let error = p - f32::from(u8::from(*positive));
            bias -= 0.01 * error;
            for f in features.iter().map(|f| *f as usize).filter(|f| scales[*f] != 0.0) {
                let gradient = error * scale * scales[f] + options.decay * weights[f];
                squares[f] += gradient * gradient;
                weights[f] -= options.rate * gradient / squares[f].sqrt();
            }
        }
        if epoch * 2 >= options.epochs {
            taken += 1.0;
            average.iter_mut().zip(&weights).for_each(|(a, w)| *a += w);
            average_bias += bias;
        }
    }
    let taken = taken.max(1.0);
    let weights = average.iter().zip(&scales).map(|(a, s)| a / taken * s).collect();
    Model { card: DataCard::default(), band: options.band, platt: [1.0, 0.0], bias: average_bias / taken, weights }
}

/// `ln((p + 1) / |p|) - ln((n + 1) / |n|)` of each feature over the texts that have it; 0 for features of one text.
fn ratios(examples: &[&Example]) -> Vec<f32> {
    let mut counts = vec![[0u32; 2]; WIDTH];
    let mut distinct = Vec::new();
    for example in examples {
        distinct.clone_from(&example.features);
        distinct.sort_unstable();
        distinct.dedup();
        for feature in &distinct {
            counts[*feature as usize][usize::from(example.positive)] += 1;
        }
    }
    let texts = |y: bool| examples.iter().filter(|e| e.positive == y).count() as f32 + 2.0;
    let (positives, negatives) = (texts(true), texts(false));
    counts
        .iter()
        .map(|[n, p]| {
            if n + p < 2 {
                return 0.0;
            }
            ((*p as f32 + 1.0) / positives).ln() - ((*n as f32 + 1.0) / negatives).ln()
        })
        .collect()
}

/// Margins and truths, as the model in use computes them.
fn results(model: &Model, examples: &[&Example]) -> Vec<(f64, bool)> {
    examples
        .iter()
        .map(|e| {
            let sum: f32 = e.features.iter().map(|f| model.weights[*f as usize]).sum();
            let margin = f64::from(sum) / (e.features.len().max(1) as f64).sqrt() + f64::from(model.bias);
            (margin, e.positive)
        })
        .collect()
}

/// Platt's calibration: a logistic curve through the margins, by Newton's method with his smoothed targets.
fn platt(results: &[(f64, bool)]) -> [f64; 2] {
    let positives = results.iter().filter(|(_, y)| *y).count() as f64;
    let negatives = results.len() as f64 - positives;
    if positives < 10.0 || negatives < 10.0 {
        return [1.0, 0.0];
    }
    let (high, low) = ((positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0));
    let (mut a, mut b) = (1.0, 0.0);
    for _ in 0..50 {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for (margin, y) in results {
            let p = 1.0 / (1.0 + (-(a * margin + b)).exp());
            let error = p - if *y { high } else { low };
            let curve = (p * (1.0 - p)).max(1e-12);
            ga += error * margin;
            gb += error;
            haa += curve * margin * margin;
            hab += curve * margin;
            hbb += curve;
        }
        let det: f64 = haa * hbb - hab * hab;
        if det.abs() < 1e-12 {
            break;
        }
        let (da, db) = ((ga * hbb - gb * hab) / det, (gb * haa - ga * hab) / det);
        a -= da;
        b -= db;
        if da.abs() + db.abs() < 1e-9 {
            break;
        }
    }
    if a.is_finite() && b.is_finite() && a > 0.0 { [a, b] } else { [1.0, 0.0] }
}
