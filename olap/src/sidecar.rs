//! The file beside a segment's Parquet file: row keys, content hashes, a Bloom filter over the
//! keys, and the dictionaries of coded columns. It is mapped, not read: pages that nobody needs
//! take no memory.
//!
//! Layout, little-endian: magic, format, section count, then per section kind (u32), column
//! (u32), offset and length (u64), then the sections, each at a multiple of 16.

use crate::column::Dict;
use crate::error::{OlapError, Result};
use memmap2::Mmap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const MAGIC: u64 = u64::from_le_bytes(*b"ZLSIDE\0\0");
const FORMAT: u32 = 1;

/// Keys ascending, 16 bytes each.
const KEYS: u32 = 1;
/// The row of each key position.
const ROWS: u32 = 2;
/// The key position of each row.
const POSITIONS: u32 = 3;
/// The content hash of each key position.
const HASHES: u32 = 4;
const BLOOM: u32 = 5;
/// Entry count, ends (u32 each), bytes; `column` is the field's place in the segment.
const DICT: u32 = 6;

/// Bits of the filter per key, and bits set per key: about 0.8 % false positives.
const BLOOM_BITS: usize = 12;
const BLOOM_PROBES: u32 = 6;

/// An open sidecar.
#[derive(Debug)]
pub struct Sidecar {
    map: Mmap,
    path: PathBuf,
    sections: Vec<(u32, u32, usize, usize)>,
    rows: usize,
    keys: usize,
    row_of: usize,
    position_of: usize,
    hashes: usize,
    bloom: (usize, usize),
}

