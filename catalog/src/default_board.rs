//! The board that every register has without a file: how many records, where, of which kinds,
//! since when, and the newest of them. A board file of the register's name takes its place.

use crate::board::{Board, Element, ElementKind, Layouts, Variable, VariableKind};
use crate::codes::Label;
use crate::dataset::{Aggregate, Dataset, Field, FieldType, RegionLevel, Sensitivity};
use crate::query::{Compare, Dim, Query};
use crate::time::{Grain, Range};
use std::collections::BTreeMap;

/// Figures beside the count, and code fields that are charted, at most.
const FIGURES: usize = 4;
const KINDS: usize = 3;

/// The board of a dataset, named after it. `None` where it counts nothing.
pub fn default_board(dataset: &Dataset) -> Option<Board> {
    let count = dataset.measure("count").or(dataset.measure.first())?;
    let mut made = Maker { dataset, queries: BTreeMap::new(), elements: BTreeMap::new() };
    made.element("title", dataset.label.clone(), ElementKind::Title, None);
    let query = |measures: &[&str], by: Vec<Dim>| Query {
        dataset: dataset.name.clone(),
        measures: measures.iter().map(ToString::to_string).collect(),
        by,
        ..Query::default()
    };
    let last = |length: &str| Range { last: Some(length.into()), ..Range::default() };

    let mut figures = vec!["total".to_string()];
    made.element("total", count.label.clone(), ElementKind::Number, Some(query(&[&count.name], vec![])));
    let countable = count.agg == Aggregate::Count && dataset.time.is_some();
    if countable {
        let recent = Query { range: last("30d"), compare: Some(Compare::Yoy), ..query(&[&count.name], vec![]) };
        let label = Label::new(format!("近30天{}", count.label.zh), format!("{}, 30 days", count.label.en));
        made.element("recent", label, ElementKind::Number, Some(recent));
        figures.push("recent".into());
    }
    let others = dataset.measure.iter().filter(|m| {
        m.name != count.name && [&m.numerator, &m.denominator].into_iter().flatten().all(|term| !term.contains('.'))
    });
    for measure in others.take(FIGURES - figures.len()) {
        let id = format!("m_{}", measure.name);
        made.element(&id, measure.label.clone(), ElementKind::Number, Some(query(&[&measure.name], vec![])));
        figures.push(id);
    }

    let region = dataset.region.as_deref().and_then(|name| dataset.field(name)).filter(|f| asked(dataset, f));
    let mut charts = Vec::new();
    if let Some(field) = region.filter(|f| f.level == Some(RegionLevel::District)) {
        let by =
            Query { order: vec![format!("-{}", count.name)], ..query(&[&count.name], vec![Dim::field(&field.name)]) };
        made.element("map", Label::new("区域分布", "By district"), ElementKind::Choropleth, Some(by.clone()));
        made.element("ranking", Label::new("各区排名", "Districts, ranked"), ElementKind::Ranking, Some(by));
        charts.extend(["map".to_string(), "ranking".to_string()]);
    }
    if countable {
        let trend = Query { range: last("12m"), ..query(&[&count.name], vec![Dim::time(Grain::Month)]) };
        made.element("trend", Label::new("按月走势", "By month"), ElementKind::Line, Some(trend));
        charts.push("trend".into());
    }
    for (n, field) in kinds(dataset).into_iter().take(KINDS).enumerate() {
        let id = format!("by_{}", field.name);
        let by =
            Query { order: vec![format!("-{}", count.name)], ..query(&[&count.name], vec![Dim::field(&field.name)]) };
        let label = Label::new(format!("按{}", field.label.zh), format!("By {}", field.label.en.to_lowercase()));
        made.element(&id, label, if n == 0 { ElementKind::Pie } else { ElementKind::Bar }, Some(by));
        charts.push(id);
    }
    made.latest();
    let variables = region
        .map(|field| Variable {
            label: field.label.clone(),
            kind: VariableKind::Region,
            field: Some(field.name.clone()),
            codes: None,
            options: vec![],
            default: None,
        })
        .map(|variable| ("district".to_string(), variable));
    // Figures in a row, charts in threes, the newest records over the full width.
    let mut flow: Vec<Vec<String>> =
        std::iter::once(figures.as_slice()).chain(charts.chunks(3)).map(<[_]>::to_vec).collect();
    if made.elements.contains_key("latest") {
        flow.push(vec!["latest".into()]);
    }
    let mut board = Board {
        name: dataset.name.clone(),
        title: dataset.label.clone(),
        modules: vec![],
        order: 1000,
        roles: vec![],
        variables: variables.into_iter().collect(),
        group: None,
        flow,
        layouts: Layouts::default(),
        queries: made.queries,
        elements: made.elements,
    };
    crate::board_layout::complete(&mut board);
    Some(board)
}

