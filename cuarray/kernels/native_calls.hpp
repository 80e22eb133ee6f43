// What code compiled by numba calls besides the driver: memory of the pool that numba's reference counts own, the CPU's
// access to an array, and the last error of a thread. Read by Cling only; nothing here throws.
#pragma once
#include <cstddef>

#include "memory_pool.hpp"
#include "transfers.hpp"

namespace ca::native {

// ---- the driver, as the runtime of this process gave it: addresses of functions with the driver's signatures
struct Driver {
  int (*set_context)(void*) = nullptr;  // null where there are no contexts
  void* context = nullptr;
  int no_context = 0;                   // the result that says that the thread has none
  int (*synchronize)(unsigned long) = nullptr;                                // a stream
  void* (*current_stream)() = nullptr;                                        // null: always stream 0
};

inline Driver& driver() noexcept {
  static Driver* the_driver = new Driver;
  return *the_driver;
}

inline void set_driver(unsigned long set_context, unsigned long context, int no_context, unsigned long synchronize,
                       unsigned long current_stream) noexcept {
  Driver& d = driver();
  d.set_context = reinterpret_cast<decltype(d.set_context)>(set_context);
  d.context = reinterpret_cast<void*>(context);
  d.no_context = no_context;
  d.synchronize = reinterpret_cast<decltype(d.synchronize)>(synchronize);
  d.current_stream = reinterpret_cast<decltype(d.current_stream)>(current_stream);
}

// Whether a call that gave `result` should be made again: the thread had no context, and has one now.
inline bool gave_context(int result) noexcept {
  const Driver& d = driver();
  return d.set_context && result == d.no_context && d.set_context(d.context) == 0;
}

// ---- the last error of this thread
// The variable is local to the function because the JIT cannot link thread_local ones of a namespace.
__attribute__((noinline)) inline int& last_error() noexcept {
  static thread_local int code = 0;
  return code;
}
inline void note_error(int code) noexcept { last_error() = code; }
inline int read_last_error(int* code, int reset) noexcept {
  *code = last_error();
  if (reset) last_error() = 0;
  return 0;
}

// ---- memory that a reference count owns
struct Block {
  unsigned long pool, pointer, bytes;
};

inline int allocate_block_by(unsigned long (*allocate)(unsigned long, unsigned long) noexcept, Block* block,
                             unsigned long pool, unsigned long bytes) noexcept {
  *block = {pool, 0, bytes};
  if (!bytes) return 0;
  block->pointer = allocate(pool, bytes);
  if (!block->pointer && gave_context(pool_last_error(pool))) block->pointer = allocate(pool, bytes);
  if (block->pointer) return 0;
  const int code = pool_last_error(pool);
  return code ? code : MemoryPool::out_of_memory;
}

// As code of numba's calls it, by its address: it can have no default arguments.
inline int allocate_block(Block* block, unsigned long pool, unsigned long bytes) noexcept {
  return allocate_block_by(pool_allocate, block, pool, bytes);
}

// As numba's runtime calls a destructor.
inline void release_block(void* payload, std::size_t /*size*/, void* /*info*/) noexcept {
  const Block& block = *static_cast<Block*>(payload);
  pool_free(block.pool, block.pointer, block.bytes);
}

// ---- before the CPU reads an array: `bytes` is what to bring there, as a hint
inline int wait_for_host(unsigned long pointer, unsigned long bytes) noexcept {
  const Driver& d = driver();
  const unsigned long stream = d.current_stream ? reinterpret_cast<unsigned long>(d.current_stream()) : 0;
  transfer_lend(pointer, bytes, stream);
  int result = d.synchronize(stream);
  if (gave_context(result)) result = d.synchronize(stream);
  if (result) note_error(result);
  return result;
}

}  // namespace ca::native
