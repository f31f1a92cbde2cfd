//! What inputs hold, as tables: one row an event, a track or a process; the store's own columns under the names that every
//! format has.
//!
//! A table is defined once, with [`events!`](define), like the summary tables: one line a field, which says how the value is
//! found. There is no row type: a column is made alone, when somebody asks for it, from the columns of the store. Nothing
//! here sums, and nothing here reads.

mod define;
mod details;
mod events;
mod points;
mod tracks;
mod view;

use crate::analyze::window::WindowConfig;
use crate::schema::{Columnar, Source, Spec};
use crate::store::Store;
use define::{Stored, events};
pub use view::Known;
use view::View;

/// Key of the table that is there only where the arguments of events were kept.
pub const ARGUMENTS: &str = <details::EventArguments as Stored>::SPEC.key;

/// One input whose events are asked for.
#[derive(Clone, Copy)]
pub struct Recorded<'v> {
    /// Number of the input.
    pub number: usize,
    /// Its events.
    pub store: &'v Store,
    /// What was found out about it so far.
    pub known: &'v Known,
    /// The part of the window at whose start offsets begin.
    pub window: WindowConfig,
}

/// The tables that this room gives.
macro_rules! all {
    ($($room:ident::$table:ident)+) => {
        /// The definitions of all tables of events.
        pub const SPECS: &[&Spec] = &[$(<$room::$table as Stored>::SPEC,)+];

        /// The table of some inputs that a definition is of; `None` where it is of another room.
        pub fn source<'v>(spec: &Spec, inputs: &[Recorded<'v>]) -> Option<Source<'v>> {
            match spec.key {
                $(key if key == <$room::$table as Stored>::SPEC.key => Some(of::<$room::$table>(inputs)),)+
                _ => None,
            }
        }
    };
}

all! {
    events::Events
    details::KernelEvents
    details::CopyEvents
    details::OpEvents
    details::CallEvents
    details::PythonEvents
    details::CollectiveEvents
    details::EventArguments
    points::MemoryEvents
    points::InstantEvents
    points::CounterEvents
    points::FlowEvents
    tracks::Tracks
    tracks::Processes
    tracks::Gpus
    tracks::Metadata
}

fn of<'v, T: Stored<'v> + 'v>(inputs: &[Recorded<'v>]) -> Source<'v>
where
    View<'v, T>: Columnar,
{
    let view = |input: &Recorded<'v>| Box::new(View::<T>::new(*input)) as Box<dyn Columnar + 'v>;
    Source::columnar(T::SPEC, inputs.iter().map(view).collect())
}
