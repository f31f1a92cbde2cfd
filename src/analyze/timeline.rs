//! What a host thread was doing at every instant: the classes of time and the sweep that assigns them.
//!
//! The events of a thread do not always nest: annotations cross the frames that open them. The sweep is exact whatever
//! they do. At each instant the *innermost* event is the last one, in the order (start ascending, end descending, file
//! order), among those that cover it. The last one among the IPC waits and the deserializations decides whether the
//! instant is waiting; otherwise the innermost event with a class decides.

use super::intervals::{Intervals, Span};
use crate::schema::{Kind, Value, Values, words};

words! {
    /// What an instant of a thread belongs to. The classes partition the thread's window.
    #[repr(u8)]
    Class {
        /// Waiting for another process.
        IpcWait "ipc_wait",
        /// Waiting for the device.
        GpuSync "gpu_sync",
        /// In a runtime or driver call that does not wait.
        Runtime "runtime",
        /// Loading or compiling device code.
        ModuleLoading "module_loading",
        /// In an operator.
        CpuOp "cpu_op",
        /// In Python.
        Python "python",
        /// Another wait: lock, event loop, sleep, a collective on the CPU.
        OtherWait "other_wait",
        /// In the profiler itself: its buffers, above all.
        Profiler "profiler",
        /// No event says what.
        Unattributed "unattributed",
    }
}

impl Value for Vec<Class> {
    const KIND: Kind = Kind::List;

    fn put(&self, to: &mut Values) {
        let names: Vec<String> = self.iter().map(|class| class.as_str().to_owned()).collect();
        names.put(to);
    }
}

impl Class {
    /// The names of some classes.
    pub fn names(classes: &[Self]) -> String {
        classes.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether the thread waits for something else.
    pub fn is_wait(self) -> bool {
        matches!(self, Self::IpcWait | Self::GpuSync | Self::OtherWait)
    }
}

/// Nanoseconds by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassNs([i64; Class::ALL.len()]);

impl ClassNs {
    /// Time of one class.
    pub fn get(&self, class: Class) -> i64 {
        self.0[class as usize]
    }

    /// Adds time to a class.
    pub fn add(&mut self, class: Class, ns: i64) {
        self.0[class as usize] += ns;
    }

    /// Adds the time of another.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, ns)| *sum += ns);
    }

    /// What came after an earlier state of the same sums.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut diff = *self;
        diff.0.iter_mut().zip(earlier.0).for_each(|(sum, ns)| *sum -= ns);
        diff
    }

    /// Sum over all classes.
    pub fn total_ns(&self) -> i64 {
        self.0.iter().sum()
    }
}

/// A stretch of one class: from its start to the start of the next segment, the last one to the end of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Start.
    pub start_ns: i64,
    /// Class.
    pub class: Class,
}

/// The class of every instant of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    window: Span,
    segments: Vec<Segment>,
}

impl Timeline {
    /// The window that the segments partition.
    pub fn window(&self) -> Span {
        self.window
    }

    /// The segments; neighbours differ in class.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Segment `i` as a span.
    fn span(&self, i: usize) -> Span {
        let end = self.segments.get(i + 1).map_or(self.window.end_ns, |next| next.start_ns);
        Span::new(self.segments[i].start_ns, end)
    }

    /// Each segment with its span.
    pub fn spans(&self) -> impl Iterator<Item = (Span, Class)> {
        (0..self.segments.len()).map(|i| (self.span(i), self.segments[i].class))
    }

    /// Time by class over the whole window.
    pub fn totals(&self) -> ClassNs {
        let mut sums = ClassNs::default();
        self.spans().for_each(|(span, class)| sums.add(class, span.len_ns()));
        sums
    }

    /// Time by class inside a span; what lies outside the window is in no class.
    pub fn within(&self, span: Span) -> ClassNs {
        let mut sums = ClassNs::default();
        let first = self.segments.partition_point(|s| s.start_ns <= span.start_ns).max(1) - 1;
        for i in first..self.segments.len() {
            if self.segments[i].start_ns >= span.end_ns {
                break;
            }
            sums.add(self.segments[i].class, self.span(i).clip(span).len_ns());
        }
        sums
    }

    /// The time of some classes as a set.
    pub fn set_of(&self, wanted: impl Fn(Class) -> bool) -> Intervals {
        let mut set = Intervals::default();
        self.spans().filter(|&(_, class)| wanted(class)).for_each(|(span, _)| set.push(span));
        set
    }

