//! A mapping made ready for one file: every field knows its columns, its codes and its checks.

use crate::error::{IngestError, Result};
use crate::mapping::{Mapping, Source};
use crate::parse::NumberStyle;
use crate::parse_time::TimeStyle;
use crate::source::Header;
use regex::Regex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use zonglan_catalog::dataset::{FieldType, RegionLevel, SearchMode};
use zonglan_catalog::{Catalogue, Dataset, Field};
use zonglan_geo::{Crs, RegionSet, Transform};

/// What the workers follow. Read-only, shared by all.
pub(crate) struct Plan {
    pub dataset: Arc<Dataset>,
    /// Names of the file's columns, with those that the mapping adds (JSON lines).
    pub names: Vec<String>,
    /// For JSON lines: the place of each name.
    pub places: HashMap<String, usize>,
    /// Cells made of other cells, appended to each row after the file's columns.
    pub derived: Vec<Derived>,
    /// In the order of the dataset.
    pub fields: Vec<FieldPlan>,
    /// Fields of the key, and the fields that identify a row without key.
    pub key: Vec<usize>,
    pub content: Vec<usize>,
    pub numbers: NumberStyle,
    pub regions: &'static RegionSet,
}

pub(crate) enum Derived {
    Constant(String),
    Template(Vec<Part>),
    Pattern { column: usize, regex: Regex },
}

pub(crate) enum Part {
    Text(String),
    /// A column, and the width to which digits are padded with zeros.
    Column(usize, usize),
}

pub(crate) struct FieldPlan {
    pub label: String,
    /// The name of the column in reports.
    pub column: String,
    pub from: From,
    pub kind: FieldType,
    /// Blanks around a text mean nothing: it is a key or a value to filter by.
    pub trim: bool,
    pub scale: u8,
    pub level: Option<RegionLevel>,
    pub required: bool,
    /// Bounds in units of the scale.
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub max_length: Option<usize>,
    pub null: HashSet<String>,
    /// Points that mean "no value".
    pub null_points: Vec<(f64, f64)>,
    pub values: HashMap<String, String>,
    pub codes: HashMap<String, Arc<str>>,
    pub fallback: Option<Arc<str>>,
    pub times: TimeStyle,
}

pub(crate) enum From {
    Nothing,
    Column(usize),
    Point {
        x: usize,
        y: usize,
        transform: Option<Box<Transform>>,
    },
    /// The region of the point in this field.
    Locate(usize),
}

impl Plan {
    pub fn new(mapping: &Mapping, dataset: &Arc<Dataset>, catalogue: &Catalogue, header: &Header) -> Result<Self> {
        mapping.check_fields(dataset)?;
        let mut columns = Columns { names: header.names.clone(), header };
        let mut derived: Vec<(usize, Derived)> = Vec::new();
        let mut fields = Vec::new();
        for field in &dataset.field {
            let source = match mapping.columns.get(&field.name) {
                Some(source) => Some(source.clone()),
                None if mapping.auto => auto_source(dataset, field, header),
                None => None,
            };
            if source.is_none() && field.required {
                return Err(IngestError::RequiredUnmapped(field.label.zh.clone()));
            }
            fields.push(field_plan(field, source.as_ref(), mapping, dataset, catalogue, &mut columns, &mut derived)?);
        }
        // Derived cells follow the file's columns, whose number is now known.
        let width = columns.names.len();
        let mut ready = Vec::new();
        for (index, (field, cell)) in derived.into_iter().enumerate() {
            fields[field].from = match std::mem::replace(&mut fields[field].from, From::Nothing) {
                From::Point { transform, .. } => From::Point { x: width + index, y: width + index, transform },
                _ => From::Column(width + index),
            };
            ready.push(cell);
        }
        let key = dataset.key.iter().filter_map(|name| dataset.field_index(name)).collect();
        // What is computed from other fields must not change who a row is.
        let content =
            (0..fields.len()).filter(|i| !matches!(fields[*i].from, From::Locate(_) | From::Nothing)).collect();
        let places = columns.names.iter().enumerate().map(|(i, n)| (n.clone(), i)).collect();
        let decimal = mapping.format.decimal.as_deref().map_or(b'.', |d| d.as_bytes()[0]);
        let thousands = mapping.format.thousands.as_deref().and_then(|t| t.bytes().next());
        Ok(Self {
            dataset: dataset.clone(),
            names: columns.names,
            places,
            derived: ready,
            fields,
            key,
            content,
            numbers: NumberStyle { decimal, thousands },
            regions: RegionSet::shanghai(),
        })
    }
}

