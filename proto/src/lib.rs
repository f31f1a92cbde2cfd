//! The part of Perfetto's trace format that `omni-trace` reads and writes: generated code and nothing else.
//!
//! `perfetto.rs` is generated from `perfetto.proto`; the test of this package generates it again and compares, without
//! `protoc`. After a change of the schema run it with `OMNI_TRACE_WRITE=1`.

/// Perfetto's messages.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
pub mod perfetto {
    include!("perfetto.rs");
}

pub use prost;
