//! The one schema of all indexes, and how rows become documents and documents values.
//!
//! Datasets differ in their fields, and definitions change while the program runs, so fields of
//! datasets are not fields of the index. A document has
//! - `text`: for each searched text the grams `field\0gram` with positions (see [`crate::analyze`]);
//! - `attr`: a JSON object `{dataset: {field: value}}`, indexed whole and as columns: filters,
//!   facets, sorting;
//! - `ends`: where sentences, paragraphs and sections end, in positions of `text` (see [`crate::ends`]);
//! - `present`: names of the fields that are not null;
//! - `ds`, `id`, `key`: whose row it is;
//! - `doc`: the values, stored.
//!
//! A field of personal or secret sensitivity is not in the index at all unless the definition
//! asks for it to be searched; keyed hashes of persons never are.

use crate::analyze::{FIELD_END, TOKENIZER, normalise};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use tantivy::TantivyDocument;
use tantivy::schema::{
    BytesOptions, FAST, Field as Slot, IndexRecordOption, JsonObjectOptions, OwnedValue, STORED, STRING, Schema,
    TextFieldIndexing, TextOptions,
};
use tantivy::{Term, schema::Value as _};
use zonglan_catalog::batch::{Batch, ColumnData, RowKey, date_of};
use zonglan_catalog::dataset::{Dataset, Field, FieldType, SearchMode, Sensitivity, Source};
use zonglan_catalog::value::Value;

/// Part of the folder name; another number when the schema below changes.
pub(crate) const FORMAT: u32 = 2;

/// The index that all registers share.
pub(crate) const REGISTERS: &str = "registers";

/// Searched texts up to this many characters can also be sorted by, counted and compared whole.
pub(crate) const SHORT_TEXT: usize = 64;

/// Whole values longer than this many bytes are indexed by their start and a hash.
const RAW_BYTES: usize = 120;

/// The index's own fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots {
    pub ds: Slot,
    pub id: Slot,
    pub key: Slot,
    pub key_hi: Slot,
    pub key_lo: Slot,
    pub rev: Slot,
    pub text: Slot,
    pub ends: Slot,
    pub attr: Slot,
    pub present: Slot,
    pub doc: Slot,
}

pub(crate) fn schema() -> (Schema, Slots) {
    let mut builder = Schema::builder();
    let raw = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    let term = TextOptions::default().set_indexing_options(raw.clone());
    let grams = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let slots = Slots {
        ds: builder.add_text_field("ds", term.clone()),
        id: builder.add_text_field("id", STRING | STORED),
        key: builder.add_bytes_field("key", BytesOptions::default().set_indexed()),
        key_hi: builder.add_u64_field("key_hi", FAST),
        key_lo: builder.add_u64_field("key_lo", FAST),
        rev: builder.add_u64_field("rev", FAST),
        text: builder.add_text_field("text", TextOptions::default().set_indexing_options(grams)),
        ends: builder.add_u64_field("ends", FAST),
        attr: builder.add_json_field("attr", JsonObjectOptions::default().set_indexing_options(raw).set_fast("raw")),
        present: builder.add_text_field("present", term),
        doc: builder.add_bytes_field("doc", STORED),
    };
    (builder.build(), slots)
}

/// Which index holds a dataset.
pub(crate) fn index_of(dataset: &Dataset) -> &str {
    match dataset.source {
        Source::Records => REGISTERS,
        Source::Import => &dataset.name,
    }
}

/// Whether the index holds anything of the field.
pub(crate) fn held(field: &Field) -> bool {
    !field.person_key && (field.sensitivity < Sensitivity::Personal || field.search != SearchMode::None)
}

/// The name of a field in `text` terms. The shared index keeps the datasets' words apart.
pub(crate) fn text_name(dataset: &Dataset, field: &str) -> String {
    match dataset.source {
        Source::Records => format!("{}.{field}", dataset.name),
        Source::Import => field.to_string(),
    }
}

/// The name of a field's column.
pub(crate) fn column(dataset: &Dataset, field: &str) -> String {
    format!("attr.{}.{field}", dataset.name)
}

