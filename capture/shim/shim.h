// The C ABI between Rust and libtorch's profiler. Every function catches every exception: a status of 0 is
// success, anything else leaves a message in `err` (NUL-terminated, at most `n` bytes).
#pragma once
#include <cstddef>
#include <cstdint>

extern "C" {
// Bits of `flags`.
enum OmcFlags : uint32_t {
  OMC_SHAPES = 1,
  OMC_MEMORY = 2,
  OMC_FLOPS = 4,
  OMC_SYNC_EVENTS = 8,
  OMC_ALL_THREADS = 16,
};

const char* omc_torch_version();
// Loads libtorch_cuda at run time; an empty string is success, else the loader's reason. Call before anything else.
const char* omc_load_cuda();
int omc_cuda_count();
int omc_cuda_sync(int device, char* err, size_t n);
int omc_set_cuda_device(int device, char* err, size_t n);

int omc_prepare(int cuda, uint32_t flags, const char* trace_id, char* err, size_t n);
int omc_start(int cuda, uint32_t flags, const char* trace_id, char* err, size_t n);
int omc_metadata(const char* key, const char* json, char* err, size_t n);
// Whether libtorch lets go of the device's tracing interface after the next stop. Kept attached, it slows every later
// iteration; let go, it takes a while in the background, and a recording started meanwhile has no device events.
int omc_detach_after_stop(int on, char* err, size_t n);
int omc_stop(uint64_t* events, char* err, size_t n);
int omc_save(const char* path, char* err, size_t n);

// A named span (user_annotation) on the calling thread; end in reverse order on the same thread.
void* omc_range_begin(const char* name, size_t len);
void omc_range_end(void* range);

// Counts ops and annotations of the calling thread while `on`; turning it on starts from zero.
int omc_count_events(int on, char* err, size_t n);
uint64_t omc_events_counted();

// A page-locked copy of a host tensor (an at::Tensor*, as tch holds it); null on failure.
void* omc_pin(void* tensor, char* err, size_t n);

// Joins the ranks that name the same file, with NCCL or with Gloo. Once in a process.
int omc_group_init(int nccl, const char* store_path, int rank, int size, char* err, size_t n);
// Sums a tensor (an at::Tensor*) over the group, in place.
int omc_all_reduce(void* tensor, char* err, size_t n);
}
