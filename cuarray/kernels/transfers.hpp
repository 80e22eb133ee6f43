// What passes between the CPU and a GPU besides launches: copies of bytes, and large arrays, whose pages move.
//
// Copies go through pinned memory: to touch managed memory itself would move its page, there and back. What is written
// is copied at once, and reaches the device in order with the stream; what is read is waited for. Large pieces are
// copied by several threads, as one cannot read ordinary memory as fast as the device can be written to.
//
// An array that the CPU asked for is lent: its pages are prefetched to the CPU by whoever lends it, and the first launch
// after that which has an address in it for an argument prefetches them back (48 GB/s on an H100, against 12 if kernels
// fault them in one after another). As long as nothing is lent this costs a launch one look at a number.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "process_wide.hpp"

namespace ca {

// A driver's, as in CUDA.
struct TransferFunctions {
  int (*to_host)(void* to, unsigned long from, std::size_t bytes, void* stream);
  int (*to_device)(unsigned long to, const void* from, std::size_t bytes, void* stream);
  int (*synchronize)(void* stream);
  int (*allocate_pinned)(void** memory, std::size_t bytes, unsigned flags);
  int (*create_event)(void** event, unsigned flags);
  int (*record_event)(void* event, void* stream);
  int (*synchronize_event)(void* event);
  int (*is_capturing)(void* stream, int* status);
  int (*set_context)(void* context);
  int (*prefetch)(unsigned long pointer, std::size_t bytes, int device, void* stream);  // null: pages do not move
};

// ---- copies
constexpr std::size_t small_bytes = 1 << 16, large_bytes = 1 << 21;  // of a piece of pinned memory
constexpr int no_staging = -1;                                       // all of it is in use: do without

struct Staging {
  char* memory;
  void* event;
  bool pending;  // until the event is reached, the device may still have to read the memory
};

// Pieces of pinned memory, made when the first is wanted.
struct StagingPool {
  std::size_t bytes, count;
  std::mutex mutex{};
  bool made = false;
  std::vector<Staging> free{};

  // A driver's result, or no_staging.
  int take(const TransferFunctions& driver, Staging& out) {
    constexpr unsigned portable = 1, no_timing = 2;
    const std::lock_guard lock(mutex);
    if (!made) {
      void* memory = nullptr;
      if (const int failed = driver.allocate_pinned(&memory, count * bytes, portable)) return failed;
      made = true;
      for (std::size_t k = 0; k < count; ++k) {
        Staging one{static_cast<char*>(memory) + k * bytes, nullptr, false};
        if (driver.create_event(&one.event, no_timing) == 0) free.push_back(one);
      }
    }
    if (free.empty()) return no_staging;
    out = free.back();
    free.pop_back();
    return 0;
  }
  void give(const Staging& one) {
    const std::lock_guard lock(mutex);
    free.insert(one.pending ? free.begin() : free.end(), one);  // what is still to be read is wanted last
  }
};

struct Transfers {
  TransferFunctions driver{};
  void* context = nullptr;
  int device = 0;
  StagingPool small{small_bytes, 16}, large{large_bytes, 8};

