//! Runs GPU pipelines under libtorch's Kineto profiler, gated by iterations, with no Python.
//!
//! `args → plan → supervisor ⇄ workers → output`: the supervisor starts one process for each rank of each stage, feeds
//! requests, and collects what they report; a worker runs its model and records its windows.
//!
//! Reading order: [`plan`], [`supervisor`], [`worker`], [`recorder`], [`handoff`], [`ring`], [`model`], [`output`].
//! Never imports the analyzer: the two meet only in files.

pub mod args;
pub mod board;
pub mod error;
pub mod ffi;
pub mod handoff;
pub mod model;
pub mod output;
pub mod pipelines;
pub mod plan;
pub mod profiler;
pub mod recorder;
pub mod report;
pub mod ring;
pub mod supervisor;
pub mod wire;
pub mod worker;
