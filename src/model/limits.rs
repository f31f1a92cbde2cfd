//! Every bound of the program, with its reason and what happens at the bound.

/// Target size of a block of JSON text, in bytes of decompressed input.
///
/// Blocks are cut at fixed positions of the decompressed stream, never by timing or thread count, so that the output
/// cannot depend on either. 1 MiB holds about 4,000 events: large enough that per-block costs vanish, small enough that
/// a handful in flight stays within the fixed memory budget.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Size at which a block is cut although no event plausibly starts in it. The joiner then reads it with what follows.
pub const MAX_BLOCK_BYTES: usize = 2 * BLOCK_BYTES;

/// Largest single event that is accepted, in bytes. Beyond it the event is dropped and counted.
///
/// The largest real events are operator calls with recorded shapes of tensor lists, some hundred KiB.
pub const MAX_EVENT_BYTES: usize = 64 << 20;

/// Longest text of an event (a name, a category, a stack) that is kept, in bytes; of a longer one the start is, and it is counted.
///
/// The longest real texts are stacks and lists of shapes of some hundred KiB; names are shown in many tables, each with a copy.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// Share of the memory that there is which a run may take unless it is told, in percent.
pub const MEMORY_SHARE_PCT: u64 = 80;

/// Largest top-level member beside the events that is kept, and most of all of them together, in bytes. Larger ones are
/// skipped and counted: real ones are device properties and settings of some KiB.
pub const MAX_MEMBER_BYTES: usize = 16 << 20;
/// See [`MAX_MEMBER_BYTES`].
pub const MAX_MEMBERS_BYTES: usize = 64 << 20;

/// Bytes before the first document or event that are looked through before an input is said to be no trace; and bytes behind a
/// member of a compressed file that are looked through for another one.
pub const MAX_RUBBLE_BYTES: u64 = 64 << 20;

/// Blocks that may wait to be read or joined beside the one that a thread reads, per thread. Bounds memory, not results.
pub const BLOCKS_IN_FLIGHT_PER_THREAD: usize = 3;

/// Bytes of a gzip member that one thread decodes at a time where many do. Looking for a block at its start takes about a sixth of the
/// time that decoding it takes; what is decoded takes about twice the memory, and up to a dozen wait for their turn.
pub const PIECE_BYTES: usize = 1 << 18;

/// Memory that what is decoded of a piece may take; of a stream that has more to say the rest waits for its turn.
pub const MAX_TOKEN_BYTES: usize = 6 * PIECE_BYTES;

/// Bytes of a file from which on many threads inflate its first member, if there are as many as [`SPREAD_FROM_THREADS`], and, when it is
/// read again, [`STRETCHES_FROM_THREADS`]. Less is inflated in a few hundredths of a second.
pub const SPREAD_FROM_BYTES: u64 = 4 << 20;

/// Parser threads, with a processor each, from which on they inflate, too: with fewer, the others wait less for the thread that inflates, and inflating
/// takes three quarters as long again in two steps.
pub const SPREAD_FROM_THREADS: usize = 4;

/// Bytes of text from one place in a gzip member from which a second pass can begin to inflate to the next, at least. A place takes
/// 32 KiB of memory.
pub const STRETCH_BYTES: u64 = 4 << 20;

/// Threads, with a processor each, from which on a second pass begins at many places: one alone would wait for itself.
pub const STRETCHES_FROM_THREADS: usize = 2;

/// Stretches between such places that may be read beside those that the threads of a second pass are at. Bounds memory, not results.
pub const STRETCHES_AHEAD: usize = 8;

/// Inputs of a merge that are written side by side, their blocks in turn. Bounds memory; the order of the output's events depends on
/// it, and not on the number of threads.
pub const WRITTEN_SIDE_BY_SIDE: usize = 8;

/// Largest log that is read because it lies beside traces, in bytes. Larger ones are read where they are named: a server's log
/// of days says little about a window of seconds, and nobody asked to wait for it.
pub const MAX_LOG_BESIDE_BYTES: u64 = 64 << 20;

/// Number of distinct category strings a trace may have; further ones share the last id and are counted.
pub const MAX_CATEGORIES: usize = 255;

