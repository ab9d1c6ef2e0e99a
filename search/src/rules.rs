//! What ranks beside the words: the `search` files of the packs, and what has been learned.

use crate::analyze::normalise;
use crate::error::SearchError;
use crate::learned::Learned;
use crate::lexicon::Lexicon;
use crate::query::Section;
use crate::schema::column;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use tantivy::SegmentReader;
use zonglan_catalog::Catalogue;
use zonglan_catalog::batch::{date_of, days};
use zonglan_catalog::dataset::{Dataset, FieldType};
use zonglan_catalog::load::Problem;
use zonglan_catalog::value::Value;

/// One file of `packs/<system>/search/`: how the hits of one dataset are ordered.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rules {
    pub dataset: String,
    /// Where the order comes from.
    #[expect(dead_code, reason = "for readers of the file; checked to be there")]
    basis: String,
    /// Words that stand in this section count more.
    #[serde(default)]
    pub section: Vec<SectionRule>,
    #[serde(default)]
    pub value: Vec<ValueRule>,
    #[serde(default)]
    pub mention: Vec<MentionRule>,
    #[serde(default)]
    pub recent: Option<RecentRule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SectionRule {
    pub name: SectionName,
    pub weight: f32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SectionName {
    Claim,
    Defence,
    Facts,
    Reasons,
    Ruling,
}

impl SectionName {
    pub fn section(self) -> Section {
        match self {
            Self::Claim => Section::Claim,
            Self::Defence => Section::Defence,
            Self::Facts => Section::Facts,
            Self::Reasons => Section::Reasons,
            Self::Ruling => Section::Ruling,
        }
    }
}

/// Documents whose field has one of these texts in its value.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValueRule {
    pub field: String,
    /// Text and weight; the heaviest that is there counts.
    pub contains: BTreeMap<String, f32>,
}

/// Documents whose field's value is named in the query.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MentionRule {
    pub field: String,
    pub weight: f32,
}

/// Newer documents: the weight halves with this many years.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecentRule {
    pub field: String,
    pub half_life_years: f32,
    pub weight: f32,
}

/// Everything that is known beside the documents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Knowledge {
    pub lexicon: Lexicon,
    rules: HashMap<String, Rules>,
    pub learned: HashMap<String, Arc<Learned>>,
    /// Another number for other knowledge.
    pub key: u64,
}

/// Factors of all documents of a segment.
pub(crate) type Factors = Arc<Vec<f32>>;

impl Knowledge {
    pub fn of(catalogue: &Catalogue, dir: &Path, key: u64) -> Result<Self, SearchError> {
        let wrong = |p: Problem| SearchError::Rules { what: p.to_string() };
        let lexicon = Lexicon::of(catalogue).map_err(wrong)?;
        let names: Vec<String> = catalogue.files("search").map(|(name, _)| name.to_string()).collect();
        let mut rules = HashMap::new();
        for name in names {
            let file: Rules = catalogue.parse_file("search", &name).map_err(wrong)?.unwrap_or_default();
            let fields = file.value.iter().map(|r| &r.field);
            let fields =
                fields.chain(file.mention.iter().map(|r| &r.field)).chain(file.recent.iter().map(|r| &r.field));
            // A pack without this dataset has nothing to order.
            if let Some(dataset) = catalogue.dataset(&file.dataset) {
                if let Some(missing) = fields.into_iter().find(|f| dataset.field(f).is_none()) {
                    let what = format!("search/{name}.toml: {} has no field '{missing}'", file.dataset);
                    return Err(SearchError::Rules { what });
                }
                rules.insert(file.dataset.clone(), file);
            }
        }
        let mut learned = HashMap::new();
        for dataset in catalogue.datasets().filter(|d| d.is_searchable()) {
            if let Some(file) = Learned::read(dir, &dataset.name)? {
                learned.insert(dataset.name.clone(), Arc::new(file));
            }
        }
        Ok(Self { lexicon, rules, learned, key })
    }

    pub fn rules(&self, dataset: &str) -> Option<&Rules> {
        self.rules.get(dataset)
    }

    /// Whether documents of the dataset have factors at all.
    pub fn orders(&self, dataset: &str) -> bool {
        self.rules(dataset).is_some_and(|r| !r.value.is_empty() || r.recent.is_some())
    }

    /// The parts of a document's factor, each with what to say of it.
    pub fn reasons(&self, dataset: &Dataset, fields: &BTreeMap<String, Value>) -> Vec<(String, f32)> {
        let mut found = Vec::new();
        if let Some(rules) = self.rules(&dataset.name) {
            for rule in &rules.value {
                let Some(text) = fields.get(&rule.field).and_then(Value::as_str) else { continue };
                if let Some((what, weight)) = rule.best(text) {
                    found.push((format!("{}：{what}", label(dataset, &rule.field)), weight));
                }
            }
            if let Some(rule) = &rules.recent {
                let day = match fields.get(&rule.field) {
                    Some(Value::Date(date)) => Some(days(*date)),
                    Some(Value::Instant(ms)) => i32::try_from(ms.div_euclid(86_400_000)).ok(),
                    _ => None,
                };
                if let Some(day) = day {
                    let text = format!("{}：{}", label(dataset, &rule.field), date_of(day));
                    found.push((text, rule.weight_of(i64::from(day), today())));
                }
            }
        }
        found
    }

