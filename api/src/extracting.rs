//! On import, values that a text states and its row lacks are read from the text. What is less
//! sure than its threshold is named in the row's `to_confirm`, for the page 关联结果确认.

use std::collections::BTreeMap;
use std::sync::Arc;
use zonglan_catalog::error::Result;
use zonglan_catalog::traits::{Committed, Cursor, RowSink, SinkTxn};
use zonglan_catalog::{Batch, Catalogue, Dataset, RowKey, Value};
use zonglan_models::extract::{self, Extracted, Thresholds};

/// The field that names what is to be confirmed.
pub const PENDING: &str = "to_confirm";

/// A store before which rows are completed from their texts.
pub struct Extracting {
    inner: Arc<dyn RowSink>,
    catalogue: Arc<Catalogue>,
}

impl Extracting {
    pub fn new(inner: Arc<dyn RowSink>, catalogue: Arc<Catalogue>) -> Self {
        Self { inner, catalogue }
    }
}

/// The rules for reading a dataset's texts, where a file declares them.
pub fn rules(catalogue: &Catalogue, dataset: &str) -> Option<Thresholds> {
    let names = catalogue.files("extract").map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    names.iter().filter_map(|name| Thresholds::load(catalogue, name).ok()).find(|rules| rules.dataset == dataset)
}

impl RowSink for Extracting {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn accepts(&self, dataset: &Dataset) -> bool {
        self.inner.accepts(dataset)
    }

    fn cursor(&self, dataset: &Dataset, stream: &str) -> Result<Option<u64>> {
        self.inner.cursor(dataset, stream)
    }

    fn begin(&self, dataset: &Arc<Dataset>) -> Result<Box<dyn SinkTxn>> {
        let inner = self.inner.begin(dataset)?;
        let catalogue = self.catalogue.clone();
        Ok(match rules(&catalogue, &dataset.name) {
            Some(rules) => Box::new(ExtractingTxn { inner, dataset: dataset.clone(), catalogue, rules }),
            None => inner,
        })
    }
}

struct ExtractingTxn {
    inner: Box<dyn SinkTxn>,
    dataset: Arc<Dataset>,
    catalogue: Arc<Catalogue>,
    rules: Thresholds,
}

impl SinkTxn for ExtractingTxn {
    fn upsert(&mut self, batch: &Batch) -> Result<()> {
        let filled = complete(&self.catalogue, &self.dataset, &self.rules, batch);
        self.inner.upsert(filled.as_ref().unwrap_or(batch))
    }

    fn delete(&mut self, keys: &[RowKey]) -> Result<()> {
        self.inner.delete(keys)
    }

    fn commit(self: Box<Self>, cursor: Option<&Cursor>) -> Result<Committed> {
        self.inner.commit(cursor)
    }
}

/// Fields that can be read from a judgment.
const FILLED: [&str; 11] = [
    "court",
    "case_number",
    "kind",
    "procedure",
    "judged_on",
    "charges",
    "statutes",
    "result",
    "district",
    "term_months",
    "fine",
];

/// The batch with empty cells filled from the texts; `None` where nothing is empty. The same texts
/// always give the same values, so that both stores and a repeated load agree.
fn complete(catalogue: &Catalogue, dataset: &Dataset, rules: &Thresholds, batch: &Batch) -> Option<Batch> {
    let text = dataset.field_index(&rules.text)?;
    let lacking: Vec<(usize, &str)> =
        FILLED.iter().filter_map(|name| Some((dataset.field_index(name)?, *name))).collect();
    let lacks = |row: usize| {
        let empty = |(column, name): &(usize, &str)| {
            !matches!(*name, "term_months" | "fine" | "district") && batch.value(dataset, *column, row).is_null()
        };
        lacking.iter().any(empty)
    };
    if !(0..batch.len()).any(lacks) {
        return None;
    }
    let mut out = Batch::new(dataset);
    for row in 0..batch.len() {
        let read = if lacks(row) {
            let text = batch.value(dataset, text, row).to_text();
            values(catalogue, dataset, rules, &extract::judgment(&text))
        } else {
            BTreeMap::new()
        };
        let mut pending = Vec::new();
        for (column, field) in dataset.field.iter().enumerate() {
            let mut value = batch.value(dataset, column, row);
            if value.is_null()
                && let Some((found, sure)) = read.get(field.name.as_str())
            {
                if !sure {
                    pending.push(field.label.zh.clone());
                }
                value = found.clone();
            }
            if field.name == PENDING && value.is_null() && !read.is_empty() {
                // Stands behind the fields it speaks of.
                value = if pending.is_empty() { Value::Null } else { Value::Text(pending.join("、")) };
            }
            out.columns[column].push(&value, field.scale);
        }
        out.keys.push(batch.keys[row]);
    }
    Some(out)
}

