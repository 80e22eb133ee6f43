// The functions of CUDA's driver that cuarray.cuda offers, for the CPU: with the driver's signatures and results, so that
// a caller knows an address and not a backend. Work on the CPU is done when its launch returns: streams have nothing to
// wait for, and an event is the time at which it was recorded.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "host/grid.hpp"

namespace ca::host::driver {

enum class Kind { memory, stream, event };
using clock = std::chrono::steady_clock;

struct Object {
  Kind kind;
  bool recorded = false;
  clock::time_point time = {};
};

// Everything that was made and not destroyed, so that a handle that is none is an error, as on the GPU.
struct Objects {
  std::mutex mutex;
  std::unordered_map<unsigned long, Object> live;
  unsigned long last = 0;

  unsigned long add(Kind kind) {
    std::lock_guard<std::mutex> lock(mutex);
    do last += 16;  // handles of streams and events are numbers, not addresses
    while (live.count(last));
    live[last] = Object{kind};
    return last;
  }
  bool add_memory(unsigned long pointer) {
    std::lock_guard<std::mutex> lock(mutex);
    return live.emplace(pointer, Object{Kind::memory}).second;
  }
  bool remove(unsigned long handle, Kind kind) {
    std::lock_guard<std::mutex> lock(mutex);
    const auto found = live.find(handle);
    if (found == live.end() || found->second.kind != kind) return false;
    live.erase(found);
    return true;
  }
  bool has(unsigned long handle, Kind kind) {
    std::lock_guard<std::mutex> lock(mutex);
    const auto found = live.find(handle);
    return found != live.end() && found->second.kind == kind;
  }
};

inline Objects& objects() noexcept {
  static Objects* all = new Objects;  // as long as the process
  return *all;
}

// ---- memory
inline int cuMemAllocManaged(void** pointer, std::size_t bytes, unsigned) noexcept {
  if (bytes == 0) return invalid_value;
  *pointer = nullptr;
  if (posix_memalign(pointer, 512, bytes) != 0) return out_of_memory;
  objects().add_memory(reinterpret_cast<unsigned long>(*pointer));
  return success;
}
inline int cuMemFree(unsigned long pointer) noexcept {
  if (!objects().remove(pointer, Kind::memory)) return invalid_value;
  std::free(reinterpret_cast<void*>(pointer));
  return success;
}
inline int cuMemcpyAsync(unsigned long to, unsigned long from, std::size_t bytes, unsigned long) noexcept {
  if (bytes && (!to || !from)) return invalid_value;
  std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
  return success;
}
inline int cuMemsetD8Async(unsigned long to, unsigned char value, std::size_t bytes, unsigned long) noexcept {
  if (bytes && !to) return invalid_value;
  std::memset(reinterpret_cast<void*>(to), value, bytes);
  return success;
}
inline int cuMemPrefetchAsync(unsigned long pointer, std::size_t, int, unsigned long) noexcept {
  return pointer ? success : invalid_value;
}

// ---- devices
inline int cuDeviceGetCount(int* count) noexcept { return *count = 1, success; }
inline int cuCtxSynchronize() noexcept { return success; }

// ---- streams; 0 is the default stream, 1 and 2 are its two kinds
inline bool is_stream(unsigned long stream) noexcept { return stream <= 2 || objects().has(stream, Kind::stream); }
inline int cuStreamCreate(unsigned long* stream, unsigned) noexcept {
  return *stream = objects().add(Kind::stream), success;
}
inline int cuStreamDestroy(unsigned long stream) noexcept {
  return objects().remove(stream, Kind::stream) ? success : invalid_handle;
}
inline int cuStreamSynchronize(unsigned long stream) noexcept { return is_stream(stream) ? success : invalid_handle; }

// ---- events
inline int cuEventCreate(unsigned long* event, unsigned) noexcept {
  return *event = objects().add(Kind::event), success;
}
inline int cuEventDestroy(unsigned long event) noexcept {
  return objects().remove(event, Kind::event) ? success : invalid_handle;
}
inline int cuEventRecord(unsigned long event, unsigned long stream) noexcept {
  if (!is_stream(stream) || !objects().has(event, Kind::event)) return invalid_handle;
  std::lock_guard<std::mutex> lock(objects().mutex);
  Object& object = objects().live[event];
  object.recorded = true;
  object.time = clock::now();
  return success;
}
inline int cuEventSynchronize(unsigned long event) noexcept {
  return objects().has(event, Kind::event) ? success : invalid_handle;
}
inline int cuEventElapsedTime(float* milliseconds, unsigned long start, unsigned long end) noexcept {
  if (!objects().has(start, Kind::event) || !objects().has(end, Kind::event)) return invalid_handle;
  std::lock_guard<std::mutex> lock(objects().mutex);
  const Object &first = objects().live[start], &second = objects().live[end];
  if (!first.recorded || !second.recorded) return invalid_handle;
  *milliseconds = std::chrono::duration<float, std::milli>(second.time - first.time).count();
  return success;
}

// ---- errors
inline int cuGetErrorName(int code, const char** name) noexcept {
  *name = nullptr;
  switch (code) {
    case success: *name = "CUDA_SUCCESS"; break;
    case invalid_value: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case out_of_memory: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case 100: *name = "CUDA_ERROR_NO_DEVICE"; break;
    case 101: *name = "CUDA_ERROR_INVALID_DEVICE"; break;
    case 201: *name = "CUDA_ERROR_INVALID_CONTEXT"; break;
    case invalid_handle: *name = "CUDA_ERROR_INVALID_HANDLE"; break;
    case 600: *name = "CUDA_ERROR_NOT_READY"; break;
    case 700: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case 701: *name = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"; break;
    case 719: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
  }
  return *name ? success : invalid_value;
}

}  // namespace ca::host::driver
