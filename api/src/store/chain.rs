//! What the two sealed streams consist of: entries, their MACs, blocks and their hashes.

use super::crypto::CryptoProvider;

/// The two streams that are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Change,
    Audit,
}

impl Stream {
    pub const ALL: [Stream; 2] = [Stream::Change, Stream::Audit];

    pub fn name(self) -> &'static str {
        match self {
            Stream::Change => "change",
            Stream::Audit => "audit",
        }
    }
}

/// The end of a stream's chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Number of the last block; 0 before the first.
    pub block: u64,
    /// Entries in all blocks.
    pub entries: u64,
    /// Id of the last sealed entry.
    pub last: i64,
    /// Hash of the last block; zeros before the first.
    pub hash: [u8; 32],
}

/// The heads of both streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    pub change: Head,
    pub audit: Head,
}

impl Heads {
    pub fn of(&self, stream: Stream) -> &Head {
        match stream {
            Stream::Change => &self.change,
            Stream::Audit => &self.audit,
        }
    }
}

/// A write of a record, as the change log keeps it. `before` and `after` are stored documents.
#[derive(Debug, Clone)]
pub struct ChangeEntry<'a> {
    pub actor: &'a str,
    pub action: &'a str,
    pub dataset: &'a str,
    pub record: &'a str,
    pub version: u64,
    pub state: &'a str,
    pub purpose: Option<&'a str>,
    pub before: Option<&'a str>,
    pub after: Option<&'a str>,
}

/// A row of the audit stream.
#[derive(Debug, Clone, Default)]
pub struct AuditEntry<'a> {
    pub at: i64,
    pub actor: &'a str,
    pub action: &'a str,
    pub dataset: Option<&'a str>,
    pub record: Option<&'a str>,
    pub purpose: Option<&'a str>,
    pub address: Option<&'a str>,
    pub detail: Option<&'a str>,
}

/// Fields with their lengths, so that no two different entries read the same.
pub(super) fn canonical(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(fields.iter().map(|f| 9 + f.map_or(0, <[u8]>::len)).sum());
    for field in fields {
        match field {
            None => bytes.push(0),
            Some(content) => {
                bytes.push(1);
                bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
                bytes.extend_from_slice(content);
            }
        }
    }
    bytes
}

/// What the MAC of a change covers. The id is part of it, so entries cannot trade places.
pub(super) fn change_bytes(id: i64, at: i64, entry: &ChangeEntry) -> Vec<u8> {
    let text = |t: Option<&'_ str>| t.map(|t| t.as_bytes().to_vec());
    let (purpose, before, after) = (text(entry.purpose), text(entry.before), text(entry.after));
    canonical(&[
        Some(b"change"),
        Some(&id.to_be_bytes()),
        Some(&at.to_be_bytes()),
        Some(entry.actor.as_bytes()),
        Some(entry.action.as_bytes()),
        Some(entry.dataset.as_bytes()),
        Some(entry.record.as_bytes()),
        Some(&entry.version.to_be_bytes()),
        Some(entry.state.as_bytes()),
        purpose.as_deref(),
        before.as_deref(),
        after.as_deref(),
    ])
}

pub(super) fn audit_bytes(id: i64, entry: &AuditEntry) -> Vec<u8> {
    canonical(&[
        Some(b"audit"),
        Some(&id.to_be_bytes()),
        Some(&entry.at.to_be_bytes()),
        Some(entry.actor.as_bytes()),
        Some(entry.action.as_bytes()),
        entry.dataset.map(str::as_bytes),
        entry.record.map(str::as_bytes),
        entry.purpose.map(str::as_bytes),
        entry.address.map(str::as_bytes),
        entry.detail.map(str::as_bytes),
    ])
}

/// The numbers of a block besides its hashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockBounds {
    pub number: u64,
    pub first: i64,
    pub last: i64,
    pub count: u64,
    pub at: i64,
}

/// The chain hash of a block: its bounds, the hash before it and its entries' MACs in order.
pub(super) fn block_hash(
    crypto: &dyn CryptoProvider,
    stream: Stream,
    bounds: &BlockBounds,
    previous: &[u8],
    macs: &[u8],
) -> [u8; 32] {
    crypto.hash(&[
        stream.name().as_bytes(),
        previous,
        &bounds.number.to_be_bytes(),
        &bounds.first.to_be_bytes(),
        &bounds.last.to_be_bytes(),
        &bounds.count.to_be_bytes(),
        &bounds.at.to_be_bytes(),
        macs,
    ])
}

/// A block's own MAC: without the key nobody can chain other blocks.
pub(super) fn block_mac(crypto: &dyn CryptoProvider, hash: &[u8]) -> [u8; 32] {
    crypto.mac(&[b"block", hash])
}
