//! Near duplicates: 64-bit simhash of character trigrams, found by bands of equal bits.

use super::features;
use std::collections::HashMap;

/// The simhash of a text; similar texts differ in few bits.
pub fn simhash(text: &str) -> u64 {
    let mut clean = Vec::new();
    features::clean_into(text, &mut clean);
    // A copy often differs in its punctuation only.
    clean.retain(|c| c.is_alphanumeric());
    let mut votes = [0i32; 64];
    let width = 3.min(clean.len().max(1));
    for gram in clean.windows(width) {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for c in gram {
            hash = (hash ^ u64::from(*c as u32)).wrapping_mul(0x100_0000_01b3);
            hash ^= hash >> 32;
        }
        hash = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        hash ^= hash >> 29;
        for (bit, vote) in votes.iter_mut().enumerate() {
            *vote += if hash >> bit & 1 == 1 { 1 } else { -1 };
        }
    }
    votes.iter().enumerate().fold(0, |out, (bit, vote)| out | u64::from(*vote > 0) << bit)
}

/// The group of each text: the index of the first text it is a near duplicate of (itself if none).
/// Texts belong together when their hashes differ in at most three of 64 bits: with four bands of
/// 16 bits, one band must be equal.
pub fn groups(hashes: &[u64]) -> Vec<usize> {
    let mut group: Vec<usize> = (0..hashes.len()).collect();
    let mut bands: [HashMap<u16, Vec<usize>>; 4] = Default::default();
    for (i, hash) in hashes.iter().enumerate() {
        let keys = [*hash as u16, (hash >> 16) as u16, (hash >> 32) as u16, (hash >> 48) as u16];
        let near = keys
            .iter()
            .zip(&bands)
            .filter_map(|(key, band)| band.get(key))
            .flatten()
            .filter(|j| (hashes[**j] ^ hash).count_ones() <= 3)
            .min();
        if let Some(first) = near {
            group[i] = group[*first];
        } else {
            // Only the first of a group is compared with: groups do not creep.
            for (key, band) in keys.into_iter().zip(&mut bands) {
                band.entry(key).or_default().push(i);
            }
        }
    }
    group
}
