//! The one file with `unsafe`: the C shim over libtorch's profiler, shared memory, and futexes, behind safe functions.
//!
//! It must not hold policy: what to record, when, and what memory means is decided elsewhere.
#![expect(
    unsafe_code,
    reason = "the boundary to libtorch's C++ and to the kernel; see each SAFETY comment"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use tch::Tensor;

/// Record input shapes.
pub(crate) const SHAPES: u32 = 1;
/// Record allocations and frees.
pub(crate) const MEMORY: u32 = 2;
/// Estimate floating point operations.
pub(crate) const FLOPS: u32 = 4;
/// Record CUDA synchronization events.
pub(crate) const SYNC_EVENTS: u32 = 8;
/// Record the ops of every thread of the process.
pub(crate) const ALL_THREADS: u32 = 16;

/// What libtorch said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("libtorch: {0}")]
pub struct TorchError(pub String);

unsafe extern "C" {
    fn omc_torch_version() -> *const c_char;
    fn omc_load_cuda() -> *const c_char;
    fn omc_cuda_count() -> c_int;
    fn omc_cuda_sync(device: c_int, err: *mut c_char, n: usize) -> c_int;
    fn omc_set_cuda_device(device: c_int, err: *mut c_char, n: usize) -> c_int;
    fn omc_prepare(cuda: c_int, flags: u32, id: *const c_char, err: *mut c_char, n: usize)
    -> c_int;
    fn omc_start(cuda: c_int, flags: u32, id: *const c_char, err: *mut c_char, n: usize) -> c_int;
    fn omc_metadata(k: *const c_char, v: *const c_char, err: *mut c_char, n: usize) -> c_int;
    fn omc_detach_after_stop(on: c_int, err: *mut c_char, n: usize) -> c_int;
    fn omc_stop(events: *mut u64, err: *mut c_char, n: usize) -> c_int;
    fn omc_save(path: *const c_char, err: *mut c_char, n: usize) -> c_int;
    fn omc_range_begin(name: *const c_char, len: usize) -> *mut c_void;
    fn omc_range_end(range: *mut c_void);
    fn omc_count_events(on: c_int, err: *mut c_char, n: usize) -> c_int;
    fn omc_events_counted() -> u64;
    fn omc_pin(tensor: *mut c_void, err: *mut c_char, n: usize) -> *mut c_void;
    fn omc_group_init(
        nccl: c_int,
        store: *const c_char,
        rank: c_int,
        size: c_int,
        err: *mut c_char,
        n: usize,
    ) -> c_int;
    fn omc_all_reduce(tensor: *mut c_void, err: *mut c_char, n: usize) -> c_int;
}