/// Values by field, and whether each reaches its threshold.
fn values(
    catalogue: &Catalogue,
    dataset: &Dataset,
    rules: &Thresholds,
    read: &Extracted,
) -> BTreeMap<&'static str, (Value, bool)> {
    let mut out = BTreeMap::new();
    for reading in rules.read(read) {
        if reading.field == "parties" {
            continue;
        }
        let value = match reading.field {
            _ if reading.value.is_empty() => Value::Null,
            "judged_on" => reading.value.parse().map_or(Value::Null, Value::Date),
            _ => Value::Text(reading.value),
        };
        out.insert(reading.field, (value, !reading.pending));
    }
    if let Some(outcome) = &read.outcome {
        if let Some(months) = outcome.term_months {
            out.insert("term_months", (Value::Int(i64::from(months)), true));
        }
        if let (Some(fen), Some(field)) = (outcome.fine, dataset.field("fine")) {
            out.insert("fine", (Value::Decimal { units: fen, scale: field.scale.max(2) }, true));
        }
    }
    // The district is known where the court is one of this city's.
    let district = read.court.as_ref().and_then(|c| {
        let name = c.value.strip_prefix("上海市")?.strip_suffix("人民法院")?;
        let list = catalogue.codes_of(dataset.field("district")?)?;
        list.item.iter().find(|i| i.code.len() == 6 && i.zh == name && i.replaced_by.is_none())
    });
    if let Some(item) = district {
        out.insert("district", (Value::Text(item.code.clone()), true));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonglan_catalog::ColumnData;

    #[test]
    fn a_text_fills_the_empty_cells_and_names_what_is_unsure() {
        let catalogue = Catalogue::builtin().expect("packs");
        let dataset = catalogue.dataset("judgment").expect("judgment").clone();
        let rules = rules(&catalogue, "judgment").expect("declared");
        let text = "上海市徐汇区人民法院 刑事判决书 （2020）沪0104刑初9号 公诉机关上海市徐汇区人民检察院。 被告人甲某，男。 本院适用速裁程序审理了本案。 依照《中华人民共和国刑法》第一百三十三条之一第一款，判决如下： 被告人甲某犯危险驾驶罪，判处拘役二个月，并处罚金人民币二千元。 审判员 乙 二〇二〇年三月四日";
        let mut batch = Batch::new(&dataset);
        let row = |id: &str, text: &str, court: Value| {
            BTreeMap::from([
                ("id".to_string(), Value::Text(id.into())),
                ("text".to_string(), Value::Text(text.into())),
                ("court".to_string(), court),
            ])
        };
        batch.push_fields(&dataset, &row("A", text, Value::Null));
        batch.push_fields(&dataset, &row("B", "一段没有裁判文书格式的文字。", Value::Text("给定的法院".into())));
        let out = complete(&catalogue, &dataset, &rules, &batch).expect("something was empty");
        let cell = |name: &str, row: usize| out.value(&dataset, dataset.field_index(name).expect("field"), row);
        assert_eq!(cell("court", 0).to_text(), "上海市徐汇区人民法院");
        assert_eq!(cell("case_number", 0).to_text(), "（2020）沪0104刑初9号");
        assert_eq!(cell("district", 0).to_text(), "310104");
        assert_eq!(cell("procedure", 0).to_text(), "fast_track");
        assert_eq!(cell("judged_on", 0).to_text(), "2020-03-04");
        assert_eq!(cell("term_months", 0), Value::Int(2));
        assert_eq!(cell("fine", 0), Value::Decimal { units: 200_000, scale: 2 });
        assert!(cell(PENDING, 0).is_null(), "{:?}", cell(PENDING, 0));
        // What the file gave stays; what is not in the text is to be confirmed.
        assert_eq!(cell("court", 1).to_text(), "给定的法院");
        assert!(cell(PENDING, 1).to_text().contains("案号"), "{:?}", cell(PENDING, 1));
        assert!(!cell(PENDING, 1).to_text().contains("法院"));
        assert_eq!(out.keys, batch.keys);
        assert!(matches!(out.columns[0], ColumnData::Text(_)));
        // A row that lacks nothing is passed on as it is.
        assert!(complete(&catalogue, &dataset, &rules, &Batch::new(&dataset)).is_none());
    }
}
