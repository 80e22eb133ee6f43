// Graphs on the host: launches on a stream that is being captured are written down instead of run, and replayed in
// order. Whoever launches, Python, njit or C++, comes through launch_on_stream.
#pragma once
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

#include "grid.hpp"

namespace ca::host {

// A kernel as it is launched, and the bytes of its parameters: what has to be copied of a launch's arguments. Constants,
// as Cling takes far longer for anything that has to run.
struct KernelDescription {
  RunThreads* function;
  const unsigned long* sizes;
  unsigned long count;
};
// Of one kernel and not of a function type: what a refused definition instantiated can stay broken, and then it must be
// that kernel's alone.
template <auto F, class Function = decltype(F)> struct kernel_parameters;
template <auto F, class... A> struct kernel_parameters<F, void (*)(A...)> {
  static constexpr unsigned long count = sizeof...(A);
  static constexpr unsigned long sizes[] = {sizeof(std::remove_cv_t<std::remove_reference_t<A>>)..., 0};
};
template <auto F, class... A>
struct kernel_parameters<F, void (*)(A...) noexcept> : kernel_parameters<F, void (*)(A...)> {};
template <auto F, int Mode, class... A>
struct kernel_parameters<F, void (*)(Here<Mode>, A...)> : kernel_parameters<F, void (*)(A...)> {};
template <auto F, int Mode, class... A>
struct kernel_parameters<F, Passes (*)(Here<Mode>, A...)> : kernel_parameters<F, void (*)(A...)> {};
template <auto F>
inline constexpr KernelDescription kernel_description = {
    &thunk<F>::run_threads, kernel_parameters<F>::sizes, kernel_parameters<F>::count};

struct RecordedLaunch {
  void* function;
  unsigned grid[3], block[3], shared_bytes;
  char* storage;  // the arguments, 64 bytes aligned
  std::vector<unsigned long> offsets;
};

struct Recording {
  std::vector<RecordedLaunch> launches;
  ~Recording() {
    for (RecordedLaunch& launch : launches) std::free(launch.storage);
  }
};

struct Recordings {
  std::atomic_flag flag = ATOMIC_FLAG_INIT;
  std::atomic<unsigned> active{0};                          // streams that are being captured
  std::unordered_map<void*, Recording*> streams;
  std::unordered_map<void*, const KernelDescription*> kernels;

  void lock() noexcept {
    while (flag.test_and_set(std::memory_order_acquire)) sched_yield();  // held for a few instructions only
  }
  void unlock() noexcept { flag.clear(std::memory_order_release); }
};

CA_PROCESS_WIDE(Recordings*, recordings_instance, new Recordings)
inline Recordings& recordings() noexcept { return *recordings_instance(); }

inline bool record(Recordings& all, Recording& recording, RecordedLaunch launch, void** args) {
  const KernelDescription& parameters = *all.kernels.at(launch.function);
  unsigned long bytes = 0;
  for (unsigned long i = 0; i < parameters.count; ++i) {
    launch.offsets.push_back(bytes);
    bytes += (parameters.sizes[i] + 63) / 64 * 64;
  }
  void* storage = nullptr;
  if (posix_memalign(&storage, 64, bytes ? bytes : 64) != 0) return false;
  launch.storage = static_cast<char*>(storage);
  for (unsigned long i = 0; i < parameters.count; ++i)
    std::memcpy(launch.storage + launch.offsets[i], args[i], parameters.sizes[i]);
  recording.launches.push_back(std::move(launch));
  return true;
}

// cuLaunchKernel for the host: launch(), or a note of it where the stream is being captured.
inline int launch_on_stream(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                            unsigned block_y, unsigned block_z, unsigned shared_bytes, void* stream, void** args,
                            void** extra) noexcept {
  Recordings& all = recordings();
  if (all.active.load(std::memory_order_relaxed) != 0 && stream && function && !extra) {
    int result = -1;
    all.lock();
    try {
      const auto found = all.streams.find(stream);
      if (found != all.streams.end()) {
        RecordedLaunch launch{function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, nullptr, {}};
        result = record(all, *found->second, std::move(launch), args) ? success : out_of_memory;
      }
    } catch (const std::bad_alloc&) {
      result = out_of_memory;
    } catch (...) {
      result = invalid_handle;  // no kernel that was described
    }
    all.unlock();
    if (result >= 0) return result;
  }
  return launch(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, args, extra);
}

// ---- for Python: addresses as integers, nothing thrown -----------------------------------------------------------
// The address that launches a kernel; what its parameters are is known from now on.
inline unsigned long register_kernel(unsigned long description) noexcept {
  const auto* kernel = reinterpret_cast<const KernelDescription*>(description);
  void* const address = reinterpret_cast<void*>(kernel->function);
  Recordings& all = recordings();
  all.lock();
  all.kernels[address] = kernel;
  all.unlock();
  return reinterpret_cast<unsigned long>(address);
}

inline Recording& recording_at(unsigned long recording) noexcept { return *reinterpret_cast<Recording*>(recording); }

inline unsigned long recording_create() noexcept { return reinterpret_cast<unsigned long>(new Recording); }
inline void recording_destroy(unsigned long recording) noexcept { delete &recording_at(recording); }
inline unsigned long recording_size(unsigned long recording) noexcept { return recording_at(recording).launches.size(); }

// Launches on this stream are recorded from now on.
inline void recording_add_stream(unsigned long recording, unsigned long stream) noexcept {
  Recordings& all = recordings();
  all.lock();
  all.streams[reinterpret_cast<void*>(stream)] = &recording_at(recording);
  all.active = all.streams.size();
  all.unlock();
}

inline void recording_remove_stream(unsigned long stream) noexcept {
  Recordings& all = recordings();
  all.lock();
  all.streams.erase(reinterpret_cast<void*>(stream));
  all.active = all.streams.size();
  all.unlock();
}

// Runs what was recorded, in order; stops at what fails. On a stream that is being captured it is recorded again.
inline int recording_replay(unsigned long recording, unsigned long stream) noexcept {
  std::vector<void*> args;
  for (const RecordedLaunch& l : recording_at(recording).launches) {
    args.clear();
    for (unsigned long offset : l.offsets) args.push_back(l.storage + offset);
    args.push_back(nullptr);
    const int result =
        launch_on_stream(l.function, l.grid[0], l.grid[1], l.grid[2], l.block[0], l.block[1], l.block[2],
                         l.shared_bytes, reinterpret_cast<void*>(stream), args.data(), nullptr);
    if (result != success) return result;
  }
  return success;
}

inline void unlock_recordings_after_fork() noexcept { recordings().unlock(); }

}  // namespace ca::host
