//! The trained model and its file: a JSON head with the data card, then the weights.

use super::Label;
use super::features::{self, WIDTH};
use super::score::Scores;
use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MAGIC: &[u8; 8] = b"ZLSENT1\n";

/// What the model was made of and how good it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DataCard {
    /// The hash of the weights: each value that the model gives can be traced to it.
    pub version: String,
    pub source: String,
    pub licence: String,
    /// The field of the texts; elsewhere the model is worse.
    pub field: String,
    pub positive: usize,
    pub negative: usize,
    /// Texts left out as exact or near duplicates.
    pub duplicates: usize,
    pub trained: usize,
    pub calibrated: usize,
    pub seed: u64,
    pub features: String,
    /// How strongly counts scale the features, and how the candidates did on an inner tenth of the
    /// training share. The texts of `held_out` took no part in the choice.
    #[serde(default)]
    pub ratio_power: f32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    pub held_out: Scores,
    /// Scores on texts of other fields, where somebody has measured them.
    #[serde(default)]
    pub other_fields: BTreeMap<String, Scores>,
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A candidate and its loss on the inner tenth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub ratio_power: f32,
    pub log_loss: f64,
}

/// A linear classifier with calibrated probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub card: DataCard,
    /// Positive probabilities inside it are labelled uncertain.
    pub band: [f64; 2],
    /// Probability = 1 / (1 + exp(-(a · margin + b))).
    pub platt: [f64; 2],
    pub(super) bias: f32,
    pub(super) weights: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    card: DataCard,
    width: usize,
    /// Number of weights that are not zero: each is a u32 place and an f32 value, little-endian.
    /// Before them stand the band, the curve (four f64) and the bias (f32).
    entries: usize,
}

thread_local! {
    static SCRATCH: std::cell::RefCell<Vec<char>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Model {
    /// The calibrated probability that a text is positive. A text without a known feature gets one near the middle.
    pub fn positive(&self, text: &str) -> f64 {
        SCRATCH.with_borrow_mut(|clean| {
            features::clean_into(text, clean);
            self.probability(self.margin(clean))
        })
    }

    pub fn label(&self, positive: f64) -> Label {
        if positive < self.band[0] {
            Label::Negative
        } else if positive >= self.band[1] {
            Label::Positive
        } else {
            Label::Uncertain
        }
    }

    pub(super) fn probability(&self, margin: f64) -> f64 {
        1.0 / (1.0 + (-(self.platt[0] * margin + self.platt[1])).exp())
    }

    /// Mean-free sum of the weights, divided by the length's root as in training.
    pub(super) fn margin(&self, clean: &[char]) -> f64 {
        let (mut sum, mut n) = (0.0f32, 0u32);
        features::each(clean, |feature| {
            sum += self.weights[feature as usize];
            n += 1;
        });
        f64::from(sum) / f64::from(n.max(1)).sqrt() + f64::from(self.bias)
    }

    /// The bytes of the model file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let used: Vec<(usize, f32)> = self.weights.iter().copied().enumerate().filter(|(_, w)| *w != 0.0).collect();
        let head = Head { card: self.card.clone(), width: WIDTH, entries: used.len() };
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let mut out = Vec::with_capacity(16 + head.len() + used.len() * 8);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(head.len() as u64).to_le_bytes());
        out.extend_from_slice(&head);
        for value in self.band.iter().chain(&self.platt) {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&self.bias.to_le_bytes());
        for (place, weight) in used {
            out.extend_from_slice(&(place as u32).to_le_bytes());
            out.extend_from_slice(&weight.to_le_bytes());
        }
        out
    }

    /// # Errors
    /// A file of something else, cut short, altered, or of another feature space.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wrong = |what: &str| ModelError::ModelFile(what.to_string());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| wrong("不是情感模型文件"))?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(|| wrong("文件不完整"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| wrong("文件不完整"))?;
        let (head, body) = rest.split_at_checked(length).ok_or_else(|| wrong("文件不完整"))?;
        let head: Head = serde_json::from_slice(head).map_err(|e| wrong(&e.to_string()))?;
        let (numbers, body) = body.split_at_checked(36).ok_or_else(|| wrong("文件不完整"))?;
        let number = |i: usize| {
            let bytes = numbers.get(i * 8..i * 8 + 8).and_then(|b| b.try_into().ok()).unwrap_or_default();
            f64::from_le_bytes(bytes)
        };
        let bias = f32::from_le_bytes(numbers.get(32..).and_then(|b| b.try_into().ok()).unwrap_or_default());
        if head.width != WIDTH || body.len() != head.entries.saturating_mul(8) {
            return Err(wrong("文件不完整,或由不兼容的版本训练"));
        }
        let mut weights = vec![0.0; WIDTH];
        for entry in body.chunks_exact(8) {
            let [a, b, c, d, e, f, g, h] = *entry else { continue };
            let place = u32::from_le_bytes([a, b, c, d]) as usize;
            *weights.get_mut(place).ok_or_else(|| wrong("权重位置越界"))? = f32::from_le_bytes([e, f, g, h]);
        }
        let model =
            Self { card: head.card, band: [number(0), number(1)], platt: [number(2), number(3)], bias, weights };
        if model.fingerprint() != model.card.version {
            return Err(wrong("校验不符,文件已被改动"));
        }
        Ok(model)
    }

    /// The version: a hash of everything that decides a probability.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for value in self.platt.iter().chain(&self.band) {
            hasher.update(&value.to_le_bytes());
        }
        hasher.update(&self.bias.to_le_bytes());
        for weight in &self.weights {
            // Minus zero is zero: the file leaves both out.
            hasher.update(&(weight + 0.0).to_le_bytes());
        }
        hasher.finalize().to_hex()[..12].to_string()
    }
}
