// The profiler half of the C ABI: see shim.h.
#include "shim.h"

#include <ATen/Functions.h>
#include <ATen/record_function.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/profiler_kineto.h>
#include <torch/csrc/profiler/kineto_shim.h>
#include <torch/csrc/profiler/orchestration/observer.h>
#include <torch/cuda.h>
#include <torch/version.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>

namespace autograd = torch::autograd::profiler;
namespace profiler = torch::profiler::impl;

namespace {

// The one finished, not yet saved recording of this process: the profiler itself is a process-wide singleton.
std::unique_ptr<autograd::ProfilerResult> finished;
std::atomic<uint64_t> events_counted{0};
at::CallbackHandle counter_handle = 0;

void report(char* err, size_t n, const char* what) {
  if (err != nullptr && n > 0) {
    std::strncpy(err, what, n - 1);
    err[n - 1] = 0;
  }
}

template <class F>
int guarded(char* err, size_t n, F&& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    report(err, n, e.what());
    return 1;
  } catch (...) {
    report(err, n, "unknown C++ exception");
    return 2;
  }
}

profiler::ProfilerConfig config(uint32_t flags, const char* trace_id) {
  profiler::ExperimentalConfig experimental;
  experimental.enable_cuda_sync_events = (flags & OMC_SYNC_EVENTS) != 0;
  experimental.profile_all_threads = (flags & OMC_ALL_THREADS) != 0;
  return profiler::ProfilerConfig(
      profiler::ProfilerState::KINETO,
      (flags & OMC_SHAPES) != 0,
      (flags & OMC_MEMORY) != 0,
      /*with_stack=*/false,
      (flags & OMC_FLOPS) != 0,
      /*with_modules=*/false,
      experimental,
      trace_id == nullptr ? "" : trace_id);
}

std::set<profiler::ActivityType> activities(int cuda) {
  std::set<profiler::ActivityType> set{profiler::ActivityType::CPU};
  if (cuda != 0) {
    set.insert(profiler::ActivityType::CUDA);
  }
  return set;
}

std::unique_ptr<at::ObserverContext> count_one(const at::RecordFunction&) {
  events_counted.fetch_add(1, std::memory_order_relaxed);
  return nullptr;
}

}  // namespace

extern "C" {

const char* omc_torch_version() { return TORCH_VERSION; }

const char* omc_load_cuda() {
  static std::string reason;
  try {
    dlerror();
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr) {
      reason.clear();
    } else {
      const char* text = dlerror();
      reason = text == nullptr ? "unknown reason" : text;
    }
    return reason.c_str();
  } catch (...) {
    return "unknown C++ exception";
  }
}

int omc_cuda_count() {
  try {
    return torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  } catch (...) {
    return 0;
  }
}

int omc_cuda_sync(int device, char* err, size_t n) {
  return guarded(err, n, [&] { torch::cuda::synchronize(device); });
}

int omc_set_cuda_device(int device, char* err, size_t n) {
  return guarded(err, n, [&] {
    c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
    guard.setDevice(c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device)));
  });
}

int omc_prepare(int cuda, uint32_t flags, const char* trace_id, char* err, size_t n) {
  return guarded(err, n, [&] { autograd::prepareProfiler(config(flags, trace_id), activities(cuda)); });
}

int omc_start(int cuda, uint32_t flags, const char* trace_id, char* err, size_t n) {
  return guarded(err, n, [&] { autograd::enableProfiler(config(flags, trace_id), activities(cuda)); });
}

int omc_metadata(const char* key, const char* json, char* err, size_t n) {
  return guarded(err, n, [&] { autograd::addMetadataJson(key, json); });
}

int omc_detach_after_stop(int on, char* err, size_t n) {
  // Kineto reads this variable at each stop.
  return guarded(err, n, [&] { TORCH_CHECK(setenv("TEARDOWN_CUPTI", on != 0 ? "1" : "0", 1) == 0, "setenv failed"); });
}

int omc_stop(uint64_t* events, char* err, size_t n) {
  return guarded(err, n, [&] {
    finished = autograd::disableProfiler();
    *events = finished ? finished->events().size() : 0;
  });
}

int omc_save(const char* path, char* err, size_t n) {
  return guarded(err, n, [&] {
    TORCH_CHECK(finished, "nothing was recorded");
    // Released first: a recording is saved once, also when saving fails.
    auto result = std::move(finished);
    result->save(path);
  });
}

void* omc_range_begin(const char* name, size_t len) {
  try {
    auto range = std::make_unique<at::RecordFunction>(at::RecordScope::USER_SCOPE);
    if (range->isActive()) {
      range->before(std::string_view(name, len));  // the observers copy the name
    }
    return range.release();
  } catch (...) {
    return nullptr;
  }
}

void omc_range_end(void* range) {
  try {
    delete static_cast<at::RecordFunction*>(range);
  } catch (...) {
  }
}

int omc_count_events(int on, char* err, size_t n) {
  return guarded(err, n, [&] {
    if (counter_handle != 0) {
      at::removeCallback(counter_handle);
      counter_handle = 0;
    }
    if (on != 0) {
      events_counted = 0;
      counter_handle = at::addThreadLocalCallback(at::RecordFunctionCallback(&count_one));
    }
  });
}

uint64_t omc_events_counted() { return events_counted.load(std::memory_order_relaxed); }

void* omc_pin(void* tensor, char* err, size_t n) {
  void* pinned = nullptr;
  guarded(err, n, [&] { pinned = new at::Tensor(static_cast<at::Tensor*>(tensor)->pin_memory()); });
  return pinned;
}

}  // extern "C"
