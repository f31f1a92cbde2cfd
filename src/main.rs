//! The `omni-trace` program: parse the arguments, run, give the exit code.
fn main() {}
