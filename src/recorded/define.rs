//! The macro that defines tables of events, and what becomes of a definition.

use std::ops::Range;

use super::view::{Rows, View};
use crate::schema::{Spec, Values};
use crate::store::Store;

/// A table of events.
pub(super) trait Stored<'v>: Sized + Send + Sync {
    /// Its definition.
    const SPEC: &'static Spec;

    /// What its rows are.
    fn rows(store: &Store) -> Rows;

    /// Adds some rows of one column.
    fn put(view: &View<'v, Self>, column: usize, rows: Range<usize>, to: &mut Values);
}

/// Defines a table of events: name with the lifetime of its texts, key, title, the question it answers, what its rows are;
/// then one line a field: name, type, [`Unit`](crate::schema::Unit), heading, meaning, and how the value of a row is found,
/// by the view and the number of what the row is of.
///
/// `of slices` puts before them what every table of slices has, `of points` what every table of events without a duration.
macro_rules! events {
    (
        $(#[$doc:meta])*
        $table:ident<$life:lifetime> of slices: $key:literal, $title:literal, $question:literal, $rows:expr => {
            slice $slice:expr;
            $($own:tt)+
        }
    ) => {
        $crate::recorded::events! {
            $(#[$doc])*
            $table<$life>: $key, $title, $question, $rows => {
                input: usize, Count, "#", "number of the input", |v, _| v.number();
                event: usize, Count, "event", "number of the event in the table events of its input", |v, i| $slice(v, i);
                track: usize, Count, "track", "number of its row in the table tracks of its input", |v, i| v.store().track_of($slice(v, i));
                name: Coded<$life>, Text, "name", "name", |v, i| v.text(v.store().slices.name[$slice(v, i)]);
                start_ns: Option<i64>, Ns, "start", "start, in the time of the trace", |v, i| v.start_ns($slice(v, i));
                offset_ns: Option<i64>, Ns, "at", "start, after the start of the window", |v, i| v.offset_ns(v.start_ns($slice(v, i))?);
                unix_ns: Option<i64>, Ns, "unix", "start in Unix time, where the trace says when its time began", |v, i| v.unix_ns(v.start_ns($slice(v, i))?);
                dur_ns: i64, Ns, "duration", "duration", |v, i| v.store().slices.dur_ns($slice(v, i));
                $($own)+
            }
        }
    };
    (
        $(#[$doc:meta])*
        $table:ident<$life:lifetime> of points: $key:literal, $title:literal, $question:literal, $rows:expr => {
            point $point:expr;
            $($own:tt)+
        }
    ) => {
        $crate::recorded::events! {
            $(#[$doc])*
            $table<$life>: $key, $title, $question, $rows => {
                input: usize, Count, "#", "number of the input", |v, _| v.number();
                track: usize, Count, "track", "number of its row in the table tracks of its input", |v, i| $point(v, i).0 as usize;
                time_ns: i64, Ns, "time", "when, in the time of the trace", |v, i| $point(v, i).1;
                offset_ns: Option<i64>, Ns, "at", "when, after the start of the window", |v, i| v.offset_ns($point(v, i).1);
                unix_ns: Option<i64>, Ns, "unix", "when in Unix time, where the trace says when its time began", |v, i| v.unix_ns($point(v, i).1);
                $($own)+
            }
        }
    };
    (
        $(#[$doc:meta])*
        $table:ident<$life:lifetime>: $key:literal, $title:literal, $question:literal, $rows:expr => {
            $($field:ident: $type:ty, $unit:ident, $name:literal, $meaning:literal, $value:expr;)+
        }
    ) => {
        $(#[$doc])*
        pub(super) struct $table;

        impl<$life> $crate::recorded::Stored<$life> for $table {
            const SPEC: &'static $crate::schema::Spec = &$crate::schema::Spec {
                key: $key,
                title: $title,
                question: $question,
                n_groups: 0,
                shown: $crate::schema::Shown::Request,
                page: None,
                inside: None,
                columns: &[$($crate::schema::Column {
                    name: $name,
                    key: stringify!($field),
                    unit: $crate::schema::Unit::$unit,
                    kind: <$type as $crate::schema::Value>::KIND,
                    is_nullable: <$type as $crate::schema::Value>::IS_NULLABLE,
                    seen: $crate::schema::Seen::All,
                    place: $crate::schema::Place::Defined,
                    is_summed: false,
                    doc: $meaning,
                },)+],
            };

            fn rows(store: &$crate::store::Store) -> $crate::recorded::view::Rows {
                let rows: fn(&$crate::store::Store) -> $crate::recorded::view::Rows = $rows;
                rows(store)
            }

            fn put(
                view: &$crate::recorded::View<$life, Self>,
                column: usize,
                rows: ::std::ops::Range<usize>,
                to: &mut $crate::schema::Values,
            ) {
                type View<$life> = $crate::recorded::View<$life, $table>;
                let columns = [$({
                    fn put<$life>(
                        view: &View<$life>,
                        rows: ::std::ops::Range<usize>,
                        to: &mut $crate::schema::Values,
                    ) {
                        let value: fn(&View<$life>, usize) -> $type = $value;
                        for row in rows {
                            $crate::schema::Value::put(&value(view, view.at(row)), to);
                        }
                    }
                    put as fn(&View<$life>, ::std::ops::Range<usize>, &mut $crate::schema::Values)
                },)+];
                columns[column](view, rows, to);
            }
        }
    };
}

pub(super) use events;
