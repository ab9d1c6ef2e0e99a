//! Tokens to a tree. NOT binds closest, then NEAR, then standing side by side, then AND, then OR.

use super::lex::{Kind, Token, bare, lex};
use super::{Edge, Names, Node, Query};
use zonglan_catalog::search::QueryProblem;

/// Characters and parts of one query that are read; the rest is ignored, and said to be.
const MAX_CHARS: usize = 2_000;
const MAX_PARTS: usize = 48;

pub(super) fn parse(text: &str, names: &Names) -> Query {
    let mut chars: Vec<char> = text.chars().collect();
    let mut problems = Vec::new();
    if chars.len() > MAX_CHARS {
        let message = format!("检索式超过 {MAX_CHARS} 字，后面的部分未用");
        problems.push(problem(MAX_CHARS, chars.len(), message, "整段案情请用“类案检索”"));
        chars.truncate(MAX_CHARS);
    }
    let tokens = lex(&chars, names);
    let length = chars.len();
    let mut parser = Parser { tokens: &tokens, at: 0, names, problems, parts: 0, length };
    let node = parser.or();
    while parser.at < tokens.len() {
        parser.at += 1;
    }
    let mut parts = Vec::new();
    node.into_iter().for_each(|side| top(side, &mut parts));
    Query { parts, problems: parser.problems }
}

fn problem(from: usize, to: usize, message: impl Into<String>, hint: &str) -> QueryProblem {
    QueryProblem { from, to, message: message.into(), hint: hint.to_string() }
}

