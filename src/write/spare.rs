//! Memory of blocks that were written, for the blocks after them: it is neither given back to the system nor cleared between.

use super::gzip::BlockCompressor;
use crate::model::Spare;

/// What the blocks of all sources of a file are written with.
#[derive(Default)]
pub(super) struct Spares {
    /// Memory for text, of which what it holds means nothing.
    pub(super) texts: Spare<Vec<u8>>,
    /// The same for compressed text.
    pub(super) compressed: Spare<Vec<u8>>,
    pub(super) compressors: Spare<BlockCompressor>,
}
