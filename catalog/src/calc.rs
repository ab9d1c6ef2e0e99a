//! Calculated measures: a small expression over the measures of an answer, such as
//! `closed / count * 100`.
//!
//! An expression reads the figures as they are shown, after suppression and rounding, and says
//! nothing of what they hide: a figure that is null makes the result null, and so does a division
//! by zero. Arithmetic is exact on fractions; the result is rounded half to even.

use crate::value::{Value, div_half_even};
use serde::{Deserialize, Serialize};

/// Characters of an expression.
pub const MOST_CHARACTERS: usize = 300;
/// Calculated measures of one query.
pub const MOST_CALCS: usize = 8;
/// Parentheses and signs within each other.
const MOST_DEPTH: usize = 24;
/// Digits after the point of a result.
pub const MOST_DIGITS: u8 = 6;

/// One calculated measure of a query: `{"name":"per_unit","expr":"count / units","digits":2}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calc {
    /// The answer's column; not the name of another column.
    pub name: String,
    /// Measures of the query and calculated measures before this one, numbers, `+ - * / ( )`.
    pub expr: String,
    /// Shown instead of the name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Digits after the point; 2 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u8>,
}

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    Number(Fraction),
    Measure(String),
    Minus(Box<Expr>),
    Of(Operation, Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// An exact number, in lowest terms, with a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction {
    top: i128,
    bottom: i128,
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Fraction {
    /// `None` for a denominator of 0 and numbers beyond 128 bits.
    pub fn new(top: i128, bottom: i128) -> Option<Self> {
        if bottom == 0 {
            return None;
        }
        let common = i128::try_from(gcd(top.unsigned_abs(), bottom.unsigned_abs())).ok()?;
        let sign = if bottom < 0 { -1 } else { 1 };
        Some(Self { top: (top / common).checked_mul(sign)?, bottom: (bottom / common).checked_mul(sign)? })
    }

    /// The number in a cell; `None` for null and what is no exact number.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(n) => Self::new(i128::from(*n), 1),
            Value::Decimal { units, scale } => Self::new(i128::from(*units), 10i128.checked_pow(u32::from(*scale))?),
            _ => None,
        }
    }

    fn apply(self, operation: Operation, other: Self) -> Option<Self> {
        match operation {
            Operation::Add => Self::new(
                self.top.checked_mul(other.bottom)?.checked_add(other.top.checked_mul(self.bottom)?)?,
                self.bottom.checked_mul(other.bottom)?,
            ),
            Operation::Subtract => self.apply(Operation::Add, Self { top: other.top.checked_neg()?, ..other }),
            Operation::Multiply => Self::new(self.top.checked_mul(other.top)?, self.bottom.checked_mul(other.bottom)?),
            Operation::Divide => Self::new(self.top.checked_mul(other.bottom)?, self.bottom.checked_mul(other.top)?),
        }
    }

    /// Rounded half to even at so many digits.
    pub fn rounded(self, digits: u8) -> Option<Value> {
        let units = div_half_even(self.top.checked_mul(10i128.checked_pow(u32::from(digits))?)?, self.bottom)?;
        let units = i64::try_from(units).ok()?;
        Some(if digits == 0 { Value::Int(units) } else { Value::Decimal { units, scale: digits } })
    }

    /// `self - other`.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.apply(Operation::Subtract, other)
    }

    /// Change from `before` in percent; `None` where that is 0.
    pub fn percent_of_change(self, before: Self) -> Option<Self> {
        let whole = Self { top: before.top.checked_abs()?, bottom: before.bottom };
        self.minus(before)?.apply(Operation::Divide, whole)?.apply(Operation::Multiply, Self { top: 100, bottom: 1 })
    }
}

