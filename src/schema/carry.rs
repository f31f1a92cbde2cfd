//! Rows as whole numbers and texts, column by column: how they are carried to another machine and read back as they were.
//!
//! A column is a list of whole numbers. A number is itself, yes and no are 1 and 0, a fraction the bits of its double, a
//! text or a word the place of its text in a list that all columns share; what may be missing has 0 or 1 before it, a list
//! its length, and rows inside a row have their fields one after the other. The shape of a column says which, so that a
//! reader with other columns notices.

use std::collections::{BTreeSet, HashMap};
use std::slice;
use std::sync::{Mutex, PoisonError};

/// TextList, each once, in order of first use.
#[derive(Clone, Debug, Default)]
pub struct TextList {
    places: HashMap<String, i64>,
    all: Vec<String>,
}

impl TextList {
    /// The place of a text.
    pub fn place(&mut self, text: &str) -> i64 {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        let place = self.all.len() as i64;
        self.places.insert(text.to_owned(), place);
        self.all.push(text.to_owned());
        place
    }

    /// All of them.
    pub fn into_all(self) -> Vec<String> {
        self.all
    }
}

/// The numbers of a column, while rows are read from it.
#[derive(Clone, Debug)]
pub struct Taken<'a> {
    numbers: slice::Iter<'a, i64>,
    texts: &'a [String],
    input: usize,
    is_input: bool,
}

impl<'a> Taken<'a> {
    /// The numbers of a column of one input; the column `input` gives its number here, whatever it was elsewhere.
    pub fn new(numbers: &'a [i64], texts: &'a [String], input: usize) -> Self {
        Self { numbers: numbers.iter(), texts, input, is_input: false }
    }

    /// The next values are of this column.
    pub fn begin(&mut self, key: &str) {
        self.is_input = key == "input";
    }

    /// Whether all was read.
    pub fn is_done(&self) -> bool {
        self.numbers.len() == 0
    }

    fn number(&mut self) -> Option<i64> {
        self.numbers.next().copied()
    }

    fn text(&mut self) -> Option<&'a str> {
        let place = usize::try_from(self.number()?).ok()?;
        self.texts.get(place).map(String::as_str)
    }
}

/// A value that can be carried.
pub trait Carry: Sized {
    /// Adds what the value is made of.
    fn shape(to: &mut String);

    /// Adds the value to the numbers of its column.
    fn give(&self, to: &mut Vec<i64>, texts: &mut TextList);

    /// The next value of a column; `None` where there is none.
    fn take(from: &mut Taken<'_>) -> Option<Self>;
}

/// A row that can be carried.
pub trait CarriedRow: Sized {
    /// Keys and shapes of its columns.
    fn shapes() -> Vec<(&'static str, String)>;

    /// Adds the row to the columns.
    fn give_columns(&self, to: &mut [Vec<i64>], texts: &mut TextList);

    /// The next row; `None` where a column does not have it.
    fn take_columns(from: &mut [Taken<'_>]) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty)+) => {$(
        impl Carry for $number {
            fn shape(to: &mut String) {
                *to += "integer";
            }

            fn give(&self, to: &mut Vec<i64>, _texts: &mut TextList) {
                to.push(*self as i64);
            }

            fn take(from: &mut Taken<'_>) -> Option<Self> {
                from.number()?.try_into().ok()
            }
        }
    )+};
}

numbers!(i64 i32 u32);

impl Carry for u64 {
    fn shape(to: &mut String) {
        *to += "integer";
    }

    fn give(&self, to: &mut Vec<i64>, _texts: &mut TextList) {
        to.push(self.cast_signed());
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        from.number().map(i64::cast_unsigned)
    }
}

impl Carry for usize {
    fn shape(to: &mut String) {
        *to += "integer";
    }

    fn give(&self, to: &mut Vec<i64>, _texts: &mut TextList) {
        to.push(*self as i64);
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        let number = from.number()?.try_into().ok()?;
        Some(if from.is_input { from.input } else { number })
    }
}

impl Carry for f64 {
    fn shape(to: &mut String) {
        *to += "float";
    }

    fn give(&self, to: &mut Vec<i64>, _texts: &mut TextList) {
        to.push(self.to_bits().cast_signed());
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        from.number().map(|bits| Self::from_bits(bits.cast_unsigned()))
    }
}

impl Carry for bool {
    fn shape(to: &mut String) {
        *to += "boolean";
    }

    fn give(&self, to: &mut Vec<i64>, _texts: &mut TextList) {
        to.push(i64::from(*self));
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        match from.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Carry for String {
    fn shape(to: &mut String) {
        *to += "text";
    }

    fn give(&self, to: &mut Vec<i64>, texts: &mut TextList) {
        to.push(texts.place(self));
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        from.text().map(str::to_owned)
    }
}

impl Carry for &'static str {
    fn shape(to: &mut String) {
        *to += "text";
    }

    fn give(&self, to: &mut Vec<i64>, texts: &mut TextList) {
        to.push(texts.place(self));
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        word(from.text()?)
    }
}

impl<T: Carry> Carry for Option<T> {
    fn shape(to: &mut String) {
        T::shape(to);
        *to += "?";
    }

    fn give(&self, to: &mut Vec<i64>, texts: &mut TextList) {
        to.push(i64::from(self.is_some()));
        if let Some(value) = self {
            value.give(to, texts);
        }
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        match from.number()? {
            0 => Some(None),
            1 => T::take(from).map(Some),
            _ => None,
        }
    }
}

impl<T: Carry> Carry for Vec<T> {
    fn shape(to: &mut String) {
        *to += "[";
        T::shape(to);
        *to += "]";
    }

