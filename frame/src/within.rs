//! Which values of a column a statement can use at all, as far as its WHERE says so in plain comparisons: a data set need not open
//! files of other ranks.
//!
//! Never too few: what is not understood leaves all. Runs nothing and knows no table.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

/// What a column has to be for its row to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The column.
    pub column: String,
    /// Its values.
    pub to: Values,
}

/// Values of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// One of these.
    Among(Vec<i64>),
    /// None below.
    AtLeast(i64),
    /// None above.
    AtMost(i64),
}

impl Limit {
    /// Whether a value lies within; what is NULL never does, as in SQL.
    pub fn allows(&self, value: Option<i64>) -> bool {
        value.is_some_and(|value| match &self.to {
            Values::Among(all) => all.contains(&value),
            Values::AtLeast(least) => value >= *least,
            Values::AtMost(most) => value <= *most,
        })
    }
}

/// The limits that a condition sets, each of which every row that counts keeps.
pub(crate) fn limits(condition: &Expr) -> Vec<Limit> {
    match condition {
        Expr::Nested(inner) => limits(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            [limits(left), limits(right)].concat()
        }
        Expr::BinaryOp { left, op, right } => {
            let plain = column(left).zip(number(right)).map(|(column, n)| (column, op.clone(), n));
            let turned = || Some((column(right)?, turned(op)?, number(left)?));
            let found = plain.or_else(turned);
            found.and_then(|(column, op, n)| limit(column, &op, n)).into_iter().collect()
        }
        Expr::Between { expr, negated: false, low, high } => {
            let Some(column) = column(expr) else { return Vec::new() };
            let ends = [number(low).map(Values::AtLeast), number(high).map(Values::AtMost)];
            let end = |to| Limit { column: column.to_owned(), to };
            ends.into_iter().flatten().map(end).collect()
        }
        Expr::InList { expr, list, negated: false } => {
            let all: Option<Vec<i64>> = list.iter().map(number).collect();
            let limit = |(column, all): (&str, _)| Limit {
                column: column.to_owned(),
                to: Values::Among(all),
            };
            column(expr).zip(all).map(limit).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn limit(column: &str, op: &BinaryOperator, n: i64) -> Option<Limit> {
    let to = match op {
        BinaryOperator::Eq => Values::Among(vec![n]),
        // One value too many is none too few.
        BinaryOperator::Gt | BinaryOperator::GtEq => Values::AtLeast(n),
        BinaryOperator::Lt | BinaryOperator::LtEq => Values::AtMost(n),
        _ => return None,
    };
    Some(Limit { column: column.to_owned(), to })
}

/// A comparison with its sides changed.
fn turned(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Eq => BinaryOperator::Eq,
        BinaryOperator::Gt | BinaryOperator::GtEq => BinaryOperator::LtEq,
        BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::GtEq,
        _ => return None,
    })
}

/// The name of a column, with or without that of its table.
fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(inner) => column(inner),
        Expr::Identifier(ident) => Some(&ident.value),
        Expr::CompoundIdentifier(idents) => idents.last().map(|ident| ident.value.as_str()),
        _ => None,
    }
}

/// A whole number.
fn number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Nested(inner) => number(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.to_string().parse().ok(),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr)?.checked_neg(),
        _ => None,
    }
}
