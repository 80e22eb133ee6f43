// A caching allocator over a driver's allocate and release, which are slow and may synchronise the device.
//
// Sizes are rounded up to classes, eight a doubling (at most 12.5 % over), multiples of 512 bytes. Blocks up to 1 MiB
// are carved from slabs of 2 MiB; larger ones are the driver's own. A freed block goes to its class's list and is
// handed out again, last in first out. The pool never touches the memory itself: managed memory would move to the CPU.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

namespace ca {

struct SizeClass {
  unsigned index;
  unsigned long bytes;
};

struct MemoryPool {
  static constexpr unsigned long granule = 512, small_bytes = 1ul << 20, slab_bytes = 2ul << 20, largest = 1ul << 47;
  static constexpr int classes = 8 + 8 * (47 - 12);
  static constexpr int success = 0, out_of_memory = 2;  // as in CUDA

  int (*allocate)(void** pointer, std::size_t bytes, unsigned flags);  // as cudaMallocManaged
  int (*release)(void* pointer);
  unsigned flags;
  unsigned long limit;  // of bytes taken from the driver; 0: none
  bool pooled = true;   // false: every block is the driver's own, of the exact size, so that a checker sees its bounds

  std::mutex mutex;
  std::vector<unsigned long> free_blocks[classes];
  std::map<unsigned long, unsigned long> slabs;          // address -> bytes known to be free; filled in by trim()
  unsigned long slab_next = 0, slab_end = 0;             // what is still uncarved of the newest slab
  unsigned long used = 0, reserved = 0, peak_used = 0, live_blocks = 0;
  int last_error = success;

  // 512, 1024 ... 4096, then 4608, 5120 ... 8192, 9216 ...
  static SizeClass size_class(unsigned long bytes) {
    if (bytes <= 8 * granule) {
      const unsigned index = bytes ? unsigned((bytes - 1) / granule) : 0;
      return {index, (index + 1) * granule};
    }
    const unsigned doubling = 63 - __builtin_clzl(bytes - 1);  // 2^doubling < bytes <= 2^(doubling + 1)
    const unsigned long step = 1ul << (doubling - 3), steps = (bytes + step - 1) / step;  // 9 ... 16 steps
    return {8 + (doubling - 12) * 8 + unsigned(steps - 9), steps * step};
  }

  // The inverse of size_class.
  static unsigned long class_bytes(unsigned index) {
    return index < 8 ? (index + 1) * granule : (9ul + index % 8) << (9 + (index - 8) / 8);
  }

  unsigned long get(unsigned long bytes) {
    last_error = success;
    if (bytes > largest) return last_error = out_of_memory, 0;
    const SizeClass size = pooled ? size_class(bytes) : SizeClass{0, bytes};
    unsigned long pointer = 0;
    if (!pooled) {
      pointer = take(bytes);
    } else if (!free_blocks[size.index].empty()) {
      pointer = free_blocks[size.index].back();
      free_blocks[size.index].pop_back();
    } else if (size.bytes <= small_bytes) {
      pointer = carve(size.bytes);
    } else {
      pointer = take(size.bytes);
    }
    if (!pointer) return 0;
    used += size.bytes;
    if (used > peak_used) peak_used = used;
    ++live_blocks;
    return pointer;
  }

  void put(unsigned long pointer, unsigned long bytes) {
    const SizeClass size = pooled ? size_class(bytes) : SizeClass{0, bytes};
    unsigned long released = 0;
    if (pooled) free_blocks[size.index].push_back(pointer);
    else give_up(pointer, bytes, released);
    used -= size.bytes;
    --live_blocks;
  }

  unsigned long carve(unsigned long bytes) {
    if (slab_end - slab_next < bytes) {
      const unsigned long slab = take(slab_bytes);
      if (!slab) return 0;
      free_rest_of_slab();
      slabs[slab] = 0;
      slab_next = slab;
      slab_end = slab + slab_bytes;
    }
    slab_next += bytes;
    return slab_next - bytes;
  }

  // Turns what is uncarved into free blocks, the largest first.
  void free_rest_of_slab() {
    while (slab_next < slab_end) {
      const unsigned long rest = slab_end - slab_next;
      SizeClass size = size_class(rest < small_bytes ? rest : small_bytes);
      if (size.bytes > rest) size = {size.index - 1, class_bytes(size.index - 1)};
      free_blocks[size.index].push_back(slab_next);
      slab_next += size.bytes;
    }
  }

  // From the driver; when it refuses or the limit is near, once more after giving back what lies unused.
  unsigned long take(unsigned long bytes) {
    for (bool trimmed = false;; trimmed = true) {
      void* pointer = nullptr;
      last_error = out_of_memory;
      if (!limit || (reserved <= limit && bytes <= limit - reserved)) last_error = allocate(&pointer, bytes, flags);
      if (last_error == success && pointer) {
        reserved += bytes;
        return reinterpret_cast<unsigned long>(pointer);
      }
      if (trimmed) return 0;
      const int error = last_error;
      if (trim() == 0) return last_error = error, 0;
    }
  }

