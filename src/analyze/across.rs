//! What is told of one input where several are compared: when it was busy, when it waited, and what [`align`] compares.
//! Made from its events where they lie; everything across inputs is answered from this alone.
//!
//! [`align`]: crate::align

use super::base::TimeBase;
use super::intervals::{Intervals, Span};
use super::timeline::Class;
use crate::align::Digest;
use crate::model::Identity;
use crate::store::Store;

/// One input without its events. Times are by its own clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Across {
    /// What is compared between inputs.
    pub shared: Digest,
    /// The window of the file, clipped as asked.
    pub window: Span,
    /// The window before clipping.
    pub whole: Span,
    /// Whether less than the whole was asked for.
    pub is_clipped: bool,
    /// When it was what; empty where nobody asked.
    pub busy: Busy,
}

/// When an input was busy and when it waited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// When it was recorded: the window, and what its devices did beyond.
    pub recorded: Intervals,
    /// When a work thread waited for another process; `None` where nothing would show it.
    pub waits: Option<Intervals>,
    /// When its devices were busy.
    pub device: Intervals,
    /// When its work threads were, its devices not.
    pub host: Intervals,
}

/// What is wanted of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcrossNeeds {
    /// There is no other input, nor will there be one.
    pub is_alone: bool,
    /// Who waited for whom is asked.
    pub busy: bool,
}

impl Across {
    /// Of an input with its time base.
    pub fn of(store: &Store, identity: &Identity, base: &TimeBase, needs: AcrossNeeds) -> Self {
        Self {
            shared: Digest::of(store, identity, &base.comm, needs.is_alone),
            window: base.windows.file,
            whole: base.windows.whole,
            is_clipped: base.windows.is_clipped,
            busy: if needs.busy { Busy::of(base) } else { Busy::default() },
        }
    }
}

impl Busy {
    fn of(base: &TimeBase) -> Self {
        let set = |wanted: fn(Class) -> bool| {
            base.work_threads().fold(Intervals::default(), |all, thread| {
                all.union(&thread.timeline.set_of(wanted))
            })
        };
        let waits = set(|class| class == Class::IpcWait);
        let shows_waits =
            base.work_threads().any(|thread| thread.has_frames) || !waits.spans().is_empty();
        let busy = set(|class| !class.is_wait() && class != Class::Unattributed);
        let devices = base.devices.iter();
        let device = devices.fold(Intervals::default(), |all, device| all.union(&device.busy));
        let mut window = Intervals::default();
        window.push(base.windows.file);
        Self {
            recorded: window.union(&device),
            waits: shows_waits.then_some(waits),
            host: busy.subtract(&device),
            device,
        }
    }

    /// The same on a time line that is ahead by so much.
    pub(super) fn shifted(&self, offset_ns: i64) -> Self {
        let shift = |set: &Intervals| set.clone().shifted(offset_ns);
        Self {
            recorded: shift(&self.recorded),
            waits: self.waits.as_ref().map(shift),
            device: shift(&self.device),
            host: shift(&self.host),
        }
    }
}