  // Fills the memory, which is not pending any more, and has it copied.
  int write(Staging& one, unsigned long to, unsigned long from, std::size_t bytes, void* stream) const {
    if (const int failed = one.pending ? driver.synchronize_event(one.event) : 0) return failed;
    one.pending = false;
    std::memcpy(one.memory, reinterpret_cast<const void*>(from), bytes);
    if (const int failed = driver.to_device(to, one.memory, bytes, stream)) return failed;
    one.pending = driver.record_event(one.event, stream) == 0;
    return one.pending ? 0 : driver.synchronize(stream);
  }
};
CA_PROCESS_WIDE(Transfers*, transfers_instance, new Transfers)  // never destroyed: threads may outlive main()
inline Transfers& transfers() noexcept { return *transfers_instance(); }

inline void transfer_set(unsigned long functions, unsigned long context, int device) noexcept {
  std::memcpy(&transfers().driver, reinterpret_cast<const void*>(functions), sizeof(TransferFunctions));
  transfers().context = reinterpret_cast<void*>(context);
  transfers().device = device;
}

// At most small_bytes, once all work on the stream so far is done.
inline int transfer_read(unsigned long from, unsigned long to, unsigned long bytes, unsigned long stream) noexcept {
  Transfers& own = transfers();
  void* const on = reinterpret_cast<void*>(stream);
  Staging one;
  if (const int failed = own.small.take(own.driver, one)) return failed;
  int failed = one.pending ? own.driver.synchronize_event(one.event) : 0;
  if (!failed) {
    one.pending = false;
    failed = own.driver.to_host(one.memory, from, bytes, on);
  }
  if (!failed) failed = own.driver.synchronize(on);
  if (!failed) std::memcpy(reinterpret_cast<void*>(to), one.memory, bytes);
  own.small.give(one);
  return failed;
}

// In order with the stream; the source may change as soon as this returns.
inline int transfer_write(unsigned long to, unsigned long from, unsigned long bytes, unsigned long stream) noexcept {
  Transfers& own = transfers();
  void* const on = reinterpret_cast<void*>(stream);
  const bool large = bytes > small_bytes;
  StagingPool& pool = large ? own.large : own.small;
  std::atomic<unsigned long> done{0};
  std::atomic<int> result{0};
  // Piece by piece, as long as there are any and nothing went wrong.
  auto work = [&](bool first) noexcept {
    if (!first && own.driver.set_context(own.context)) return;
    Staging one;
    const int none = pool.take(own.driver, one);
    if (none) {
      if (first) result = none;  // others' help is not needed
      return;
    }
    while (!result) {
      const unsigned long at = done.fetch_add(pool.bytes);
      if (at >= bytes) break;
      const unsigned long left = bytes - at;
      if (const int failed = own.write(one, to + at, from + at, left < pool.bytes ? left : pool.bytes, on)) result = failed;
    }
    pool.give(one);
  };
  constexpr unsigned most = 6;  // more do not read faster
  const unsigned long pieces = (bytes + pool.bytes - 1) / pool.bytes, cores = std::thread::hardware_concurrency();
  std::vector<std::thread> others;
  try {
    for (unsigned long k = 1; k < most && k < pieces && k < cores; ++k) others.emplace_back(work, false);
  } catch (...) {  // fewer do it, too
  }
  work(true);
  for (std::thread& other : others) other.join();
  return result;
}

// ---- large arrays
struct Lent {
  unsigned long low, high;
};

struct LentArrays {
  std::atomic<unsigned> count{0};
  std::mutex mutex;
  std::vector<Lent> ranges;
};
CA_PROCESS_WIDE(LentArrays*, lent_arrays_instance, new LentArrays)
inline LentArrays& lent_arrays() noexcept { return *lent_arrays_instance(); }

// The CPU is about to look at this memory: its pages go there, once the work on the stream so far is done.
inline void transfer_lend(unsigned long pointer, unsigned long bytes, unsigned long stream) noexcept {
  constexpr unsigned long worth_it = 1ul << 20;  // below this, faulting the pages in is as quick as asking for them
  constexpr std::size_t most = 64;               // the oldest is forgotten: its pages move when they are touched
  constexpr int cpu = -1;
  const Transfers& own = transfers();
  if (!own.driver.prefetch || bytes < worth_it) return;
  own.driver.prefetch(pointer, bytes, cpu, reinterpret_cast<void*>(stream));  // no more than a hint
  LentArrays& lent = lent_arrays();
  const std::lock_guard lock(lent.mutex);
  std::erase_if(lent.ranges, [=](const Lent& one) { return one.low < pointer + bytes && pointer < one.high; });
  if (lent.ranges.size() >= most) lent.ranges.erase(lent.ranges.begin());
  lent.ranges.push_back({pointer, pointer + bytes});
  lent.count = unsigned(lent.ranges.size());
}

__attribute__((noinline)) inline void prefetch_lent(const unsigned long* words, std::size_t count, void* stream) noexcept {
  LentArrays& lent = lent_arrays();
  const Transfers& own = transfers();
  const std::lock_guard lock(lent.mutex);
  for (std::size_t k = 0; k < count; ++k)
    std::erase_if(lent.ranges, [&](const Lent& one) {
      if (words[k] < one.low || words[k] >= one.high) return false;
      int capturing = 0;  // a graph would prefetch whenever it is launched
      if (!own.driver.prefetch || own.driver.is_capturing(stream, &capturing) || capturing) return false;
      own.driver.prefetch(one.low, one.high - one.low, own.device, stream);  // no more than a hint
      return true;
    });
  lent.count = unsigned(lent.ranges.size());
}

// Before a launch on this stream, some of whose words are addresses.
inline void take_back(const unsigned long* words, std::size_t count, void* stream) noexcept {
  if (__builtin_expect(lent_arrays().count.load(std::memory_order_relaxed) != 0, 0)) prefetch_lent(words, count, stream);
}

}  // namespace ca