impl Sidecar {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(OlapError::io(path))?;
        // SAFETY: segments are written once, fsynced before the manifest names them, and never
        // changed or truncated afterwards; the folder belongs to this program alone.
        let map = unsafe { Mmap::map(&file) }.map_err(OlapError::io(path))?;
        let bad = |what: &str| OlapError::corrupt(path, what);
        let u32_at = |at: usize| map.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let u64_at = |at: usize| map.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        if u64_at(0) != Some(MAGIC) {
            return Err(bad("no sidecar"));
        }
        if u32_at(8) != Some(FORMAT) {
            return Err(bad("unknown sidecar format; it was written by a newer version"));
        }
        let count = u32_at(12).ok_or_else(|| bad("cut off"))? as usize;
        let mut sections = Vec::with_capacity(count);
        for index in 0..count {
            let at = 16 + index * 24;
            let section = (u32_at(at), u32_at(at + 4), u64_at(at + 8), u64_at(at + 16));
            let (Some(kind), Some(column), Some(offset), Some(length)) = section else { return Err(bad("cut off")) };
            let (offset, length) = (offset as usize, length as usize);
            if offset.checked_add(length).is_none_or(|end| end > map.len()) {
                return Err(bad("a section lies beyond the end"));
            }
            sections.push((kind, column, offset, length));
        }
        let find = |kind: u32| {
            sections.iter().find(|s| s.0 == kind).map(|s| (s.2, s.3)).ok_or_else(|| bad("a section is missing"))
        };
        let (keys, length) = find(KEYS)?;
        let rows = length / 16;
        let (row_of, position_of, hashes, bloom) = (find(ROWS)?, find(POSITIONS)?, find(HASHES)?, find(BLOOM)?);
        if row_of.1 != rows * 4
            || position_of.1 != rows * 4
            || hashes.1 != rows * 8
            || bloom.1 == 0
            || !bloom.1.is_multiple_of(64)
        {
            return Err(bad("sections differ in length"));
        }
        Ok(Self {
            path: path.to_path_buf(),
            rows,
            keys,
            row_of: row_of.0,
            position_of: position_of.0,
            hashes: hashes.0,
            bloom,
            sections,
            map,
        })
    }

    /// A sidecar without keys: nothing is found in it.
    pub fn none() -> std::io::Result<Self> {
        let map = memmap2::MmapMut::map_anon(64)?.make_read_only()?;
        Ok(Self {
            map,
            path: PathBuf::new(),
            sections: Vec::new(),
            rows: 0,
            keys: 0,
            row_of: 0,
            position_of: 0,
            hashes: 0,
            bloom: (0, 64),
        })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    fn u32(&self, at: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.map[at..at + 4]);
        u32::from_le_bytes(word)
    }

    #[inline]
    fn u64(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.map[at..at + 8]);
        u64::from_le_bytes(word)
    }

    #[inline]
    fn key_at(&self, position: usize) -> u128 {
        let at = self.keys + position * 16;
        let mut word = [0; 16];
        word.copy_from_slice(&self.map[at..at + 16]);
        u128::from_le_bytes(word)
    }

    /// The key of a row.
    pub fn key(&self, row: u32) -> u128 {
        self.key_at(self.u32(self.position_of + row as usize * 4) as usize)
    }

    /// The content hash of a row.
    pub fn hash(&self, row: u32) -> u64 {
        self.u64(self.hashes + self.u32(self.position_of + row as usize * 4) as usize * 8)
    }

    /// Row, key and content hash of every row, by key.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u128, u64)> {
        (0..self.rows).map(|p| (self.u32(self.row_of + p * 4), self.key_at(p), self.u64(self.hashes + p * 8)))
    }

    fn may_hold(&self, key: u128) -> bool {
        let blocks = self.bloom.1 / 64;
        let (block, probes) = bloom_place(key, blocks);
        let base = self.bloom.0 + block * 64;
        (0..BLOOM_PROBES).all(|i| {
            let bit = (probes >> (i * 9)) as usize & 511;
            self.map[base + bit / 8] >> (bit % 8) & 1 == 1
        })
    }

    /// The row with a key, and its content hash.
    pub fn find(&self, key: u128) -> Option<(u32, u64)> {
        if !self.may_hold(key) {
            return None;
        }
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.key_at(middle) < key { low = middle + 1 } else { high = middle }
        }
        (low < self.rows && self.key_at(low) == key)
            .then(|| (self.u32(self.row_of + low * 4), self.u64(self.hashes + low * 8)))
    }

    /// The dictionary of a column.
    pub fn dict(&self, column: u32) -> Result<Dict> {
        let bad = || OlapError::corrupt(&self.path, "a dictionary is damaged");
        let (.., offset, length) = self.sections.iter().find(|s| s.0 == DICT && s.1 == column).ok_or_else(bad)?;
        let section = &self.map[*offset..offset + length];
        let count = section.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).ok_or_else(bad)? as usize;
        let (ends, bytes) = section[4..].split_at_checked(count * 4).ok_or_else(bad)?;
        let ends: Vec<u32> = ends.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let total = ends.last().map_or(0, |e| *e as usize);
        let text = std::str::from_utf8(bytes.get(..total).ok_or_else(bad)?).map_err(|_| bad())?;
        let ordered = ends.windows(2).all(|w| w[0] <= w[1]) && ends.iter().all(|e| text.is_char_boundary(*e as usize));
        if !ordered {
            return Err(bad());
        }
        Ok(Dict { bytes: text.to_string(), ends, hashes: Default::default() })
    }
}

#[inline]
fn bloom_place(key: u128, blocks: usize) -> (usize, u64) {
    let (low, high) = (key as u64, (key >> 64) as u64);
    let block = (u128::from(low) * blocks as u128) >> 64;
    (block as usize, crate::hash::mix(high ^ low, 0x9e37_79b9_7f4a_7c15))
}

