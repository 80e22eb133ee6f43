// A caching allocator over a driver's allocate and release, which are slow and may synchronise the device.
//
// Sizes are rounded up to classes, eight a doubling (at most 12.5 % over), multiples of 512 bytes. Blocks up to 1 MiB
// are carved from slabs of 2 MiB; larger ones are the driver's own. A freed block goes to its class's list and is
// handed out again, last in first out. The pool never touches the memory itself: managed memory would move to the CPU.
//
// A freed block may still be in use by work that is queued. Its next user is queued behind on the same stream: a block
// belongs to the stream that was current when it was allocated, and goes back to that stream's list. Any other stream
// may have used it, too. Streams that are in order with its own (blocking streams and the legacy default stream) need
// nothing; for all others a block waits until an event, recorded on each of them after it was freed, is reached. Where
// there is no stream but the default one, none of this costs anything.
//
// What is allocated or freed while a stream is being captured stays with the graph until the graph is gone.
//
// Scratch blocks are size classes of their own: their first bytes are 0 whenever they are free. They are set to 0 once,
// when a block is first made one, and whoever uses a block leaves them so. Blocks of a driver for which no fill function
// is given are the CPU's, and are filled by it.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "current_stream.hpp"

namespace ca {

struct SizeClass {
  unsigned index;
  unsigned long bytes;
};

// A driver's events, as in CUDA; all null where work is done when its launch returns.
struct EventFunctions {
  int (*create)(void** event, unsigned flags);
  int (*record)(void* event, void* stream);
  int (*query)(void* event);
  int (*synchronize)(void* event);
  int (*destroy)(void* event);
};

// A driver's functions that set memory to a byte's value in order with a stream, and wait for a stream; and one, or
// null, that brings managed memory to a device. As in CUDA.
struct FillFunctions {
  int (*fill)(unsigned long pointer, unsigned char value, std::size_t bytes, void* stream);
  int (*synchronize)(void* stream);
  int (*prefetch)(unsigned long pointer, std::size_t bytes, int device, void* stream);
  int device;
};

// A point in a stream's work.
struct PoolEvent {
  const EventFunctions& functions;
  void* event;

  PoolEvent(const EventFunctions& functions, void* event) : functions(functions), event(event) {}
  PoolEvent(const PoolEvent&) = delete;
  ~PoolEvent() { functions.destroy(event); }
  bool reached() const { return functions.query(event) == 0; }
};
using PoolEvents = std::vector<std::shared_ptr<PoolEvent>>;

struct FreedBlock {
  unsigned long pointer;
  unsigned index;  // of its size class
};

// Blocks that are free when all events are reached.
struct Fence {
  PoolEvents events;
  std::vector<FreedBlock> blocks;

  bool reached() const {
    for (const auto& event : events)
      if (!event->reached()) return false;
    return true;
  }
};

struct HeldBlock {
  unsigned long pointer, bytes;
  bool scratch;
};

// What a graph uses: blocks that were freed while it was captured, or allocated then and freed since.
struct Capture {
  std::vector<HeldBlock> held;
  std::vector<std::shared_ptr<Capture>> others;  // graphs whose blocks this one uses, too
};

struct MemoryPool {
  static constexpr unsigned long granule = 512, small_bytes = 1ul << 20, slab_bytes = 2ul << 20, largest = 1ul << 47;
  static constexpr unsigned long zeroed_bytes = 4096;  // of a scratch block
  static constexpr unsigned sizes = 8 + 8 * (47 - 12), classes = 2 * sizes;  // scratch blocks have the second half
  static constexpr unsigned long per_thread_stream = 2;  // CUDA's: never one that is captured, nor the legacy one
  static constexpr int success = 0, out_of_memory = 2;  // as in CUDA

  int (*allocate)(void** pointer, std::size_t bytes, unsigned flags);  // as cudaMallocManaged
  int (*release)(void* pointer);
  unsigned flags;
  unsigned long limit;  // of bytes taken from the driver; 0: none
  bool pooled = true;   // false: every block is the driver's own, of the exact size, so that a checker sees its bounds

  // The blocks of one stream.
  struct StreamBlocks {
    unsigned long handle = 0;
    bool blocking = true;                            // in order with the legacy default stream
    unsigned references = 0;
    std::vector<unsigned long> free_blocks[classes];
    std::vector<FreedBlock> waiting;                 // freed, and no event recorded since
    std::deque<Fence> fences;                        // the oldest first