impl Expr {
    /// Reads an expression. The error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(format!("算式最多 {MOST_CHARACTERS} 个字符 (too long)"));
        }
        let mut parser = Parser { text, at: 0, depth: 0 };
        let expr = parser.sum()?;
        parser.space();
        if parser.at < text.len() {
            return Err(parser.wrong("多余的内容 (something is left over)"));
        }
        Ok(expr)
    }

    /// The names that it reads, in order, each once.
    pub fn names(&self) -> Vec<&str> {
        fn walk<'a>(expr: &'a Expr, names: &mut Vec<&'a str>) {
            match expr {
                Expr::Number(_) => {}
                Expr::Measure(name) if names.contains(&name.as_str()) => {}
                Expr::Measure(name) => names.push(name),
                Expr::Minus(inner) => walk(inner, names),
                Expr::Of(_, a, b) => {
                    walk(a, names);
                    walk(b, names);
                }
            }
        }
        let mut names = Vec::new();
        walk(self, &mut names);
        names
    }

    /// The result; `None` where a figure is missing, a divisor is 0, or a number leaves 128 bits.
    pub fn value(&self, figure: &dyn Fn(&str) -> Option<Fraction>) -> Option<Fraction> {
        match self {
            Expr::Number(number) => Some(*number),
            Expr::Measure(name) => figure(name),
            Expr::Minus(inner) => {
                let inner = inner.value(figure)?;
                Some(Fraction { top: inner.top.checked_neg()?, ..inner })
            }
            Expr::Of(operation, a, b) => a.value(figure)?.apply(*operation, b.value(figure)?),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn wrong(&self, what: &str) -> String {
        let place = self.text[..self.at].chars().count() + 1;
        format!("算式「{}」第 {place} 个字符: {what}", self.text)
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.space();
        self.text[self.at..].chars().next()
    }

    /// One of these characters; full-width and school-book forms are the same.
    fn take(&mut self, forms: &[(char, Operation)]) -> Option<Operation> {
        let next = self.peek()?;
        let (c, operation) = forms.iter().find(|(c, _)| *c == next)?;
        self.at += c.len_utf8();
        Some(*operation)
    }

    fn sum(&mut self) -> Result<Expr, String> {
        use Operation::{Add, Subtract};
        let mut left = self.product()?;
        while let Some(operation) =
            self.take(&[('+', Add), ('＋', Add), ('-', Subtract), ('－', Subtract), ('−', Subtract)])
        {
            left = Expr::Of(operation, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expr, String> {
        use Operation::{Divide, Multiply};
        let mut left = self.term()?;
        while let Some(operation) = self.take(&[('*', Multiply), ('×', Multiply), ('/', Divide), ('÷', Divide)]) {
            left = Expr::Of(operation, Box::new(left), Box::new(self.term()?));
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.wrong("括号层数太多 (too deep)"));
        }
        let term = match self.peek() {
            None => Err(self.wrong("缺少指标或数字 (a measure or number is missing)")),
            Some(c @ ('-' | '−' | '－')) => {
                self.at += c.len_utf8();
                Ok(Expr::Minus(Box::new(self.term()?)))
            }
            Some(open @ ('(' | '（')) => {
                self.at += open.len_utf8();
                let inner = self.sum()?;
                match self.peek() {
                    Some(close @ (')' | '）')) => self.at += close.len_utf8(),
                    _ => return Err(self.wrong("缺少右括号 (a parenthesis is not closed)")),
                }
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() => self.number(),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let rest = &self.text[self.at..];
                let end =
                    rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
                self.at += end;
                Ok(Expr::Measure(rest[..end].to_string()))
            }
            Some(c) => Err(self.wrong(&format!("不认识的字符 '{c}'；只能用指标名、数字、+ - * / 和括号"))),
        };
        self.depth -= 1;
        term
    }

    fn number(&mut self) -> Result<Expr, String> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let text = &rest[..end];
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let read = || {
            let digits = u32::try_from(part.len()).ok().filter(|n| *n <= 9)?;
            let units: i128 = format!("{whole}{part}").parse().ok()?;
            (units < 1_000_000_000_000_000).then_some(())?;
            Fraction::new(units, 10i128.checked_pow(digits)?)
        };
        let number = read().filter(|_| !part.contains('.')).ok_or_else(|| self.wrong("数字无法读取 (not a number)"))?;
        self.at += end;
        Ok(Expr::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(text: &str, figures: &[(&str, Value)], digits: u8) -> Option<String> {
        let expr = Expr::parse(text).expect("reads");
        let figure = |name: &str| figures.iter().find(|(n, _)| *n == name).and_then(|(_, v)| Fraction::of(v));
        expr.value(&figure).and_then(|f| f.rounded(digits)).map(|v| v.to_text())
    }

    #[test]
    fn arithmetic_is_exact_and_rounds_half_to_even() {
        let figures = [("a", Value::Int(1)), ("b", Value::Int(3)), ("c", Value::Decimal { units: 125, scale: 2 })];
        assert_eq!(work("a / b * b", &figures, 2).as_deref(), Some("1.00"));
        assert_eq!(work("a / b * 100", &figures, 1).as_deref(), Some("33.3"));
        assert_eq!(work("c", &figures, 1).as_deref(), Some("1.2"), "half to even");
        assert_eq!(work("c + 0.1", &figures, 1).as_deref(), Some("1.4"), "1.35 to even");
        assert_eq!(work("-(a － b) × 2 ÷ （1 + 1）", &figures, 0).as_deref(), Some("2"));
        assert_eq!(work("2 - 3 - 4", &figures, 0).as_deref(), Some("-5"), "from the left");
        assert_eq!(work("1 + 2 * 3", &figures, 0).as_deref(), Some("7"));
    }

    #[test]
    fn what_is_missing_stays_missing() {
        let figures = [("n", Value::Int(5)), ("zero", Value::Int(0)), ("hidden", Value::Null)];
        assert_eq!(work("n / zero", &figures, 2), None);
        assert_eq!(work("n / (n - 5)", &figures, 2), None);
        assert_eq!(work("n + hidden", &figures, 2), None);
        assert_eq!(work("hidden * 0", &figures, 2), None, "nor does it tell that it is there");
        let large = [("x", Value::Int(i64::MAX))];
        assert_eq!(work("x * x * x", &large, 2), None, "beyond the numbers it has");
    }

    #[test]
    fn errors_say_where() {
        for (text, place) in [
            ("", "第 1 个"),
            ("a +", "第 4 个"),
            ("(a", "第 3 个"),
            ("a b", "第 3 个"),
            ("a; drop", "第 2 个"),
            ("1.2.3", "第 1 个"),
        ] {
            let error = Expr::parse(text).expect_err(text);
            assert!(error.contains(place), "{text}: {error}");
        }
        assert!(Expr::parse(&"(".repeat(100)).is_err());
        assert!(Expr::parse(&"-".repeat(200)).is_err());
        assert_eq!(Expr::parse("a/b.c + a").expect("reads").names(), ["a", "b.c"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-+*/()a-z0-9. 人（]{0,40}") {
            if let Ok(expr) = Expr::parse(&text) {
                let _ = expr.value(&|_| Fraction::new(7, 3));
            }
        }

        #[test]
        fn sums_and_differences_agree_with_integers(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000) {
            let figures = [("a", Value::Int(a)), ("b", Value::Int(b))];
            prop_assert_eq!(work("a - b + 2 * a", &figures, 0), Some((a - b + 2 * a).to_string()));
        }
    }
}