/// Runs a shim function with a message buffer; a status other than 0 becomes the message.
fn call(body: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<(), TorchError> {
    let mut message = [0u8; 4096];
    match body(message.as_mut_ptr().cast(), message.len()) {
        0 => Ok(()),
        _ => Err(message_of(&message)),
    }
}

fn message_of(buffer: &[u8]) -> TorchError {
    let text = CStr::from_bytes_until_nul(buffer).map(CStr::to_string_lossy).unwrap_or_default();
    // The first line says it; the rest is a C++ back trace.
    TorchError(text.lines().next().unwrap_or("unknown failure").to_owned())
}

fn c_string(text: &str) -> Result<CString, TorchError> {
    CString::new(text).map_err(|_| TorchError(format!("a text holds a NUL byte: {text:?}")))
}

/// The libtorch version that this program was compiled against.
pub fn torch_version() -> String {
    // SAFETY: the shim returns a pointer to a static, NUL-terminated string literal.
    unsafe { CStr::from_ptr(omc_torch_version()) }.to_string_lossy().into_owned()
}

/// Loads libtorch's CUDA half into the process. To be called before any other use of torch.
pub fn load_cuda() -> Result<(), TorchError> {
    // SAFETY: the shim returns a NUL-terminated string that lives as long as the process and is written only by
    // this function; it is copied before anything else can call it.
    let reason = unsafe { CStr::from_ptr(omc_load_cuda()) }.to_string_lossy().into_owned();
    if reason.is_empty() { Ok(()) } else { Err(TorchError(reason)) }
}

/// CUDA devices that can be used; 0 without a GPU or without libtorch's CUDA half.
pub fn cuda_devices() -> usize {
    // SAFETY: no arguments; the shim catches every exception.
    usize::try_from(unsafe { omc_cuda_count() }).unwrap_or(0)
}

/// Waits until everything launched on a CUDA device has finished.
pub fn cuda_sync(device: usize) -> Result<(), TorchError> {
    // SAFETY: `call` passes a buffer with its true length.
    call(|err, n| unsafe { omc_cuda_sync(device as c_int, err, n) })
}

/// Makes a CUDA device the current one of this thread.
pub fn set_cuda_device(device: usize) -> Result<(), TorchError> {
    // SAFETY: `call` passes a buffer with its true length.
    call(|err, n| unsafe { omc_set_cuda_device(device as c_int, err, n) })
}

/// Prepares the profiler. Required before [`start`]: starting unprepared crashes libtorch.
pub(crate) fn prepare(cuda: bool, flags: u32, trace_id: &str) -> Result<(), TorchError> {
    let id = c_string(trace_id)?;
    // SAFETY: `id` outlives the call; `call` passes a buffer with its true length.
    call(|err, n| unsafe { omc_prepare(cuda.into(), flags, id.as_ptr(), err, n) })
}

/// Starts recording on the calling thread. The caller has prepared it with the same arguments.
pub(crate) fn start(cuda: bool, flags: u32, trace_id: &str) -> Result<(), TorchError> {
    let id = c_string(trace_id)?;
    // SAFETY: as in `prepare`; the session type in `profiler` guarantees that `prepare` came first.
    call(|err, n| unsafe { omc_start(cuda.into(), flags, id.as_ptr(), err, n) })
}

/// Adds a top-level key to the trace being recorded; `json` must be valid JSON.
pub(crate) fn metadata(key: &str, json: &str) -> Result<(), TorchError> {
    let (key, json) = (c_string(key)?, c_string(json)?);
    // SAFETY: both strings outlive the call, which copies them.
    call(|err, n| unsafe { omc_metadata(key.as_ptr(), json.as_ptr(), err, n) })
}

/// Whether libtorch lets go of the device's tracing interface after the next stop: only after the last one, since it
/// does so in the background and loses the device's events of a recording that is started meanwhile.
pub(crate) fn detach_after_stop(on: bool) -> Result<(), TorchError> {
    // SAFETY: `call` passes a buffer with its true length. The shim sets an environment variable that only libtorch
    // reads, on this thread, in the stop that follows.
    call(|err, n| unsafe { omc_detach_after_stop(on.into(), err, n) })
}

/// Stops recording; the number of events that libtorch kept.
pub(crate) fn stop() -> Result<u64, TorchError> {
    let mut events = 0u64;
    // SAFETY: `events` is a valid place for the result for the whole call.
    call(|err, n| unsafe { omc_stop(&raw mut events, err, n) })?;
    Ok(events)
}

/// Writes what was stopped last as plain JSON. The path becomes the trace's `traceName`.
pub(crate) fn save(path: &str) -> Result<(), TorchError> {
    let path = c_string(path)?;
    // SAFETY: `path` outlives the call.
    call(|err, n| unsafe { omc_save(path.as_ptr(), err, n) })
}

/// Counts this thread's ops and annotations from zero, or stops counting.
pub(crate) fn count_events(on: bool) -> Result<(), TorchError> {
    // SAFETY: `call` passes a buffer with its true length.
    call(|err, n| unsafe { omc_count_events(on.into(), err, n) })
}

/// The count since it was turned on.
pub(crate) fn events_counted() -> u64 {
    // SAFETY: reads one atomic; no arguments.
    unsafe { omc_events_counted() }
}

/// A page-locked copy of a host tensor, for asynchronous copies to a device.
pub fn pin(tensor: &Tensor) -> Result<Tensor, TorchError> {
    let mut message = [0u8; 4096];
    // SAFETY: tch holds an at::Tensor behind this pointer, alive for the call; the shim only reads it. The result
    // is a fresh heap at::Tensor or null, and tch takes ownership of it.
    unsafe {
        let raw =
            omc_pin(tensor.as_ptr().cast_mut().cast(), message.as_mut_ptr().cast(), message.len());
        if raw.is_null() {
            return Err(message_of(&message));
        }
        Ok(Tensor::from_ptr(raw.cast()))
    }
}

/// Joins the ranks of a stage that name the same file: by NCCL on CUDA devices, by Gloo on the host.
pub fn join_group(cuda: bool, store: &str, rank: u32, size: u32) -> Result<(), TorchError> {
    let store = c_string(store)?;
    let (rank, size) = (rank.cast_signed(), size.cast_signed());
    // SAFETY: `store` outlives the call, which copies it.
    call(|err, n| unsafe { omc_group_init(cuda.into(), store.as_ptr(), rank, size, err, n) })
}

/// Sums a tensor over the group that this process has joined, in place.
pub fn all_reduce(tensor: &mut Tensor) -> Result<(), TorchError> {
    let raw = tensor.as_mut_ptr().cast();
    // SAFETY: tch holds an at::Tensor behind this pointer, exclusively ours and alive for the call.
    call(|err, n| unsafe { omc_all_reduce(raw, err, n) })
}

/// A named span on the calling thread, from creation to drop. Costs some nanoseconds when nothing is recorded.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct Range {
    raw: *mut c_void,
    // Begun and ended on one thread: neither Send nor Sync.
    _thread: PhantomData<*const ()>,
}