    void put(FreedBlock block) { free_blocks[block.index].push_back(block.pointer); }
    unsigned long count(unsigned index) const {
      unsigned long found = free_blocks[index].size();
      for (const FreedBlock& block : waiting) found += block.index == index;
      for (const Fence& fence : fences)
        for (const FreedBlock& block : fence.blocks) found += block.index == index;
      return found;
    }
  };

  std::mutex mutex;
  StreamBlocks main;                                                // of the legacy default stream
  std::map<unsigned long, std::unique_ptr<StreamBlocks>> streams;   // of every other one, by its handle
  std::unordered_map<unsigned long, unsigned long> owners;          // block -> stream, if not the default stream
  PoolEvents departed;                                              // the last work of streams that are gone
  EventFunctions events{};
  FillFunctions fills{};
  std::map<unsigned long, std::shared_ptr<Capture>> capturing;      // stream -> the graph that it is captured for
  std::map<unsigned long, std::shared_ptr<Capture>> captures;       // by address: graphs that are alive
  std::unordered_map<unsigned long, std::shared_ptr<Capture>> captured;  // live block -> the graph it was allocated in
  std::map<unsigned long, unsigned long> slabs;          // address -> bytes known to be free; filled in by trim()
  unsigned long slab_next = 0, slab_end = 0;             // what is still uncarved of the newest slab
  unsigned long used = 0, reserved = 0, peak_used = 0, live_blocks = 0;
  unsigned long live[sizes] = {};  // blocks in use of each size, if they are pooled
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
    if (index >= sizes) index -= sizes;
    return index < 8 ? (index + 1) * granule : (9ul + index % 8) << (9 + (index - 8) / 8);
  }

  unsigned long get(unsigned long bytes, bool scratch = false) {
    last_error = success;
    if (scratch && bytes < zeroed_bytes) bytes = zeroed_bytes;
    if (bytes > largest) return last_error = out_of_memory, 0;
    const SizeClass size = pooled ? size_class(bytes) : SizeClass{0, bytes};
    const unsigned long stream = streams.empty() && capturing.empty() ? 0 : current();
    const auto capture = capture_of(stream);
    // A graph takes blocks of the default stream, whose work is waited for when the capture ends.
    StreamBlocks& blocks = capture ? main : blocks_of(stream);
    unsigned long pointer = 0;
    if (!pooled) {
      pointer = take(bytes);
    } else {
      std::vector<unsigned long>& free_blocks = blocks.free_blocks[size.index + (scratch ? sizes : 0)];
      if (free_blocks.empty()) reclaim(blocks);
      if (!free_blocks.empty()) {
        pointer = free_blocks.back();
        free_blocks.pop_back();
        scratch = false;  // it is one already
      } else if (size.bytes <= small_bytes) {
        pointer = carve(size.bytes);
      } else {
        pointer = take(size.bytes);
      }
    }
    if (!pointer) return 0;
    if (scratch && !set_zero(pointer, stream, capture != nullptr)) {
      const int error = last_error;
      put_unused(pointer, size);
      return last_error = error, 0;
    }
    if (capture) captured[pointer] = capture;
    else if (blocks.handle) owners[pointer] = blocks.handle;
    used += size.bytes;
    if (used > peak_used) peak_used = used;
    ++live_blocks;
    ++live[size.index];
    return pointer;
  }

  // Memory that nothing used yet. While a graph is captured at once, as the graph must not do it each time; otherwise in
  // order with what will use it.
  bool set_zero(unsigned long pointer, unsigned long stream, bool at_once) {
    if (!fills.fill) {
      std::memset(reinterpret_cast<void*>(pointer), 0, zeroed_bytes);
      return true;
    }
    void* const on = reinterpret_cast<void*>(at_once ? per_thread_stream : stream);
    last_error = fills.fill(pointer, 0, zeroed_bytes, on);
    if (last_error == success && at_once) last_error = fills.synchronize(on);
    return last_error == success;
  }

  void put_unused(unsigned long pointer, SizeClass size) {
    unsigned long released = 0;
    if (pooled) main.put({pointer, size.index});
    else give_up(pointer, size.bytes, released);
  }

