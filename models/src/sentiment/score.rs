//! How good a classifier is: accuracy, F1, calibration error, and what the uncertain band leaves.

use serde::{Deserialize, Serialize};

/// Scores on texts that the training did not see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub texts: usize,
    pub accuracy: f64,
    pub f1_negative: f64,
    /// Expected calibration error over 15 bins of the positive probability.
    pub calibration_error: f64,
    pub log_loss: f64,
    /// Share of texts outside the uncertain band, and the accuracy there.
    pub decided: f64,
    pub accuracy_decided: f64,
}

/// Scores of `(probability of positive, is positive)`, with the band that counts as uncertain.
pub fn scores(results: &[(f64, bool)], band: [f64; 2]) -> Scores {
    if results.is_empty() {
        return Scores::default();
    }
    let n = results.len() as f64;
    let right = |(p, positive): &&(f64, bool)| (*p >= 0.5) == *positive;
    let count = |f: &dyn Fn(f64, bool) -> bool| results.iter().filter(|(p, y)| f(*p, *y)).count() as f64;
    let hits = count(&|p, y| p < 0.5 && !y);
    let (called, actual) = (count(&|p, _| p < 0.5), count(&|_, y| !y));
    let decided: Vec<_> = results.iter().filter(|(p, _)| *p < band[0] || *p >= band[1]).collect();
    let mut bins = [(0usize, 0.0, 0.0); 15];
    for (p, positive) in results {
        let bin = &mut bins[((p * 15.0) as usize).min(14)];
        bin.0 += 1;
        bin.1 += p;
        bin.2 += f64::from(*positive);
    }
    let log_loss = results.iter().map(|(p, y)| -(if *y { *p } else { 1.0 - p }).max(1e-12).ln()).sum::<f64>() / n;
    Scores {
        texts: results.len(),
        accuracy: results.iter().filter(right).count() as f64 / n,
        f1_negative: 2.0 * hits / (called + actual).max(1.0),
        calibration_error: bins.iter().map(|(_, p, y)| (p - y).abs()).sum::<f64>() / n,
        log_loss,
        decided: decided.len() as f64 / n,
        accuracy_decided: decided.iter().copied().filter(right).count() as f64 / (decided.len() as f64).max(1.0),
    }
}