/// The form in which a whole text is indexed: itself, or its start and a hash where it is long.
pub(crate) fn raw_form(text: &str) -> String {
    if text.len() <= RAW_BYTES {
        return text.to_string();
    }
    let cut = text.floor_char_boundary(RAW_BYTES - 24);
    format!("{}\u{1}{:016x}", &text[..cut], RowKey::of([text]).0 as u64)
}

impl Slots {
    /// The start of every term of a field's whole values.
    pub fn attr_path(&self, dataset: &Dataset, field: &str) -> Term {
        Term::from_field_json_path(self.attr, &format!("{}.{field}", dataset.name), false)
    }

    pub fn attr_text(&self, dataset: &Dataset, field: &str, value: &str) -> Term {
        let mut term = self.attr_path(dataset, field);
        term.append_type_and_str(value);
        term
    }

    pub fn attr_int(&self, dataset: &Dataset, field: &str, value: i64) -> Term {
        let mut term = self.attr_path(dataset, field);
        term.append_type_and_fast_value(value);
        term
    }

    pub fn gram(&self, text_name: &str, gram: &[char]) -> Term {
        let mut text = String::with_capacity(text_name.len() + 1 + 8);
        text.push_str(text_name);
        text.push(FIELD_END);
        text.extend(gram);
        Term::from_field_text(self.text, &text)
    }

    pub fn present_term(&self, dataset: &Dataset, field: &str) -> Term {
        Term::from_field_text(self.present, &format!("{}.{field}", dataset.name))
    }

    pub fn key_term(&self, key: RowKey) -> Term {
        Term::from_field_bytes(self.key, &key.0.to_be_bytes())
    }

    pub fn ds_term(&self, dataset: &str) -> Term {
        Term::from_field_text(self.ds, dataset)
    }

    pub fn id_term(&self, id: &str) -> Term {
        Term::from_field_text(self.id, id)
    }
}

/// A row on its way into an index.
pub(crate) struct Row {
    pub key: RowKey,
    pub id: String,
    /// Positions that its texts take.
    pub base: u32,
    /// A hash of content and definition: equal means that nothing needs to be written. Goes into the
    /// document when that is complete.
    pub rev: u64,
    pub document: TantivyDocument,
    /// Bytes that it holds, to bound buffers.
    pub bytes: usize,
    /// Event time, milliseconds since 1970 UTC.
    pub time: Option<i64>,
}

/// What of a definition decides how rows are indexed.
pub(crate) fn signature(dataset: &Dataset) -> String {
    let fields: Vec<_> = dataset.field.iter().map(|f| (&f.name, f.kind, f.search, held(f), f.scale)).collect();
    json!([FORMAT, dataset.name, dataset.key, fields]).to_string()
}

/// The id of a row: its key fields joined by `/`, or the row key in hex where there are none.
fn row_id(dataset: &Dataset, batch: &Batch, row: usize) -> String {
    if dataset.key.is_empty() {
        return format!("{:032x}", batch.keys[row].0);
    }
    let parts: Vec<String> = dataset
        .key
        .iter()
        .map(|name| dataset.field_index(name).map(|i| batch.value(dataset, i, row).to_text()).unwrap_or_default())
        .collect();
    parts.join("/")
}

/// What a row is known by in its index. Registers share one and number their records alone, so two
/// of them may have the same id.
pub(crate) fn own_key(dataset: &Dataset, key: RowKey) -> RowKey {
    match index_of(dataset) {
        REGISTERS => RowKey(key.0 ^ RowKey::of([dataset.name.as_str()]).0),
        _ => key,
    }
}