  void put(unsigned long pointer, unsigned long bytes, bool scratch = false) {
    if (scratch && bytes < zeroed_bytes) bytes = zeroed_bytes;
    if (!captured.empty() || !capturing.empty()) {
      const auto user = capture_of(current());
      const auto found = captured.find(pointer);
      if (found != captured.end()) {
        if (user && user != found->second) user->others.push_back(found->second);
        found->second->held.push_back({pointer, bytes, scratch});
        captured.erase(found);
        return;
      }
      if (user) {
        user->held.push_back({pointer, bytes, scratch});
        return;
      }
    }
    give_back({pointer, bytes, scratch});
  }

  void give_back(HeldBlock block) {
    const unsigned long pointer = block.pointer, bytes = block.bytes;
    SizeClass size = pooled ? size_class(bytes) : SizeClass{0, bytes};
    if (block.scratch) size.index += sizes;
    unsigned long stream = 0, released = 0;
    if (!owners.empty()) {
      const auto owner = owners.find(pointer);
      if (owner != owners.end()) {
        stream = owner->second;
        owners.erase(owner);
      }
    }
    if (!pooled) {
      give_up(pointer, bytes, released);  // the driver waits for its users
    } else {
      StreamBlocks& blocks = blocks_of(stream);
      if (is_ordered(blocks)) blocks.put({pointer, size.index});
      else blocks.waiting.push_back({pointer, size.index});
    }
    used -= size.bytes;
    --live_blocks;
    --live[size.index % sizes];
  }

  unsigned long count_free(unsigned index) const {
    unsigned long found = main.count(index);
    for (const auto& stream : streams) found += stream.second->count(index);
    return found;
  }

  // ---- streams
  static unsigned long current() { return reinterpret_cast<unsigned long>(get_current_stream()); }

  StreamBlocks& blocks_of(unsigned long stream) {
    const auto found = stream ? streams.find(stream) : streams.end();
    return found == streams.end() ? main : *found->second;
  }

  std::shared_ptr<Capture> capture_of(unsigned long stream) const {
    const auto found = stream ? capturing.find(stream) : capturing.end();
    return found == capturing.end() ? nullptr : found->second;
  }

  // Whether work on one stream waits for what was queued on the other before.
  static bool in_order(const StreamBlocks& a, const StreamBlocks& b) {
    return &a == &b || (a.handle == 0 && b.blocking) || (b.handle == 0 && a.blocking);
  }

  // Whether a block of this stream may be used again at once.
  bool is_ordered(const StreamBlocks& blocks) const {
    if (streams.empty() && departed.empty()) return true;
    if (!departed.empty() || !in_order(blocks, main)) return false;
    for (const auto& other : streams)
      if (!in_order(blocks, *other.second)) return false;
    return true;
  }

  std::shared_ptr<PoolEvent> record(unsigned long stream) {
    constexpr unsigned no_timing = 2;
    void* event = nullptr;
    if (events.create(&event, no_timing) != success) return nullptr;
    auto result = std::make_shared<PoolEvent>(events, event);
    return events.record(event, reinterpret_cast<void*>(stream)) == success ? result : nullptr;
  }

  // Makes blocks free that no stream uses any more, and has those freed since wait for all streams.
  void reclaim(StreamBlocks& blocks) {
    // An event must neither be recorded on a stream that is captured nor, with one captured, on the default stream.
    if (!capturing.empty()) return;
    while (!blocks.fences.empty() && blocks.fences.front().reached()) free_oldest(blocks);
    if (!departed.empty()) drop_departed();
    if (blocks.waiting.empty()) return;
    Fence fence;
    fence.events = departed;
    auto add = [&](const StreamBlocks& other) {
      if (in_order(blocks, other)) return true;
      fence.events.push_back(record(other.handle));
      return fence.events.back() != nullptr;
    };
    bool complete = add(main);
    for (const auto& other : streams) complete = complete && add(*other.second);
    if (!complete) return;  // this thread has no context yet, say: they go on waiting
    fence.blocks.swap(blocks.waiting);
    blocks.fences.push_back(std::move(fence));
    if (blocks.fences.size() == 1 && blocks.fences.front().reached()) free_oldest(blocks);
  }

