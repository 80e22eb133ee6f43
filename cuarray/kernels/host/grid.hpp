// Runs a grid of thread blocks on the CPU with CUDA's block model.
//
// Blocks are spread over the cores. The threads of a block run one after another on one OS thread, as plain calls in a
// loop, until one meets a barrier: it is then suspended, and the loop goes on with the next thread on a fresh stack.
// When all threads that have not exited wait, they are resumed in order. A thread therefore never moves to another OS
// thread, and what is thread_local is shared by a block: that is what __shared__ stands for.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include "../process_wide.hpp"
#include "fiber.hpp"
#include "vector_types.hpp"
#include "workers.hpp"

namespace ca::host {

// The results of launch(), with CUDA's values.
constexpr int success = 0, invalid_value = 1, out_of_memory = 2, invalid_handle = 400;
constexpr int assert_failed = 710, launch_failed = 719, cooperative_launch_too_large = 720;

// A suspended thread: a local variable of suspend(), on the thread's own stack.
struct Thread {
  void* stack_pointer;
  uint3 threadIdx;
  Thread* next;
};

// First in, first out. Every kind of barrier keeps those who wait for it in a queue of its own.
struct ThreadQueue {
  Thread *first = nullptr, *last = nullptr;

  bool empty() const { return first == nullptr; }
  void push(Thread* thread) {
    thread->next = nullptr;
    (first ? last->next : first) = thread;
    last = thread;
  }
  Thread* pop() {
    Thread* thread = first;
    first = thread->next;
    return thread;
  }
  void append(ThreadQueue& other) {
    if (other.empty()) return;
    (first ? last->next : first) = other.first;
    last = other.last;
    other.first = nullptr;
  }
};

struct Warp;   // warp.hpp
struct Grid;

// What a block needs besides its threads' own frames; kept between launches. A thread that runs blocks borrows one, so
// there are only ever as many as threads that ran blocks at the same time.
struct Scratch {
  Scratch* next = nullptr;
  Stack *free_stacks = nullptr, *all_stacks = nullptr;
  Warp* warps = nullptr;  // made when a block's warps first do something together
  void* shared = nullptr;
  std::size_t shared_bytes = 0;
};

struct Block;
using RunThreads = void(Block&, void**) noexcept;

// The block that this OS thread runs, as kernels see it, and the state of its threads.
struct Block {
  uint3 threadIdx = {0, 0, 0};
  uint3 blockIdx = {0, 0, 0};
  dim3 blockDim, gridDim;

  unsigned run = 1;             // blocks from this one to the end of its row or of what there is to do
  unsigned taken = 1;           // of these, blocks that a call of `function` ran at once
  bool wide = false;            // `function` is faster with many blocks at once
  unsigned threads = 0;         // in this block
  unsigned started = 0;         // threads are started in order
  unsigned live = 0;            // threads that have not exited, started or not; 0: no block is running
  // threadIdx of the next thread to start. In reverse, or the compiler copies x and y with one load, which has to wait
  // until the last store to x has left the store buffer: 2 ns a thread.
  unsigned next_z = 0, next_y = 0, next_x = 0;
  ThreadQueue ready;            // suspended threads that may go on
  ThreadQueue waiting;          // at barrier()
  ThreadQueue voting;           // at barrier(predicate), which are Voters
  unsigned voters = 0;          // how many
  unsigned elsewhere = 0;       // threads suspended neither in `ready` nor in `waiting`
  unsigned votes = 0;           // that were held
  Warp* warps = nullptr;        // of this block, if they did something together
  void* main_context = nullptr; // run_block(), while other threads of the block are finished
  Stack* new_fiber = nullptr;   // handed to a fiber as it starts
  Scratch* scratch = nullptr;
  RunThreads* function = nullptr;
  void** args = nullptr;
  Grid* grid = nullptr;
  void* escape = nullptr;       // run_blocks(), for a launch that fails
  bool (*watch)(Block&, bool) noexcept = nullptr;  // of a debugged launch (debug.hpp): asked by release_waiting()

  // Begins the next thread, if there is one.
  bool start_thread() {
    if (started == threads) return false;
    ++started;
    threadIdx = {next_x, next_y, next_z};
    if (++next_x == blockDim.x) {
      next_x = 0;
      if (++next_y == blockDim.y) {
        next_y = 0;
        ++next_z;
      }
    }
    return true;
  }
};

CA_THREAD_WIDE(Block, current)

}  // namespace ca::host