    /// One class inside a set, another outside.
    pub(super) fn of_set(set: &Intervals, inside: Class, outside: Class, window: Span) -> Self {
        let mut sweep = Sweep::new(window);
        sweep.outside = outside;
        for span in set.clip(window).spans() {
            sweep.open(span.start_ns, span.end_ns, Role::Work(inside), None);
        }
        sweep.finish().0
    }
}

/// What an event does to the class of its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Its time is of a class, unless something inside says otherwise.
    Work(Class),
    /// An IPC wait, above what is inside it.
    IpcWait,
    /// Work of a class that lifts the wait around it.
    Deserialize(Class),
}

/// Builds a [`Timeline`] from events given in the order of the store.
#[derive(Debug)]
pub(super) struct Sweep {
    window: Span,
    now_ns: i64,
    outside: Class,
    /// The open events. Only the last one that is still open decides, so that earlier ones may lie here dead until it
    /// ends.
    open: Vec<OpenEvent<Class>>,
    /// The open waits and deserializations, and whether it is a wait.
    marks: Vec<OpenEvent<bool>>,
    segments: Vec<Segment>,
    /// For each owner, the time in which an event of it decided.
    owned_ns: Vec<i64>,
}

/// An event that has not ended.
#[derive(Clone, Copy, Debug)]
struct OpenEvent<T> {
    end_ns: i64,
    is: T,
    owner: Owner,
}

/// Who is told how long an event decided: a number of the caller's.
pub(super) type Owner = Option<u32>;

impl Sweep {
    pub(super) fn new(window: Span) -> Self {
        Self {
            window,
            now_ns: window.start_ns,
            outside: Class::Unattributed,
            open: Vec::new(),
            marks: Vec::new(),
            segments: Vec::new(),
            owned_ns: Vec::new(),
        }
    }

    /// Opens an event that starts no earlier than those before it. Gives until when everything inside it that is no
    /// deserialization is without effect: the end of the wait that it is in, if it is in one.
    pub(super) fn open(&mut self, start_ns: i64, end_ns: i64, role: Role, owner: Owner) -> i64 {
        let start = start_ns.max(self.window.start_ns);
        let end = end_ns.min(self.window.end_ns);
        if start < end {
            self.advance(start);
            match role {
                Role::Work(class) => self.open.push(OpenEvent { end_ns: end, is: class, owner }),
                Role::IpcWait => self.marks.push(OpenEvent { end_ns: end, is: true, owner }),
                Role::Deserialize(class) => {
                    self.open.push(OpenEvent { end_ns: end, is: class, owner });
                    self.marks.push(OpenEvent { end_ns: end, is: false, owner });
                }
            }
        }
        match self.marks.last() {
            Some(mark) if mark.is => mark.end_ns,
            _ => i64::MIN,
        }
    }

    /// Closes everything. Gives the time of each owner beside the timeline.
    pub(super) fn finish(mut self) -> (Timeline, Vec<i64>) {
        self.advance(self.window.end_ns);
        (Timeline { window: self.window, segments: self.segments }, self.owned_ns)
    }

    /// Emits the time up to an instant.
    fn advance(&mut self, to_ns: i64) {
        loop {
            let now = self.now_ns;
            while self.open.last().is_some_and(|event| event.end_ns <= now) {
                self.open.pop();
            }
            while self.marks.last().is_some_and(|mark| mark.end_ns <= now) {
                self.marks.pop();
            }
            if now >= to_ns {
                return;
            }
            let mark = self.marks.last().copied();
            let event = self.open.last().copied();
            let (class, owner) = match (mark, event) {
                (Some(mark), _) if mark.is => (Class::IpcWait, mark.owner),
                (_, Some(event)) => (event.is, event.owner),
                _ => (self.outside, None),
            };
            let next = [mark.map(|m| m.end_ns), event.map(|e| e.end_ns)].into_iter().flatten();
            self.emit(class);
            self.now_ns = next.fold(to_ns, i64::min);
            self.note(owner, self.now_ns - now);
        }
    }

    fn note(&mut self, owner: Owner, ns: i64) {
        let Some(owner) = owner.map(|owner| owner as usize) else { return };
        if owner >= self.owned_ns.len() {
            self.owned_ns.resize(owner + 1, 0);
        }
        self.owned_ns[owner] += ns;
    }

    fn emit(&mut self, class: Class) {
        if self.segments.last().is_none_or(|last| last.class != class) {
            self.segments.push(Segment { start_ns: self.now_ns, class });
        }
    }
}