  static void free_oldest(StreamBlocks& blocks) {
    for (const FreedBlock& block : blocks.fences.front().blocks) blocks.put(block);
    blocks.fences.pop_front();
  }

  void drop_departed() {
    PoolEvents left;
    for (const auto& event : departed)
      if (!event->reached()) left.push_back(event);
    departed.swap(left);
  }

  // Waits for the events of all freed blocks.
  void drain(StreamBlocks& blocks) {
    reclaim(blocks);
    for (; !blocks.fences.empty(); free_oldest(blocks))
      for (const auto& event : blocks.fences.front().events)
        if (events.synchronize(event->event) != success) return;
  }

  void add_stream(unsigned long handle, bool blocking) {
    auto& blocks = streams[handle];
    if (!blocks) {
      blocks = std::make_unique<StreamBlocks>();
      blocks->handle = handle;
      blocks->blocking = blocking;
    }
    ++blocks->references;
  }

  // Its blocks become the default stream's, after its last work.
  void remove_stream(unsigned long handle) {
    const auto found = streams.find(handle);
    if (found == streams.end() || --found->second->references) return;
    const std::unique_ptr<StreamBlocks> gone = std::move(found->second);
    streams.erase(found);
    if (auto last = record(handle)) departed.push_back(last);
    for (unsigned i = 0; i < classes; ++i)
      for (unsigned long pointer : gone->free_blocks[i]) main.waiting.push_back({pointer, i});
    for (const Fence& fence : gone->fences)
      main.waiting.insert(main.waiting.end(), fence.blocks.begin(), fence.blocks.end());
    main.waiting.insert(main.waiting.end(), gone->waiting.begin(), gone->waiting.end());
    for (auto owner = owners.begin(); owner != owners.end();)
      owner = owner->second == handle ? owners.erase(owner) : std::next(owner);
  }

  // ---- graphs
  unsigned long begin_capture() {
    auto capture = std::make_shared<Capture>();
    const unsigned long address = reinterpret_cast<unsigned long>(capture.get());
    captures[address] = std::move(capture);
    return address;
  }

  // A graph is gone: live blocks that were allocated for it are like any other from now on, held ones become free.
  void release_capture(unsigned long address) {
    const auto found = captures.find(address);
    if (found == captures.end()) return;
    const std::shared_ptr<Capture> capture = std::move(found->second);
    captures.erase(found);
    for (auto block = captured.begin(); block != captured.end();)
      block = block->second == capture ? captured.erase(block) : std::next(block);
    give_up_capture(capture);
  }

