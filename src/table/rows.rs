//! Tables whose rows are still made from a result of another shape.

/// Defines tables as [`tables!`](crate::schema) does, and how a row is made from a result: the value stands last in a
/// field's line.
macro_rules! rows {
    ($(
        $(#[$doc:meta])*
        $row:ident of $source:ty as $from:ident: $key:literal, $title:literal, $question:literal, groups $groups:literal
        $(, shown $shown:ident)? {
            $(
                $field:ident: $type:ty, $unit:ident, $seen:ident $(/ $place:ident)?, $name:literal, $meaning:literal, $value:expr;
            )+
        }
    )+) => {
        $crate::schema::tables! {
            $(
                $(#[$doc])*
                $row: $key, $title, $question, groups $groups $(, shown $shown)? {
                    $($field: $type, $unit, $seen $(/ $place)?, $name, $meaning;)+
                }
            )+
        }

        $(impl From<&$source> for $row {
            fn from($from: &$source) -> Self {
                Self { $($field: $value,)+ }
            }
        })+
    };
}

pub(super) use rows;
