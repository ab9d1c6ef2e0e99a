//! A mapping file: how the columns of a file become the fields of a dataset.

use crate::detect::Format;
use crate::error::{IngestError, Result};
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use zonglan_catalog::dataset::FieldType;
use zonglan_catalog::{Catalogue, Dataset};
use zonglan_geo::Crs;

/// One mapping, as TOML or JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    pub name: String,
    pub dataset: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: FormatOptions,
    /// Texts that mean "no value" in every column, beside the empty one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null: Vec<String>,
    /// IANA zone of times written without one. Asia/Shanghai unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Fields that `columns` does not list are taken from columns of their name or label.
    #[serde(default, skip_serializing_if = "is_default")]
    pub auto: bool,
    #[serde(default)]
    pub columns: BTreeMap<String, Source>,
}

/// How the file is written. What is not given is detected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormatOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Format>,
    /// One ASCII character, or `\t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// One ASCII character; empty: quotes mean nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// A WHATWG label: `utf-8`, `gb18030`, `utf-16le`, `windows-1252`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Name of the sheet of a workbook; the first unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Row of the column names, from 1; the first that is not blank unless given. 0: there is
    /// none, columns are named `1`, `2`, and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_row: Option<usize>,
    /// `.` or `,`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<String>,
    /// A character between groups of digits, dropped from numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thousands: Option<String>,
}

/// Where a field's value comes from: exactly one of `column`, `constant`, `columns` with
/// `format`, `x` with `y`, or `locate`. A plain string means `column`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Source {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Text with `{0}`, `{1}` for the columns; `{1:2}` pads to two digits with zeros.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Columns of longitude or east, and of latitude or north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Coordinate system of the point; WGS-84 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crs: Option<Crs>,
    /// The region that holds the point of this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locate: Option<String>,
    /// A regular expression over the column: its first group, or the whole match. No match: no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// chrono's strftime forms, tried in order before the common ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<String>,
    /// Texts (of points: `x,y`) that mean "no value" here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub null_if: Vec<String>,
    /// Text of the file to text of the field, before typing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// The code of values that the code list does not know; without it such rows are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// [`Source`] in its long form; serde's derive cannot take "a string or a table" with good errors.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SourceTable {
    column: Option<String>,
    constant: Option<Constant>,
    columns: Vec<String>,
    format: Option<String>,
    x: Option<String>,
    y: Option<String>,
    crs: Option<Crs>,
    locate: Option<String>,
    pattern: Option<String>,
    dates: Vec<String>,
    null_if: Vec<String>,
    values: BTreeMap<String, String>,
    fallback: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Constant {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Source;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a column name or a table with column, constant, columns, x and y, or locate")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Source, E> {
                Ok(Source::column(name))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                let t = SourceTable::deserialize(MapAccessDeserializer::new(map))?;
                let constant = t.constant.map(|c| match c {
                    Constant::Text(text) => text,
                    Constant::Int(i) => i.to_string(),
                    Constant::Float(f) => f.to_string(),
                    Constant::Bool(b) => b.to_string(),
                });
                Ok(Source {
                    column: t.column,
                    constant,
                    columns: t.columns,
                    format: t.format,
                    x: t.x,
                    y: t.y,
                    crs: t.crs,
                    locate: t.locate,
                    pattern: t.pattern,
                    dates: t.dates,
                    null_if: t.null_if,
                    values: t.values,
                    fallback: t.fallback,
                })
            }
        }
        deserializer.deserialize_any(Form)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Source {
    pub fn column(name: impl Into<String>) -> Self {
        Self { column: Some(name.into()), ..Self::default() }
    }

    fn kinds(&self) -> usize {
        [
            self.column.is_some(),
            self.constant.is_some(),
            !self.columns.is_empty(),
            self.x.is_some() || self.y.is_some(),
            self.locate.is_some(),
        ]
        .into_iter()
        .filter(|set| *set)
        .count()
    }
}

impl Mapping {
    /// Columns of the fields' names or labels; what a file without a mapping is read with.
    pub fn identity(dataset: &Dataset) -> Self {
        Self { name: dataset.name.clone(), dataset: dataset.name.clone(), auto: true, ..Self::default() }
    }