struct Columns<'h> {
    names: Vec<String>,
    header: &'h Header,
}

impl Columns<'_> {
    fn find(&mut self, name: &str) -> Result<usize> {
        let found = self.header.position(name).or_else(|| self.header.position(name.trim()));
        if let Some(index) = found {
            return Ok(index);
        }
        if self.header.open {
            let index = self.names.iter().position(|n| n == name).unwrap_or(self.names.len());
            if index == self.names.len() {
                self.names.push(name.to_string());
            }
            return Ok(index);
        }
        let folded = fold(name);
        let near =
            self.names.iter().find(|n| fold(n) == folded || (!folded.is_empty() && fold(n).contains(&folded))).cloned();
        Err(IngestError::MissingColumn { column: name.to_string(), known: self.names.join("、"), near })
    }
}

fn field_plan(
    field: &Field,
    source: Option<&Source>,
    mapping: &Mapping,
    dataset: &Dataset,
    catalogue: &Catalogue,
    columns: &mut Columns,
    derived: &mut Vec<(usize, Derived)>,
) -> Result<FieldPlan> {
    let index = dataset.field_index(&field.name).unwrap_or_default();
    let bad = |text: String| IngestError::Mapping(format!("字段「{}」：{text}", field.name));
    let nothing = Source::default();
    let given = source.unwrap_or(&nothing);
    let mut column = field.label.zh.clone();
    let mut from = From::Nothing;
    if let Some(name) = &given.column {
        let at = columns.find(name)?;
        column = name.clone();
        from = From::Column(at);
        if let Some(pattern) = &given.pattern {
            let regex = Regex::new(pattern).map_err(|e| bad(format!("pattern 无效：{e}")))?;
            derived.push((index, Derived::Pattern { column: at, regex }));
        }
    } else if let Some(text) = &given.constant {
        from = From::Column(0);
        derived.push((index, Derived::Constant(text.clone())));
    } else if let Some(format) = &given.format {
        let places = given.columns.iter().map(|name| columns.find(name)).collect::<Result<Vec<_>>>()?;
        column = given.columns.join("+");
        from = From::Column(0);
        derived.push((index, Derived::Template(template(format, &places).map_err(bad)?)));
    } else if let (Some(x), Some(y)) = (&given.x, &given.y) {
        column = format!("{x}+{y}");
        from = From::Point { x: columns.find(x)?, y: columns.find(y)?, transform: transform(given.crs)? };
    } else if let Some(point) = &given.locate {
        column = point.clone();
        from = From::Locate(dataset.field_index(point).ok_or_else(|| bad(format!("没有字段「{point}」")))?);
    }
    if field.kind == FieldType::Point
        && let From::Column(at) = from
    {
        from = From::Point { x: at, y: at, transform: transform(given.crs)? };
    }
    let null: HashSet<String> = mapping.null.iter().chain(&given.null_if).cloned().collect();
    let null_points = if field.kind == FieldType::Point {
        given
            .null_if
            .iter()
            .filter_map(|t| t.split_once(','))
            .filter_map(|(x, y)| Some((x.trim().parse().ok()?, y.trim().parse().ok()?)))
            .collect()
    } else {
        Vec::new()
    };
    let mut codes = HashMap::new();
    if let Some(list) = catalogue.codes_of(field) {
        // Codes win over names, names over aliases of other items.
        for item in &list.item {
            let Some(code) = list.resolve(&item.code).map(|i| Arc::<str>::from(i.code.as_str())) else { continue };
            for alias in item.alias.iter().chain([&item.en, &item.zh]) {
                codes.entry(alias.clone()).or_insert_with(|| code.clone());
            }
        }
        for item in &list.item {
            if let Some(resolved) = list.resolve(&item.code) {
                codes.insert(item.code.clone(), Arc::from(resolved.code.as_str()));
            }
        }
    }
    let fallback = match &given.fallback {
        Some(code) => Some(codes.get(code).cloned().ok_or_else(|| bad(format!("fallback「{code}」不在代码表中")))?),
        None => None,
    };
    let zone = mapping.zone.as_deref().and_then(|z| z.parse().ok()).unwrap_or(zonglan_catalog::time::ZONE);
    let times = TimeStyle::new(zone, &given.dates).map_err(|format| bad(format!("日期格式「{format}」无效")))?;
    let units = |bound: Option<f64>| bound.map(|b| (b * 10f64.powi(i32::from(field.scale))).round() as i64);
    Ok(FieldPlan {
        label: field.label.zh.clone(),
        column,
        from,
        kind: field.kind,
        trim: field.search == SearchMode::Keyword || dataset.key.contains(&field.name),
        scale: field.scale,
        level: field.level,
        required: field.required,
        min: units(field.min),
        max: units(field.max),
        max_length: field.max_length,
        null,
        null_points,
        values: given.values.clone().into_iter().collect(),
        codes,
        fallback,
        times,
    })
}