/// Whether figures may be asked by this field alone.
fn asked(dataset: &Dataset, field: &Field) -> bool {
    !dataset.people || dataset.people_dimensions.iter().any(|set| set.contains(&field.name))
}

/// Code fields worth a chart: those of the list first.
fn kinds(dataset: &Dataset) -> Vec<&Field> {
    let fits = |f: &&Field| f.kind == FieldType::Code && f.sensitivity <= Sensitivity::Internal && asked(dataset, f);
    let mut fields: Vec<&Field> = dataset.field.iter().filter(fits).collect();
    fields.sort_by_key(|f| dataset.list.iter().position(|name| *name == f.name).unwrap_or(usize::MAX));
    fields
}

struct Maker<'a> {
    dataset: &'a Dataset,
    queries: BTreeMap<String, Query>,
    elements: BTreeMap<String, Element>,
}

impl Maker<'_> {
    fn element(&mut self, id: &str, title: Label, kind: ElementKind, query: Option<Query>) {
        let element = Element {
            query: query.is_some().then(|| id.to_string()),
            limit: matches!(kind, ElementKind::Ranking | ElementKind::Bar).then_some(10),
            click: (kind == ElementKind::Table).then(|| "rows".to_string()),
            ..Element::new(title, kind)
        };
        self.queries.extend(query.map(|q| (id.to_string(), q)));
        self.elements.insert(id.to_string(), element);
    }

    /// The newest records, by the event time.
    fn latest(&mut self) {
        let dataset = self.dataset;
        let Some(time) = &dataset.time else { return };
        let shown = |name: &&str| {
            dataset
                .field(name)
                .is_some_and(|f| f.sensitivity <= Sensitivity::Internal && !f.person_key && f.kind != FieldType::Point)
        };
        let mut rows: Vec<String> = dataset.key.clone();
        rows.push(time.clone());
        rows.extend(dataset.list_fields().into_iter().filter(shown).map(String::from).collect::<Vec<_>>());
        let mut seen = std::collections::BTreeSet::new();
        rows.retain(|name| seen.insert(name.clone()));
        rows.truncate(7);
        let query = Query {
            dataset: dataset.name.clone(),
            rows,
            order: vec![format!("-{time}")],
            limit: Some(12),
            ..Query::default()
        };
        self.element("latest", Label::new("最新登记", "Newest records"), ElementKind::Table, Some(query));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Catalogue;

    #[test]
    fn every_register_has_a_board_that_asks_only_for_what_it_has() {
        // Loading checks the boards, too: names, columns, places in the grid.
        let catalogue = Catalogue::builtin().unwrap_or_else(|e| panic!("{e}"));
        for dataset in catalogue.datasets().filter(|d| d.register.is_some()) {
            let board = catalogue.board(&dataset.name).unwrap_or_else(|| panic!("{} has no board", dataset.name));
            let placed: std::collections::BTreeSet<_> = board.layouts.wall.items.iter().map(|p| &p.0).collect();
            assert_eq!(placed.len(), board.elements.len(), "{}: elements without a place", dataset.name);
            let bottom = board.layouts.wall.items.iter().map(|p| p.2 + p.4).max();
            assert!(bottom <= board.layouts.wall.rows, "{}: {bottom:?}", dataset.name);
            if dataset.people {
                let declared = |q: &Query| {
                    q.by.iter().all(|d| match d {
                        Dim::Field(name) => dataset.people_dimensions.iter().any(|set| set.contains(name)),
                        _ => true,
                    })
                };
                assert!(board.queries.values().all(declared), "{}", dataset.name);
            }
        }
    }

    #[test]
    fn premises_are_counted_by_district_and_kind() {
        let catalogue = Catalogue::builtin().expect("packs");
        let board = catalogue.board("premises").expect("a board");
        for id in ["title", "total", "map", "ranking", "by_kind"] {
            assert!(board.elements.contains_key(id), "{id}: {:?}", board.elements.keys());
        }
        assert!(catalogue.boards().all(|b| b.name != "premises"), "lists of boards name the declared ones");
    }
}
