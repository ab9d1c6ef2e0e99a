//! A tree as text in the query language, and as chips.

use super::lex::bare;
use super::{Edge, Names, Near, Node, Query};
use zonglan_catalog::Chip;

pub(super) fn query(query: &Query, names: &Names) -> String {
    query.parts.iter().map(|part| top(part, names)).collect::<Vec<_>>().join(" ")
}

pub(super) fn chips(query: &Query, names: &Names) -> Vec<Chip> {
    query
        .parts
        .iter()
        .map(|part| Chip { kind: kind(part).into(), text: top(part, names), label: label(part, names) })
        .collect()
}

fn kind(node: &Node) -> &'static str {
    match node {
        Node::Word(_) | Node::Has(_) => "word",
        Node::Phrase(_) => "phrase",
        Node::Not(_) => "not",
        Node::And(_) => "and",
        Node::Or(_) => "or",
        Node::Near { .. } => "near",
        Node::Field { .. } | Node::Range(..) | Node::Any => "field",
        Node::In { .. } => "section",
    }
}

/// A part at the top: words that must be there have a sign.
fn top(node: &Node, names: &Names) -> String {
    match node {
        Node::Has(text) => format!("+{}", word(text, names)),
        node => inner(node, names),
    }
}

/// A part as an operand.
fn inner(node: &Node, names: &Names) -> String {
    match node {
        Node::Word(text) | Node::Has(text) => word(text, names),
        Node::Phrase(text) => quoted(text),
        Node::Not(node) => format!("-{}", closed(node, names)),
        Node::And(_) | Node::Or(_) => closed(node, names),
        Node::Near { how, items } => {
            let sign = match how {
                Near::Chars(n) => format!(" NEAR/{n} "),
                Near::Sentence => " /s ".into(),
                Near::Paragraph => " /p ".into(),
            };
            items.iter().map(|n| closed(n, names)).collect::<Vec<_>>().join(&sign)
        }
        Node::Field { name, node } => format!("{}:{}", names.print(name), closed(node, names)),
        Node::In { section, node } => format!("{}:{}", section.names()[0], closed(node, names)),
        Node::Range(low, high) => range(low, high),
        Node::Any => "*".into(),
    }
}

/// A part that a prefix may stand before.
fn closed(node: &Node, names: &Names) -> String {
    let joined = |list: &[Node], sign: &str| {
        let parts: Vec<String> = list.iter().map(|n| inner(n, names)).collect();
        format!("( {} )", parts.join(sign))
    };
    match node {
        Node::And(list) => joined(list, " 且 "),
        Node::Or(list) => joined(list, " 或 "),
        Node::Near { .. } => format!("( {} )", inner(node, names)),
        node => inner(node, names),
    }
}

fn word(text: &str, names: &Names) -> String {
    if bare(text, names) { text.to_string() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn range(low: &Edge, high: &Edge) -> String {
    match (low, high) {
        (Some((low, true)), Some((high, _))) => format!("{low}..{high}"),
        (Some((low, inclusive)), _) => format!(">{}{low}", if *inclusive { "=" } else { "" }),
        (None, Some((high, inclusive))) => format!("<{}{high}", if *inclusive { "=" } else { "" }),
        (None, None) => "*".into(),
    }
}

/// What a chip says to people.
fn label(node: &Node, names: &Names) -> String {
    let list = |nodes: &[Node], sign: &str| nodes.iter().map(|n| label(n, names)).collect::<Vec<_>>().join(sign);
    match node {
        Node::Word(text) => text.clone(),
        Node::Has(text) => format!("含 {text}"),
        Node::Phrase(text) => format!("“{text}”"),
        Node::Not(inner) => format!("不含 {}", label(inner, names).trim_start_matches("含 ")),
        Node::And(nodes) => format!("（{}）", list(nodes, " 且 ")),
        Node::Or(nodes) => format!("（{}）", list(nodes, " 或 ")),
        Node::Near { how, items } => {
            let how = match how {
                Near::Chars(n) => format!("相距 {n} 字内"),
                Near::Sentence => "同句".into(),
                Near::Paragraph => "同段".into(),
            };
            format!("{}：{}", how, list(items, " 与 "))
        }
        Node::Field { name, node } => match &**node {
            Node::Has(text) | Node::Phrase(text) => format!("{}：{text}", names.print(name)),
            Node::Any => format!("有{}", names.print(name)),
            node => format!("{}：{}", names.print(name), label(node, names)),
        },
        Node::In { section, node } => format!("{}中 {}", section.names()[0], label(node, names)),
        Node::Range(low, high) => range(low, high),
        Node::Any => "有值".into(),
    }
}