    /// One factor a document from the rules.
    pub fn factors(&self, dataset: &Dataset, segment: &SegmentReader) -> tantivy::Result<Factors> {
        let mut factors = vec![1.0f32; segment.max_doc() as usize];
        let fast = segment.fast_fields();
        let Some(rules) = self.rules(&dataset.name) else { return Ok(Arc::new(factors)) };
        for rule in &rules.value {
            let weight = |text: &str| rule.best(text).map_or(0.0, |(_, weight)| weight);
            by_value(segment, dataset, &rule.field, weight, &mut factors)?;
        }
        if let Some(rule) = &rules.recent
            && let Some(values) = fast.column_opt::<i64>(&column(dataset, &rule.field))?
        {
            let instant = dataset.field(&rule.field).is_some_and(|f| f.kind == FieldType::Instant);
            let today = today();
            for (doc, factor) in (0..).zip(factors.iter_mut()) {
                if let Some(value) = values.first(doc) {
                    let day = if instant { value.div_euclid(86_400_000) } else { value };
                    *factor += rule.weight_of(day, today);
                }
            }
        }
        Ok(Arc::new(factors))
    }

    /// Factors of the groups that were learned; for questions.
    pub fn learned_factors(dataset: &Dataset, learned: &Learned, segment: &SegmentReader) -> tantivy::Result<Factors> {
        let mut factors = vec![1.0f32; segment.max_doc() as usize];
        if let Some(field) = learned.group_field() {
            by_value(segment, dataset, field, |text| learned.group_factor(text), &mut factors)?;
        }
        Ok(Arc::new(factors))
    }
}

/// Adds a weight by a text column's value.
fn by_value(
    segment: &SegmentReader,
    dataset: &Dataset,
    field: &str,
    weight: impl Fn(&str) -> f32,
    factors: &mut [f32],
) -> tantivy::Result<()> {
    let Some(values) = segment.fast_fields().str(&column(dataset, field))? else { return Ok(()) };
    let mut weights = Vec::with_capacity(values.num_terms());
    let mut stream = values.dictionary().stream()?;
    while stream.advance() {
        weights.push(std::str::from_utf8(stream.key()).map_or(0.0, &weight));
    }
    let ords = values.ords();
    for (doc, factor) in (0..).zip(factors.iter_mut()) {
        if let Some(weight) = ords.first(doc).and_then(|ord| weights.get(ord as usize)) {
            *factor += weight;
        }
    }
    Ok(())
}

impl Rules {
    /// The weight of a section; 0 where the file says nothing.
    pub fn section_weight(&self, section: Option<Section>) -> f32 {
        let rule = self.section.iter().find(|r| Some(r.name.section()) == section);
        rule.map_or(0.0, |r| r.weight)
    }
}

impl ValueRule {
    fn best(&self, text: &str) -> Option<(&str, f32)> {
        let there = self.contains.iter().filter(|(part, _)| text.contains(part.as_str()));
        there.max_by(|a, b| a.1.total_cmp(b.1)).map(|(part, weight)| (part.as_str(), *weight))
    }
}

impl RecentRule {
    fn weight_of(&self, day: i64, today: i64) -> f32 {
        let years = (today - day).max(0) as f32 / 365.25;
        self.weight * (-years / self.half_life_years.max(0.1)).exp2()
    }
}

/// Values of a keyword field that a text names; several values in one are divided by `、`, `,` or `;`.
pub(crate) fn mentioned(value: &str, text: &[char]) -> bool {
    value.split(['、', ',', '，', ';', '；', ' ']).any(|part| {
        let full = normalise(part);
        // 盗窃罪 is named by 盗窃 too.
        let core = full.strip_suffix(&['罪']).or(full.strip_suffix(&['纠', '纷'])).unwrap_or(&full);
        core.len() >= 2 && text.windows(core.len()).any(|w| w == core)
    })
}

fn label<'a>(dataset: &'a Dataset, field: &'a str) -> &'a str {
    dataset.field(field).map_or(field, |f| f.label.zh.as_str())
}

fn today() -> i64 {
    chrono::Utc::now().timestamp().div_euclid(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_packs_read() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let dir = tempfile::tempdir().expect("a folder");
        let knowledge = Knowledge::of(&catalogue, dir.path(), 1).expect("the files read");
        assert!(knowledge.rules("judgment").is_some());
        assert!(knowledge.lexicon.words.len() > 200, "{}", knowledge.lexicon.words.len());
        assert!(knowledge.lexicon.same("醉驾").contains(&"危险驾驶".to_string()));
    }

    #[test]
    fn values_are_named_in_texts() {
        let named = |value, text| mentioned(value, &normalise(text));
        assert!(named("盗窃罪、诈骗罪", "他诈骗了我的钱"));
        assert!(named("民间借贷纠纷", "民间借贷利息"));
        assert!(!named("盗窃罪", "他诈骗了我的钱") && !named("罪", "罪"));
    }
}
