//! Stacks with their time, in the formats of viewers of profiles: folded stacks (`flamegraph.pl`, inferno), speedscope, and
//! the Firefox profiler.

mod firefox;
mod folded;
mod speedscope;

pub use firefox::firefox;
pub use folded::folded;
pub use speedscope::speedscope;