  void give_up(unsigned long pointer, unsigned long bytes, unsigned long& total) {
    const int error = release(reinterpret_cast<void*>(pointer));
    if (error != success) last_error = error;
    reserved -= bytes;
    total += bytes;
  }

  // Releases cached large blocks, and slabs of which every block is free.
  unsigned long trim() {
    unsigned long total = 0;
    const unsigned large = size_class(small_bytes).index + 1;
    for (unsigned i = large; i < classes; ++i) {
      const unsigned long bytes = class_bytes(i);
      for (unsigned long pointer : free_blocks[i]) give_up(pointer, bytes, total);
      free_blocks[i].clear();
    }
    free_rest_of_slab();
    slab_next = slab_end = 0;
    auto slab_of = [&](unsigned long pointer) { return --slabs.upper_bound(pointer); };
    for (auto& slab : slabs) slab.second = 0;
    for (unsigned i = 0; i < large; ++i)
      for (unsigned long pointer : free_blocks[i]) slab_of(pointer)->second += class_bytes(i);
    for (unsigned i = 0; i < large; ++i) {
      std::vector<unsigned long> kept;
      for (unsigned long pointer : free_blocks[i])
        if (slab_of(pointer)->second < slab_bytes) kept.push_back(pointer);
      free_blocks[i].swap(kept);
    }
    for (auto slab = slabs.begin(); slab != slabs.end();) {
      if (slab->second < slab_bytes) {
        ++slab;
      } else {
        give_up(slab->first, slab_bytes, total);
        slab = slabs.erase(slab);
      }
    }
    return total;
  }
};

// ---- for Python and numba: addresses as integers, nothing thrown -------------------------------------------------
inline MemoryPool& pool_at(unsigned long pool) noexcept { return *reinterpret_cast<MemoryPool*>(pool); }

// The pool lives as long as the process.
inline unsigned long pool_create(unsigned long allocate_address, unsigned long release_address, unsigned flags,
                                 unsigned long limit_bytes, bool pooled) noexcept {
  MemoryPool* pool = new MemoryPool;
  pool->allocate = reinterpret_cast<int (*)(void**, std::size_t, unsigned)>(allocate_address);
  pool->release = reinterpret_cast<int (*)(void*)>(release_address);
  pool->flags = flags;
  pool->limit = limit_bytes;
  pool->pooled = pooled;
  return reinterpret_cast<unsigned long>(pool);
}

// 0: out of memory; pool_last_error() says what the driver answered.
inline unsigned long pool_allocate(unsigned long pool, unsigned long bytes) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  return pool_at(pool).get(bytes);
}

// `bytes` as asked for when the block was allocated.
inline void pool_free(unsigned long pool, unsigned long pointer, unsigned long bytes) noexcept {
  if (!pointer) return;
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).put(pointer, bytes);
}

// Gives unused memory back to the driver; returns how many bytes.
inline unsigned long pool_trim(unsigned long pool) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).last_error = MemoryPool::success;
  return pool_at(pool).trim();
}

// What is reserved beyond a new limit stays until it is trimmed.
inline void pool_set_limit(unsigned long pool, unsigned long limit_bytes) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).limit = limit_bytes;
}

inline int pool_last_error(unsigned long pool) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  return pool_at(pool).last_error;
}

// out: bytes used, bytes reserved, the most bytes ever used, the limit, the number of blocks in use.
inline bool pool_statistics(unsigned long pool, unsigned long* out) noexcept {
  if (!pool || !out) return false;
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  const MemoryPool& p = pool_at(pool);
  const unsigned long values[] = {p.used, p.reserved, p.peak_used, p.limit, p.live_blocks};
  for (int i = 0; i < 5; ++i) out[i] = values[i];
  return true;
}

// Around a fork, so that the child does not inherit a lock that another thread held.
inline void pool_lock(unsigned long pool) noexcept { pool_at(pool).mutex.lock(); }
inline void pool_unlock(unsigned long pool) noexcept { pool_at(pool).mutex.unlock(); }

// ---- the driver of the host backend ------------------------------------------------------------------------------
// Huge pages where they fit: the first touch of an array is five times as fast.
inline int host_allocate(void** pointer, std::size_t bytes, unsigned /*flags*/) noexcept {
  constexpr std::size_t huge_page = 2ul << 20;
  const bool huge = bytes >= 2 * huge_page;
  if (posix_memalign(pointer, huge ? huge_page : MemoryPool::granule, bytes) != 0) return MemoryPool::out_of_memory;
  if (huge) madvise(*pointer, bytes, MADV_HUGEPAGE);
  return MemoryPool::success;
}

inline int host_release(void* pointer) noexcept {
  std::free(pointer);
  return MemoryPool::success;
}

}  // namespace ca