// What the index macros read, but in kernels that have a parameter of this name: see Here.
inline const ca::host::Block& ca_here() noexcept { return *ca::host::current(); }

namespace ca::host {

// ---- scratch ----------------------------------------------------------------------------------------------------
struct ScratchList {
  std::atomic_flag lock = ATOMIC_FLAG_INIT;
  Scratch* first = nullptr;

  void acquire() {
    while (lock.test_and_set(std::memory_order_acquire)) sched_yield();  // held for a few instructions only
  }
  void release() { lock.clear(std::memory_order_release); }
};

CA_PROCESS_WIDE(ScratchList*, scratch_list, new ScratchList)

inline Scratch* borrow_scratch() noexcept {
  ScratchList& list = *scratch_list();
  list.acquire();
  Scratch* scratch = list.first;
  if (scratch) list.first = scratch->next;
  list.release();
  return scratch ? scratch : new Scratch;
}

inline void give_back(Scratch* scratch) noexcept {
  ScratchList& list = *scratch_list();
  list.acquire();
  scratch->next = list.first;
  list.first = scratch;
  list.release();
}

// At least as many bytes as the launch asked for; undefined when it asked for none.
inline void* dynamic_shared() noexcept {
  const Scratch* scratch = current()->scratch;
  return scratch ? scratch->shared : nullptr;
}

// `extern __shared__ T name[]` at namespace scope, where it is not known yet whose buffer it is.
template <class T> struct DynamicShared {
  operator T*() const noexcept { return static_cast<T*>(dynamic_shared()); }
  template <class U> explicit operator U*() const noexcept { return static_cast<U*>(dynamic_shared()); }
  T* operator&() const noexcept { return *this; }
};

inline bool reserve_shared(Block& block, std::size_t bytes) noexcept {
  block.scratch = borrow_scratch();
  if (block.scratch->shared_bytes >= bytes) return true;
  std::free(block.scratch->shared);
  block.scratch->shared_bytes = 0;
  if (posix_memalign(&block.scratch->shared, 128, bytes) != 0) {
    block.scratch->shared = nullptr;
    return false;
  }
  block.scratch->shared_bytes = bytes;
  return true;
}

// ---- threads of a block -------------------------------------------------------------------------------------------
// Makes threads ready when none is and none is left to start, so that all that are alive wait for something. Exited
// threads do not count, as on the GPU. Ends the launch if no barrier can let go.
void release_waiting(Block& block) noexcept;  // warp.hpp

// The next thread to resume, when none is left to start and some are alive.
inline Thread* next_ready(Block& block) noexcept {
  if (block.ready.empty()) {
    if (block.elsewhere == 0) block.ready.append(block.waiting);
    else release_waiting(block);
  }
  Thread* thread = block.ready.pop();
  block.threadIdx = thread->threadIdx;
  return thread;
}

// A fiber: runs threads from where the suspended one left off, then makes room for those that are suspended.
inline void run_fiber() noexcept {
  Block& block = *current();
  Stack* stack = block.new_fiber;
  block.function(block, block.args);
  // Free from now on, although this frame is on it: nothing else runs before the switch.
  stack->next = block.scratch->free_stacks;
  block.scratch->free_stacks = stack;
  void* unused;
  switch_stack(&unused, block.live ? next_ready(block)->stack_pointer : block.main_context);
  __builtin_unreachable();
}

inline void* new_fiber(Block& block) noexcept {
  if (!block.scratch) block.scratch = borrow_scratch();
  Stack* stack = block.scratch->free_stacks;
  if (stack) {
    block.scratch->free_stacks = stack->next;
  } else {
    stack = new_stack();
    stack->made_before = block.scratch->all_stacks;
    block.scratch->all_stacks = stack;
  }
  block.new_fiber = stack;
  return new_context(stack, run_fiber);
}

// Leaves the calling thread, which waits somewhere as `self`, until something moved it to `ready`.
inline void switch_away(Block& block, Thread& self) noexcept {
  void* context;
  if (block.ready.empty() && block.started < block.threads) {
    context = new_fiber(block);
  } else {
    Thread* next = next_ready(block);
    if (next == &self) return;
    context = next->stack_pointer;
  }
  switch_stack(&self.stack_pointer, context);
}

// Suspends the calling thread until something moves it from the queue to `ready`.
__attribute__((noinline)) inline void suspend(Block& block, ThreadQueue& queue) noexcept {
  Thread self{nullptr, block.threadIdx, nullptr};
  queue.push(&self);
  switch_away(block, self);
}

// __syncthreads
__attribute__((noinline)) inline void barrier() noexcept {
  Block& block = *current();
  if (block.live > 1) suspend(block, block.waiting);
}

inline void run_block(Block& block) noexcept {
  block.started = 0;
  block.live = block.threads;
  block.warps = nullptr;
  block.next_x = block.next_y = block.next_z = 0;
  block.function(block, block.args);
  // Those still alive are suspended. This context is resumed when all of them have exited.
  if (block.live) switch_stack(&block.main_context, next_ready(block)->stack_pointer);
}

// The kernel F as launch() takes it: the address of run_threads, which runs the threads of the block that have not
// started yet. Arguments are copied for each thread, as on the GPU.
template <auto F, class Function = decltype(F)> struct thunk;
template <auto F, class... A> struct thunk<F, void (*)(A...)> {
  using function_type = void (*)(A...);
  static void run_threads(Block& block, void** args) noexcept { run(block, args, std::index_sequence_for<A...>()); }

 private:
  template <class T> using value = std::remove_cv_t<std::remove_reference_t<T>>;
  template <std::size_t... I> static void run(Block& block, void** args, std::index_sequence<I...>) noexcept {
    run(block, *static_cast<value<A>*>(args[I])...);
  }
  static void run(Block& block, value<A>... a) noexcept {  // a copy that the compiler can keep in registers
    while (block.start_thread()) {
      F(a...);
      --block.live;
    }
  }
};
// What a specialization comes down to is named in its functions: as a base class, F would be instantiated with it, before
// the kernel is to run, and by the definition that only asks for its parameters.
template <auto F, class... A> struct thunk<F, void (*)(A...) noexcept> {
  using function_type = void (*)(A...);
  static void run_threads(Block& block, void** args) noexcept { thunk<F, void (*)(A...)>::run_threads(block, args); }
};

// What a kernel's guards say of a thread, and for how many threads of the row, from this one, they say the same.
struct Passes {
  bool passes = false, branch = false;
  int steady = 1;
};
constexpr int unchanging = 0x7fffffff;
constexpr int sooner(int a, int b) { return a < b ? a : b; }
// For how many steps of i, which grows by one, comparisons of i and the limit stay as they are; or fewer.
template <class T, class L> constexpr int steady(T i, L limit) {
  const long long from = static_cast<long long>(i), to = static_cast<long long>(limit);
  const long long zero = from < 0 ? -from : unchanging;  // where it would be an unsigned number's turn
  const long long there = from < to ? to - from : from == to ? 1 : unchanging;
  const long long least = zero < there ? zero : there;
  return least < unchanging ? int(least) : unchanging;
}

// The first parameter of a kernel that needs no thread in memory; host_text.py rewrites kernels so. The compiler keeps
// it in registers and sees a loop over threads, which it can vectorise.
template <int Mode> struct Here {
  static constexpr bool fused = Mode & 1;    // threads of neighbouring blocks are one loop: threadIdx.x goes on
  static constexpr bool strided = Mode & 2;  // the kernel is one round of a loop over the grid

  uint3 threadIdx, blockIdx;
  dim3 blockDim, gridDim;
  bool probe;   // only say whether this thread passes the kernel's guards
  bool branch;  // the condition of the kernel's first `if` after them
  unsigned long long round;

  constexpr const Here& operator()() const noexcept { return *this; }
  // `round` times i += step
  template <class T, class S> constexpr void advance(T& i, S step) const noexcept {
    using U = std::make_unsigned_t<T>;
    i = T(U(i) + U(round) * U(T(step)));
  }
};

// A kernel that returns Passes has guards: run_threads asks them first, and runs the kernel for those that pass.
template <auto F, bool Guarded, int Mode, class... A> struct indexed_thunk {
  static void run_threads(Block& block, void** args) noexcept { run(block, args, std::index_sequence_for<A...>()); }

 private:
  template <class T> using value = std::remove_cv_t<std::remove_reference_t<T>>;
  template <std::size_t... I> static void run(Block& block, void** args, std::index_sequence<I...>) noexcept {
    run(block, *static_cast<value<A>*>(args[I])...);
  }
  static void run(Block& block, value<A>... a) noexcept {
    uint3 blockIdx = block.blockIdx;
    const dim3 blockDim = block.blockDim, gridDim = block.gridDim;
    int begin = 0, end = int(blockDim.x);  // signed, and no part of a sum: the compiler knows that it does not wrap
    if constexpr (Here<Mode>::fused || Guarded)
      if (std::uint64_t(gridDim.x) * blockDim.x > 0x7fffffff) return run_slowly(block, a...);
    if constexpr (Here<Mode>::fused) {
      constexpr unsigned most = Here<Mode>::strided ? 1 << 20 : 4096;  // threads: what is done once a row costs nothing
      const unsigned blocks = blockDim.x >= most ? 1 : most / blockDim.x;
      block.taken = block.run < blocks ? block.run : blocks;
      begin = int(blockIdx.x * blockDim.x);
      end = begin + int(block.taken * blockDim.x);
      blockIdx.x = 0;
    }
    block.wide = Here<Mode>::strided;
    for (unsigned z = 0; z < blockDim.z; ++z)
      for (unsigned y = 0; y < blockDim.y; ++y)
        for (unsigned long long round = 0;; ++round) {
          // Hidden from the compiler: it takes an index that grows with y for one that grows with x, by so many as that.
          unsigned row = y;
          asm("" : "+r"(row));
          bool all = true;
          for (int first = begin, last = end; first < end; first = last, last = end) {
            Passes asked{true, false, 0};
            if constexpr (Guarded) {
              asked = F(Here<Mode>{{unsigned(first), row, z}, blockIdx, blockDim, gridDim, true, false, round}, a...);
              if (asked.steady < end - first) last = first + asked.steady;
              all &= asked.passes;
              if (!asked.passes) continue;
            }
            if (asked.branch)
              for (int x = first; x < last; ++x)
                F(Here<Mode>{{unsigned(x), row, z}, blockIdx, blockDim, gridDim, false, true, round}, a...);
            else
              for (int x = first; x < last; ++x)
                F(Here<Mode>{{unsigned(x), row, z}, blockIdx, blockDim, gridDim, false, false, round}, a...);
          }
          // As a round is as wide as the grid, there is no other for anybody when it was too much for somebody.
          if (!Here<Mode>::strided || !all) break;
        }
    finish(block);
  }
  // Thread by thread, where a thread's number in its row does not fit an int.
  __attribute__((noinline, cold, minsize)) static void run_slowly(Block& block, value<A>... a) noexcept {
    for (unsigned i = 0; i < block.threads; ++i) {
      const unsigned row = i / block.blockDim.x, y = row % block.blockDim.y, z = row / block.blockDim.y;
      Here<Mode> here{{i % block.blockDim.x, y, z}, block.blockIdx, block.blockDim, block.gridDim, false, false, 0};
      for (Passes asked{true}; asked.passes; ++here.round) {
        if constexpr (Guarded) here.probe = true, asked = F(here, a...);
        here.probe = false, here.branch = asked.branch;
        if (asked.passes) F(here, a...);
        if (!Here<Mode>::strided) break;
      }
    }
    finish(block);
  }
  static void finish(Block& block) noexcept {
    block.started = block.threads;
    block.live = 0;
  }
};
template <auto F, int Mode, class... A> struct thunk<F, void (*)(Here<Mode>, A...)> {
  using function_type = void (*)(A...);
  static void run_threads(Block& block, void** args) noexcept {
    indexed_thunk<F, false, Mode, A...>::run_threads(block, args);
  }
};
template <auto F, int Mode, class... A> struct thunk<F, Passes (*)(Here<Mode>, A...)> {
  using function_type = void (*)(A...);
  static void run_threads(Block& block, void** args) noexcept {
    indexed_thunk<F, true, Mode, A...>::run_threads(block, args);
  }
};

// ---- grids --------------------------------------------------------------------------------------------------------
struct Grid : Job {
  RunThreads* function;
  void** args;
  dim3 gridDim, blockDim;
  std::size_t shared_bytes;
  std::uint64_t blocks, chunk, wide_chunk;
  std::atomic<std::uint64_t> next_block{0};
  std::atomic<int> result{success};
};

// Ends the launch of which a kernel's thread is a part: the other threads of its block are left where they are, and no
// block is begun any more. launch() returns the result.
[[noreturn]] inline void fail_launch(int result) noexcept {
  Block& block = *current();
  int expected = success;
  block.grid->result.compare_exchange_strong(expected, result);
  block.grid->next_block = block.grid->blocks;
  void* unused;
  switch_stack(&unused, block.escape);
  __builtin_unreachable();
}

// Takes chunks of blocks, in ascending order, until none is left.
inline void take_blocks(void* argument) noexcept {
  Grid& grid = *static_cast<Grid*>(argument);
  Block& block = *current();
  while (true) {
    const std::uint64_t chunk = block.wide ? grid.wide_chunk : grid.chunk;
    std::uint64_t i = grid.next_block.fetch_add(chunk, std::memory_order_relaxed);
    if (i >= grid.blocks) break;
    const std::uint64_t left = grid.blocks - i, rows = i / grid.gridDim.x;
    block.blockIdx = {unsigned(i % grid.gridDim.x), unsigned(rows % grid.gridDim.y), unsigned(rows / grid.gridDim.y)};
    for (std::uint64_t n = left < chunk ? left : chunk; n > 0; n -= block.taken) {
      const unsigned row = grid.gridDim.x - block.blockIdx.x;
      block.run = n < row ? unsigned(n) : row;
      run_block(block);
      if ((block.blockIdx.x += block.taken) == grid.gridDim.x) {
        block.blockIdx.x = 0;
        if (++block.blockIdx.y == grid.gridDim.y) {
          block.blockIdx.y = 0;
          ++block.blockIdx.z;
        }
      }
    }
  }
}

inline void run_blocks(Job& job) noexcept {
  Grid& grid = static_cast<Grid&>(job);
  Block& block = *current();
  const Block outer = block;  // a kernel may launch a grid itself
  block = Block();
  block.function = grid.function;
  block.args = grid.args;
  block.grid = &grid;
  block.blockDim = grid.blockDim;
  block.gridDim = grid.gridDim;
  block.threads = grid.blockDim.x * grid.blockDim.y * grid.blockDim.z;
  if (grid.shared_bytes && !reserve_shared(block, grid.shared_bytes)) {
    grid.result = out_of_memory;
    grid.next_block = grid.blocks;
  }
  call_with_escape(&block.escape, take_blocks, &grid);
  if (block.scratch) {
    if (block.live) {  // the launch failed: the stacks of the threads that were left are free again
      block.scratch->free_stacks = nullptr;
      for (Stack* stack = block.scratch->all_stacks; stack; stack = stack->made_before) {
        stack->next = block.scratch->free_stacks;
        block.scratch->free_stacks = stack;
      }
    }
    give_back(block.scratch);
  }
  block = outer;
}

// cuLaunchKernel for the host: `function` is the address of a thunk's run_threads. Returns when the grid is done.
inline int launch(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                  unsigned block_z, unsigned shared_bytes, void* /*stream*/, void** args, void** extra) noexcept {
  if (!function) return invalid_handle;
  if (extra) return invalid_value;  // packed arguments are not supported
  if (grid_x == 0 || grid_y == 0 || grid_z == 0 || block_x == 0 || block_y == 0 || block_z == 0) return invalid_value;
  if (grid_x > 0x7fffffff || grid_y > 65535 || grid_z > 65535 || block_x > 1024 || block_y > 1024 || block_z > 64 ||
      block_x * block_y * block_z > 1024)
    return invalid_value;
  Grid grid;
  grid.run = run_blocks;
  grid.function = reinterpret_cast<RunThreads*>(function);
  grid.args = args;
  grid.gridDim = dim3(grid_x, grid_y, grid_z);
  grid.blockDim = dim3(block_x, block_y, block_z);
  grid.shared_bytes = shared_bytes;
  grid.blocks = std::uint64_t(grid_x) * grid_y * grid_z;
  const std::uint64_t workers = grid.blocks > 1 ? worker_count() : 1;
  if (workers == 1 || current()->live) {  // within a kernel the other cores are busy already
    grid.chunk = grid.wide_chunk = grid.blocks;
    run_blocks(grid);
  } else {
    // Chunks so small that no core waits long for the last one, so large that taking one costs nothing.
    constexpr std::uint64_t chunks_per_worker = 32, wide_chunks_per_worker = 2;
    grid.chunk = grid.blocks / (workers * chunks_per_worker) + 1;
    grid.wide_chunk = grid.blocks / (workers * wide_chunks_per_worker) + 1;
    run_job(grid, unsigned((grid.blocks < workers ? grid.blocks : workers) - 1));
  }
  return grid.result;
}

// For the child of a fork, which has one thread. What others held at that moment is given up, locks included.
inline void reset_after_fork() noexcept {
  workers_instance() = new Workers;
  scratch_list() = new ScratchList;
}

}  // namespace ca::host

#include "warp.hpp"
