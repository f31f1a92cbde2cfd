//! The list of everything that can be wrong with an input, and the counter for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::named;

named! {
    /// How much an issue matters.
    Severity {
        /// Worth knowing; no effect on any figure.
        Info "info",
        /// May change how a figure is to be read.
        Notice "notice",
        /// Something of the input is missing from the figures.
        DataLoss "data_loss",
        /// The input could not be used.
        Error "error",
    }
}

/// Declares the issue kinds: variant, name in the machine output, severity, and what it means for the reader.
macro_rules! issue_kinds {
    ($($variant:ident, $name:literal, $severity:ident, $meaning:literal;)+) => {
        /// What was odd or wrong. The order is the order of the output.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        pub enum IssueKind {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)+
        }

        impl IssueKind {
            /// All kinds, in their order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant,)+];

            /// The name in the machine output.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// What it means for the reader of the figures.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

issue_kinds! {
    TruncatedFile, "truncated_file", DataLoss, "the file ends early; everything before the end was kept";
    TruncatedGzip, "truncated_gzip", DataLoss, "the compressed stream ends early; everything that inflates was kept";
    CorruptGzip, "corrupt_gzip", DataLoss, "the compressed stream is damaged; everything that could be inflated before and behind the damage was kept";
    EventsBehindEnd, "events_behind_end", DataLoss, "events stand behind the end of the trace, as where two writers wrote one file or a part of it is damaged; they were read, what stood before them is missing";
    GarbageBeforeEvents, "garbage_before_events", DataLoss, "what stands before the events is damaged and was skipped";
    UnreadableEvent, "unreadable_event", DataLoss, "an event could not be read and is missing from every figure";
    BadTimestamp, "bad_timestamp", DataLoss, "an event has no usable ts or dur and is missing from every figure";
    OversizedEvent, "oversized_event", DataLoss, "an event is larger than the limit and is missing from every figure";
    OversizedText, "oversized_text", DataLoss, "a name or another text of an event is longer than the limit; its end is missing";
    SumOverflow, "sum_overflow", DataLoss, "durations add up to more than can be counted: the longest were cut, so that no sum of them wraps";
    LostName, "lost_name", DataLoss, "the packet that tells an event's name is missing: the event is shown without one";
    UnmatchedBegin, "unmatched_begin", DataLoss, "an end event has no begin and is missing";
    RepairedEvent, "repaired_event", Notice, "an event was invalid JSON and was read with repair";
    InvalidUtf8, "invalid_utf8", Notice, "text held invalid UTF-8; the bad bytes show as U+FFFD";
    NegativeDuration, "negative_duration", Notice, "a negative duration was taken as zero";
    UnclosedFrame, "unclosed_frame", Notice, "a Python frame ends after the frame around it, which no call can: its end was not recorded, and it was taken to end with that frame";
    OpenBegin, "open_begin", Notice, "a begin event has no end and was taken to end with the event around it, or with the trace";
    UntimedEvent, "untimed_event", Notice, "an event has a duration and no usable start: it is left out of windows, busy times and classes, but not of sums by name";
    GarbageAfterEvents, "garbage_after_events", Notice, "the text after the events is not valid JSON and was skipped";
    BadMetadata, "bad_metadata", Notice, "a top-level value is not valid JSON and was skipped";
    TrailingBytes, "trailing_bytes", Notice, "after the compressed stream stand bytes of another kind, which were skipped";
    Transcoded, "transcoded", Notice, "the text is UTF-16; it was read as UTF-8, and offsets are of that";
    OversizedMember, "oversized_member", Notice, "a top-level value is larger than the limit and was skipped";
    SeveralDocuments, "several_documents", Notice, "the file holds more than one JSON document; all were read as one";
    TooManyCategories, "too_many_categories", Notice, "more categories than the limit; the rest share one name";
    IgnoredPhase, "ignored_phase", Notice, "events of a phase that no analysis uses were skipped";
    UnreadActivity, "unread_activity", DataLoss, "packets of something that ran are of a kind that is not read and are missing from every figure";
    IgnoredPacket, "ignored_packet", Notice, "packets of a kind that no analysis uses were skipped";
    SlowPath, "slow_path", Info, "events were read by the tolerant path";
    NoWindowEnd, "no_window_end", Notice, "no `Record Window End` mark: the writer may have been stopped early";
    WindowStretched, "window_stretched", Notice, "device events lie outside the profiled window, which was stretched to hold them";
    NoEvents, "no_events", Notice, "no event has a duration: the profiler may have been stopped before anything ran";
    NoDeviceEvents, "no_device_events", Notice, "no device activity was recorded";
    PythonRowsChosen, "python_rows_chosen", Info, "Python frames as rows of the profiler table follow the writer";
    OperatorsByNesting, "operators_by_nesting", Info, "the writer gave device events no operator's id, so that an operator's device time is what was launched inside it on its thread";
    OperatorsUnknown, "operators_unknown", Notice, "nothing tells which operator launched which device event: the operators' device time is unknown, not 0";
    TornRecord, "torn_record", DataLoss, "a log record is cut off or torn by another writer and is missing from the figures";
    OversizedLine, "oversized_line", DataLoss, "a log line is longer than the limit; its end was skipped";
    UnknownLine, "unknown_line", Notice, "a log line belongs to no known class";
    NotARank, "not_a_rank", Notice, "what profilers write beside the traces of ranks is in no sum";
    AbovePeak, "above_peak", Notice, "copies moved more than their link's peak: a copy within a device may have stayed in its cache, else their sizes, their times or the peak are wrong";
    LostBefore, "lost_before", DataLoss, "the file was written from one of which something was lost: it is missing here, too";
    MissingInput, "missing_input", DataLoss, "a partial result could not be read: its inputs are missing from every figure";
    Sketched, "sketched", Info, "durations were many: the median and the 99th percentile of these tables are of values rounded by at most 1/256; counts, sums and extremes are exact";
    PickleCall, "pickle_call", Notice, "the memory snapshot asks for something of Python to be called, which was not done: that value is missing";
    SnapshotApart, "snapshot_apart", Notice, "no event of the memory snapshot lies inside the profiled window: of it, memory over time and by iteration is left out";
    SnapshotBound, "snapshot_bound", Notice, "the memory snapshot does not tell exactly how much was allocated before its end";
    LeftOut, "left_out", Notice, "a file that was given beside the others is of another kind and was left out";
}

/// One kind of issue of one input, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// What was odd.
    pub kind: IssueKind,
    /// How often.
    pub count: u64,
    /// Offset of the first one in the decompressed input, in bytes.
    pub first_offset: Option<u64>,
    /// The first detail that was given, for example the parser's words.
    pub detail: Option<String>,
    /// Bytes that were passed over, where that was counted: of the compressed file for a damaged stream, else of its text.
    pub bytes: u64,
}

impl Issue {
    /// One sentence: the meaning, and the detail where there is one.
    pub fn message(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}", self.kind.meaning()),
            None => self.kind.meaning().to_owned(),
        }
    }
}

