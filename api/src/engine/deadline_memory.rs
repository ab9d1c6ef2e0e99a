//! What a run of deadline supervision remembers of the last one: for each case a hash of its events
//! and results, the rows that it has, and the day on which it must be looked at again. A cache: it
//! may be lost at any time, and then the next run judges every case.

use super::deadline::code;
use chrono::NaiveDate;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use zonglan_catalog::batch::{date_of, days};
use zonglan_models::deadline::CaseResult;
use zonglan_olap::Marks;

const MAGIC: &[u8; 8] = b"ZLDEAD2\n";

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseMemory {
    pub events: u64,
    /// Rows of the stream that it has.
    pub count: u32,
    pub result: u64,
    /// Day number; the largest number where nothing changes by itself.
    pub next_change: i32,
    /// Rule, limit and spell of each row.
    pub rows: Box<[u32]>,
}

impl CaseMemory {
    /// `place`: district and units, which the rows carry too.
    pub fn new<'a>(events: u64, count: u32, result: &CaseResult, place: impl Iterator<Item = &'a str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for text in place {
            hasher.update(text.as_bytes());
            hasher.update(b"|");
        }
        for row in &result.rows {
            let day = |d: Option<NaiveDate>| d.map_or(i32::MIN, days).to_le_bytes();
            hasher.update(&code(row).to_le_bytes());
            hasher.update(&[row.state as u8, u8::from(row.estimated)]);
            hasher.update(&[day(row.trigger), day(row.due), day(row.end)].concat());
        }
        let mut word = [0; 8];
        word.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self {
            events,
            count,
            result: u64::from_le_bytes(word),
            next_change: result.next_change.map_or(i32::MAX, days),
            rows: result.rows.iter().map(code).collect(),
        }
    }
}

/// The cases of a stream, as the last run left them.
#[derive(Debug, Default, PartialEq)]
pub struct Memory {
    /// Version of the rules.
    pub version: String,
    /// Data version of the results: another one means that somebody else wrote them.
    pub kept: u64,
    pub as_of: NaiveDate,
    /// How far the stream's dataset had been read.
    pub marks: Marks,
    pub cases: HashMap<Box<str>, CaseMemory>,
}

impl Memory {
    /// `None` where there is no file or it is not whole.
    pub fn load(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        if blake3::hash(body).as_bytes() != sum {
            tracing::warn!(file = %path.display(), "the memory of deadlines is not whole; every case is judged again");
            return None;
        }
        let mut at = Reader(body);
        if at.take(8)? != MAGIC {
            return None;
        }
        let length = at.u32()? as usize;
        let version = String::from_utf8(at.take(length)?.to_vec()).ok()?;
        let (kept, as_of, count) = (at.u64()?, date_of(at.u32()? as i32), at.u64()?);
        let segments = at.u64()?;
        let marks = (0..segments).map(|_| Some((at.u64()?, at.u64()?))).collect::<Option<_>>()?;
        let mut cases = HashMap::with_capacity(usize::try_from(count).ok()?.min(body.len() / 40));
        for _ in 0..count {
            let length = at.u32()? as usize;
            let name = std::str::from_utf8(at.take(length)?).ok()?.into();
            let (events, count, result) = (at.u64()?, at.u32()?, at.u64()?);
            let (next_change, rows) = (at.u32()? as i32, at.u32()?);
            let rows = (0..rows).map(|_| at.u32()).collect::<Option<_>>()?;
            cases.insert(name, CaseMemory { events, count, result, next_change, rows });
        }
        Some(Self { version, kept, as_of, marks, cases })
    }

    /// Puts the file there whole or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut out = Vec::with_capacity(64 + self.cases.len() * 64);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(self.version.len() as u32).to_le_bytes());
        out.extend_from_slice(self.version.as_bytes());
        out.extend_from_slice(&self.kept.to_le_bytes());
        out.extend_from_slice(&days(self.as_of).to_le_bytes());
        out.extend_from_slice(&(self.cases.len() as u64).to_le_bytes());
        out.extend_from_slice(&(self.marks.len() as u64).to_le_bytes());
        for (segment, deleted) in &self.marks {
            out.extend_from_slice(&segment.to_le_bytes());
            out.extend_from_slice(&deleted.to_le_bytes());
        }
        for (name, case) in &self.cases {
            out.extend_from_slice(&(name.len() as u32).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&case.events.to_le_bytes());
            out.extend_from_slice(&case.count.to_le_bytes());
            out.extend_from_slice(&case.result.to_le_bytes());
            out.extend_from_slice(&case.next_change.to_le_bytes());
            out.extend_from_slice(&(case.rows.len() as u32).to_le_bytes());
            case.rows.iter().for_each(|row| out.extend_from_slice(&row.to_le_bytes()));
        }
        let sum = blake3::hash(&out);
        out.extend_from_slice(sum.as_bytes());
        let part = path.with_extension("part");
        let mut file = std::fs::File::create(&part)?;
        file.write_all(&out)?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(bytes)?;
        self.0 = tail;
        Some(head)
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_damage_is_seen() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.memory");
        assert!(Memory::load(&path).is_none());
        let case = |n: u64| CaseMemory {
            events: n,
            count: 3,
            result: n * 7,
            next_change: i32::MAX,
            rows: [1, 2, n as u32].into(),
        };
        let memory = Memory {
            version: "v1".into(),
            kept: 9,
            as_of: "2026-03-01".parse().expect("a date"),
            marks: Marks::from([(3, 0), (9, 12)]),
            cases: (0..100).map(|n| (format!("案{n}").into(), case(n))).collect(),
        };
        memory.save(&path).expect("written");
        assert_eq!(Memory::load(&path).expect("whole"), memory);
        let mut bytes = std::fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        assert!(Memory::load(&path).is_none());
    }
}