/// Before it is known what is around it: parts side by side, or an operator's answer.
enum Side {
    Beside(Vec<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// The parts at the top: side by side words rank, all else must hold.
fn top(side: Side, parts: &mut Vec<Node>) {
    match side {
        Side::Beside(list) => parts.extend(list),
        Side::And(list) => parts.extend(list.into_iter().map(strict)),
        Side::Or(list) => parts.push(any(list)),
    }
}

/// One part for inside of an operator or group: all that stand side by side must hold.
fn one(side: Side) -> Option<Node> {
    match side {
        Side::Beside(list) | Side::And(list) => all(list),
        Side::Or(list) => Some(any(list)),
    }
}

/// Words become words that must be there. A word with a wildcard is one at once.
fn strict(node: Node) -> Node {
    match node {
        Node::Word(text) => Node::Has(text),
        other => other,
    }
}

fn all(list: Vec<Node>) -> Option<Node> {
    let mut flat = Vec::new();
    for node in list.into_iter().map(strict) {
        match node {
            Node::And(inner) => flat.extend(inner),
            node => flat.push(node),
        }
    }
    match flat.len() {
        0 | 1 => flat.pop(),
        _ => Some(Node::And(flat)),
    }
}

fn any(list: Vec<Node>) -> Node {
    let mut flat = Vec::new();
    for node in list.into_iter().map(strict) {
        match node {
            Node::Or(inner) => flat.extend(inner),
            node => flat.push(node),
        }
    }
    match flat.len() {
        1 => flat.remove(0),
        _ => Node::Or(flat),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    names: &'a Names,
    problems: Vec<QueryProblem>,
    parts: usize,
    length: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|t| &t.kind)
    }

    fn next(&mut self) -> Option<&Token> {
        self.at += 1;
        self.tokens.get(self.at - 1)
    }

    /// Span of the token before the current one.
    fn last(&self) -> (usize, usize) {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or((0, 0), |t| (t.from, t.to))
    }

    fn complain(&mut self, message: &str, hint: &str) {
        let (from, to) = self.last();
        self.problems.push(problem(from, to, message, hint));
    }

    fn or(&mut self) -> Option<Side> {
        let mut sides: Vec<Side> = self.and().into_iter().collect();
        let mut many = false;
        while self.peek() == Some(&Kind::Or) {
            self.at += 1;
            let span = self.last();
            let missing = sides.is_empty();
            match self.and() {
                Some(side) if !missing => {
                    many = true;
                    sides.push(side);
                }
                side => {
                    sides.extend(side);
                    self.lone(span);
                }
            }
        }
        if many { Some(Side::Or(sides.into_iter().filter_map(one).collect())) } else { sides.pop() }
    }

    fn and(&mut self) -> Option<Side> {
        let mut sides: Vec<Side> = self.beside().into_iter().map(Side::Beside).collect();
        let mut many = false;
        while self.peek() == Some(&Kind::And) {
            self.at += 1;
            let span = self.last();
            let missing = sides.is_empty();
            match self.beside() {
                Some(list) if !missing => {
                    many = true;
                    sides.push(Side::Beside(list));
                }
                list => {
                    sides.extend(list.map(Side::Beside));
                    self.lone(span);
                }
            }
        }
        if !many {
            return sides.pop();
        }
        match all(sides.into_iter().filter_map(one).collect()) {
            Some(Node::And(list)) => Some(Side::And(list)),
            node => node.map(|n| Side::And(vec![n])),
        }
    }

    /// An operator without something on both sides.
    fn lone(&mut self, (from, to): (usize, usize)) {
        self.problems.push(problem(from, to, "运算符的一侧没有内容，已忽略", "运算符两侧都要有词，要查这个字请加引号"));
    }

    fn beside(&mut self) -> Option<Vec<Node>> {
        let mut list: Vec<Node> = Vec::new();
        loop {
            match self.peek() {
                None | Some(Kind::And | Kind::Or | Kind::Close) => break,
                Some(Kind::Near(_)) => {
                    self.at += 1;
                    let span = self.last();
                    self.lone(span);
                }
                Some(_) => {
                    let node = self.near();
                    if self.parts > MAX_PARTS {
                        let from = self.last().0;
                        let all = self.length;
                        if self.problems.iter().all(|p| p.from != from) {
                            let message = format!("检索式超过 {MAX_PARTS} 个部分，后面的部分未用");
                            self.problems.push(problem(from, all, message, "请去掉一些词"));
                        }
                        self.at = self.tokens.len();
                        break;
                    }
                    list.extend(node);
                }
            }
        }
        (!list.is_empty()).then_some(list)
    }

    fn near(&mut self) -> Option<Node> {
        let mut left = self.unary()?;
        let mut chain: Vec<Node> = Vec::new();
        while let Some(Kind::Near(how)) = self.peek().cloned() {
            self.at += 1;
            let span = self.last();
            let before = self.at;
            let right = match self.peek() {
                None | Some(Kind::And | Kind::Or | Kind::Close | Kind::Near(_)) => None,
                _ => self.unary(),
            };
            let Some(right) = right else {
                self.lone(span);
                continue;
            };
            let (a, b) = (strict(left.clone()), strict(right.clone()));
            if !(placed(&a) && placed(&b)) {
                let (from, to) = (span.0, self.tokens.get(before).map_or(span.1, |t| t.to));
                let message = "位置运算符两侧只能是词、短语或用“或”连接的词，已按“且”处理";
                self.problems.push(problem(from, to, message, "例如 \"交通肇事\" /s (逃逸 或 逃离)"));
                chain.extend(all(vec![a]));
                left = b;
                continue;
            }
            // A chain with one distance is one condition; others hold pair by pair.
            match chain.last_mut() {
                Some(Node::Near { how: same, items }) if *same == how && items.last() == Some(&a) => items.push(b),
                _ => chain.push(Node::Near { how, items: vec![a, b] }),
            }
            left = right;
        }
        if chain.is_empty() {
            return Some(left);
        }
        if !matches!(chain.last(), Some(Node::Near { items, .. }) if items.last() == Some(&strict(left.clone()))) {
            chain.push(strict(left));
        }
        all(chain)
    }

    fn unary(&mut self) -> Option<Node> {
        self.parts += 1;
        let names = self.names;
        let token = self.next()?.clone();
        match token.kind {
            Kind::Not | Kind::Minus => match self.operand() {
                Some(node) => Some(match strict(node) {
                    Node::Not(inner) => *inner,
                    node => Node::Not(Box::new(node)),
                }),
                None => {
                    self.lone((token.from, token.to));
                    None
                }
            },
            Kind::Plus => self.operand().map(strict),
            Kind::Open => {
                if token.open {
                    self.complain("括号没有结束，按到末尾处理", "请补上右括号");
                }
                let side = self.or();
                if self.peek() == Some(&Kind::Close) {
                    self.at += 1;
                }
                side.and_then(one)
            }
            Kind::Quote(text) => {
                if token.open {
                    self.complain("引号没有结束，按到末尾处理", "请补上右引号");
                }
                (!text.is_empty()).then_some(Node::Phrase(text))
            }
            Kind::Word(text) => Some(word(text, names)),
            Kind::Field(name) => {
                let node = self.operand().map(strict);
                let node = node.and_then(|n| self.in_field(n));
                node.map(|node| Node::Field { name, node: Box::new(node) })
            }
            Kind::Section(section) => {
                let node = self.operand().map(strict)?;
                if holds(&node, &|n| matches!(n, Node::Field { .. } | Node::In { .. })) {
                    self.complain("段落名之内不能再用字段或段落名，已按“且”处理", "例如 本院认为:(自首 且 立功)");
                    return Some(node);
                }
                Some(Node::In { section, node: Box::new(node) })
            }
            // The callers see to these.
            Kind::Close | Kind::And | Kind::Or | Kind::Near(_) => None,
        }
    }

    /// What a prefix stands before.
    fn operand(&mut self) -> Option<Node> {
        match self.peek() {
            None | Some(Kind::And | Kind::Or | Kind::Close | Kind::Near(_)) => None,
            _ => self.unary(),
        }
    }

    fn in_field(&mut self, node: Node) -> Option<Node> {
        if holds(&node, &|n| matches!(n, Node::Field { .. } | Node::In { .. })) {
            self.complain("字段之内不能再用字段，已忽略", "例如 法院:(徐汇 或 长宁)");
            return None;
        }
        Some(values(node))
    }
}

/// Words of a field that are ranges or `*`.
fn values(node: Node) -> Node {
    let list = |nodes: Vec<Node>| nodes.into_iter().map(values).collect();
    match node {
        Node::Has(text) => range(&text).unwrap_or(Node::Has(text)),
        Node::Not(inner) => Node::Not(Box::new(values(*inner))),
        Node::And(nodes) => Node::And(list(nodes)),
        Node::Or(nodes) => Node::Or(list(nodes)),
        other => other,
    }
}

fn range(text: &str) -> Option<Node> {
    if text == "*" {
        return Some(Node::Any);
    }
    let edge = |text: &str, inclusive: bool| -> Option<Edge> {
        let plain = !text.is_empty() && !text.contains("..") && !text.starts_with(['<', '>', '=']);
        plain.then(|| Some((text.to_string(), inclusive)))
    };
    for (sign, low, inclusive) in [(">=", true, true), ("<=", false, true), (">", true, false), ("<", false, false)] {
        if let Some(rest) = text.strip_prefix(sign) {
            let edge = edge(rest, inclusive)?;
            return Some(if low { Node::Range(edge, None) } else { Node::Range(None, edge) });
        }
    }
    let (low, high) = text.split_once("..")?;
    match (low, high) {
        ("", "") => None,
        ("", high) => Some(Node::Range(None, edge(high, true)?)),
        (low, "") => Some(Node::Range(edge(low, true)?, None)),
        (low, high) => Some(Node::Range(edge(low, true)?, edge(high, true)?)),
    }
}

/// A word as typed. What would be read otherwise in another place becomes a phrase, so that a
/// printed query is read as the same.
fn word(text: String, names: &Names) -> Node {
    if !bare(&text, names) {
        return Node::Phrase(text);
    }
    if crate::clause::is_pattern(&text) { Node::Has(text) } else { Node::Word(text) }
}

fn placed(node: &Node) -> bool {
    match node {
        Node::Has(_) | Node::Phrase(_) => true,
        Node::Or(list) => list.iter().all(|n| matches!(n, Node::Has(_) | Node::Phrase(_))),
        _ => false,
    }
}

fn holds(node: &Node, what: &dyn Fn(&Node) -> bool) -> bool {
    what(node)
        || match node {
            Node::And(list) | Node::Or(list) => list.iter().any(|n| holds(n, what)),
            Node::Near { items, .. } => items.iter().any(|n| holds(n, what)),
            Node::Not(inner) => holds(inner, what),
            _ => false,
        }
}
