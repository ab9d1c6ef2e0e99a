//! Collects the keys of matching rows, up to one more than a limit.

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};
use zonglan_catalog::batch::RowKey;

pub(crate) struct Keys {
    pub limit: usize,
}

pub(crate) struct SegmentKeys {
    limit: usize,
    hi: Column<u64>,
    lo: Column<u64>,
    keys: Vec<RowKey>,
}

impl Collector for Keys {
    type Fruit = Vec<RowKey>;
    type Child = SegmentKeys;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentKeys> {
        let fast = segment.fast_fields();
        Ok(SegmentKeys { limit: self.limit, hi: fast.u64("key_hi")?, lo: fast.u64("key_lo")?, keys: Vec::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Vec<RowKey>>) -> tantivy::Result<Vec<RowKey>> {
        let mut keys = fruits.concat();
        keys.truncate(self.limit.saturating_add(1));
        Ok(keys)
    }
}

impl SegmentCollector for SegmentKeys {
    type Fruit = Vec<RowKey>;

    fn collect(&mut self, doc: DocId, _: Score) {
        if self.keys.len() <= self.limit {
            let hi = u128::from(self.hi.first(doc).unwrap_or_default());
            let lo = u128::from(self.lo.first(doc).unwrap_or_default());
            self.keys.push(RowKey(hi << 64 | lo));
        }
    }

    fn harvest(self) -> Vec<RowKey> {
        self.keys
    }
}
