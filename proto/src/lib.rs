//! Wire schemas of omni-trace, as generated Rust types. No logic.
//!
//! `*.proto` beside this package's manifest are the sources; `src/generated/` is committed, so that a build needs no
//! protoc. After a change: `BLESS=1 cargo test -p omni-trace-proto`.

pub use prost;

/// The part of Perfetto's trace format that is read and written: `perfetto.proto`.
#[expect(missing_docs, reason = "generated from the .proto file, which has the words")]
pub mod perfetto {
    include!("generated/perfetto.protos.rs");
}

/// The producer's manifest: `capture_manifest.proto`.
#[expect(missing_docs, reason = "generated from the .proto file, which has the words")]
pub mod capture {
    include!("generated/omni_trace.capture.v1.rs");
}

/// What one input gives to the answer over many: `partial.proto`.
#[expect(missing_docs, reason = "generated from the .proto file, which has the words")]
pub mod partial {
    include!("generated/omni_trace.partial.v1.rs");
}
