//! Files that appear whole or not at all, also when the program is interrupted, and never over an input.
//!
//! Every output of the program and of its frame is written here. It must not decide what is written, or where to.

mod atomic_file;
mod inputs;
mod unfinished;

pub use atomic_file::{AtomicFile, spill_file, write_together};
pub use inputs::{input_at, protect, protect_found};
pub use unfinished::unfinished;
