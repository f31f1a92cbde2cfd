//! Bytes of a trace to packets: the outermost message, without building it.

use crate::model::limits::MAX_EVENT_BYTES;

/// What stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A packet.
    Packet {
        /// First byte of its content.
        start: usize,
        /// After its last byte.
        end: usize,
    },
    /// Another field of the outermost message.
    Other {
        /// After its last byte.
        end: usize,
    },
    /// The bytes end first.
    Incomplete,
    /// No field can stand here.
    Damaged,
}

/// A number of up to ten bytes at `at`, and the position after it. `Ok(None)` where the bytes end first.
fn varint(bytes: &[u8], at: usize) -> Result<Option<(u64, usize)>, ()> {
    let mut value = 0_u64;
    for i in 0..10 {
        let Some(&byte) = bytes.get(at + i) else { return Ok(None) };
        value |= u64::from(byte & 0x7f) << (7 * i).min(63);
        if byte < 0x80 {
            return Ok(Some((value, at + i + 1)));
        }
    }
    Err(())
}

/// The field at `at`.
pub(super) fn next_piece(bytes: &[u8], at: usize) -> Piece {
    match piece(bytes, at) {
        Ok(piece) => piece.unwrap_or(Piece::Incomplete),
        Err(()) => Piece::Damaged,
    }
}

fn piece(bytes: &[u8], at: usize) -> Result<Option<Piece>, ()> {
    let Some((tag, at)) = varint(bytes, at)? else { return Ok(None) };
    let (field, wire_type) = (tag >> 3, tag & 7);
    if field == 0 {
        return Err(());
    }
    let end = match wire_type {
        0 => match varint(bytes, at)? {
            Some((_, end)) => end,
            None => return Ok(None),
        },
        1 => at + 8,
        5 => at + 4,
        2 => {
            let Some((len, start)) = varint(bytes, at)? else { return Ok(None) };
            if len > MAX_EVENT_BYTES as u64 {
                return Err(());
            }
            let end = start + len as usize;
            if field == 1 && end <= bytes.len() {
                return Ok(Some(Piece::Packet { start, end }));
            }
            end
        }
        _ => return Err(()),
    };
    Ok((end <= bytes.len()).then_some(Piece::Other { end }))
}

/// The field at `at`: its tag, the position after it, and where its content starts. `None` where no whole field stands.
pub(super) fn field(bytes: &[u8], at: usize) -> Option<(u64, usize, usize)> {
    let (tag, after) = varint(bytes, at).ok()??;
    let end = match next_piece(bytes, at) {
        Piece::Packet { end, .. } | Piece::Other { end } => end,
        Piece::Incomplete | Piece::Damaged => return None,
    };
    let start = if tag & 7 == 2 { varint(bytes, after).ok()??.1 } else { after };
    Some((tag, end, start))
}

/// Numbers of the fields of a message, as far as it can be read.
pub(super) fn fields_of(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (tag, end, _) = field(bytes, at)?;
        at = end;
        u32::try_from(tag >> 3).ok()
    })
}

/// Whether a field of a packet says when, where and by whom it was written, or is what the recorder notes of itself and of
/// the machine: nothing that ran.
pub(super) fn is_bookkeeping(field: u32) -> bool {
    matches!(
        field,
        2..=3 | 6..=10 | 12..=13 | 33..=36 | 41..=51 | 58..=61 | 64 | 67 | 69..=70 | 72 | 78..=79 | 82..=84
            | 86..=87 | 89..=90 | 98 | 107 | 113 | 124..=128 | 130..=131 | 138 | 900
    )
}

#[cfg(test)]
mod tests {
    use super::{Piece, fields_of, next_piece};

    #[test]
    fn packets_and_other_fields() {
        let bytes = [0x0a, 3, 1, 2, 3, 0x10, 0x96, 1, 0x0a, 0];
        assert_eq!(next_piece(&bytes, 0), Piece::Packet { start: 2, end: 5 });
        assert_eq!(next_piece(&bytes, 5), Piece::Other { end: 8 });
        assert_eq!(next_piece(&bytes, 8), Piece::Packet { start: 10, end: 10 });
        assert_eq!(fields_of(&bytes).collect::<Vec<_>>(), [1, 2, 1]);
        for cut in 1..5 {
            assert_eq!(next_piece(&bytes[..cut], 0), Piece::Incomplete);
        }
        assert_eq!(next_piece(&[7], 0), Piece::Damaged);
        assert_eq!(next_piece(&[0xff; 12], 0), Piece::Damaged);
        assert_eq!(next_piece(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], 0), Piece::Damaged);
    }
}
