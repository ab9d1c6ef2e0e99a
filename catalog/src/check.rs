//! Checks across files: every name that one definition uses must exist in another.

use crate::board::{Board, ElementKind, HeatStyle};
use crate::dataset::{Aggregate, Dataset, FieldType, Measure};
use crate::load::{Catalogue, Problem, SourceFile};
use crate::query::Dim;
use std::collections::{BTreeMap, BTreeSet};

#[path = "check_register.rs"]
mod register;

type Origin = BTreeMap<(String, String), SourceFile>;

/// All problems of a catalogue whose files parse.
pub(crate) fn check(catalogue: &Catalogue, origin: &Origin) -> Vec<Problem> {
    let mut report = Report { origin, kind: "", name: String::new(), problems: Vec::new() };
    for dataset in catalogue.datasets() {
        report.enter("datasets", &dataset.name);
        claimed_modules(&dataset.modules, &mut report);
        dataset_names(catalogue, dataset, &mut report);
        register::fields(catalogue, dataset, &mut report);
        if let Some(declared) = &dataset.register {
            register::register(catalogue, dataset, declared, &mut report);
        }
        for measure in &dataset.measure {
            measure_names(catalogue, dataset, measure, &mut report);
        }
    }
    for list in catalogue.code_lists() {
        report.enter("codes", &list.name);
        let mut seen = BTreeSet::new();
        for item in &list.item {
            if !seen.insert(&item.code) {
                report.add(&item.code, format!("code '{}' is listed twice", item.code));
            }
            for (key, other) in [("parent", &item.parent), ("replaced_by", &item.replaced_by)] {
                if let Some(other) = other
                    && list.get(other).is_none()
                {
                    report.add(other, format!("{key} '{other}' of code '{}' is not in the list", item.code));
                }
            }
        }
    }
    for board in catalogue.default_boards() {
        report.enter("datasets", &board.name);
        board_names(catalogue, board, &mut report);
    }
    for board in catalogue.boards() {
        report.enter("boards", &board.name);
        claimed_modules(&board.modules, &mut report);
        board_names(catalogue, board, &mut report);
    }
    for service in catalogue.services() {
        report.enter("services", &service.name);
        claimed_modules(&service.modules, &mut report);
    }
    for role in catalogue.policy().roles() {
        report.enter("policy", &role.name);
        for name in role.read.iter().chain(&role.write).chain(&role.import) {
            let pack = name.strip_prefix("pack:").is_some_and(|pack| !pack.is_empty());
            let areas = catalogue.codes("business_area");
            let area = name.strip_suffix("/*").is_some_and(|a| areas.is_some_and(|list| list.get(a).is_some()));
            if name != "*" && !pack && !area && catalogue.dataset(name).is_none() {
                report.add(name, format!("unknown dataset '{name}'"));
            }
        }
    }
    report.problems
}

struct Report<'a> {
    origin: &'a Origin,
    kind: &'static str,
    name: String,
    problems: Vec<Problem>,
}

impl Report<'_> {
    fn enter(&mut self, kind: &'static str, name: &str) {
        self.kind = kind;
        self.name = name.to_string();
    }

    fn add(&mut self, word: &str, message: String) {
        self.problems.push(at(self.origin, self.kind, &self.name, word, message));
    }

    fn missing<'a>(&mut self, what: &str, word: &str, known: impl Iterator<Item = &'a str>) {
        let hint = nearest(word, known).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        self.add(word, format!("unknown {what} '{word}'{hint}"));
    }
}

