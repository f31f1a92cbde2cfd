//! The analyses: one file each, `fn(&Store, &Config) -> plain result`.
//!
//! Nothing here reads files, prints or formats. Results are plain structs with public fields; durations are integer
//! nanoseconds, and what a trace does not record is `None`, never zero.

pub mod key_averages;
pub mod nesting;
