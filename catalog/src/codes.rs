//! Labels in two languages and code lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name in Chinese and English.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    pub zh: String,
    pub en: String,
}

impl Label {
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

/// A list of codes with names, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeList {
    pub name: String,
    pub label: Label,
    /// Where the list comes from, such as `GB/T 2260` or `demo`.
    pub basis: String,
    pub item: Vec<CodeItem>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeItem {
    pub code: String,
    pub zh: String,
    pub en: String,
    /// The code above this one in the same list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// This code is no longer given out; stored values are read as that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Other spellings that imports understand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alias: Vec<String>,
    /// A fixed colour of this value on charts, `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

impl CodeList {
    pub fn get(&self, code: &str) -> Option<&CodeItem> {
        self.item.iter().find(|item| item.code == code)
    }

    /// Finds an item by code, label or alias and follows `replaced_by` once.
    pub fn resolve(&self, text: &str) -> Option<&CodeItem> {
        let item =
            self.item.iter().find(|i| i.code == text).or_else(|| {
                self.item.iter().find(|i| i.zh == text || i.en == text || i.alias.iter().any(|a| a == text))
            })?;
        match &item.replaced_by {
            Some(code) => self.get(code),
            None => Some(item),
        }
    }

    /// `code` and everything below it.
    pub fn descendants<'a>(&'a self, code: &'a str) -> Vec<&'a str> {
        let mut found = vec![code];
        let mut next = 0;
        while next < found.len() {
            let parent = found[next];
            let children = self.item.iter().filter(|i| i.parent.as_deref() == Some(parent)).map(|i| i.code.as_str());
            let fresh: Vec<_> = children.filter(|c| !found.contains(c)).collect();
            found.extend(fresh);
            next += 1;
        }
        found
    }
}