    pub fn parse_toml(text: &str) -> Result<Self> {
        let mapping: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            IngestError::Mapping(format!("第 {line} 行：{}", error.message().replace('\n', " ")))
        })?;
        mapping.check_form()?;
        Ok(mapping)
    }

    pub fn parse_json(text: &str) -> Result<Self> {
        let mapping: Self = serde_json::from_str(text).map_err(|error| IngestError::Mapping(error.to_string()))?;
        mapping.check_form()?;
        Ok(mapping)
    }

    /// Checks what can be checked without a catalogue.
    fn check_form(&self) -> Result<()> {
        let fail = |field: &str, text: &str| Err(IngestError::Mapping(format!("字段「{field}」：{text}")));
        for (field, source) in &self.columns {
            if source.kinds() != 1 {
                return fail(field, "column、constant、columns、x 与 y、locate 恰好写其中一种");
            }
            if source.x.is_some() != source.y.is_some() {
                return fail(field, "x 与 y 必须同时给出");
            }
            if source.columns.is_empty() != source.format.is_none() {
                return fail(field, "columns 与 format 必须同时给出");
            }
            if source.pattern.is_some() && source.column.is_none() {
                return fail(field, "pattern 只能与 column 一起使用");
            }
        }
        for (name, option) in [
            ("delimiter", &self.format.delimiter),
            ("decimal", &self.format.decimal),
            ("thousands", &self.format.thousands),
        ] {
            if let Some(text) = option
                && !(text.len() == 1 && text.is_ascii())
                && text != "\\t"
            {
                return Err(IngestError::Mapping(format!("format.{name} 应为一个 ASCII 字符")));
            }
        }
        if self.format.decimal.as_deref().is_some_and(|d| d != "." && d != ",") {
            return Err(IngestError::Mapping("format.decimal 只能是 \".\" 或 \",\"".into()));
        }
        if let Some(zone) = &self.zone
            && zone.parse::<chrono_tz::Tz>().is_err()
        {
            return Err(IngestError::Mapping(format!("zone「{zone}」不是 IANA 时区名")));
        }
        Ok(())
    }

    /// Checks the mapping against the definitions that it names.
    pub fn check(&self, catalogue: &Catalogue) -> Result<()> {
        self.check_form()?;
        match catalogue.dataset(&self.dataset) {
            Some(dataset) => self.check_fields(dataset),
            None => Err(IngestError::Mapping(format!("没有数据集「{}」", self.dataset))),
        }
    }

    pub(crate) fn check_fields(&self, dataset: &Dataset) -> Result<()> {
        for (name, source) in &self.columns {
            let Some(field) = dataset.field(name) else {
                let known: Vec<_> = dataset.field.iter().map(|f| f.name.as_str()).collect();
                return Err(IngestError::Mapping(format!(
                    "数据集「{}」没有字段「{name}」；字段：{}",
                    dataset.name,
                    known.join("、")
                )));
            };
            if source.x.is_some() && field.kind != FieldType::Point {
                return Err(IngestError::Mapping(format!("字段「{name}」不是坐标点，不能用 x 与 y")));
            }
            if let Some(point) = &source.locate {
                let is_point = dataset.field(point).is_some_and(|f| f.kind == FieldType::Point);
                if field.kind != FieldType::Region || !is_point {
                    return Err(IngestError::Mapping(format!("字段「{name}」：locate 由坐标点字段得出区划字段")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_reads_from_toml_and_goes_round_as_json() {
        let text = r#"
            name = "v"
            dataset = "theft"
            null = ["NULL"]
            [format]
            delimiter = ";"
            decimal = ","
            [columns]
            kind = "TYPE"
            city = { constant = "Vancouver" }
            at = { columns = ["YEAR", "MONTH"], format = "{0}-{1:2}" }
            place = { x = "X", y = "Y", crs = "epsg:26910", null_if = ["0,0"] }
            district = { locate = "place" }
        "#;
        let mapping = Mapping::parse_toml(text).expect("reads");
        assert_eq!(mapping.columns["kind"], Source::column("TYPE"));
        assert_eq!(mapping.columns["place"].crs, Some(Crs::Epsg(26910)));
        let json = serde_json::to_string(&mapping).expect("writes");
        assert_eq!(Mapping::parse_json(&json).expect("reads again"), mapping);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let error = Mapping::parse_toml("name = \"v\"\ndataset = \"x\"\n[columns]\na = { colum = \"A\" }")
            .expect_err("unknown key");
        assert!(error.to_string().contains("第 4 行") && error.to_string().contains("colum"), "{error}");
        for bad in [
            "a = { column = \"A\", constant = \"1\" }",
            "a = { x = \"A\" }",
            "a = { columns = [\"A\"] }",
            "a = { constant = \"1\", pattern = \"x\" }",
            "a = {}",
        ] {
            let text = format!("name = \"v\"\ndataset = \"x\"\n[columns]\n{bad}");
            assert!(Mapping::parse_toml(&text).is_err(), "{bad}");
        }
        assert!(Mapping::parse_toml("name = \"v\"\ndataset = \"x\"\nzone = \"Mars/Base\"").is_err());
    }
}
