//! What this build is, for reports of errors: its commit and its features, as `--version` says them.

/// The version, and below it what was built and how: the build script's words.
pub(super) const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("OMNI_TRACE_BUILT_FROM"),
    "\nfeatures: ",
    env!("OMNI_TRACE_FEATURES"),
    "\nbuild: ",
    env!("OMNI_TRACE_BUILD"),
);