/// Writes a sidecar and makes it durable. `keys` and `hashes` are in row order.
pub fn write(path: &Path, keys: &[u128], hashes: &[u64], dicts: &[(u32, Dict)]) -> Result<u64> {
    use rayon::slice::ParallelSliceMut;
    let rows = keys.len();
    let mut order: Vec<(u128, u32)> = keys.iter().copied().zip(0u32..).collect();
    order.par_sort_unstable();
    let mut position_of = vec![0u32; rows];
    for (position, (_, row)) in order.iter().enumerate() {
        position_of[*row as usize] = position as u32;
    }
    let blocks = (rows * BLOOM_BITS).div_ceil(512).max(1);
    let mut bloom = vec![0u8; blocks * 64];
    for &key in keys {
        let (block, probes) = bloom_place(key, blocks);
        for i in 0..BLOOM_PROBES {
            let bit = (probes >> (i * 9)) as usize & 511;
            bloom[block * 64 + bit / 8] |= 1 << (bit % 8);
        }
    }
    let mut lengths = vec![
        (KEYS, 0, rows * 16),
        (ROWS, 0, rows * 4),
        (POSITIONS, 0, rows * 4),
        (HASHES, 0, rows * 8),
        (BLOOM, 0, bloom.len()),
    ];
    lengths.extend(dicts.iter().map(|(column, dict)| (DICT, *column, 4 + dict.byte_len())));
    let file = File::create(path).map_err(OlapError::io(path))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut at = (16 + lengths.len() * 24).next_multiple_of(16);
    let mut header = Vec::with_capacity(at);
    header.extend(MAGIC.to_le_bytes());
    header.extend(FORMAT.to_le_bytes());
    header.extend((lengths.len() as u32).to_le_bytes());
    for (kind, column, length) in &lengths {
        header.extend(kind.to_le_bytes());
        header.extend(column.to_le_bytes());
        header.extend((at as u64).to_le_bytes());
        header.extend((*length as u64).to_le_bytes());
        at = (at + length).next_multiple_of(16);
    }
    let mut write = || -> std::io::Result<()> {
        let mut padded = Padded { out: &mut out, written: 0 };
        padded.put(&header)?;
        padded.pad()?;
        for (key, _) in &order {
            padded.put(&key.to_le_bytes())?;
        }
        padded.pad()?;
        for (_, row) in &order {
            padded.put(&row.to_le_bytes())?;
        }
        padded.pad()?;
        for position in &position_of {
            padded.put(&position.to_le_bytes())?;
        }
        padded.pad()?;
        for (_, row) in &order {
            padded.put(&hashes[*row as usize].to_le_bytes())?;
        }
        padded.pad()?;
        padded.put(&bloom)?;
        padded.pad()?;
        for (_, dict) in dicts {
            padded.put(&(dict.len() as u32).to_le_bytes())?;
            for end in &dict.ends {
                padded.put(&end.to_le_bytes())?;
            }
            padded.put(dict.bytes.as_bytes())?;
            padded.pad()?;
        }
        out.flush()?;
        out.get_ref().sync_all()
    };
    write().map_err(OlapError::io(path))?;
    Ok(at as u64)
}

struct Padded<'a, W> {
    out: &'a mut W,
    written: usize,
}

impl<W: Write> Padded<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.written += bytes.len();
        self.out.write_all(bytes)
    }

    fn pad(&mut self) -> std::io::Result<()> {
        let gap = self.written.next_multiple_of(16) - self.written;
        self.put(&[0; 16][..gap])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_strangers_are_not() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("1.side");
        let key = |i: u32| {
            *blake3::hash(&i.to_le_bytes())
                .as_bytes()
                .first_chunk::<16>()
                .map(|b| u128::from_le_bytes(*b))
                .as_ref()
                .expect("16 bytes")
        };
        let keys: Vec<u128> = (0..5_000).map(key).collect();
        let hashes: Vec<u64> = (0..5_000).collect();
        let dict = Dict { bytes: "甲b".into(), ends: vec![3, 4], ..Dict::default() };
        write(&path, &keys, &hashes, &[(4, dict.clone())]).expect("writes");
        let sidecar = Sidecar::open(&path).expect("opens");
        for row in 0..5_000u32 {
            assert_eq!(sidecar.find(keys[row as usize]), Some((row, u64::from(row))));
            assert_eq!(sidecar.key(row), keys[row as usize]);
        }
        assert_eq!(sidecar.dict(4).expect("dictionary"), dict);
        let passed = (10_000..20_000).filter(|i| sidecar.may_hold(key(*i))).count();
        assert!(passed < 200, "{passed} of 10,000 strangers pass the filter");
        assert!((10_000..20_000).all(|i| sidecar.find(key(i)).is_none()));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("1.side");
        write(&path, &[1, 2], &[1, 2], &[]).expect("writes");
        let whole = std::fs::read(&path).expect("reads");
        for cut in [0, 10, 40, whole.len() - 20] {
            std::fs::write(&path, &whole[..cut]).expect("writes");
            assert!(Sidecar::open(&path).is_err(), "{cut}");
        }
    }
}
