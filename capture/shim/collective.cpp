// Collectives between the ranks of a stage: c10d's Gloo on the host, its NCCL on CUDA devices. See shim.h.
//
// libtorch's wheels hold both process groups but neither NCCL's nor Gloo's headers, which the groups' own headers
// include. The groups are therefore made by their exported constructors, found by name in the loaded libraries, and
// used only through their public base class, c10d::Backend. This is tied to the libtorch version that the program is
// built against (torch-sys checks it); a missing name is an error, not a guess.
#include "shim.h"

#include <dlfcn.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Options = c10::intrusive_ptr<c10d::Backend::Options>;

constexpr const char* kNcclGroup =
    "_ZN4c10d16ProcessGroupNCCLC1EN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_typeIS3_EEEEiiNS2_INS0_7OptionsENS5_IS8_EEEE";
constexpr const char* kNcclOptions = "_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb";
constexpr const char* kGlooGroup =
    "_ZN4c10d16ProcessGroupGlooC1ERKN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_typeIS3_EEEEiiNS2_INS0_7OptionsENS5_ISA_EEEE";
constexpr const char* kGlooOptions =
    "_ZN4c10d16ProcessGroupGloo7Options14create_defaultENSt6chrono8durationIlSt5ratioILl1ELl1000EEEE";

// Room for an object whose size only its own header knows: some kilobytes, measured in 2.11; far more is given.
constexpr size_t kObjectBytes = 1 << 16;

// Never destroyed: the process ends at once, and NCCL's destructor may wait for ranks that are gone.
c10d::Backend* group = nullptr;

template <class F>
F named(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  TORCH_CHECK(found != nullptr, "this libtorch has no ", name);
  return reinterpret_cast<F>(found);
}

void* room() {
  void* memory = std::aligned_alloc(64, kObjectBytes);
  TORCH_CHECK(memory != nullptr, "out of memory");
  std::memset(memory, 0, kObjectBytes);
  return memory;
}

c10d::Backend* make_nccl(const Store& store, int rank, int size) {
  void* raw = room();
  named<void (*)(void*, bool)>(kNcclOptions)(raw, false);
  auto options = Options::unsafe_steal_from_new(static_cast<c10d::Backend::Options*>(raw));
  options->group_name = "0";
  void* memory = room();
  // Class arguments that are not trivial travel by reference, whatever the class.
  named<void (*)(void*, Store, int, int, Options)>(kNcclGroup)(memory, store, rank, size, options);
  return static_cast<c10d::Backend*>(memory);
}

c10d::Backend* make_gloo(const Store& store, int rank, int size) {
  auto timeout = std::chrono::milliseconds(std::chrono::minutes(10));
  Options options = named<Options (*)(std::chrono::milliseconds)>(kGlooOptions)(timeout);
  options->group_name = "0";
  void* memory = room();
  named<void (*)(void*, const Store&, int, int, Options)>(kGlooGroup)(memory, store, rank, size, options);
  return static_cast<c10d::Backend*>(memory);
}

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

}  // namespace

extern "C" {

int omc_group_init(int nccl, const char* store_path, int rank, int size, char* err, size_t n) {
  return guarded(err, n, [&] {
    TORCH_CHECK(group == nullptr, "this process is in a group already");
    Store store = c10::make_intrusive<c10d::FileStore>(std::string(store_path), size);
    c10d::Backend* made = nccl != 0 ? make_nccl(store, rank, size) : make_gloo(store, rank, size);
    made->setGroupUid("0");
    made->setGroupDesc("stage");
    group = made;
  });
}

int omc_all_reduce(void* tensor, char* err, size_t n) {
  return guarded(err, n, [&] {
    TORCH_CHECK(group != nullptr, "this process is in no group");
    std::vector<at::Tensor> tensors{*static_cast<at::Tensor*>(tensor)};
    group->allreduce(tensors)->wait();
  });
}

}  // extern "C"