fn transform(crs: Option<Crs>) -> Result<Option<Box<Transform>>> {
    let from = crs.unwrap_or(Crs::Wgs84);
    if from == Crs::Wgs84 {
        return Ok(None);
    }
    Transform::new(from, Crs::Wgs84).map(|t| Some(Box::new(t))).map_err(|e| IngestError::Mapping(e.zh()))
}

/// `{0}-{1:2}` over columns.
fn template(format: &str, places: &[usize]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = format;
    while let Some((text, tail)) = rest.split_once('{') {
        let (inside, tail) = tail.split_once('}').ok_or("format 缺少 }")?;
        let (number, width) = inside.split_once(':').unwrap_or((inside, "0"));
        let number: usize = number.parse().map_err(|_| format!("format 中的 {{{inside}}} 应为列的序号，从 0 开始"))?;
        let place = places.get(number).ok_or(format!("format 用了第 {number} 列，columns 只有 {} 列", places.len()))?;
        parts.push(Part::Text(text.to_string()));
        parts.push(Part::Column(*place, width.parse().map_err(|_| format!("{{{inside}}} 的宽度应为数字"))?));
        rest = tail;
    }
    parts.push(Part::Text(rest.to_string()));
    Ok(parts)
}

/// Names compare without case, blanks and marks.
fn fold(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Where a field is found in a file whose columns bear the fields' names or labels.
pub(crate) fn auto_source(dataset: &Dataset, field: &Field, header: &Header) -> Option<Source> {
    let skip = if header.quarantine { crate::quarantine::META_COLUMNS.len() } else { 0 };
    let names = &header.names[skip.min(header.names.len())..];
    let find = |wanted: &[&str]| {
        let wanted: Vec<String> = wanted.iter().map(|w| fold(w)).filter(|w| !w.is_empty()).collect();
        wanted.iter().find_map(|w| names.iter().find(|n| fold(n) == *w)).cloned()
    };
    if let Some(column) = find(&[&field.name, &field.label.zh, &field.label.en]) {
        return Some(Source::column(column));
    }
    if field.kind == FieldType::Point {
        let of = |tails: [&str; 4], plain: &[&str]| {
            let own: Vec<String> = tails.iter().map(|t| format!("{}{t}", field.name)).collect();
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            find(&own).or_else(|| if dataset.place.as_deref() == Some(&field.name) { find(plain) } else { None })
        };
        let x = of(["_lon", "_lng", "_longitude", "_x"], &["lon", "lng", "longitude", "经度"])?;
        let y = of(["_lat", "_latitude", "_y", "_north"], &["lat", "latitude", "纬度"])?;
        return Some(Source { x: Some(x), y: Some(y), ..Source::default() });
    }
    // The district follows from the place if the file has one.
    if field.kind == FieldType::Region
        && dataset.region.as_deref() == Some(&field.name)
        && field.level == Some(RegionLevel::District)
        && let Some(place) = dataset.place.as_deref().and_then(|p| dataset.field(p))
        && auto_source(dataset, place, header).is_some()
    {
        return Some(Source { locate: Some(place.name.clone()), ..Source::default() });
    }
    if header.open { Some(Source::column(field.name.clone())) } else { None }
}