/// Counts issues of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Reporter {
    /// By kind and, for what is counted by name, the name.
    entries: BTreeMap<(IssueKind, Option<String>), Issue>,
}

/// What a reporter counted of a kind and, for what is counted by name, a name.
type Entry = ((IssueKind, Option<String>), Issue);

impl From<Vec<Entry>> for Reporter {
    fn from(entries: Vec<Entry>) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl From<Reporter> for Vec<Entry> {
    fn from(reporter: Reporter) -> Self {
        reporter.entries.into_iter().collect()
    }
}

impl Reporter {
    /// Counts one issue at a byte offset of the decompressed input.
    pub fn at(&mut self, kind: IssueKind, offset: u64) {
        self.add(kind, 1, Some(offset), None);
    }

    /// Counts one issue with words of its own.
    pub fn with_detail(&mut self, kind: IssueKind, offset: Option<u64>, detail: impl Into<String>) {
        self.add(kind, 1, offset, Some(detail.into()));
    }

    /// Counts one issue of a kind that is counted by name, each name on its own.
    pub fn named(&mut self, kind: IssueKind, offset: Option<u64>, name: impl Into<String>) {
        self.named_n(kind, 1, offset, name);
    }

    /// As [`Reporter::named`], several at once.
    pub fn named_n(
        &mut self,
        kind: IssueKind,
        count: u64,
        offset: Option<u64>,
        name: impl Into<String>,
    ) {
        let name = name.into();
        let detail = Some(name.clone());
        let issue = Issue { kind, count, first_offset: offset, detail, bytes: 0 };
        self.join((kind, Some(name)), issue);
    }