    fn give(&self, to: &mut Vec<i64>, texts: &mut TextList) {
        to.push(self.len() as i64);
        self.iter().for_each(|one| one.give(to, texts));
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        let n = usize::try_from(from.number()?).ok()?;
        // Damage may claim any length; every value takes a number at least.
        (n <= from.numbers.len()).then(|| (0..n).map(|_| T::take(from)).collect())?
    }
}

/// Most different words of code that are read: there are some hundred.
const MAX_WORDS: usize = 1 << 14;

/// A word that rows name by reference, kept for as long as the program runs. They are words of this program's own code,
/// which are few; `None` where a damaged file has more of them than there can be.
fn word(text: &str) -> Option<&'static str> {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&known) = words.get(text) {
        return Some(known);
    }
    if words.len() >= MAX_WORDS {
        return None;
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    words.insert(kept);
    Some(kept)
}

/// Makes a struct a value that can be carried, and a row of columns. Fields named behind them are not carried.
macro_rules! carried {
    ($row:ident { $($field:ident: $type:ty),+ $(,)? } $($beside:ident)*) => {
        impl $crate::schema::Carry for $row {
            fn shape(to: &mut String) {
                *to += "{";
                $(
                    *to += concat!(" ", stringify!($field), " ");
                    <$type as $crate::schema::Carry>::shape(to);
                )+
                *to += " }";
            }

            fn give(&self, to: &mut Vec<i64>, texts: &mut $crate::schema::TextList) {
                $($crate::schema::Carry::give(&self.$field, to, texts);)+
            }

            fn take(from: &mut $crate::schema::Taken<'_>) -> Option<Self> {
                Some(Self {
                    $($field: {
                        from.begin(stringify!($field));
                        $crate::schema::Carry::take(from)?
                    },)+
                    $($beside: Default::default(),)*
                })
            }
        }

        impl $crate::schema::CarriedRow for $row {
            fn shapes() -> Vec<(&'static str, String)> {
                let shape = |of: fn(&mut String)| {
                    let mut shape = String::new();
                    of(&mut shape);
                    shape
                };
                vec![$((stringify!($field), shape(<$type as $crate::schema::Carry>::shape)),)+]
            }

            fn give_columns(&self, to: &mut [Vec<i64>], texts: &mut $crate::schema::TextList) {
                let mut columns = to.iter_mut();
                $(if let Some(column) = columns.next() {
                    $crate::schema::Carry::give(&self.$field, column, texts);
                })+
            }

            fn take_columns(from: &mut [$crate::schema::Taken<'_>]) -> Option<Self> {
                let mut columns = from.iter_mut();
                Some(Self {
                    $($field: {
                        let column = columns.next()?;
                        column.begin(stringify!($field));
                        $crate::schema::Carry::take(column)?
                    },)+
                    $($beside: Default::default(),)*
                })
            }
        }
    };
}

pub(crate) use carried;

#[cfg(test)]
mod tests {
    use super::{CarriedRow, Carry, Taken, TextList};

    #[derive(Clone, Debug, PartialEq)]
    struct Inner {
        input: usize,
        word: &'static str,
    }

    carried!(Inner { input: usize, word: &'static str, });

    #[derive(Clone, Debug, PartialEq)]
    struct Outer {
        input: usize,
        big: u64,
        share: Option<f64>,
        inner: Vec<Inner>,
        name: Option<String>,
    }

    carried!(Outer {
        input: usize,
        big: u64,
        share: Option<f64>,
        inner: Vec<Inner>,
        name: Option<String>,
    });

    fn rows(input: usize) -> Vec<Outer> {
        let inner = |word| Inner { input, word };
        vec![
            Outer { input, big: u64::MAX, share: Some(0.1), inner: vec![], name: None },
            Outer {
                input,
                big: 0,
                share: None,
                inner: vec![inner("a"), inner("b")],
                name: Some("a".to_owned()),
            },
        ]
    }

    #[test]
    fn rows_come_back_with_the_number_of_their_input() {
        let mut texts = TextList::default();
        let mut columns = vec![Vec::new(); Outer::shapes().len()];
        rows(3).iter().for_each(|row| row.give_columns(&mut columns, &mut texts));
        let texts = texts.into_all();
        assert_eq!(texts, ["a", "b"]);
        let taken = |input| {
            let mut from: Vec<Taken<'_>> =
                columns.iter().map(|column| Taken::new(column, &texts, input)).collect();
            let rows: Vec<Outer> =
                (0..2).map(|_| Outer::take_columns(&mut from).unwrap()).collect();
            assert!(from.iter().all(Taken::is_done));
            assert_eq!(Outer::take_columns(&mut from), None);
            rows
        };
        assert_eq!(taken(3), rows(3));
        assert_eq!(taken(8), rows(8));
    }

    #[test]
    fn shapes_tell_columns_apart() {
        let shapes = Outer::shapes();
        assert_eq!(shapes[3], ("inner", "[{ input integer word text }]".to_owned()));
        assert_eq!(shapes[2], ("share", "float?".to_owned()));
    }

    #[test]
    fn damage_is_no_value() {
        let texts = ["a".to_owned()];
        let of = |numbers: &[i64]| Vec::<String>::take(&mut Taken::new(numbers, &texts, 0));
        assert_eq!(of(&[1, 0]), Some(vec!["a".to_owned()]));
        assert_eq!(of(&[1, 7]), None);
        assert_eq!(of(&[i64::MAX, 0]), None);
        assert_eq!(of(&[-1]), None);
        assert_eq!(bool::take(&mut Taken::new(&[2], &texts, 0)), None);
    }
}
