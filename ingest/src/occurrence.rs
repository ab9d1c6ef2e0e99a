//! Numbers rows of the same content within a file, so that equal rows without a key stay apart
//! and loading the file again finds the same keys.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use zonglan_catalog::RowKey;

/// Keys are hashes already.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(b);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Build = BuildHasherDefault<Identity>;

/// Counts rows by the low half of their content's hash: 9 to 20 bytes a row without key. Two
/// contents with one half (a chance of 1 in 100,000 for 20 million rows) only get different
/// numbers, the same ones each time.
#[derive(Default)]
pub(crate) struct Occurrences {
    seen: HashSet<u64, Build>,
    again: HashMap<u64, u32, Build>,
}

impl Occurrences {
    /// The key of the next row with this content.
    pub fn number(&mut self, content: RowKey) -> RowKey {
        let half = content.0 as u64;
        if self.seen.insert(half) {
            return content;
        }
        let count = self.again.entry(half).or_insert(0);
        *count += 1;
        content.occurrence(*count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_gives_the_same_keys() {
        let keys = || {
            let mut counts = Occurrences::default();
            ["a", "b", "a", "a", "b"].map(|t| counts.number(RowKey::of([t])))
        };
        assert_eq!(keys(), keys());
        let mut distinct = keys().to_vec();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 5);
        assert_eq!(keys()[2], RowKey::of_content(["a"], 1));
    }
}
