//! Values of one kind, by column.

use std::ops::Range;

use super::{Cells, Coded, Kind, Lists, Texts};

/// The values of a column, one for each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Whole numbers.
    Int(Cells<i64>),
    /// Numbers with a fraction.
    Float(Cells<f64>),
    /// Yes or no.
    Bool(Cells<bool>),
    /// Words.
    Text(Texts),
    /// Indices into a closed list of words.
    Word(Cells<u8>, &'static [&'static str]),
    /// Lists of texts.
    List(Lists),
    /// Rows of another table, which are no column, and sentences, which their own view shows.
    Nested,
}

impl Values {
    /// No values yet.
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Int => Self::Int(Cells::default()),
            Kind::Float => Self::Float(Cells::default()),
            Kind::Bool => Self::Bool(Cells::default()),
            Kind::Text => Self::Text(Texts::default()),
            Kind::Word(words) => Self::Word(Cells::default(), words),
            Kind::List => Self::List(Lists::default()),
            Kind::Rows | Kind::Sentence => Self::Nested,
        }
    }

    /// Adds that nothing was recorded.
    fn put_none(&mut self) {
        match self {
            Self::Int(values) => values.push(None),
            Self::Float(values) => values.push(None),
            Self::Bool(values) => values.push(None),
            Self::Text(values) => values.push(None),
            Self::Word(values, _) => values.push(None),
            Self::List(values) => values.push(None::<[&str; 0]>),
            Self::Nested => {}
        }
    }

    /// Number of rows; of rows of another table none.
    pub fn len(&self) -> usize {
        match self {
            Self::Int(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.codes.len(),
            Self::Word(values, _) => values.len(),
            Self::List(values) => values.ends.len(),
            Self::Nested => 0,
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a row has a value. An empty text says nothing.
    pub fn is_recorded(&self, row: usize) -> bool {
        match self {
            Self::Int(values) => values.is_recorded(row),
            Self::Float(values) => values.is_recorded(row),
            Self::Bool(values) => values.is_recorded(row),
            Self::Text(values) => values.get(row).is_some_and(|text| !text.is_empty()),
            Self::Word(values, _) => values.is_recorded(row),
            Self::List(values) => values.get(row).is_some_and(|mut list| list.next().is_some()),
            Self::Nested => false,
        }
    }

    /// The texts of a row that has some: one, or those of its list.
    pub fn texts(&self, row: usize) -> Option<String> {
        match self {
            Self::Text(values) => values.get(row).map(str::to_owned),
            Self::Word(values, all) => values.get(row).map(|at| all[usize::from(at)].to_owned()),
            Self::List(values) => Some(values.get(row)?.collect::<Vec<_>>().join("; ")),
            _ => None,
        }
    }

    /// Some of the rows.
    #[must_use]
    pub(super) fn slice(&self, rows: Range<usize>) -> Self {
        match self {
            Self::Int(values) => Self::Int(values.slice(rows)),
            Self::Float(values) => Self::Float(values.slice(rows)),
            Self::Bool(values) => Self::Bool(values.slice(rows)),
            Self::Text(values) => Self::Text(values.slice(rows)),
            Self::Word(values, words) => Self::Word(values.slice(rows), words),
            Self::List(values) => Self::List(values.slice(rows)),
            Self::Nested => Self::Nested,
        }
    }
}

/// A type that a column can be of.
pub trait Value {
    /// What is stored of it.
    const KIND: Kind;
    /// Whether it may be missing.
    const IS_NULLABLE: bool = false;

    /// Adds the value to those of its column.
    fn put(&self, to: &mut Values);
}

/// Whole numbers. One beyond what 64 bits with a sign hold is not recorded: no count or time of a file comes near it.
macro_rules! whole_numbers {
    ($($number:ty)+) => {$(
        impl Value for $number {
            const KIND: Kind = Kind::Int;

            #[inline]
            fn put(&self, to: &mut Values) {
                if let Values::Int(values) = to {
                    values.push(i64::try_from(*self).ok());
                }
            }
        }
    )+};
}

whole_numbers!(i64 i32 u64 u32 usize);

impl Value for f64 {
    const KIND: Kind = Kind::Float;

    fn put(&self, to: &mut Values) {
        if let Values::Float(values) = to {
            values.push(Some(*self));
        }
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Bool;

    fn put(&self, to: &mut Values) {
        if let Values::Bool(values) = to {
            values.push(Some(*self));
        }
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn put(&self, to: &mut Values) {
        self.as_str().put(to);
    }
}

impl Value for &str {
    const KIND: Kind = Kind::Text;

    fn put(&self, to: &mut Values) {
        if let Values::Text(values) = to {
            values.push(Some(self));
        }
    }
}

impl Value for Coded<'_> {
    const KIND: Kind = Kind::Text;

    #[inline]
    fn put(&self, to: &mut Values) {
        if let Values::Text(values) = to {
            values.push_coded(*self);
        }
    }
}

impl Value for Vec<String> {
    const KIND: Kind = Kind::List;

    fn put(&self, to: &mut Values) {
        if let Values::List(values) = to {
            values.push(Some(self.iter().map(String::as_str)));
        }
    }
}

/// Lists of numbers that are names.
macro_rules! lists_of_numbers {
    ($($number:ty)+) => {$(
        impl Value for Vec<$number> {
            const KIND: Kind = Kind::List;

            fn put(&self, to: &mut Values) {
                let texts: Vec<String> = self.iter().map(<$number>::to_string).collect();
                texts.put(to);
            }
        }
    )+};
}

lists_of_numbers!(i64 usize);

impl<R: super::Row> Value for Vec<R> {
    const KIND: Kind = Kind::Rows;

    fn put(&self, _to: &mut Values) {}
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;
    const IS_NULLABLE: bool = true;

    #[inline]
    fn put(&self, to: &mut Values) {
        match self {
            Some(value) => value.put(to),
            None => to.put_none(),
        }
    }
}
