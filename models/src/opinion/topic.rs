//! Declared topics: keywords and exclusions choose texts, thresholds make an alert.

use super::Alert;
use crate::deadline::rule::Status;
use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use zonglan_catalog::{Catalogue, Label};

/// The topic of texts that no rule fits.
pub const OTHER: &str = "other";

/// Where a rule is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    City,
    District,
}

/// A file of `opinion/`: a topic and its alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicRule {
    pub name: String,
    pub version: String,
    pub label: Label,
    /// A code of `opinion_topic`.
    pub topic: String,
    /// Any of them.
    pub keywords: Vec<String>,
    /// None of them.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Only these platforms; all where empty.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Days of the window that ends on the day looked at.
    pub window_days: u16,
    /// Negative texts in the window, at least, in the city.
    pub min_negative: u32,
    /// Negative texts in the window, at least, in one district.
    pub min_negative_district: u32,
    /// Negative texts among those decided, at least; 0 to 1.
    pub min_share: f64,
    pub areas: Vec<Area>,
    pub status: Status,
    #[serde(default)]
    pub note: Option<String>,
}

impl TopicRule {
    fn check(&self) -> std::result::Result<(), String> {
        let name = &self.name;
        if self.keywords.is_empty() || self.keywords.iter().chain(&self.exclude).any(|k| k.trim().is_empty()) {
            return Err(format!("{name}: 关键词不能为空"));
        }
        if !(0.0..=1.0).contains(&self.min_share) {
            return Err(format!("{name}: min_share 应在 0 与 1 之间"));
        }
        if !(1..=366).contains(&self.window_days) {
            return Err(format!("{name}: window_days 应在 1 与 366 之间"));
        }
        if self.min_negative.min(self.min_negative_district) == 0 {
            return Err(format!("{name}: 负面文本数的阈值应大于 0"));
        }
        Ok(())
    }

    /// How many of the keywords a text has; 0 where an exclusion is in it.
    pub fn hits(&self, text: &str) -> usize {
        if self.exclude.iter().any(|k| text.contains(k.as_str())) {
            return 0;
        }
        self.keywords.iter().filter(|k| text.contains(k.as_str())).count()
    }

    pub fn matches(&self, text: &str, platform: &str) -> bool {
        (self.platforms.is_empty() || self.platforms.iter().any(|p| p == platform)) && self.hits(text) > 0
    }

    /// Why the rule stands as it does, in a sentence.
    pub fn explain(&self, state: &Alert) -> String {
        let least = if state.district == super::alert::CITY { self.min_negative } else { self.min_negative_district };
        format!(
            "近 {} 天匹配 {} 条，其中负面 {} 条（阈值 {least} 条），不确定 {} 条，负面占已判定的 {:.1}%（阈值 {:.0}%）：{}",
            self.window_days,
            state.texts,
            state.negative,
            state.uncertain,
            state.share * 100.0,
            self.min_share * 100.0,
            if state.alert { "达到阈值" } else { "未达到阈值" }
        )
    }
}

/// The topics of a catalogue.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    rules: Vec<TopicRule>,
}

impl Topics {
    /// # Errors
    /// What is wrong in a file.
    pub fn load(catalogue: &Catalogue) -> Result<Self> {
        let mut rules = Vec::new();
        for (name, file) in catalogue.files("opinion") {
            let Some(rule) = catalogue.parse_file::<TopicRule>("opinion", name)? else { continue };
            rule.check().map_err(|e| ModelError::RuleFile(format!("{}: {e}", file.path)))?;
            if catalogue.codes("opinion_topic").is_some_and(|c| c.get(&rule.topic).is_none()) {
                return Err(ModelError::RuleFile(format!("{}: 没有话题代码 {}", file.path, rule.topic)));
            }
            rules.push(rule);
        }
        Ok(Self { rules })
    }

    pub fn rules(&self) -> &[TopicRule] {
        &self.rules
    }

    pub fn rule(&self, name: &str) -> Option<&TopicRule> {
        self.rules.iter().find(|r| r.name == name)
    }

    /// The topic with the most keywords in the text; of several the first by name.
    pub fn topic_of(&self, text: &str) -> &str {
        let mut best = (0, OTHER);
        for rule in &self.rules {
            let hits = rule.hits(text);
            if hits > best.0 {
                best = (hits, &rule.topic);
            }
        }
        best.1
    }

    /// A version of all rules together.
    pub fn version(&self) -> String {
        let text = serde_json::to_string(&self.rules).unwrap_or_default();
        blake3::hash(text.as_bytes()).to_hex()[..12].to_string()
    }
}
