//! A request as it was read, and its compilation to the engine's query.

use crate::Inner;
use crate::analyze::normalise;
use crate::attached;
use crate::clause::{Clause, is_question};
use crate::condition::condition;
use crate::error::SearchError;
use crate::learned::Learned;
use crate::plan::{Mode, Scope, zero};
use crate::query::{Names, Node, Query};
use crate::rules::{Knowledge, Rules, mentioned};
use crate::schema::held;
use crate::search::{counted, within};
use crate::shelf::Shelf;
use std::sync::Arc;
use tantivy::Searcher;
use tantivy::query::{BooleanQuery, Occur, Query as EngineQuery};
use zonglan_catalog::Catalogue;
use zonglan_catalog::bind::BoundSearch;
use zonglan_catalog::dataset::{Dataset, Field, SearchMode};
use zonglan_catalog::error::Result;
use zonglan_catalog::search::{Hit, Reason};
use zonglan_catalog::value::Value;

/// The request's query as it was read, and what is known of its words.
pub(crate) struct Asked {
    pub query: Query,
    pub within: Vec<Query>,
    pub clauses: Vec<Clause>,
    pub knowledge: Arc<Knowledge>,
    /// For questions only.
    pub learned: Option<Arc<Learned>>,
    pub catalogue: Arc<Catalogue>,
    dataset: String,
    /// The words and the terms that they stand for, in which values of fields are looked for.
    pub named: Vec<char>,
}

impl Asked {
    pub fn of(inner: &Inner, search: &BoundSearch) -> Result<Self> {
        let request = search.request();
        let dataset = search.dataset();
        let names = Names::of(dataset);
        let query = Query::parse(&request.query, &names);
        if let Some(problem) = query.problems.first().filter(|_| request.strict) {
            let (message, hint) = (problem.message.clone(), problem.hint.clone());
            return Err(SearchError::Syntax { from: problem.from, to: problem.to, message, hint }.into());
        }
        let clauses = query.clauses();
        let knowledge = inner.knowledge();
        let learned = if is_question(&clauses) { knowledge.learned.get(&dataset.name).cloned() } else { None };
        let mut named: Vec<char> = Vec::new();
        for clause in &clauses {
            named.extend(&clause.text);
            named.push(' ');
            for term in knowledge.lexicon.terms_in(&clause.text) {
                named.extend(normalise(term));
                named.push(' ');
            }
        }
        for part in &query.parts {
            if let Node::Has(text) | Node::Phrase(text) = part {
                named.extend(normalise(text));
                named.push(' ');
            }
        }
        Ok(Self {
            within: request.within.iter().map(|text| Query::parse(text, &names)).collect(),
            query,
            clauses,
            knowledge,
            learned,
            catalogue: inner.catalogue(),
            dataset: dataset.name.clone(),
            named,
        })
    }

    pub fn rules(&self) -> Option<&Rules> {
        self.knowledge.rules(&self.dataset)
    }

    pub fn scope<'a>(&'a self, shelf: &'a Shelf, searcher: &'a Searcher, search: &'a BoundSearch) -> Scope<'a> {
        let dataset = search.dataset();
        let open = |f: &&Field| f.search != SearchMode::None && held(f) && !search.masks().contains_key(&f.name);
        Scope {
            slots: &shelf.slots,
            dataset,
            fields: dataset.field.iter().chain(attached::of_name(dataset, attached::FIELD)).filter(open).collect(),
            rounded: !counted(shelf, search),
            lexicon: Some(&self.knowledge.lexicon),
            learned: self.learned.as_deref(),
            catalogue: &self.catalogue,
            searcher: Some(searcher),
            masked: search.masks(),
        }
    }

    /// The engine's query: row rule, filters, earlier queries, words.
    pub fn compile(
        &self,
        shelf: &Shelf,
        searcher: &Searcher,
        search: &BoundSearch,
        mode: Mode,
    ) -> Result<BooleanQuery> {
        let dataset = search.dataset();
        let scope = self.scope(shelf, searcher, search);
        let rule = search.row_rule().clone().and(search.filter().clone());
        let mut parts: Vec<(Occur, Box<dyn EngineQuery>)> =
            vec![(Occur::Must, zero(within(shelf, dataset, condition(&shelf.slots, dataset, &rule)?)))];
        for earlier in &self.within {
            if let Some(earlier) = scope.query(earlier, Mode::Close)? {
                parts.push((Occur::Must, zero(earlier)));
            }
        }
        if let Some(words) = scope.query(&self.query, mode)? {
            parts.push((Occur::Must, words));
        }
        Ok(BooleanQuery::new(parts))
    }

    pub fn explain(&self, dataset: &Dataset, hit: &Hit) -> Vec<Reason> {
        let mut factors = self.knowledge.reasons(dataset, &hit.fields);
        if let Some(rules) = self.rules() {
            for rule in &rules.mention {
                let Some(value) = hit.fields.get(&rule.field).and_then(Value::as_str) else { continue };
                if mentioned(value, &self.named) {
                    let label = dataset.field(&rule.field).map_or("", |f| f.label.zh.as_str());
                    factors.push((format!("检索词提到{label}：{value}"), rule.weight));
                }
            }
        }
        let whole = 1.0 + factors.iter().map(|(_, weight)| weight).sum::<f32>();
        let base = hit.score / whole;
        let mut reasons =
            vec![Reason { kind: "text".into(), text: "词句相关度（含段落加权）".into(), score: base }];
        reasons.extend(factors.into_iter().map(|(text, weight)| Reason {
            kind: "boost".into(),
            text,
            score: base * weight,
        }));
        reasons
    }
}
