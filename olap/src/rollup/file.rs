//! A rollup's groups on disk, so that a restart need not read all rows.
//!
//! The file names the segments that it covers and the rows deleted in each. It is used only where
//! all of them are still segments of the store's own manifest, so whatever a kill left behind, a
//! rollup never claims rows that the store has not committed. What is missing is computed anew.
//!
//! Layout: length of the header (u64, little-endian), the header as JSON, the codes of the columns
//! one after the other, and the blake3 hash of everything before.

use crate::column::{Bits, Codes, Column, DictBuilder};
use crate::error::{OlapError, Result};
use crate::manifest;
use crate::rollup::definition::Definition;
use crate::rollup::state::State;
use crate::store::Inner;
use crate::table::View;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    definition: String,
    covered: Vec<Covered>,
    parts: Vec<Part>,
}

#[derive(Serialize, Deserialize)]
struct Covered {
    segment: u64,
    /// Rows deleted, as a roaring bitmap in hex.
    deleted: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Part {
    rows: usize,
    columns: Vec<Layout>,
}

#[derive(Serialize, Deserialize)]
struct Layout {
    /// Bytes a code.
    width: u8,
    base: i64,
    step: i64,
    null: i64,
    dict: Option<Vec<String>>,
}

fn path(inner: &Inner, definition: &Definition) -> PathBuf {
    inner.rollup_root().join(&definition.dataset.name).join(format!("{}.rollup", definition.name))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()).collect()
}

/// Writes a state; durable when it returns.
pub fn save(inner: &Inner, state: &State) -> Result<()> {
    let path = path(inner, &state.definition);
    let mut covered = Vec::new();
    for view in &state.covered {
        let deleted = match &view.deleted {
            None => None,
            Some(bits) => {
                let mut bitmap: RoaringBitmap =
                    (0..view.segment.rows()).filter(|r| bits.get(*r)).map(|r| r as u32).collect();
                bitmap.optimize();
                let mut bytes = Vec::new();
                bitmap.serialize_into(&mut bytes).map_err(|e| OlapError::Internal(e.to_string()))?;
                Some(hex(&bytes))
            }
        };
        covered.push(Covered { segment: view.segment.meta.id, deleted });
    }
    let mut body: Vec<u8> = Vec::new();
    let mut parts = Vec::new();
    for view in &state.parts {
        let mut columns = Vec::new();
        for place in 0..state.definition.table.field.len() {
            let column =
                view.segment.held(place).ok_or_else(|| OlapError::Internal("a rollup without columns".into()))?;
            let (codes, layout) = match &**column {
                Column::Dict { codes, dict } => (
                    codes,
                    Layout {
                        width: 0,
                        base: 0,
                        step: 1,
                        null: -1,
                        dict: Some(dict.iter().map(str::to_string).collect()),
                    },
                ),
                Column::Int { codes, base, step, null } => {
                    (codes, Layout { width: 0, base: *base, step: *step, null: *null, dict: None })
                }
                _ => return Err(OlapError::Internal("a rollup holds codes only".into())),
            };
            let width = match codes {
                Codes::U8(c) => {
                    body.extend_from_slice(c);
                    1
                }
                Codes::U16(c) => {
                    c.iter().for_each(|v| body.extend(v.to_le_bytes()));
                    2
                }
                Codes::U32(c) => {
                    c.iter().for_each(|v| body.extend(v.to_le_bytes()));
                    4
                }
                Codes::I64(c) => {
                    c.iter().for_each(|v| body.extend(v.to_le_bytes()));
                    8
                }
            };
            columns.push(Layout { width, ..layout });
        }
        parts.push(Part { rows: view.segment.rows(), columns });
    }
    let header = Header { format: FORMAT, definition: state.definition.hash.clone(), covered, parts };
    let header = serde_json::to_vec(&header).map_err(|e| OlapError::Internal(e.to_string()))?;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(body);
    let hash = blake3::hash(&bytes);
    bytes.extend(hash.as_bytes());
    let folder = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(folder).map_err(OlapError::io(folder))?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    manifest::replace(folder, &name, &bytes)
}

/// The state on disk; `None` where there is none, or it covers segments that are gone.
pub fn load(inner: &Inner, definition: &Arc<Definition>, views: &[View]) -> Result<Option<State>> {
    let path = path(inner, definition);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(OlapError::io(&path)(e)),
    };
    let bad = |what: &str| OlapError::corrupt(&path, what);
    let (content, hash) = bytes.split_at_checked(bytes.len().saturating_sub(32)).ok_or_else(|| bad("cut off"))?;
    if blake3::hash(content).as_bytes() != hash {
        return Err(bad("the checksum differs"));
    }
    let length =
        content.get(..8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes).ok_or_else(|| bad("cut off"))?;
    let header = content.get(8..8 + length as usize).ok_or_else(|| bad("cut off"))?;
    let header: Header = serde_json::from_slice(header).map_err(|e| bad(&e.to_string()))?;
    if header.format != FORMAT || header.definition != definition.hash {
        return Ok(None);
    }
    let mut covered = Vec::new();
    for known in header.covered {
        let Some(view) = views.iter().find(|v| v.segment.meta.id == known.segment) else { return Ok(None) };
        let rows = view.segment.rows();
        let deleted = match known.deleted {
            None => None,
            Some(text) => {
                let bytes = unhex(&text).ok_or_else(|| bad("a bitmap is damaged"))?;
                let bitmap = RoaringBitmap::deserialize_from(&bytes[..]).map_err(|e| bad(&e.to_string()))?;
                let mut bits = Bits::none(rows);
                bitmap.iter().filter(|r| (*r as usize) < rows).for_each(|r| bits.set(r as usize));
                Some(Arc::new(bits))
            }
        };
        let live = rows as u64 - deleted.as_ref().map_or(0, |d| d.count());
        covered.push(View { segment: view.segment.clone(), deleted, live });
    }
    let mut rest = &content[8 + length as usize..];
    let mut parts = Vec::new();
    for part in header.parts {
        let mut columns = Vec::new();
        if part.columns.len() != definition.table.field.len() {
            return Ok(None);
        }
        for layout in part.columns {
            let (mine, others) =
                rest.split_at_checked(part.rows * usize::from(layout.width)).ok_or_else(|| bad("cut off"))?;
            rest = others;
            let codes = match layout.width {
                1 => Codes::U8(mine.to_vec()),
                2 => Codes::U16(mine.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect()),
                4 => Codes::U32(mine.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()),
                8 => Codes::I64(
                    mine.chunks_exact(8)
                        .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                        .collect(),
                ),
                _ => return Err(bad("a column of unknown width")),
            };
            columns.push(match layout.dict {
                Some(texts) => {
                    let mut builder = DictBuilder::default();
                    texts.iter().for_each(|t| {
                        builder.code(t);
                    });
                    Column::Dict { codes, dict: Arc::new(builder.dict) }
                }
                None => Column::Int { codes, base: layout.base, step: layout.step, null: layout.null },
            });
        }
        parts.push(definition.held(columns, part.rows)?);
    }
    Ok(Some(State { definition: definition.clone(), covered, parts, saved: true }))
}
