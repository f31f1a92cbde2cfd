//! The vocabulary: integer-nanosecond time, event kinds, identities, named limits.
//!
//! Everything here is plain data over `std`. Nothing here reads, stores or prints.

pub mod activity_name;
mod dictionary;
mod digits;
pub mod ident;
pub mod kind;
pub mod limits;
pub mod log;
mod middle;
mod spare;
pub mod time;
mod words;

pub use dictionary::Dictionary;
pub(crate) use digits::{HIGHS, Number, ONES, number_at, number_of_digits, three_behind_point};
pub use ident::{Identity, Parallel, Role};
pub use kind::{EventKind, MODULE_FRAME};
pub use middle::middle;
pub(crate) use spare::Spare;
pub(crate) use words::named;