impl Range {
    /// Begins a span.
    pub fn new(name: &str) -> Self {
        // SAFETY: the pointer and the length describe `name`, which the observers copy before the call returns.
        let raw = unsafe { omc_range_begin(name.as_ptr().cast(), name.len()) };
        Self { raw, _thread: PhantomData }
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        // SAFETY: `raw` came from omc_range_begin (null is allowed), is ended once, and on the same thread.
        unsafe { omc_range_end(self.raw) }
    }
}

/// Anonymous shared memory: passed to children by descriptor, gone when the last process lets go of it.
#[derive(Debug)]
pub struct SharedMemory {
    fd: OwnedFd,
    base: *mut u8,
    len: usize,
}

// SAFETY: the mapping is valid for the value's whole life and is only reached through atomics and through copies
// that the users order with those atomics (see `ring` and `board`).
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// New zeroed memory of `len` bytes. The descriptor is inherited by child processes.
    pub fn create(name: &str, len: usize) -> io::Result<Self> {
        let name = CString::new(name).map_err(io::Error::other)?;
        // SAFETY: `name` is NUL-terminated and outlives the call. Without MFD_CLOEXEC children inherit it.
        let raw = unsafe { libc::memfd_create(name.as_ptr(), 0) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just created and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        // SAFETY: plain call on a descriptor that we own.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), len as libc::off_t) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Self::map(fd, len)
    }

    /// Maps memory that a parent created and passed as an inherited descriptor.
    pub fn open(inherited: RawFd, len: usize) -> io::Result<Self> {
        // SAFETY: the caller names a descriptor that was inherited for this purpose and that nothing else in this
        // process owns; it is set to close on exec, so that it goes no further.
        let fd = unsafe {
            if libc::fcntl(inherited, libc::F_SETFD, libc::FD_CLOEXEC) != 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(inherited)
        };
        Self::map(fd, len)
    }

    fn map(fd: OwnedFd, len: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice; the result is checked.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { fd, base: base.cast(), len })
    }

    /// The descriptor, as children see it too.
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Bytes mapped.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The 32-bit word at `offset`.
    pub fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.len, "word outside of the mapping");
        // SAFETY: in bounds and aligned (the mapping is page-aligned), and only ever accessed as an atomic.
        unsafe { AtomicU32::from_ptr(self.base.add(offset).cast()) }
    }

    /// The 64-bit word at `offset`.
    pub fn word64(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "word outside of the mapping");
        // SAFETY: in bounds and aligned, and only ever accessed as an atomic.
        unsafe { AtomicU64::from_ptr(self.base.add(offset).cast()) }
    }

    /// Copies `bytes` to `offset`. The caller has made sure, through a word, that no reader is there.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.len, "write outside of the mapping");
        // SAFETY: in bounds; source and mapping do not overlap; the users' protocol excludes concurrent access.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(offset), bytes.len()) }
    }

    /// Copies `into.len()` bytes from `offset`. The caller has made sure, through a word, that no writer is there.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset + into.len() <= self.len, "read outside of the mapping");
        // SAFETY: in bounds; target and mapping do not overlap; the users' protocol excludes concurrent access.
        unsafe {
            std::ptr::copy_nonoverlapping(self.base.add(offset), into.as_mut_ptr(), into.len());
        }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: unmaps what `map` mapped, once; no reference into it outlives the value.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// Sleeps until another process wakes the word, it no longer holds `seen`, or `limit` has passed.
pub fn futex_wait(word: &AtomicU32, seen: u32, limit: Duration) {
    let timeout = libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: the word and the time are valid for the call. Every outcome (woken, changed, timed out, interrupted)
    // means the same to the caller: look again.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, &raw const timeout);
    }
}

/// Wakes every process that sleeps on the word.
pub fn futex_wake_all(word: &AtomicU32) {
    // SAFETY: the word is valid for the call, which does not read through the other arguments.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX);
    }
}

/// Ends the process at once, without running exit handlers: libtorch's may wait for devices or threads.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns and touches nothing of ours.
    unsafe { libc::_exit(code) }
}
