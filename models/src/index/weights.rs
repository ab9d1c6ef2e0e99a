//! Weights: AHP with its consistency, entropy, CRITIC, and combinations.

use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};

/// Saaty's random consistency index for n = 1..9 (the values in common use; unconfirmed).
const RANDOM_INDEX: [f64; 9] = [0.0, 0.0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45];

/// AHP weights and how consistent the judgements are; `ratio` below 0.10 is accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ahp {
    pub weights: Vec<f64>,
    pub lambda: f64,
    pub index: f64,
    pub ratio: f64,
}

impl Ahp {
    pub fn is_consistent(&self) -> bool {
        self.ratio < 0.10
    }
}

/// Weights by the geometric mean of the rows of a positive reciprocal matrix.
///
/// # Errors
/// A matrix that is not square, positive and reciprocal, or larger than 9.
pub fn ahp(matrix: &[Vec<f64>]) -> Result<Ahp> {
    let n = matrix.len();
    if n == 0 || n > RANDOM_INDEX.len() || matrix.iter().any(|row| row.len() != n) {
        return Err(ModelError::input("AHP 判断矩阵应为 1 至 9 阶方阵"));
    }
    for (i, row) in matrix.iter().enumerate() {
        for (j, a) in row.iter().enumerate() {
            // Files write 0.333 for a third.
            if !(a.is_finite() && *a > 0.0) || (a * matrix[j][i] - 1.0).abs() > 0.01 {
                return Err(ModelError::input(format!("AHP 判断矩阵第 {} 行第 {} 列不是互反的正数", i + 1, j + 1)));
            }
        }
    }
    let roots: Vec<f64> = matrix.iter().map(|row| row.iter().product::<f64>().powf(1.0 / n as f64)).collect();
    let weights = normalised(&roots);
    let lambda = matrix
        .iter()
        .zip(&weights)
        .map(|(row, w)| row.iter().zip(&weights).map(|(a, w)| a * w).sum::<f64>() / w)
        .sum::<f64>()
        / n as f64;
    let index = if n > 1 { (lambda - n as f64) / (n as f64 - 1.0) } else { 0.0 };
    let random = RANDOM_INDEX[n - 1];
    Ok(Ahp { weights, lambda, index, ratio: if random > 0.0 { index / random } else { 0.0 } })
}

/// Entropy weights of the columns of `t` (units by indicators). Positions below zero count as zero.
///
/// # Errors
/// Fewer than two units, or rows of different lengths.
pub fn entropy(t: &[Vec<f64>]) -> Result<Vec<f64>> {
    let columns = columns(t)?;
    let scale = 1.0 / (t.len() as f64).ln();
    let useful: Vec<f64> = columns
        .iter()
        .map(|column| {
            // A small constant keeps the logarithm defined.
            let shifted: Vec<f64> = column.iter().map(|v| v.max(0.0) + 1e-12).collect();
            let total: f64 = shifted.iter().sum();
            let entropy = -scale * shifted.iter().map(|v| v / total * (v / total).ln()).sum::<f64>();
            (1.0 - entropy).max(0.0)
        })
        .collect();
    Ok(normalised(&useful))
}

/// CRITIC weights: spread (n-1) times conflict with the other indicators.
///
/// # Errors
/// Fewer than two units, or rows of different lengths.
pub fn critic(t: &[Vec<f64>]) -> Result<Vec<f64>> {
    let columns = columns(t)?;
    let n = t.len() as f64;
    let mean = |c: &[f64]| c.iter().sum::<f64>() / n;
    let sd = |c: &[f64]| (c.iter().map(|v| (v - mean(c)).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let correlation = |a: &[f64], b: &[f64]| {
        let cov = a.iter().zip(b).map(|(x, y)| (x - mean(a)) * (y - mean(b))).sum::<f64>() / (n - 1.0);
        let spread = sd(a) * sd(b);
        if spread > 0.0 { cov / spread } else { 0.0 }
    };
    let content: Vec<f64> = columns
        .iter()
        .map(|column| sd(column) * columns.iter().map(|other| 1.0 - correlation(column, other)).sum::<f64>())
        .collect();
    Ok(normalised(&content))
}

/// `alpha * a + (1 - alpha) * b`.
pub fn combined(a: &[f64], b: &[f64], alpha: f64) -> Vec<f64> {
    normalised(&a.iter().zip(b).map(|(a, b)| alpha * a + (1.0 - alpha) * b).collect::<Vec<_>>())
}

/// Proportional to the product of both.
pub fn multiplied(a: &[f64], b: &[f64]) -> Vec<f64> {
    normalised(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>())
}

/// Divided by their sum; equal weights where all are zero.
pub fn normalised(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        weights.iter().map(|w| w / total).collect()
    } else {
        vec![1.0 / weights.len().max(1) as f64; weights.len()]
    }
}

fn columns(t: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    let width = t.first().map_or(0, Vec::len);
    if t.len() < 2 || width == 0 || t.iter().any(|row| row.len() != width || row.iter().any(|v| !v.is_finite())) {
        return Err(ModelError::input("客观赋权至少需要两个单位,且各单位指标齐全"));
    }
    Ok((0..width).map(|j| t.iter().map(|row| row[j]).collect()).collect())
}
