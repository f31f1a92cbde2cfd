//! Values of one kind, by column.

use super::Kind;

/// The values of a column, one for each row; `None` where nothing was recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Numbers with a fraction.
    Float(Vec<Option<f64>>),
    /// Yes or no.
    Bool(Vec<Option<bool>>),
    /// Words.
    Text(Vec<Option<String>>),
    /// Indices into a closed list of words.
    Word(Vec<Option<u8>>, &'static [&'static str]),
    /// Lists of texts.
    List(Vec<Option<Vec<String>>>),
    /// Rows of another table, which are no column, and sentences, which their own view shows.
    Nested,
}

impl Values {
    /// No values yet.
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Int => Self::Int(Vec::new()),
            Kind::Float => Self::Float(Vec::new()),
            Kind::Bool => Self::Bool(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
            Kind::Word(words) => Self::Word(Vec::new(), words),
            Kind::List => Self::List(Vec::new()),
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
            Self::List(values) => values.push(None),
            Self::Nested => {}
        }
    }

    /// Whether a row has a value. An empty text says nothing.
    pub fn is_recorded(&self, row: usize) -> bool {
        match self {
            Self::Int(values) => values[row].is_some(),
            Self::Float(values) => values[row].is_some(),
            Self::Bool(values) => values[row].is_some(),
            Self::Text(values) => values[row].as_ref().is_some_and(|text| !text.is_empty()),
            Self::Word(values, _) => values[row].is_some(),
            Self::List(values) => values[row].as_ref().is_some_and(|list| !list.is_empty()),
            Self::Nested => false,
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
            values.push(Some((*self).to_owned()));
        }
    }
}

impl Value for Vec<String> {
    const KIND: Kind = Kind::List;

    fn put(&self, to: &mut Values) {
        if let Values::List(values) = to {
            values.push(Some(self.clone()));
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

    fn put(&self, to: &mut Values) {
        match self {
            Some(value) => value.put(to),
            None => to.put_none(),
        }
    }
}
