//! The macros that define tables and words. `cargo expand` shows what becomes of one.

/// Defines rows and their tables: row type, key, title, the question it answers, leading columns that name what a row
/// belongs to, perhaps the section of a page and the place there (`on Kernels 2`), where the rows stand inside another table's (`inside "devices" "idle_by_cause"`; fields that the
/// outer row says are then `#[serde(skip)]`), when it is shown (`shown Request`) and whether partial results carry its rows
/// (`carried whole`); then one line a field: name, type,
/// [`Unit`](super::Unit) (`Count summed` adds up over inputs), [`Seen`](super::Seen) with perhaps a [`Place`](super::Place) behind a slash, heading, meaning. What other
/// analyses ask of a row, and no output has, stands behind a `+`; it is not carried, and has its default in a row that was.
macro_rules! tables {
    ($(
        $(#[$doc:meta])*
        $row:ident: $key:literal, $title:literal, $question:literal, groups $groups:literal
        $(, on $topic:ident $on:literal)? $(, inside $of:literal $member:literal)? $(, shown $shown:ident)? $(, carried $carried:ident)? {
            $(
                $(#[$attribute:meta])*
                $field:ident: $type:ty, $unit:ident $($summed:ident)?, $seen:ident $(/ $place:ident)?, $name:literal, $meaning:literal;
            )+
        } $(+ {
            $($(#[$beside_doc:meta])* $beside:ident: $beside_type:ty,)+
        })?
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize)]
        pub struct $row {
            $(#[doc = $meaning] $(#[$attribute])* pub $field: $type,)+
            $($($(#[$beside_doc])* #[serde(skip)] pub $beside: $beside_type,)+)?
        }

        impl $crate::schema::Row for $row {
            const SPEC: &'static $crate::schema::Spec = &$crate::schema::Spec {
                key: $key,
                title: $title,
                question: $question,
                n_groups: $groups,
                shown: $crate::schema::tables!(@shown $($shown)?),
                page: $crate::schema::tables!(@page $($topic $on)?),
                inside: $crate::schema::tables!(@inside $($of $member)?),
                columns: &[$($crate::schema::Column {
                    name: $name,
                    key: stringify!($field),
                    unit: $crate::schema::Unit::$unit,
                    kind: <$type as $crate::schema::Value>::KIND,
                    is_nullable: <$type as $crate::schema::Value>::IS_NULLABLE,
                    seen: $crate::schema::Seen::$seen,
                    place: $crate::schema::tables!(@place $($place)?),
                    is_summed: $crate::schema::tables!(@summed $($summed)?),
                    doc: $meaning,
                },)+],
            };

            fn put(&self, to: &mut [$crate::schema::Values]) {
                let mut columns = to.iter_mut();
                $(if let Some(column) = columns.next() {
                    $crate::schema::Value::put(&self.$field, column);
                })+
            }
        }

        $crate::schema::tables!(@carried [$($carried)?] $row { $($field: $type,)+ } [$($($beside)+)?]);
    )+};
    (@carried [] $($row:tt)+) => {};
    (@carried [whole] $row:ident $fields:tt [$($beside:ident)*]) => {
        $crate::schema::carried!($row $fields $($beside)*);
    };
    (@shown) => { $crate::schema::Shown::Rows };
    (@shown $shown:ident) => { $crate::schema::Shown::$shown };
    (@place) => { $crate::schema::Place::Defined };
    (@place $place:ident) => { $crate::schema::Place::$place };
    (@summed) => { false };
    (@summed summed) => { true };
    (@page) => { None };
    (@page $topic:ident $place:literal) => {
        Some($crate::schema::OnPage { topic: $crate::schema::Topic::$topic, place: $place })
    };
    (@inside) => { None };
    (@inside $of:literal $member:literal) => {
        Some($crate::schema::Inside { table: $of, member: $member })
    };
}

/// Defines enums whose variants have a word each: they stay enums in rows, become indices in columns, and words last.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variants:tt)+ })+) => {
        $crate::model::named! { $($(#[$doc])* $name { $($variants)+ })+ }

        $crate::schema::words_of!($($name)+);
    };
}

pub(crate) use {tables, words};
