//! The slices of a lane as begins and ends in the order of its stack, in pieces that are encoded side by side.
//!
//! What a piece needs to know of those before it (what is open, when the packet before it was, which names were said) is found
//! by going through the lane without encoding it. So the bytes are those of one piece.

use std::io;

use omni_trace_proto::perfetto::{EventCategory, EventName, InternedData, TracePacket};

use super::packets::{Begin, SliceBytes, append};
use super::spill::Spilled;
use super::trace::Source;
use crate::store::Store;

/// Slices that a piece has at least, unless its lane has fewer.
const SLICES_OF_A_PIECE: usize = 8192;

/// Consecutive slices of one lane.
pub(super) struct Piece {
    sequence: u32,
    /// Slices, each with the number of its event.
    slices: Vec<(u32, u32)>,
    /// Ends of what is open before the first one, in the input's own time, the innermost last.
    open: Vec<i64>,
    /// When the packet before was, on the output's clock.
    last_ns: i64,
    news: Vec<New>,
    is_last: bool,
}

/// A slice of a piece, by its place there, whose name or category its lane did not have before.
struct New {
    place: u32,
    name: bool,
    category: bool,
}

/// What is added to the input's own times.
#[derive(Clone, Copy)]
pub(super) struct Shift {
    pub(super) shift_ns: i64,
    pub(super) base_ns: i64,
}

impl Shift {
    fn of(self, ns: i64) -> i64 {
        ns.saturating_add(self.shift_ns).saturating_add(self.base_ns)
    }
}

/// Cuts a lane into pieces.
pub(super) struct Cutter<'a> {
    pub(super) store: &'a Store,
    pub(super) sequence: u32,
    pub(super) shift: Shift,
    open: Vec<i64>,
    last_ns: i64,
    has_name: Vec<u64>,
    has_category: [u64; 4],
}

impl<'a> Cutter<'a> {
    /// For a lane whose sequence starts at a time.
    pub(super) fn new(store: &'a Store, sequence: u32, shift: Shift, start_ns: i64) -> Self {
        let has_name = vec![0; store.strings.len() / 64 + 1];
        let (open, has_category) = (Vec::new(), [0; 4]);
        Self { store, sequence, shift, open, last_ns: start_ns, has_name, has_category }
    }

    /// Gives the slices of a lane, each with the number of its event, in pieces.
    pub(super) fn cut<E>(
        mut self,
        mut slices: &[(u32, u32)],
        mut give: impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        while !slices.is_empty() {
            // What is open is copied into each piece: the more, the fewer pieces.
            let n_slices = SLICES_OF_A_PIECE.max(self.open.len()).min(slices.len());
            let (own, others) = slices.split_at(n_slices);
            slices = others;
            let mut piece = Piece {
                sequence: self.sequence,
                slices: own.to_vec(),
                open: self.open.clone(),
                last_ns: self.last_ns,
                news: Vec::new(),
                is_last: slices.is_empty(),
            };
            for (place, &(slice, _)) in own.iter().enumerate() {
                piece.news.extend(self.pass(place as u32, slice as usize));
            }
            give(piece)?;
        }
        Ok(())
    }

    /// Goes over a slice. Tells what is new with it.
    fn pass(&mut self, place: u32, slice: usize) -> Option<New> {
        let slices = &self.store.slices;
        let start_ns = slices.ts_ns[slice];
        while let Some(end_ns) = self.open.pop_if(|open| *open <= start_ns) {
            self.last_ns = self.last_ns.max(self.shift.of(end_ns));
        }
        self.last_ns = self.last_ns.max(self.shift.of(start_ns));
        self.open.push(slices.end_ns(slice));
        let name = mark(&mut self.has_name, slices.name[slice].0 as usize);
        let category = mark(&mut self.has_category, self.store.category_number(slice));
        (name || category).then_some(New { place, name, category })
    }
}

/// Sets a bit; tells whether it was unset.
fn mark(bits: &mut [u64], i: usize) -> bool {
    let (word, bit) = (i / 64, 1_u64 << (i % 64));
    let Some(word) = bits.get_mut(word) else { return false };
    let is_new = *word & bit == 0;
    *word |= bit;
    is_new
}

impl Piece {
    pub(super) fn len(&self) -> usize {
        self.slices.len()
    }

    /// Appends its packets.
    pub(super) fn encode(
        self,
        source: &Source<'_>,
        shift: Shift,
        spilled: &Spilled,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let (store, mut news) = (source.store, self.news.iter().peekable());
        let mut open = self.open;
        let mut clock = Clock { last_ns: self.last_ns, shift };
        let mut arguments = spilled.arguments();
        let (bytes, mut interned) = (SliceBytes::new(self.sequence), Vec::new());
        for (place, &(slice, number)) in self.slices.iter().enumerate() {
            let slice = slice as usize;
            let start_ns = store.slices.ts_ns[slice];
            while let Some(end_ns) = open.pop_if(|open| *open <= start_ns) {
                bytes.end(clock.delta(end_ns), out);
            }
            interned.clear();
            if let Some(new) = news.next_if(|new| new.place as usize == place) {
                append(&interned_names(store, slice, new), &mut interned);
            }
            let begin = Begin {
                delta: clock.delta(start_ns),
                category: store.category_number(slice) as u64 + 1,
                name: u64::from(store.slices.name[slice].0) + 1,
                arguments: arguments.of(number)?,
                interned: &interned,
            };
            bytes.begin(&begin, out);
            out.extend_from_slice(spilled.ends_inside(number));
            open.push(store.slices.end_ns(slice));
        }
        while let Some(end_ns) = open.pop().filter(|_| self.is_last) {
            bytes.end(clock.delta(end_ns), out);
        }
        Ok(())
    }
}

/// The incremental clock of a sequence.
struct Clock {
    last_ns: i64,
    shift: Shift,
}

impl Clock {
    /// Nanoseconds from the packet before to a time of the input.
    fn delta(&mut self, ns: i64) -> u64 {
        let time_ns = self.shift.of(ns);
        let delta = time_ns.saturating_sub(self.last_ns);
        self.last_ns = self.last_ns.max(time_ns);
        u64::try_from(delta).unwrap_or(0)
    }
}

/// A packet with nothing but what is new.
fn interned_names(store: &Store, slice: usize, new: &New) -> TracePacket {
    let mut interned = InternedData::default();
    if new.name {
        let name = store.slices.name[slice];
        let text = Some(store.strings.get(name).to_owned());
        interned.event_names.push(EventName { iid: Some(u64::from(name.0) + 1), name: text });
    }
    if new.category {
        let iid = Some(store.category_number(slice) as u64 + 1);
        let name = Some(store.category(slice).to_owned());
        interned.event_categories.push(EventCategory { iid, name });
    }
    TracePacket { interned_data: Some(interned), ..TracePacket::default() }
}
