//! Definitions as pages show them: datasets, fields, measures, documents.

use super::Lang;
use crate::format;
use serde::Serialize;
use std::collections::BTreeMap;
use zonglan_catalog::board::Board;
use zonglan_catalog::dataset::{Aggregate, Direction, Mask, RegionLevel, SearchMode, Sensitivity};
use zonglan_catalog::register::{Format, Grid, Lifecycle};
use zonglan_catalog::traits::DatasetState;
use zonglan_catalog::{Catalogue, Dataset, Field, FieldType, Filter, Value};

#[derive(Debug, Clone)]
pub struct BoardCard {
    pub name: String,
    pub title: String,
    /// The heading under which it stands; empty for the first boards.
    pub group: String,
    pub modules: String,
    pub panels: usize,
}

impl BoardCard {
    pub fn new(board: &Board, lang: Lang) -> Self {
        Self {
            name: board.name.clone(),
            title: lang.pick(&board.title).to_string(),
            group: board.group.as_ref().map(|g| lang.pick(g).to_string()).unwrap_or_default(),
            modules: board.modules.join("、"),
            panels: board.elements.len(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct DatasetCard {
    pub name: String,
    pub label: String,
    pub description: String,
    pub rows: String,
    /// Latest event time, `2026-03-15 07:30`, or empty.
    pub data_time: String,
    pub version: u64,
}

/// The latest event: a day where the dataset's time is one, otherwise to the minute.
fn data_time(dataset: &Dataset, ms: i64) -> String {
    let kind = dataset.time.as_deref().and_then(|name| dataset.field(name)).map(|f| f.kind);
    let text = format::minute(ms);
    if kind == Some(FieldType::Date) { text[..10].to_string() } else { text }
}

impl DatasetCard {
    pub fn new(dataset: &Dataset, state: &DatasetState, lang: Lang) -> Self {
        Self {
            name: dataset.name.clone(),
            label: lang.pick(&dataset.label).to_string(),
            description: dataset.description.clone(),
            rows: format::integer(i64::try_from(state.rows).unwrap_or(i64::MAX)),
            data_time: state.watermark.map(|ms| data_time(dataset, ms)).unwrap_or_default(),
            version: state.version,
        }
    }
}

#[derive(Debug, Clone)]
pub struct TableLink {
    pub href: String,
    pub label: String,
}

impl TableLink {
    pub fn dataset(dataset: &Dataset, lang: Lang) -> Self {
        Self { href: format!("/datasets/{}", dataset.name), label: lang.pick(&dataset.label).to_string() }
    }
}

/// A dataset for scripts and definition pages.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetView {
    pub name: String,
    pub label: String,
    pub source: &'static str,
    pub register: bool,
    pub time: Option<String>,
    pub region: Option<String>,
    pub key: Vec<String>,
    pub title: Option<String>,
    pub list: Vec<String>,
    /// `{dataset, field}` of the parent.
    pub parent: Option<(String, String)>,
    pub fields: Vec<FieldView>,
    pub measures: Vec<MeasureView>,
    pub lifecycle: Vec<Lifecycle>,
    /// The field of the stage, and the stages in which nothing is left to do.
    pub stage_field: Option<String>,
    pub last_stages: Vec<String>,
    /// Names and labels of the register's actions.
    pub actions: Vec<(String, String)>,
    pub attachments: Option<AttachmentsView>,
    pub grid: Option<Grid>,
}

/// Which kinds of files a record takes.
#[derive(Debug, Clone, Serialize)]
pub struct AttachmentsView {
    pub kinds: Vec<(String, String)>,
}

#[derive(Debug, Clone, Serialize)]
pub struct FieldView {
    pub name: String,
    pub label: String,
    #[serde(rename = "type")]
    pub kind: FieldType,
    pub required: bool,
    pub unit: String,
    pub search: SearchMode,
    pub sensitivity: Sensitivity,
    pub masked: bool,
    pub level: Option<RegionLevel>,
    pub basis: String,
    pub help: String,
    pub section: String,
    pub scale: u8,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub max_length: Option<usize>,
    pub by_action: bool,
    pub default: Option<serde_json::Value>,
    pub format: Option<Format>,
    pub shown_when: Filter,
    pub required_when: Filter,
    pub refers: Option<String>,
    /// `[code, name]` of code fields, districts and streets, in order; longer lists stay on the server.
    pub codes: Vec<(String, String)>,
    #[serde(skip)]
    pub kind_label: &'static str,
    #[serde(skip)]
    pub sensitivity_label: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub struct MeasureView {
    pub name: String,
    pub label: String,
    pub unit: String,
    pub definition: String,
    pub direction: Direction,
    pub basis: String,
    pub owner: String,
    #[serde(skip)]
    pub how: String,
    #[serde(skip)]
    pub direction_label: &'static str,
    #[serde(skip)]
    pub effective: String,
}

/// Codes beyond this number are not sent with a page.
const CODES_ON_PAGE: usize = 400;

impl DatasetView {
    /// For pages that list many datasets: the streets, some hundreds, stay on the server.
    pub fn brief(catalogue: &Catalogue, dataset: &Dataset, lang: Lang) -> Self {
        let mut view = Self::new(catalogue, dataset, lang);
        for field in
            view.fields.iter_mut().filter(|f| f.kind == FieldType::Region && f.level != Some(RegionLevel::District))
        {
            field.codes.clear();
        }
        view
    }

    pub fn new(catalogue: &Catalogue, dataset: &Dataset, lang: Lang) -> Self {
        Self {
            name: dataset.name.clone(),
            label: lang.pick(&dataset.label).to_string(),
            source: match dataset.source {
                zonglan_catalog::dataset::Source::Records => "records",
                zonglan_catalog::dataset::Source::Import => "import",
            },
            register: dataset.register.is_some(),
            time: dataset.time.clone(),
            region: dataset.region.clone(),
            key: dataset.key.clone(),
            title: dataset.title.clone(),
            list: dataset.list_fields().into_iter().map(str::to_string).collect(),
            parent: dataset.parent.as_ref().map(|p| (p.dataset.clone(), p.field.clone())),
            fields: dataset
                .field
                .iter()
                .filter(|f| !f.person_key)
                .map(|f| FieldView::new(catalogue, f, lang))
                .collect(),
            measures: dataset.measure.iter().map(|m| MeasureView::new(catalogue, dataset, m, lang)).collect(),
            // A register that declares no lifecycle is registered and changed only.
            lifecycle: dataset.register.as_ref().map(|r| r.lifecycle.clone()).unwrap_or_default(),
            stage_field: dataset.register.as_ref().filter(|r| r.has_flow()).map(|r| r.stage_field.clone()),
            last_stages: dataset
                .register
                .iter()
                .flat_map(|r| r.stage.iter().filter(|s| s.last).map(|s| s.code.clone()))
                .collect(),
            actions: dataset
                .register
                .iter()
                .flat_map(|r| r.action.iter().map(|a| (a.name.clone(), lang.pick(&a.label).to_string())))
                .collect(),
            attachments: dataset.register.as_ref().and_then(|r| r.attachments.as_ref()).map(|a| AttachmentsView {
                kinds: a.kinds.iter().map(|(c, zh, en)| (c.clone(), lang.t(zh, en).to_string())).collect(),
            }),
            grid: dataset.register.as_ref().and_then(|r| r.grid.clone()),
        }
    }
}

impl FieldView {
    fn new(catalogue: &Catalogue, field: &Field, lang: Lang) -> Self {
        // Of the regions only those of the field's level: six digits a district, nine a street.
        let digits = if field.level == Some(RegionLevel::Street) { 9 } else { 6 };
        let fits = |code: &str| field.kind != FieldType::Region || (code.len() == digits && code != "310000");
        let items = catalogue.codes_of(field).into_iter().flat_map(|list| &list.item);
        let mut codes: Vec<(String, String)> = items
            .filter(|i| i.replaced_by.is_none() && fits(&i.code))
            .map(|i| (i.code.clone(), lang.t(&i.zh, &i.en).to_string()))
            .collect();
        let shown =
            field.kind != FieldType::Region || matches!(field.level, Some(RegionLevel::District | RegionLevel::Street));
        if codes.len() > CODES_ON_PAGE || !shown {
            codes.clear();
        }
        Self {
            name: field.name.clone(),
            label: lang.pick(&field.label).to_string(),
            kind: field.kind,
            required: field.required,
            unit: field.unit.clone().unwrap_or_default(),
            search: field.search,
            sensitivity: field.sensitivity,
            masked: field.sensitivity >= Sensitivity::Personal && field.mask != Mask::Hidden,
            level: field.level,
            basis: field.basis.clone().unwrap_or_default(),
            help: field.help.clone().unwrap_or_default(),
            section: field.section.clone().unwrap_or_default(),
            scale: field.scale,
            min: field.min,
            max: field.max,
            max_length: field.max_length,
            by_action: field.by_action,
            default: field.default.clone(),
            format: field.format,
            shown_when: field.shown_when.clone(),
            required_when: field.required_when.clone(),
            refers: field.refers.clone(),
            codes,
            kind_label: match field.kind {
                FieldType::Text => lang.t("文本", "text"),
                FieldType::Code => lang.t("代码", "code"),
                FieldType::Int => lang.t("整数", "integer"),
                FieldType::Decimal => lang.t("小数", "decimal"),
                FieldType::Bool => lang.t("是否", "yes/no"),
                FieldType::Date => lang.t("日期", "date"),
                FieldType::Instant => lang.t("时间", "instant"),
                FieldType::Point => lang.t("坐标", "point"),
                FieldType::Region => lang.t("区域", "region"),
                FieldType::File => lang.t("附件", "file"),
                FieldType::Ref => lang.t("引用", "reference"),
            },
            sensitivity_label: match field.sensitivity {
                Sensitivity::Public => lang.t("公开", "public"),
                Sensitivity::Internal => lang.t("内部", "internal"),
                Sensitivity::Personal => lang.t("个人信息", "personal"),
                Sensitivity::Secret => lang.t("机密", "secret"),
            },
        }
    }
}

impl MeasureView {
    pub(super) fn new(
        catalogue: &Catalogue,
        dataset: &Dataset,
        measure: &zonglan_catalog::Measure,
        lang: Lang,
    ) -> Self {
        let name_of = |name: &str| match dataset.field(name) {
            Some(field) => lang.pick(&field.label).to_string(),
            None => name.to_string(),
        };
        let measure_name = |name: &Option<String>| {
            let name = name.as_deref().unwrap_or_default();
            catalogue
                .measure(&dataset.name, name)
                .map_or_else(|| name.to_string(), |(_, m)| lang.pick(&m.label).to_string())
        };
        let field = measure.field.as_deref().map(name_of).unwrap_or_default();
        let how = match measure.agg {
            Aggregate::Count => lang.t("行数", "number of rows").to_string(),
            Aggregate::Sum => format!("{} {field}", lang.t("合计", "sum of")),
            Aggregate::Avg => format!("{} {field}", lang.t("平均", "mean of")),
            Aggregate::Min => format!("{} {field}", lang.t("最小", "minimum of")),
            Aggregate::Max => format!("{} {field}", lang.t("最大", "maximum of")),
            Aggregate::Distinct => format!("{} {field}", lang.t("不同值个数", "different values of")),
            Aggregate::Quantile => {
                format!("{} {field} (q={})", lang.t("分位数", "quantile of"), measure.q.unwrap_or_default())
            }
            Aggregate::Ratio => format!(
                "{} ÷ {}{}",
                measure_name(&measure.numerator),
                measure_name(&measure.denominator),
                measure.factor.filter(|f| *f != 1).map(|f| format!(" × {f}")).unwrap_or_default()
            ),
            Aggregate::Stock => lang.t("期末存量", "open at the end of the period").to_string(),
        };
        let effective = match (measure.effective_from, measure.effective_to) {
            (None, None) => String::new(),
            (from, to) => format!(
                "{} – {}",
                from.map(|d| d.to_string()).unwrap_or_default(),
                to.map(|d| d.to_string()).unwrap_or_default()
            ),
        };
        Self {
            name: measure.name.clone(),
            label: lang.pick(&measure.label).to_string(),
            unit: measure.unit.clone(),
            definition: measure.definition.clone(),
            direction: measure.direction,
            basis: measure.basis.clone().unwrap_or_default(),
            owner: measure.owner.clone().unwrap_or_default(),
            how,
            direction_label: match measure.direction {
                Direction::HigherIsBetter => lang.t("越高越好", "higher is better"),
                Direction::LowerIsBetter => lang.t("越低越好", "lower is better"),
                Direction::Neutral => "",
            },
            effective,
        }
    }
}

/// A short field of a document.
#[derive(Debug, Clone)]
pub struct FieldRow {
    pub label: String,
    pub text: String,
}

/// A long text of a document, in paragraphs.
#[derive(Debug, Clone)]
pub struct DocumentSection {
    pub field: String,
    pub label: String,
    pub paragraphs: Vec<Paragraph>,
}

/// A paragraph and where it starts in its field, in Unicode scalar values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph {
    pub at: usize,
    pub text: String,
}

/// Paragraphs of a text: its lines; and where a source joined its lines by spaces, the pieces that
/// end a sentence or a heading before the space.
pub(super) fn paragraphs(text: &str) -> Vec<Paragraph> {
    let chars: Vec<char> = text.chars().collect();
    let one_line = !text.trim().contains('\n');
    let mut out = Vec::new();
    let mut start = 0;
    for end in 0..=chars.len() {
        let breaks = end == chars.len()
            || chars[end] == '\n'
            || one_line
                && chars[end] == ' '
                && end > 0
                && matches!(chars[end - 1], '。' | '；' | '：' | ':' | '书' | '院' | '号' | '”');
        if !breaks {
            continue;
        }
        let piece: String = chars[start..end].iter().collect();
        let lead = piece.chars().take_while(|c| c.is_whitespace()).count();
        let trimmed = piece.trim();
        if !trimmed.is_empty() {
            out.push(Paragraph { at: start + lead, text: trimmed.to_string() });
        }
        start = end + 1;
    }
    out
}

/// One dated stage of a case.
#[derive(Debug, Clone)]
pub struct TimelineEntry {
    pub time: String,
    pub label: String,
    pub note: String,
}

/// Splits a row into short fields and long texts. Empty values are left out.
pub(super) fn document(
    catalogue: &Catalogue,
    dataset: &Dataset,
    row: &BTreeMap<String, Value>,
    lang: Lang,
) -> (Vec<FieldRow>, Vec<DocumentSection>) {
    let mut fields = Vec::new();
    let mut sections = Vec::new();
    for field in dataset.field.iter().filter(|f| !f.person_key) {
        let Some(value) = row.get(&field.name).filter(|v| !v.is_null()) else { continue };
        let label = lang.pick(&field.label).to_string();
        if field.search == SearchMode::Zh
            && field.kind == FieldType::Text
            && dataset.title.as_deref() != Some(&field.name)
        {
            let text = value.to_text();
            let paragraphs = paragraphs(&text);
            if !paragraphs.is_empty() {
                sections.push(DocumentSection { field: field.name.clone(), label, paragraphs });
            }
            continue;
        }
        let text = format::field_text(catalogue, field, value, lang);
        if !text.is_empty() {
            fields.push(FieldRow { label, text });
        }
    }
    (fields, sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_keep_their_places() {
        let text = "上海法院 刑事判决书 （2017）号 公诉机关。 被告人张 三。";
        let found = paragraphs(text);
        assert_eq!(
            found.iter().map(|p| p.text.as_str()).collect::<Vec<_>>(),
            ["上海法院", "刑事判决书", "（2017）号", "公诉机关。", "被告人张 三。"]
        );
        let chars: Vec<char> = text.chars().collect();
        for p in found {
            assert_eq!(chars[p.at..p.at + p.text.chars().count()].iter().collect::<String>(), p.text);
        }
        assert_eq!(
            paragraphs("一\n\n　二 三。四").iter().map(|p| (p.at, p.text.as_str())).collect::<Vec<_>>(),
            [(0, "一"), (4, "二 三。四")]
        );
    }
}
