//! JSON pointers into the machine output, made from the tables whose rows stand there: keys come from their definitions,
//! and a field that a row does not have is an error of the compiler.

use std::marker::PhantomData;

use super::Row;

/// Where a row, or an object that holds rows, stands in the machine output.
#[derive(Clone, Debug)]
pub struct Pointer<R> {
    path: String,
    of: PhantomData<fn(&R)>,
}

impl<R> Pointer<R> {
    /// Of the whole output.
    pub fn root() -> Self {
        Self::at(String::new())
    }

    /// Of what stands at a path.
    pub fn at(path: String) -> Self {
        Self { path, of: PhantomData }
    }

    /// Of a row of a list.
    pub fn nth(list: &str, number: usize) -> Self {
        Self::at(format!("{list}/{number}"))
    }

    /// Of an outer row, in which the rows of another table stand.
    pub fn around<I: Row>(number: usize) -> Self {
        Self::nth(
            &format!("/{}", I::SPEC.inside.map_or(I::SPEC.key, |inside| inside.table)),
            number,
        )
    }

    /// Of a row that stands inside this one.
    pub fn inside<I: Row>(&self, number: usize) -> Pointer<I> {
        let member = I::SPEC.inside.map_or(I::SPEC.key, |inside| inside.member);
        Pointer::nth(&format!("{}/{member}", self.path), number)
    }

    /// Of a field, as [`pointer`] names it; the function is there for the compiler to see that it exists.
    pub fn field(&self, _has_it: fn(&R), name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

impl<R: Row> Pointer<R> {
    /// Of a row of a table, by its number.
    pub fn row(number: usize) -> Self {
        Self::nth(&format!("/{}", R::SPEC.key), number)
    }
}

/// The JSON pointer of a field of what a [`Pointer`] stands for.
macro_rules! pointer {
    ($at:ident.$field:ident) => {
        $at.field(|row| _ = &row.$field, stringify!($field))
    };
}

pub(crate) use pointer;
