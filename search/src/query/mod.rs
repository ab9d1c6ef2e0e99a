//! The query language: what was typed becomes a tree, the tree becomes text or chips again.
//!
//! Nothing that somebody types is refused unless they ask for it: what cannot be read as written is
//! read as words, and the place is told. See `docs/search.md` for the language.
//!
//! Printing a tree and reading it gives the same tree.

mod lex;
mod parse;
mod print;
#[cfg(test)]
mod tests;

use crate::clause::{Clause, clauses_of};
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::search::QueryProblem;

/// A parsed query: parts that rank or must hold together. Empty: asks for everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    pub parts: Vec<Node>,
    pub problems: Vec<QueryProblem>,
}

/// A part of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Words that rank; any of them suffices. Only at the top.
    Word(String),
    /// The word, or a word that means the same, must be there; `*` and `?` inside are wildcards.
    Has(String),
    /// Exactly this must be there.
    Phrase(String),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// Items (words, phrases, or choices of them) that stand together.
    Near {
        how: Near,
        items: Vec<Node>,
    },
    /// Inside one field; `node` has no `Field`, `In` or `Word`.
    Field {
        name: String,
        node: Box<Node>,
    },
    /// Inside one section of a judgment.
    In {
        section: Section,
        node: Box<Node>,
    },
    /// Only in a field: from, to.
    Range(Edge, Edge),
    /// Only in a field: there is a value.
    Any,
}

/// An end of a range as it was typed, and whether it belongs to the range.
pub type Edge = Option<(String, bool)>;

/// How close things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Near {
    /// Neighbouring ones have at most so many characters between them.
    Chars(u32),
    Sentence,
    Paragraph,
}

/// Parts of a judgment, by the phrases that begin them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// What the plaintiff or the prosecution says.
    Claim,
    /// What the other side says.
    Defence,
    /// What the court found.
    Facts,
    /// What the court holds, and why.
    Reasons,
    /// The decision.
    Ruling,
}

impl Section {
    pub const ALL: [Section; 5] = [Self::Claim, Self::Defence, Self::Facts, Self::Reasons, Self::Ruling];

    /// Names in the query language; the first is the one that is printed.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Claim => &["诉称", "指控", "claim"],
            Self::Defence => &["辩称", "答辩", "defence"],
            Self::Facts => &["审理查明", "查明", "facts"],
            Self::Reasons => &["本院认为", "认为", "reasons"],
            Self::Ruling => &["判决如下", "判决", "主文", "ruling"],
        }
    }

    fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.names().contains(&text))
    }
}

/// The names that may stand before a colon.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Name, Chinese label, English label.
    fields: Vec<(String, String, String)>,
}

impl Names {
    pub fn new(fields: impl IntoIterator<Item = (String, String, String)>) -> Self {
        Self { fields: fields.into_iter().collect() }
    }

    /// The fields of a dataset that the index holds.
    pub fn of(dataset: &Dataset) -> Self {
        let files = crate::attached::of_name(dataset, crate::attached::FIELD);
        let held = dataset.field.iter().filter(|f| crate::schema::held(f)).chain(files);
        Self::new(held.map(|f| (f.name.clone(), f.label.zh.clone(), f.label.en.clone())))
    }

    fn find(&self, text: &str) -> Option<&str> {
        let by = |f: &&(String, String, String)| f.0 == text || f.1 == text || f.2.eq_ignore_ascii_case(text);
        self.fields.iter().find(by).map(|f| f.0.as_str())
    }

    /// What is printed before the colon.
    fn print<'a>(&'a self, name: &'a str) -> &'a str {
        let label = self.fields.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
        // A label with spaces or the name of another field would be read otherwise.
        label
            .filter(|l| self.find(l) == Some(name) && lex::plain_name(l) && Section::named(l).is_none())
            .unwrap_or(name)
    }
}

impl Query {
    /// Reads what was typed, forgivingly; `problems` says what was not read as written.
    pub fn parse(text: &str, names: &Names) -> Self {
        parse::parse(text, names)
    }

    /// Reads a text without fields.
    pub fn words_only(text: &str) -> Self {
        Self::parse(text, &Names::default())
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The words that rank, cut at sentence punctuation.
    pub fn clauses(&self) -> Vec<Clause> {
        clauses_of(self.parts.iter().filter_map(|part| match part {
            Node::Word(text) => Some(text.as_str()),
            _ => None,
        }))
    }

    /// The query in its own form.
    pub fn print(&self, names: &Names) -> String {
        print::query(self, names)
    }

    /// The parts as a page shows them.
    pub fn chips(&self, names: &Names) -> Vec<zonglan_catalog::Chip> {
        print::chips(self, names)
    }
}

impl Node {
    /// Calls `visit` for what must be in texts and where: field, section, leaf. Negated parts are left out.
    pub(crate) fn positive<'a>(&'a self, field: Option<&'a str>, visit: &mut dyn FnMut(Option<&'a str>, &'a Node)) {
        match self {
            Node::Not(_) | Node::Range(..) | Node::Any | Node::Word(_) => {}
            Node::Has(_) | Node::Phrase(_) | Node::Near { .. } | Node::In { .. } => visit(field, self),
            Node::And(list) | Node::Or(list) => list.iter().for_each(|n| n.positive(field, visit)),
            Node::Field { name, node } => node.positive(Some(name), visit),
        }
    }
}