  void give_up_capture(const std::shared_ptr<Capture>& capture) {
    if (capture.use_count() > 1) return;  // another graph uses its blocks
    for (const HeldBlock& block : capture->held) give_back(block);
    capture->held.clear();
    for (auto& other : capture->others) {
      const std::shared_ptr<Capture> last = std::move(other);
      give_up_capture(last);
    }
    capture->others.clear();
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
      main.free_blocks[size.index].push_back(slab_next);
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
        // Kernels would fault new pages in one after another.
        if (fills.prefetch && capturing.empty())
          fills.prefetch(reinterpret_cast<unsigned long>(pointer), bytes, fills.device, get_current_stream());
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

  // Releases cached large blocks, and slabs of which every block is free. Nothing while a stream is being captured:
  // the driver would have to wait for the device.
  unsigned long trim() {
    if (!capturing.empty()) return 0;
    unsigned long total = 0;
    std::vector<StreamBlocks*> all = {&main};
    for (auto& stream : streams) all.push_back(stream.second.get());
    auto is_large = [](unsigned index) { return class_bytes(index) > small_bytes; };
    for (StreamBlocks* blocks : all) {
      drain(*blocks);
      for (unsigned i = 0; i < classes; ++i) {
        if (!is_large(i)) continue;
        for (unsigned long pointer : blocks->free_blocks[i]) give_up(pointer, class_bytes(i), total);
        blocks->free_blocks[i].clear();
      }
    }
    free_rest_of_slab();
    slab_next = slab_end = 0;
    auto slab_of = [&](unsigned long pointer) { return --slabs.upper_bound(pointer); };
    for (auto& slab : slabs) slab.second = 0;
    for (StreamBlocks* blocks : all)
      for (unsigned i = 0; i < classes; ++i)
        for (unsigned long pointer : blocks->free_blocks[i]) slab_of(pointer)->second += class_bytes(i);
    for (StreamBlocks* blocks : all) {
      for (unsigned i = 0; i < classes; ++i) {
        std::vector<unsigned long> kept;
        for (unsigned long pointer : blocks->free_blocks[i])
          if (slab_of(pointer)->second < slab_bytes) kept.push_back(pointer);
        blocks->free_blocks[i].swap(kept);
      }
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

// A block whose first MemoryPool::zeroed_bytes are 0.
inline unsigned long pool_allocate_scratch(unsigned long pool, unsigned long bytes) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  return pool_at(pool).get(bytes, true);
}

// Its first bytes are 0 again, or will be when the work that was queued is done.
inline void pool_free_scratch(unsigned long pool, unsigned long pointer, unsigned long bytes) noexcept {
  if (!pointer) return;
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).put(pointer, bytes, true);
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

// For each size of which there are blocks, from the smallest on: the size, blocks in use, free blocks. `out` has place
// for `most` of such triples; returns how many there are.
inline unsigned long pool_sizes(unsigned long pool, unsigned long* out, unsigned long most) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  const MemoryPool& p = pool_at(pool);
  unsigned long found = 0;
  for (unsigned index = 0; p.pooled && index < MemoryPool::sizes; ++index) {
    const unsigned long free = p.count_free(index) + p.count_free(index + MemoryPool::sizes);
    if (!p.live[index] && !free) continue;
    if (found < most) {
      const unsigned long triple[] = {MemoryPool::class_bytes(index), p.live[index], free};
      std::memcpy(out + 3 * found, triple, sizeof triple);
    }
    ++found;
  }
  return found;
}

// ---- streams and graphs
// The driver's cuEventCreate, cuEventRecord, cuEventQuery, cuEventSynchronize, cuEventDestroy, by their addresses.
inline void pool_set_events(unsigned long pool, unsigned long create, unsigned long record, unsigned long query,
                            unsigned long synchronize, unsigned long destroy) noexcept {
  EventFunctions& events = pool_at(pool).events;
  events.create = reinterpret_cast<int (*)(void**, unsigned)>(create);
  events.record = reinterpret_cast<int (*)(void*, void*)>(record);
  events.query = reinterpret_cast<int (*)(void*)>(query);
  events.synchronize = reinterpret_cast<int (*)(void*)>(synchronize);
  events.destroy = reinterpret_cast<int (*)(void*)>(destroy);
}

// The driver's cuMemsetD8Async, cuStreamSynchronize and, if pages move, cuMemPrefetchAsync, by their addresses.
inline void pool_set_fills(unsigned long pool, unsigned long fill, unsigned long synchronize, unsigned long prefetch,
                           int device) noexcept {
  FillFunctions& fills = pool_at(pool).fills;
  fills.fill = reinterpret_cast<int (*)(unsigned long, unsigned char, std::size_t, void*)>(fill);
  fills.synchronize = reinterpret_cast<int (*)(void*)>(synchronize);
  fills.prefetch = reinterpret_cast<int (*)(unsigned long, std::size_t, int, void*)>(prefetch);
  fills.device = device;
}

// From now on work may be queued on this stream; once for each who uses it. Only where there are events.
inline void pool_add_stream(unsigned long pool, unsigned long stream, bool blocking) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).add_stream(stream, blocking);
}

// Before the stream is destroyed.
inline void pool_remove_stream(unsigned long pool, unsigned long stream) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).remove_stream(stream);
}

// A new capture; release it when its graph is gone.
inline unsigned long pool_begin_capture(unsigned long pool) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  return pool_at(pool).begin_capture();
}

// What threads allocate and free with this stream current belongs to the capture, until the stream leaves it.
inline void pool_join_capture(unsigned long pool, unsigned long capture, unsigned long stream) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).capturing[stream] = pool_at(pool).captures[capture];
}
inline void pool_leave_capture(unsigned long pool, unsigned long stream) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).capturing.erase(stream);
}
inline void pool_release_capture(unsigned long pool, unsigned long capture) noexcept {
  std::lock_guard<std::mutex> lock(pool_at(pool).mutex);
  pool_at(pool).release_capture(capture);
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