/// A problem in a file. The line is the first that holds the offending word in quotes.
pub(crate) fn at(origin: &Origin, kind: &str, name: &str, word: &str, message: String) -> Problem {
    let source = origin.get(&(kind.to_string(), name.to_string()));
    let quoted = format!("\"{word}\"");
    let line = source.and_then(|s| s.text.lines().position(|l| l.contains(&quoted))).map_or(0, |i| i + 1);
    let file = source.map_or_else(|| format!("{kind}/{name}"), |s| s.path.clone());
    Problem { file, line, message }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A file names modules of the scope that are to be built, each once. Several files may share one.
fn claimed_modules(modules: &[String], report: &mut Report) {
    let mut seen = BTreeSet::new();
    for id in modules {
        if !seen.insert(id) {
            report.add(id, format!("module '{id}' is named twice"));
        } else if let Some(message) = crate::coverage::wrong_claim(id) {
            report.add(id, message);
        }
    }
}

fn dataset_names(catalogue: &Catalogue, dataset: &Dataset, report: &mut Report) {
    if !is_name(&dataset.name) {
        report.add(&dataset.name, format!("name '{}': lower-case English letters, digits and _ only", dataset.name));
    }
    let mut seen = BTreeSet::new();
    for field in &dataset.field {
        if !is_name(&field.name) || !seen.insert(field.name.as_str()) {
            report.add(&field.name, format!("field name '{}' is not snake_case or is used twice", field.name));
        }
        match field.kind {
            FieldType::Code if field.codes.is_none() => {
                report.add(&field.name, format!("code field '{}' needs codes = \"<list>\" or options", field.name))
            }
            FieldType::Region if field.level.is_none() => {
                report.add(&field.name, format!("region field '{}' needs level = \"district\" or another", field.name))
            }
            _ => {}
        }
        if field.scale > 9 {
            report.add(&field.name, format!("field '{}': scale is 9 at most", field.name));
        }
        if matches!(field.kind, FieldType::Code | FieldType::Region) && catalogue.codes_of(field).is_none() {
            let name = field.codes.as_deref().unwrap_or("region");
            report.missing("code list", name, catalogue.code_lists().map(|c| c.name.as_str()));
        }
    }
    let fields = || dataset.field.iter().map(|f| f.name.as_str());
    let typed =
        [(&dataset.time, "time"), (&dataset.place, "place"), (&dataset.region, "region"), (&dataset.title, "title")];
    for (name, what) in typed {
        let Some(name) = name else { continue };
        let Some(field) = dataset.field(name) else {
            report.missing("field", name, fields());
            continue;
        };
        let fits = match what {
            "time" => matches!(field.kind, FieldType::Instant | FieldType::Date),
            "place" => field.kind == FieldType::Point,
            "region" => field.kind == FieldType::Region,
            _ => true,
        };
        if !fits {
            report.add(name, format!("'{what}' names field '{name}', whose type does not fit"));
        }
    }
    let listed = dataset.key.iter().chain(&dataset.list).chain(dataset.people_dimensions.iter().flatten());
    for name in listed.chain(dataset.hierarchy.iter().flat_map(|h| &h.levels)) {
        if dataset.field(name).is_none() {
            report.missing("field", name, fields());
        }
    }
    if let Some(parent) = &dataset.parent {
        if catalogue.dataset(&parent.dataset).is_none() {
            report.missing("dataset", &parent.dataset, catalogue.datasets().map(|d| d.name.as_str()));
        }
        if dataset.field(&parent.field).is_none() {
            report.missing("field", &parent.field, fields());
        }
    }
    if let Some(area) = dataset.register.as_ref().and_then(|r| r.area.as_deref()) {
        let known = catalogue.codes("business_area");
        if known.is_none_or(|list| list.get(area).is_none()) {
            report.missing("business area", area, known.into_iter().flat_map(|l| &l.item).map(|i| i.code.as_str()));
        }
    }
    if dataset.within_parent && dataset.parent.is_none() {
        report.add(&dataset.name, format!("'{}' is seen within one parent, but declares none", dataset.name));
    }
    if dataset.register.is_some() && (dataset.source != crate::dataset::Source::Records || dataset.key.len() != 1) {
        report.add(&dataset.name, "a register has source = \"records\" and one key field".into());
    }
    if !dataset.shared && dataset.region.is_none() {
        report.add(
            &dataset.name,
            format!("dataset '{}' has neither a region field for row rules nor shared = true", dataset.name),
        );
    }
    for rollup in &dataset.rollup {
        for name in &rollup.dimensions {
            if dataset.field(name).is_none() {
                report.missing("field", name, fields());
            }
        }
        for name in &rollup.measures {
            if dataset.measure(name).is_none() {
                report.missing("measure", name, dataset.measure.iter().map(|m| m.name.as_str()));
            }
        }
        if let Some(region) = &dataset.region
            && !rollup.dimensions.contains(region)
        {
            report.add(&rollup.name, format!("rollup '{}' must carry '{region}', which row rules use", rollup.name));
        }
    }
}

fn measure_names(catalogue: &Catalogue, dataset: &Dataset, measure: &Measure, report: &mut Report) {
    let fail =
        |report: &mut Report, text: &str| report.add(&measure.name, format!("measure '{}': {text}", measure.name));
    if !is_name(&measure.name) {
        fail(report, "the name is not snake_case");
    }
    for name in measure
        .filter
        .fields()
        .into_iter()
        .chain(measure.field.as_deref())
        .chain(measure.start.as_deref())
        .chain(measure.end.as_deref())
    {
        if dataset.field(name).is_none() {
            report.missing("field", name, dataset.field.iter().map(|f| f.name.as_str()));
        }
    }
    let kind = measure.field.as_deref().and_then(|f| dataset.field(f)).map(|f| f.kind);
    match measure.agg {
        Aggregate::Sum | Aggregate::Avg | Aggregate::Quantile if !kind.is_some_and(FieldType::is_number) => {
            fail(report, "needs a field of numbers")
        }
        Aggregate::Min | Aggregate::Max | Aggregate::Distinct if measure.field.is_none() => {
            fail(report, "needs a field")
        }
        Aggregate::Quantile if !measure.q.is_some_and(|q| (0.0..=1.0).contains(&q)) => {
            fail(report, "needs q between 0 and 1")
        }
        Aggregate::Stock if measure.start.is_none() => fail(report, "needs the field of the start event"),
        Aggregate::Ratio => match (&measure.numerator, &measure.denominator) {
            (Some(a), Some(b)) => {
                for term in [a, b] {
                    match catalogue.measure(&dataset.name, term) {
                        None => report.missing("measure", term, dataset.measure.iter().map(|m| m.name.as_str())),
                        Some((_, m)) if m.agg == Aggregate::Ratio => fail(report, "a ratio of ratios is not defined"),
                        Some(_) => {}
                    }
                }
            }
            _ => fail(report, "needs numerator and denominator"),
        },
        _ => {}
    }
    if measure.definition.is_empty() {
        fail(report, "needs a definition (口径)");
    }
    for (at, version) in measure.version.iter().enumerate() {
        let next = measure.version.get(at + 1).map(|v| v.from).or(measure.newest_from());
        if version.from >= version.to || next.is_some_and(|next| next < version.to) {
            fail(report, "versions must follow each other: from < to, and no two at a time");
        }
        if version.definition.is_empty() {
            fail(report, "a version needs its definition (口径)");
        }
        match version.computed_by.as_deref() {
            Some(name) if name == measure.name || dataset.measure(name).is_none() => {
                report.missing("measure", name, dataset.measure.iter().map(|m| m.name.as_str()));
            }
            Some(name) if dataset.measure(name).is_some_and(|m| m.unit != measure.unit) => {
                fail(report, "the measure that computes a version has another unit");
            }
            _ => {}
        }
    }
}

fn board_names(catalogue: &Catalogue, board: &Board, report: &mut Report) {
    for query in board.queries.values() {
        let Some(dataset) = catalogue.dataset(&query.dataset) else {
            report.missing("dataset", &query.dataset, catalogue.datasets().map(|d| d.name.as_str()));
            continue;
        };
        for name in &query.measures {
            if catalogue.measure(&dataset.name, name).is_none() {
                report.missing("measure", name, dataset.measure.iter().map(|m| m.name.as_str()));
            }
        }
        if let Some(name) = query.unknown_column() {
            let columns = query.columns().join(", ");
            report.add(name, format!("'{name}' in order or having is not a column of the answer; columns: {columns}"));
        }
        let dims = query.by.iter().filter_map(|d| match d {
            Dim::Field(name) => Some(name.as_str()),
            Dim::Level(level) => Some(level.field.as_str()),
            Dim::Time(time) => time.field.as_deref(),
        });
        for name in dims.chain(query.rows.iter().map(String::as_str)).chain(query.filter.fields()) {
            if dataset.field(name).is_none() {
                report.missing("field", name, dataset.field.iter().map(|f| f.name.as_str()));
            }
        }
    }
    for (id, element) in &board.elements {
        for query in [&element.query, &element.spark, &element.versus].into_iter().flatten() {
            if !board.queries.contains_key(query) {
                report.missing("query", query, board.queries.keys().map(String::as_str));
            }
        }
        if element.query.is_none() && !matches!(element.kind, ElementKind::Title | ElementKind::Text) {
            report.add(id, format!("element '{id}' needs a query"));
        }
        if element.size_m.is_some_and(|m| !(20.0..=20_000.0).contains(&m)) {
            report.add(id, format!("size_m of element '{id}' is in metres, 20 to 20000"));
        }
        if element.kind != ElementKind::Heatmap && (element.heat != HeatStyle::Glow || element.size_m.is_some()) {
            report.add(id, format!("heat and size_m belong to a heatmap; element '{id}' is another type"));
        }
    }
    if board.flow.is_empty() && board.layouts.desktop.items.is_empty() {
        report.add("layouts", "the board needs a flow or layouts".into());
    }
    let layouts = [
        Some(&board.layouts.wall),
        Some(&board.layouts.desktop),
        Some(&board.layouts.mobile),
        board.layouts.print.as_ref(),
    ];
    for layout in layouts.into_iter().flatten() {
        for item in &layout.items {
            if !board.elements.contains_key(&item.0) {
                report.missing("element", &item.0, board.elements.keys().map(String::as_str));
            }
            if item.1 + item.3 > layout.columns || item.3 == 0 || item.4 == 0 {
                report.add(&item.0, format!("element '{}' does not fit {} columns", item.0, layout.columns));
            }
        }
    }
}

/// The known word nearest to a mistyped one, if near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|k| (distance(word, k), k)).min()?;
    (near.0 <= word.len().div_ceil(3)).then_some(near.1)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