    /// Counts what was passed over from an offset on, with its bytes.
    pub fn passed_over(
        &mut self,
        kind: IssueKind,
        (count, bytes): (u64, u64),
        offset: u64,
        detail: Option<String>,
    ) {
        let first_offset = Some(offset);
        self.join((kind, None), Issue { kind, count, first_offset, detail, bytes });
    }

    /// Says more of what was counted of a kind.
    pub fn explain(&mut self, kind: IssueKind, more: impl Fn(&Issue) -> String) {
        if let Some(issue) = self.entries.get_mut(&(kind, None)) {
            issue.detail = Some(more(issue));
        }
    }

    /// Counts `count` issues. The smallest offset and the first detail are kept.
    pub fn add(
        &mut self,
        kind: IssueKind,
        count: u64,
        offset: Option<u64>,
        detail: Option<String>,
    ) {
        self.join((kind, None), Issue { kind, count, first_offset: offset, detail, bytes: 0 });
    }

    fn join(&mut self, key: (IssueKind, Option<String>), issue: Issue) {
        let Some(entry) = self.entries.get_mut(&key) else {
            self.entries.insert(key, issue);
            return;
        };
        entry.count = entry.count.saturating_add(issue.count);
        entry.bytes = entry.bytes.saturating_add(issue.bytes);
        entry.first_offset = match (entry.first_offset, issue.first_offset) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if entry.detail.is_none() {
            entry.detail = issue.detail;
        }
    }

    /// Adds everything that another reporter counted. Merge in input order to keep the first details first.
    pub fn merge(&mut self, other: Reporter) {
        for (key, issue) in other.entries {
            self.join(key, issue);
        }
    }

    /// How often a kind was counted.
    pub fn count(&self, kind: IssueKind) -> u64 {
        self.issues().filter(|issue| issue.kind == kind).map(|issue| issue.count).sum()
    }

    /// The issues, in the order of [`IssueKind`].
    pub fn issues(&self) -> impl Iterator<Item = &Issue> {
        self.entries.values()
    }

    /// The worst severity counted, `None` when nothing was.
    pub fn worst(&self) -> Option<Severity> {
        self.entries.keys().map(|(kind, _)| kind.severity()).max()
    }
}

#[cfg(test)]
mod tests {
    use super::{IssueKind, Reporter, Severity};

    #[test]
    fn what_is_counted_by_name_is_named_with_its_count() {
        let mut a = Reporter::default();
        let mut b = Reporter::default();
        for (offset, phase) in [(5, "phase `O`"), (7, "phase `N`"), (9, "phase `O`")] {
            a.named(IssueKind::IgnoredPhase, Some(offset), phase);
            b.named(IssueKind::IgnoredPhase, Some(offset + 100), phase);
        }
        a.merge(b);
        let told: Vec<_> = a.issues().map(|i| (i.detail.as_deref(), i.count)).collect();
        assert_eq!(told, [(Some("phase `N`"), 2), (Some("phase `O`"), 4)]);
        assert_eq!(a.count(IssueKind::IgnoredPhase), 6);
    }

    #[test]
    fn merging_keeps_the_first_offset_and_detail() {
        let mut a = Reporter::default();
        a.with_detail(IssueKind::UnreadableEvent, Some(70), "seventy");
        let mut b = Reporter::default();
        b.with_detail(IssueKind::UnreadableEvent, Some(9), "nine");
        b.at(IssueKind::SlowPath, 1);
        a.merge(b);
        let issue = a.issues().next().unwrap();
        assert_eq!((issue.count, issue.first_offset), (2, Some(9)));
        assert_eq!(issue.detail.as_deref(), Some("seventy"));
        assert_eq!(a.worst(), Some(Severity::DataLoss));
    }
}
