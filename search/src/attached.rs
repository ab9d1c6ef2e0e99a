//! Texts of files attached to records: searched with the record, by whoever may see it.
//!
//! The index asks for them when it writes a record, under the writer's lock: a text that is known
//! before [`Indexes::refresh`] is called is in the index when that returns, whatever else is
//! being written. They are one field of the index that no dataset declares, [`FIELD`].

use crate::Indexes;
use crate::analyze::{FIELD_END, normalise};
use crate::error::SearchError;
use crate::schema::{Row, Slots, text_name, values_of};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, LazyLock};
use tantivy::TantivyDocument;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Query as EngineQuery, TermQuery};
use tantivy::schema::{IndexRecordOption, Value as _};
use zonglan_catalog::batch::{Batch, RowKey};
use zonglan_catalog::dataset::{Dataset, Field};
use zonglan_catalog::error::Result;
use zonglan_catalog::search::{Passage, PassageFile};

/// The name of the field in queries and passages.
pub const FIELD: &str = "attachment";

/// Characters of all files of one record that are searched; the rest is not.
const MOST: usize = 2_000_000;

/// The text of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The file's number.
    pub file: i64,
    pub name: String,
    pub text: String,
}

/// Knows the texts of the files of records.
pub trait Attachments: Send + Sync {
    /// Texts of a record's files, oldest first. Blocking.
    fn of(&self, dataset: &str, id: &str) -> Result<Vec<Attached>>;
}

/// As stored with a record.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Name and text of one file after another.
    text: String,
    /// Where each begins, in characters, with its number and name.
    files: Vec<(usize, i64, String)>,
}

/// Whether records of a dataset have files.
pub(crate) fn takes(dataset: &Dataset) -> bool {
    dataset.register.as_ref().is_some_and(|r| r.attachments.is_some())
}

/// The searched field that stands for the files.
pub(crate) fn field() -> &'static Field {
    static FIELDS: LazyLock<Field> = LazyLock::new(|| {
        let json = serde_json::json!({
            "name": FIELD, "label": {"zh": "附件", "en": "Attachment"}, "type": "text", "search": "zh",
        });
        // The keys are those of every definition file.
        serde_json::from_value(json).unwrap_or_else(|error| unreachable!("the field of attachments: {error}"))
    });
    &FIELDS
}

/// The same by name.
pub(crate) fn of_name(dataset: &Dataset, name: &str) -> Option<&'static Field> {
    (name == FIELD && takes(dataset)).then(field)
}

impl Stored {
    fn new(files: Vec<Attached>) -> Self {
        let mut stored = Self::default();
        let mut characters = 0;
        for file in files {
            let left = MOST - characters;
            let whole = format!("{}\n{}\n", file.name, file.text);
            stored.files.push((characters, file.file, file.name));
            let cut = whole.char_indices().nth(left).map_or(whole.len(), |(at, _)| at);
            characters += whole[..cut].chars().count();
            stored.text.push_str(&whole[..cut]);
            if characters == MOST {
                break;
            }
        }
        stored
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Says of passages in which file they are.
    pub fn placed(&self, passages: impl IntoIterator<Item = Passage>) -> Vec<Passage> {
        let place = |mut passage: Passage| {
            // A passage may begin with the end of the file before: where its first mark is, counts.
            let at = passage.offset + passage.marks.first().map_or(0, |mark| mark.0);
            let file = self.files.iter().rev().find(|(from, ..)| *from <= at);
            passage.file = file.map(|(_, id, name)| PassageFile { id: *id, name: name.clone() });
            passage
        };
        passages.into_iter().map(place).collect()
    }
}

/// Adds the texts of a record's files to its row.
pub(crate) fn add(slots: &Slots, dataset: &Dataset, row: &mut Row, files: Vec<Attached>) {
    if files.is_empty() {
        return;
    }
    let stored = Stored::new(files);
    let (mut ends, normal) = (Vec::new(), normalise(&stored.text));
    crate::ends::list_of(&stored.text, &normal, row.base, &mut ends);
    ends.into_iter().for_each(|entry| row.document.add_u64(slots.ends, entry));
    row.document.add_text(slots.text, format!("{}{FIELD_END}{}", text_name(dataset, FIELD), stored.text));
    // The second value of `doc`: the first holds the row's own.
    let json = serde_json::json!(stored).to_string();
    row.rev ^= RowKey::of([json.as_str()]).0 as u64;
    row.document.add_bytes(slots.doc, json.as_bytes());
    row.document.add_text(slots.present, format!("{}.{FIELD}", dataset.name));
}

/// The files of a stored document.
pub(crate) fn of(slots: &Slots, document: &TantivyDocument) -> Option<Stored> {
    let bytes = document.get_all(slots.doc).nth(1)?.as_bytes()?;
    // Written by `add`.
    serde_json::from_slice(bytes).ok()
}

impl Indexes {
    /// Where texts of files come from; asked from now on.
    pub fn set_attachments(&self, source: Arc<dyn Attachments>) {
        *self.0.attachments.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(source);
    }

    /// Writes a record anew with the texts that its files have now. A record that the index does
    /// not have yet gets them when it comes. Blocking.
    pub fn refresh(&self, dataset: &Arc<Dataset>, id: &str) -> Result<()> {
        if !takes(dataset) || self.0.shelf(dataset, false)?.is_none() {
            return Ok(());
        }
        let mut txn = self.transaction(dataset)?;
        // With the writer in hand nobody else commits: what the reader shows is the last state.
        let shelf = txn.take_writer()?;
        let (slots, fail) = (&shelf.slots, SearchError::engine(&shelf.name));
        let query = BooleanQuery::intersection(vec![
            Box::new(TermQuery::new(slots.ds_term(&dataset.name), IndexRecordOption::Basic)) as Box<dyn EngineQuery>,
            Box::new(TermQuery::new(slots.id_term(id), IndexRecordOption::Basic)),
        ]);
        let searcher = shelf.searcher();
        let found = searcher.search(&query, &TopDocs::with_limit(1).order_by_score()).map_err(&fail)?;
        let Some((_, address)) = found.into_iter().next() else { return Ok(()) };
        let stored: TantivyDocument = searcher.doc(address).map_err(&fail)?;
        let columns = searcher.segment_reader(address.segment_ord).fast_fields();
        let half = |name: &str| -> std::result::Result<u128, SearchError> {
            Ok(columns.u64(name).map_err(&fail)?.first(address.doc_id).unwrap_or_default().into())
        };
        let key = RowKey(half("key_hi")? << 64 | half("key_lo")?);
        let (_, values) = values_of(slots, dataset, &stored);
        let mut batch = Batch::new(dataset);
        batch.push_fields(dataset, &values);
        batch.keys[0] = key;
        txn.put(&batch)
    }
}