/// Nesting depth of one event's arguments that is followed; deeper ones are dropped and counted.
pub const MAX_JSON_DEPTH: usize = 256;

/// A device event longer than this is impossible in one capture and is reported in the trust panel (24 h).
///
/// Corrupt device timestamps give durations of years; see `field.md` 3.7.
pub const IMPOSSIBLE_DUR_NS: i64 = 24 * 3600 * 1_000_000_000;

/// What the durations of a file that do not fit 32 bits (4.3 s) may add up to, in nanoseconds (9 years): beyond it the longest are
/// cut and counted, so that no sum of durations can wrap.
///
/// The others cannot come near 64 bits: a thousand million of them add up to half of it. 32 files at the limit can be summed.
pub const MAX_LONG_DURATIONS_NS: u64 = 1 << 58;

/// By how much a frame may end after the frame around it before its end counts as not recorded.
///
/// Writers round starts and durations on their own: to nanoseconds since 2024, to whole microseconds before.
pub const CROSSING_NS: i64 = 2_000;

/// A first launch or first call of a library counts as a one-time cost from this duration on, and where it takes this many
/// times as long as the middle call of its name.
pub const FIRST_CALL_NS: i64 = 1_000_000;
/// See [`FIRST_CALL_NS`].
pub const FIRST_CALL_FACTOR: i64 = 10;

/// A kernel has a corrupt end where it runs past the next start of its stream by at least this, and takes at least this many
/// times as long as it had until then and as the middle kernel of its name.
pub const OVERRUN_NS: i64 = 100_000;
/// See [`OVERRUN_NS`].
pub const OVERRUN_FACTOR: i64 = 10;

/// Where a file does not name its profiled window, times of 0 must lie at least this far before all others to be none.
pub const UNTIMED_GAP_NS: i64 = 1_000_000_000;

/// The same where a file names its window, which they must precede by more than its length besides: no event of a profile
/// begins long before it.
pub const UNTIMED_WINDOW_GAP_NS: i64 = 10_000_000;

/// Bytes that the sidecars of traces may take in all; those that were used longest ago go first. A store takes about an
/// eighth of the JSON that it was read from, so that this is some 30 GB of traces.
pub const KEPT_BYTES: u64 = 4 << 30;

/// Bytes of text from which on a trace gets a sidecar where nobody asked for one: below it, reading takes some
/// hundredths of a second.
pub const KEPT_FROM_BYTES: u64 = 16 << 20;

/// Longest log line that is kept, in bytes; the rest of a longer one is skipped and counted.
///
/// The longest real lines are engine configurations and one-line summaries of some ten KiB.
pub const MAX_LOG_LINE_BYTES: usize = 4 << 20;

/// Bytes without the end of a line after which an input is no log.
pub const MAX_LOG_GAP_BYTES: usize = 256 << 20;

/// Longest multi-line log record that is joined, in bytes; a longer one is dropped and counted as torn.
pub const MAX_LOG_RECORD_BYTES: usize = 64 << 20;

/// Nesting depth of a dictionary in a log that is followed; a deeper one is dropped and counted as torn.
pub const MAX_LOG_VALUE_DEPTH: usize = 64;

/// Different complaints of a log that are told apart; more are counted together. No healthy log has so many, and a log
/// that prints an identifier in each of a million warnings must not fill memory.
pub const MAX_LOG_PROBLEMS: usize = 2000;

/// Most events of one input, and most texts: slices, events and texts are numbered with 32 bits, whose last number means
/// none. A trace beyond it (some 600 GB of JSON) is refused.
pub const MAX_NUMBERED: u64 = u32::MAX as u64 - 1;

/// Values that a pickle may make whatever its length, and bytes of it that each further one takes. Snapshots of torch have a
/// value in some ten bytes; what makes more of its bytes is made to fill memory, and is refused.
pub const PICKLE_FREE_VALUES: u64 = 1 << 16;
/// See [`PICKLE_FREE_VALUES`].
pub const PICKLE_BYTES_A_VALUE: u64 = 4;

/// Marks that may stand open in a pickle: how deep it nests. Snapshots of torch nest about ten deep.
pub const MAX_PICKLE_DEPTH: usize = 256;
