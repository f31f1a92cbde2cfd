//! Chrome trace JSON, as Kineto and many others write it.
//!
//! [`document`] reads what stands around the events, [`walk`] goes through the events of a block, [`fast`] and
//! [`tolerant`] parse one event to spans, [`template`] those that are written like one before ([`repeats`] their names), [`decode`] gives the spans
//! their meaning, [`plan`] the numbers of those that repeat. Nothing here opens files or starts threads.

pub(crate) mod boundary;
pub(crate) mod decode;
pub(crate) mod document;
pub(crate) mod event;
pub(crate) mod fast;
pub(crate) mod meta;
mod plan;
mod repeats;
mod same;
pub(crate) mod template;
pub(crate) mod tolerant;
pub(crate) mod walk;
