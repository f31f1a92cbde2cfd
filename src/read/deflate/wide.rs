//! Copies of 32 bytes an instruction, and shifts and masks by any number in one, where the processor has them: of tokens, text is then made
//! in 0.87 of the time.
//!
//! The only `unsafe` of reading: that functions are called which are compiled for such processors alone.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "what the compiler cannot know is asked of the processor first")
)]

use super::bits::Bits;
use super::decode::Stop;
use super::expand::{self, Expander};
use super::header::Codes;
use super::straight::{self, Straight};
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

/// Takes codes straight to text.
#[cfg(target_arch = "x86_64")]
pub(super) fn steps(
    straight: &mut Straight<'_>,
    codes: &Codes,
    bits: &mut Bits<'_>,
) -> Option<Stop> {
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi2") {
        // SAFETY: the processor has what the function is compiled for, which is all that it wants.
        return unsafe { steps_bmi2(straight, codes, bits) };
    }
    straight::steps(straight, codes, bits)
}

/// The same code for processors with these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn steps_bmi2(straight: &mut Straight<'_>, codes: &Codes, bits: &mut Bits<'_>) -> Option<Stop> {
    straight::steps(straight, codes, bits)
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use expand::expand_whole;
#[cfg(not(target_arch = "x86_64"))]
pub(super) use straight::steps;
