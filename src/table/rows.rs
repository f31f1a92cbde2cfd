//! Rows declared once: the fields of the machine output are the columns of the table.
//!
//! For tables whose every field is a column; a row with nested or derived parts implements [`super::TableRow`] itself.

use super::{Cell, Unit};

/// A value as a cell of its column's unit.
pub(super) trait AsCell {
    /// The cell.
    fn as_cell(&self, unit: Unit) -> Cell;
}

impl AsCell for i64 {
    fn as_cell(&self, unit: Unit) -> Cell {
        let magnitude = u64::try_from(*self);
        match (unit, magnitude) {
            (Unit::Bytes, Ok(bytes)) => Cell::Bytes(bytes),
            (Unit::Count, Ok(count)) => Cell::Count(count),
            (Unit::Count | Unit::Bytes, Err(_)) => Cell::Text(self.to_string()),
            _ => Cell::Ns(*self),
        }
    }
}

impl AsCell for u64 {
    fn as_cell(&self, unit: Unit) -> Cell {
        if unit == Unit::Bytes { Cell::Bytes(*self) } else { Cell::Count(*self) }
    }
}

impl AsCell for u32 {
    fn as_cell(&self, _unit: Unit) -> Cell {
        Cell::Count(u64::from(*self))
    }
}

/// A year or another number that is a name, without separators.
impl AsCell for i32 {
    fn as_cell(&self, _unit: Unit) -> Cell {
        Cell::Text(self.to_string())
    }
}

impl AsCell for usize {
    fn as_cell(&self, _unit: Unit) -> Cell {
        Cell::Count(*self as u64)
    }
}

impl AsCell for f64 {
    fn as_cell(&self, unit: Unit) -> Cell {
        if unit == Unit::Percent { Cell::Percent(*self) } else { Cell::Rate(*self) }
    }
}

impl AsCell for bool {
    fn as_cell(&self, _unit: Unit) -> Cell {
        Cell::Text(if *self { "yes" } else { "no" }.to_owned())
    }
}

impl AsCell for &'static str {
    fn as_cell(&self, _unit: Unit) -> Cell {
        Cell::Text((*self).to_owned())
    }
}

impl AsCell for String {
    fn as_cell(&self, _unit: Unit) -> Cell {
        if self.is_empty() { Cell::NotRecorded } else { Cell::Text(self.clone()) }
    }
}

impl AsCell for Vec<String> {
    fn as_cell(&self, _unit: Unit) -> Cell {
        self.join(", ").as_cell(Unit::Text)
    }
}

impl<T: AsCell> AsCell for Option<T> {
    fn as_cell(&self, unit: Unit) -> Cell {
        self.as_ref().map_or(Cell::NotRecorded, |value| value.as_cell(unit))
    }
}

/// Declares a row of the machine output, its table and how it is made from a result: field, type, unit, heading,
/// meaning, value.
macro_rules! rows {
    ($(
        $(#[$doc:meta])*
        $row:ident of $source:ty as $from:ident, groups $groups:literal {
            $($field:ident: $type:ty, $unit:ident, $name:literal, $meaning:literal, $value:expr;)+
        }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub struct $row {
            $(#[doc = $meaning] pub $field: $type,)+
        }

        impl From<&$source> for $row {
            fn from($from: &$source) -> Self {
                Self { $($field: $value,)+ }
            }
        }

        impl TableRow for $row {
            const COLUMNS: &'static [Column] =
                &[$(Column::new($name, stringify!($field), Unit::$unit, $meaning),)+];
            const N_GROUP_COLUMNS: usize = $groups;

            fn cells(&self) -> Vec<Cell> {
                vec![$(self.$field.as_cell(Unit::$unit),)+]
            }
        }
    )+};
}

pub(super) use rows;