/// Makes the document of one row of a batch.
pub(crate) fn row_of(slots: &Slots, dataset: &Dataset, signature: &str, batch: &Batch, row: usize) -> Row {
    let mut document = TantivyDocument::new();
    let key = batch.keys[row];
    let id = row_id(dataset, batch, row);
    document.add_text(slots.ds, &dataset.name);
    let own = own_key(dataset, key);
    document.add_bytes(slots.key, &own.0.to_be_bytes());
    document.add_u64(slots.key_hi, (key.0 >> 64) as u64);
    document.add_u64(slots.key_lo, key.0 as u64);
    let mut stored = Map::new();
    let mut attrs: Vec<(String, OwnedValue)> = Vec::new();
    let mut time = None;
    let (mut ends, mut base) = (Vec::new(), 0);
    for (index, field) in dataset.field.iter().enumerate() {
        let is_time = dataset.time.as_ref() == Some(&field.name);
        if !held(field) {
            continue;
        }
        let (json, attr) = match &batch.columns[index] {
            ColumnData::Text(column) => {
                let Some(text) = column.get(row) else { continue };
                let zh = field.search == SearchMode::Zh;
                if zh {
                    let normal = normalise(text);
                    crate::ends::list_of(text, &normal, base, &mut ends);
                    // The engine leaves a gap of one between the texts of a field.
                    base += normal.len() as u32 + 1;
                    document.add_text(slots.text, format!("{}{FIELD_END}{text}", text_name(dataset, &field.name)));
                }
                let whole = !zh || text.chars().nth(SHORT_TEXT).is_none();
                (Json::from(text), whole.then(|| OwnedValue::Str(raw_form(text))))
            }
            ColumnData::Int(column) | ColumnData::Instant(column) => {
                let Some(value) = column[row] else { continue };
                if is_time {
                    time = Some(value);
                }
                (Json::from(value), Some(OwnedValue::I64(value)))
            }
            ColumnData::Bool(column) => {
                let Some(value) = column[row] else { continue };
                (Json::from(value), Some(OwnedValue::I64(i64::from(value))))
            }
            ColumnData::Date(column) => {
                let Some(days) = column[row] else { continue };
                if is_time {
                    time = Some(zonglan_catalog::time::local_midnight(date_of(days)));
                }
                (Json::from(days), Some(OwnedValue::I64(i64::from(days))))
            }
            ColumnData::Point(column) => {
                let Some((x, y)) = column[row] else { continue };
                (json!([x, y]), None)
            }
        };
        document.add_text(slots.present, format!("{}.{}", dataset.name, field.name));
        stored.insert(field.name.clone(), json);
        if let Some(attr) = attr {
            attrs.push((field.name.clone(), attr));
        }
    }
    ends.into_iter().for_each(|entry| document.add_u64(slots.ends, entry));
    document.add_text(slots.id, &id);
    let attr = BTreeMap::from([(dataset.name.clone(), OwnedValue::Object(attrs))]);
    document.add_object(slots.attr, attr);
    let stored = Json::Object(stored).to_string();
    let rev = RowKey::of([signature, id.as_str(), stored.as_str()]).0 as u64;
    document.add_bytes(slots.doc, stored.as_bytes());
    Row { key: own, base, id, rev, document, bytes: stored.len() * 3 + 256, time }
}

/// The id and the typed values of a stored document; fields that the definition no longer has
/// are left out.
pub(crate) fn values_of(
    slots: &Slots,
    dataset: &Dataset,
    document: &TantivyDocument,
) -> (String, BTreeMap<String, Value>) {
    let id = document.get_first(slots.id).and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
    let bytes = document.get_first(slots.doc).and_then(|v| v.as_bytes().map(<[u8]>::to_vec)).unwrap_or_default();
    // Written by `row_of`; a document that does not read as JSON shows as one without values.
    let stored: Map<String, Json> = serde_json::from_slice(&bytes).unwrap_or_default();
    let values = stored
        .into_iter()
        .filter_map(|(name, json)| {
            let field = dataset.field(&name)?;
            let value = value_of(field, json)?;
            Some((name, value))
        })
        .collect();
    (id, values)
}

fn value_of(field: &Field, json: Json) -> Option<Value> {
    Some(match (field.kind, json) {
        (kind, Json::String(text)) if kind.is_textual() => Value::Text(text),
        (FieldType::Bool, Json::Bool(b)) => Value::Bool(b),
        (FieldType::Point, json) => Value::from_json(&json)?,
        (kind, Json::Number(n)) => int_value(field, kind, n.as_i64()?)?,
        _ => return None,
    })
}

/// The value that an integer of a column stands for.
pub(crate) fn int_value(field: &Field, kind: FieldType, n: i64) -> Option<Value> {
    Some(match kind {
        FieldType::Int => Value::Int(n),
        FieldType::Decimal => Value::Decimal { units: n, scale: field.scale },
        FieldType::Bool => Value::Bool(n != 0),
        FieldType::Date => Value::Date(date_of(i32::try_from(n).ok()?)),
        FieldType::Instant => Value::Instant(n),
        _ => return None,
    })
}
