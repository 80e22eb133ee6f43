// What instrumented kernels call (see _kernel/instrument.py): where each thread is, which memory it may touch, who
// touched shared memory since the last barrier. A mistake ends the launch, and a report is left for Python.
//
// The blocks of a debugged launch run one after another on the calling thread, so the first mistake is always the same.
// An instrumented kernel says where it is before each statement (`at`) and passes every pointer that it dereferences
// through `subscript` or `pointee`, every element through `touch`. These take what is no pointer as it is.
#pragma once
#include <fenv.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <type_traits>
#include <utility>

#include "grid.hpp"

namespace ca::debug {

using host::Block;

// In the order of debug.py's _KINDS.
enum Kind { none, bounds, barriers, races, nan, division };
enum Access { reads, writes, updates };
constexpr unsigned check_bounds = 1, check_barriers = 2, check_races = 4, check_nan = 8;

struct Place {
  const char* file;
  int line;
};

// Read by Python: as _Report in debug.py.
struct Report {
  int kind, line;
  unsigned block[3], thread[3];
  unsigned other_thread[3];
  int other_line;  // 0: no other thread is to blame
  char file[256], text[512];
};

// The memory of an argument, or of an array in shared memory.
struct Range {
  std::uintptr_t low = 0, high = 0;
};

// Who touched a byte of shared memory last.
struct Touch {
  unsigned epoch = 0, warp_epoch = 0, thread = 0;
  Place place{};
};
struct Shadow {
  Touch write, read[2];  // the last reader, and the last one of another warp than that
};
struct Shared : Range {
  const char* name = nullptr;
  std::size_t element = 1;
  Shadow* shadow = nullptr;
  std::size_t shadow_bytes = 0;
};

// A write to what another thread wrote, which is a mistake only if it changes something.
struct Pending {
  unsigned size = 0;  // 0: there is none
  std::uintptr_t address;
  unsigned char old[16];
  const Shared* shared;
  Touch mine, theirs;
};

constexpr unsigned most_shared = 64, most_arguments = 256;

struct Context {
  Report report{};
  unsigned checks = 0;
  unsigned arguments = 0;
  Range argument[most_arguments];
  bool known[most_arguments] = {};
  unsigned shared_count = 0;
  Shared shared[most_shared];
  unsigned epoch = 1;  // between two barriers, or two blocks
  Place place[1024] = {};
  bool exited[1024] = {};
  Pending pending;
  bool rearm = false;  // floating-point traps were let pass once
  bool running = false;
  host::Grid* grid = nullptr;
  char* fault_stack = nullptr;
};

__attribute__((noinline)) inline Context& context() noexcept {
  static thread_local Context* found = nullptr;
  if (!found) found = new Context;
  return *found;
}

inline unsigned rank_of(const Block& block) { return host::linear_index(block, block.threadIdx); }
inline uint3 thread_at(const Block& block, unsigned rank) {
  const unsigned x = block.blockDim.x, y = block.blockDim.y;
  return {rank % x, rank / x % y, rank / (x * y)};
}

// ---- reports ------------------------------------------------------------------------------------------------------
inline void set_report(Kind kind, unsigned rank, Place place, const char* format, ...) noexcept {
  const Block& block = *host::current();
  Report& report = context().report;
  const uint3 thread = thread_at(block, rank);
  report = Report{};
  report.kind = kind;
  report.line = place.line;
  report.block[0] = block.blockIdx.x, report.block[1] = block.blockIdx.y, report.block[2] = block.blockIdx.z;
  report.thread[0] = thread.x, report.thread[1] = thread.y, report.thread[2] = thread.z;
  std::snprintf(report.file, sizeof report.file, "%s", place.file ? place.file : "");
  std::va_list values;
  va_start(values, format);
  std::vsnprintf(report.text, sizeof report.text, format, values);
  va_end(values);
}
inline void blame(unsigned rank, Place place) noexcept {
  const uint3 thread = thread_at(*host::current(), rank);
  Report& report = context().report;
  report.other_thread[0] = thread.x, report.other_thread[1] = thread.y, report.other_thread[2] = thread.z;
  report.other_line = place.line;
}
[[noreturn]] inline void stop() noexcept { host::fail_launch(host::launch_failed); }

// ---- where threads are --------------------------------------------------------------------------------------------
[[noreturn]] inline void report_race(const Shared& shared, std::uintptr_t address, Access access, const Touch& mine,
                                     const Touch& theirs, bool they_wrote) noexcept {
  const Block& block = *host::current();
  const uint3 other = thread_at(block, theirs.thread);
  char index[32] = "";
  if (shared.high - shared.low != shared.element)
    std::snprintf(index, sizeof index, "[%lu]", (address - shared.low) / shared.element);
  set_report(races, mine.thread, mine.place,
             "shared memory race: it %s %s%s, which thread (%u, %u, %u) %s at line %d, with no barrier between",
             access == reads ? "reads" : "writes", shared.name, index, other.x, other.y, other.z,
             they_wrote ? "wrote" : "read", theirs.place.line);
  blame(theirs.thread, theirs.place);
  stop();
}

inline void resolve_pending(Context& c) noexcept {
  Pending& pending = c.pending;
  const unsigned size = pending.size;
  pending.size = 0;
  if (std::memcmp(pending.old, reinterpret_cast<void*>(pending.address), size) != 0)
    report_race(*pending.shared, pending.address, writes, pending.mine, pending.theirs, true);
}

__attribute__((noinline)) inline void note_place(int line, const char* file) noexcept {
  Context& c = context();
  Block& block = *host::current();
  if (!block.watch) return;
  c.place[rank_of(block)] = {file, line};
  if (c.pending.size) resolve_pending(c);
  if (c.rearm) {
    c.rearm = false;
    feclearexcept(FE_INVALID);
    feenableexcept(FE_INVALID);
  }
}
// The calling thread is about to execute a statement of this line.
constexpr inline void at(int line = __builtin_LINE(), const char* file = __builtin_FILE()) noexcept {
  if (!__builtin_is_constant_evaluated()) note_place(line, file);
}

// Where the caller of a function is, to which the thread returns from it.
struct Caller {
  Place place{};
  Place* kept = nullptr;
  constexpr Caller() noexcept {
    if (!__builtin_is_constant_evaluated()) keep();
  }
  constexpr ~Caller() {
    if (!__builtin_is_constant_evaluated() && kept) *kept = place;
  }
  void keep() noexcept {
    const Block& block = *host::current();
    if (!block.watch) return;
    kept = &context().place[rank_of(block)];
    place = *kept;
  }
};

// ---- bounds -------------------------------------------------------------------------------------------------------
// What the memory is that `p` points into: an array in shared memory, or all arguments that overlap there, taken
// together. Empty where it is neither. Where one argument ends and the next begins, it may be the end of the first; at
// the end of an argument, it may be the beginning of anything.
inline Range find_range(const Context& c, std::uintptr_t p) noexcept {
  for (unsigned k = 0; k < c.shared_count; ++k)
    if (c.shared[k].low <= p && p < c.shared[k].high) return c.shared[k];
  Range found;
  for (unsigned k = 0; k < c.arguments && !found.high; ++k)
    if (c.known[k] && c.argument[k].low <= p && p < c.argument[k].high) found = c.argument[k];
  for (bool grown = found.high != 0; grown;) {
    grown = false;
    for (unsigned k = 0; k < c.arguments; ++k) {
      const Range& range = c.argument[k];
      if (!c.known[k] || range.low == range.high) continue;
      if (range.high != p && (range.low >= found.high || found.low >= range.high)) continue;
      if (range.low < found.low) found.low = range.low, grown = true;
      if (range.high > found.high) found.high = range.high, grown = true;
    }
  }
  return found;
}

struct Here {
  const char* name;
  int line;
  const char* file;
};

[[noreturn]] __attribute__((noinline)) inline void report_bounds(const Here& here, long index, long extent,
                                                                 long element) noexcept {
  const unsigned rank = rank_of(*host::current());
  const Place place{here.file, here.line};
  const char* plural = extent == 1 ? "" : "s";
  if (index == element) {
    set_report(bounds, rank, place, "out of bounds: %s[%ld] of %ld element%s", here.name, index, extent, plural);
  } else {
    set_report(bounds, rank, place, "out of bounds: %s[%ld] is element %ld of %ld element%s", here.name, index, element,
               extent, plural);
  }
  stop();
}

// K: the number of the kernel's argument that the pointer came from; -1: not known.
__attribute__((noinline)) inline void check_pointer(int k, std::uintptr_t base, long index, std::size_t size,
                                                    bool end_allowed, const Here& here) noexcept {
  Context& c = context();
  const Block& block = *host::current();
  if (!block.watch || !(c.checks & check_bounds)) return;
  const std::uintptr_t address = base + index * size;
  if (base == 0) {
    set_report(bounds, rank_of(block), {here.file, here.line}, "out of bounds: %s[%ld], where %s is a null pointer",
               here.name, index, here.name);
    stop();
  }
  Range range;
  if (k >= 0 && unsigned(k) < c.arguments && c.known[k]) range = c.argument[k];
  else range = find_range(c, base);
  if (!range.high) return;
  const std::uintptr_t high = end_allowed ? range.high + size : range.high;
  if (address >= range.low && address + size <= high && address + size >= address) return;
  const long from_low = long(address - range.low);
  report_bounds(here, index, long((range.high - range.low) / size),
                from_low >= 0 ? from_low / long(size) : -((-from_low + long(size) - 1) / long(size)));
}

template <class T> constexpr bool is_data = std::is_object_v<T>;

// What stands for an array or a pointer before its brackets.
template <class T> struct PointerAccess {
  T* pointer;
  int k;
  bool end_allowed;
  Here here;
  template <class I> constexpr T& operator[](I index) const {
    if (!__builtin_is_constant_evaluated())
      check_pointer(k, reinterpret_cast<std::uintptr_t>(pointer), long(index), sizeof(T), end_allowed, here);
    return pointer[index];
  }
};
template <class T, std::size_t N> struct ArrayAccess {
  T (&array)[N];
  bool end_allowed;
  Here here;
  template <class I> constexpr T& operator[](I index) const {
    if (!__builtin_is_constant_evaluated()) {
      const long i = long(index);
      if ((i < 0 || i >= long(N) + end_allowed) && context().checks & check_bounds && host::current()->watch)
        report_bounds(here, i, N, i);
    }
    return array[index];
  }
};

// What is subscripted next; only its address is taken if `End`.
template <int K, bool End = false, class V>
constexpr decltype(auto) subscript(V&& value, const char* name, int line = __builtin_LINE(),
                                   const char* file = __builtin_FILE()) {
  using T = std::remove_reference_t<V>;
  if constexpr (std::is_array_v<T> && std::extent_v<T> != 0) {
    return ArrayAccess<std::remove_extent_t<T>, std::extent_v<T>>{value, End, {name, line, file}};
  } else if constexpr (std::is_pointer_v<T>) {
    if constexpr (is_data<std::remove_pointer_t<T>>)
      return PointerAccess<std::remove_pointer_t<T>>{value, K, End, {name, line, file}};
    else
      return static_cast<V>(value);
  } else {
    return static_cast<V>(value);
  }
}

// The pointer itself, one element of which is accessed.
template <int K, class V>
constexpr decltype(auto) pointee(V&& value, const char* name, int line = __builtin_LINE(),
                                 const char* file = __builtin_FILE()) {
  using T = std::remove_reference_t<V>;
  if constexpr (std::is_array_v<T>) {
    return static_cast<std::remove_extent_t<T>*>(value);
  } else {
    if constexpr (std::is_pointer_v<T>) {
      if constexpr (is_data<std::remove_pointer_t<T>>)
        if (!__builtin_is_constant_evaluated())
          check_pointer(K, reinterpret_cast<std::uintptr_t>(value), 0, sizeof(*value), false, {name, line, file});
    }
    return static_cast<V>(value);
  }
}

// Called by the checked twins of ca::view and ca::span.
inline void bounds_error(int axis, long index, long extent) noexcept {
  Context& c = context();
  const Block& block = *host::current();
  if (!block.watch || !(c.checks & check_bounds)) return;
  const unsigned rank = rank_of(block);
  set_report(bounds, rank, c.place[rank], "out of bounds: index %ld for axis %d with %ld element%s", index, axis, extent,
             extent == 1 ? "" : "s");
  stop();
}

// ---- races --------------------------------------------------------------------------------------------------------
inline bool is_race(const Context& c, const Touch& theirs, const Touch& mine) noexcept {
  if (theirs.epoch != mine.epoch || theirs.thread == mine.thread) return false;
  return theirs.thread / 32 != mine.thread / 32 || theirs.warp_epoch == mine.warp_epoch;
}

__attribute__((noinline)) inline void note_access(std::uintptr_t address, std::size_t size, Access access, int line,
                                                  const char* file) noexcept {
  Context& c = context();
  Block& block = *host::current();
  if (!block.watch || !(c.checks & check_races)) return;
  if (c.pending.size) resolve_pending(c);
  Shared* shared = nullptr;
  for (unsigned k = 0; k < c.shared_count && !shared; ++k)
    if (c.shared[k].low <= address && address < c.shared[k].high) shared = &c.shared[k];
  if (!shared) return;
  if (shared->shadow_bytes < shared->high - shared->low) {
    delete[] shared->shadow;
    shared->shadow_bytes = shared->high - shared->low;
    shared->shadow = new Shadow[shared->shadow_bytes];
  }
  Touch mine;
  mine.thread = rank_of(block);
  mine.epoch = c.epoch + block.votes;
  mine.warp_epoch = block.warps ? block.warps[mine.thread / 32].finished : 0;
  mine.place = {file, line};
  for (std::size_t k = 0; k < size && address + k < shared->high; ++k) {
    Shadow& shadow = shared->shadow[address + k - shared->low];
    if (is_race(c, shadow.write, mine)) {
      if (access != writes || size > sizeof c.pending.old)
        report_race(*shared, address + k, access, mine, shadow.write, true);
      if (!c.pending.size) {
        c.pending.size = unsigned(size);
        c.pending.address = address;
        std::memcpy(c.pending.old, reinterpret_cast<void*>(address), size);
        c.pending.shared = shared;
        c.pending.mine = mine;
        c.pending.theirs = shadow.write;
      }
    }
    if (access != reads)
      for (const Touch& theirs : shadow.read)
        if (is_race(c, theirs, mine)) report_race(*shared, address + k, access, mine, theirs, false);
    if (access != writes) {
      if (shadow.read[0].epoch == mine.epoch && shadow.read[0].thread / 32 != mine.thread / 32)
        shadow.read[1] = shadow.read[0];
      shadow.read[0] = mine;
    }
    if (access != reads) shadow.write = mine;
  }
}

// An element, just before it is read or written. What is volatile is meant for other threads to see.
template <Access A, class V>
constexpr V touch(V&& value, int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
  using T = std::remove_reference_t<V>;
  if constexpr (std::is_lvalue_reference_v<V> && is_data<T> && !std::is_array_v<T> && !std::is_volatile_v<T>)
    if (!__builtin_is_constant_evaluated())
      note_access(reinterpret_cast<std::uintptr_t>(__builtin_addressof(value)), sizeof(T), A, line, file);
  return static_cast<V&&>(value);
}

// What orders the accesses of threads that wait for one another in other ways: a lock, a flag. No race is seen across it.
inline void fence() noexcept {
  if (host::current()->watch) ++context().epoch;
}

inline void add_shared(std::uintptr_t low, std::size_t bytes, std::size_t element, const char* name) noexcept {
  Context& c = context();
  for (unsigned k = 0; k < c.shared_count; ++k)
    if (c.shared[k].low == low) return;
  if (c.shared_count == most_shared || !host::current()->watch) return;
  Shared& shared = c.shared[c.shared_count++];
  shared.low = low, shared.high = low + bytes;
  shared.element = element;
  shared.name = name;
}
// A variable that was just declared in shared memory.
template <class T> inline void shared_variable(T& variable, const char* name) noexcept {
  const std::size_t element = sizeof(std::remove_all_extents_t<T>);
  add_shared(reinterpret_cast<std::uintptr_t>(__builtin_addressof(variable)), sizeof variable, element, name);
}

// `extern __shared__ T name[]`: known since the block began, but not what it is called.
template <class P> inline void dynamic_shared(const P& pointer, const char* name) noexcept {
  if constexpr (std::is_pointer_v<P>) {
    Context& c = context();
    for (unsigned k = 0; k < c.shared_count; ++k)
      if (c.shared[k].low == reinterpret_cast<std::uintptr_t>(pointer) && c.shared[k].element == 1)
        c.shared[k].name = name, c.shared[k].element = sizeof *pointer;
  }
}

// ---- barriers -----------------------------------------------------------------------------------------------------
inline bool same_place(const Place& a, const Place& b) {
  return a.line == b.line && (a.file == b.file || (a.file && b.file && std::strcmp(a.file, b.file) == 0));
}

// Some threads wait at a barrier, at most one line of which is `waiting`; all others exited or wait elsewhere.
inline void check_arrivals(Block& block, const bool (&waits)[1024]) noexcept {
  Context& c = context();
  unsigned first = 0;
  while (first < block.threads && !waits[first]) ++first;
  if (first == block.threads) return;
  unsigned arrived = 0, missing = block.threads;
  for (unsigned k = 0; k < block.threads; ++k) {
    if (waits[k] && same_place(c.place[k], c.place[first])) ++arrived;
    else if (missing == block.threads) missing = k;
  }
  if (missing == block.threads) return;
  const uint3 other = thread_at(block, missing);
  set_report(barriers, first, c.place[first],
             "a barrier is reached by %u of %u threads: thread (%u, %u, %u) %s at line %d", arrived, block.threads,
             other.x, other.y, other.z, c.exited[missing] ? "has exited" : "waits", c.place[missing].line);
  blame(missing, c.place[missing]);
  stop();
}

// Called when no thread of the block can go on; true if they can now. `deadlock`: nothing else helped.
inline bool watch(Block& block, bool deadlock) noexcept {
  Context& c = context();
  if (c.pending.size) resolve_pending(c);
  if (block.elsewhere != 1 && !deadlock) return false;
  bool waits[1024] = {};
  for (host::Thread* t = block.waiting.first; t; t = t->next) waits[host::linear_index(block, t->threadIdx)] = true;
  if (deadlock)
    for (host::Thread* t = block.voting.first; t; t = t->next) waits[host::linear_index(block, t->threadIdx)] = true;
  if (deadlock || c.checks & check_barriers) check_arrivals(block, waits);
  if (deadlock) {  // within warps
    set_report(barriers, rank_of(block), c.place[rank_of(block)], "the threads of the block wait for one another");
    stop();
  }
  ++c.epoch;
  block.ready.append(block.waiting);
  return true;
}

// __syncthreads
inline void barrier() noexcept {
  Block& block = *host::current();
  if (block.watch && block.live == 1) {  // it waits for nobody
    Context& c = context();
    ++c.epoch;
    if (block.threads > 1 && c.checks & check_barriers) {
      bool waits[1024] = {};
      waits[rank_of(block)] = true;
      check_arrivals(block, waits);
    }
  }
  host::barrier();
}

// ---- threads and blocks -------------------------------------------------------------------------------------------
inline void begin_block(Block& block) noexcept {
  Context& c = context();
  block.watch = watch;
  block.elsewhere = 1;  // so that release_waiting() is asked whenever no thread can go on
  ++c.epoch;
  std::memset(c.exited, 0, sizeof c.exited);
  std::memset(static_cast<void*>(c.place), 0, sizeof c.place);
  if (block.grid->shared_bytes)
    add_shared(reinterpret_cast<std::uintptr_t>(block.scratch->shared), block.grid->shared_bytes, 1, "shared memory");
}
inline void end_thread(Block& block) noexcept {
  Context& c = context();
  if (c.pending.size) resolve_pending(c);
  c.exited[rank_of(block)] = true;
}

// As host::thunk, of an instrumented kernel.
template <auto F, class Function = decltype(F)> struct thunk;
template <auto F, class... A> struct thunk<F, void (*)(A...)> {
  template <class T> using value = std::remove_cv_t<std::remove_reference_t<T>>;
  static void run_threads(Block& block, void** args) noexcept { run(block, args, std::index_sequence_for<A...>()); }
  template <std::size_t... I> static void run(Block& block, void** args, std::index_sequence<I...>) noexcept {
    if (block.started == 0) begin_block(block);
    while (block.start_thread()) {
      call(value<A>(*static_cast<value<A>*>(args[I]))...);
      end_thread(block);
      --block.live;
    }
  }
  static void call(value<A>... a) noexcept { F(a...); }
};
template <auto F, class... A> struct thunk<F, void (*)(A...) noexcept> : thunk<F, void (*)(A...)> {};

// ---- faults -------------------------------------------------------------------------------------------------------
// Whether an instruction that the processor calls invalid only compares or converts: then no NaN came of it.
inline bool makes_no_nan([[maybe_unused]] const unsigned char* code) noexcept {
#if defined(__x86_64__)
  unsigned opcode = 0;
  while (*code == 0x66 || *code == 0xf2 || *code == 0xf3) ++code;
  if ((*code & 0xf0) == 0x40) ++code;
  if (code[0] == 0x0f) opcode = code[1];
  else if (code[0] == 0xc5) opcode = code[2];
  else if (code[0] == 0xc4 && (code[1] & 0x1f) == 1) opcode = code[3];
  else if (code[0] == 0x62 && (code[1] & 7) == 1) opcode = code[4] >= 0x78 && code[4] <= 0x7b ? 0x2c : code[4];
  switch (opcode) {
    case 0x2c: case 0x2d: case 0x5b: case 0xe6:             // to integers
    case 0x2e: case 0x2f: case 0xc2: case 0x5d: case 0x5f:  // comparisons, minima and maxima
      return true;
  }
#endif
  return false;
}

[[noreturn]] __attribute__((noinline)) inline void leave_after_fault() noexcept { stop(); }

struct Handlers {
  std::mutex mutex;  // one debugged launch at a time
  struct sigaction previous_fpe, previous_segv, previous_bus;
};
__attribute__((noinline)) inline Handlers& handlers() noexcept {
  static Handlers* found = new Handlers;
  return *found;
}

inline void on_fault(int signal, siginfo_t* info, void* state) noexcept {
  Context& c = context();
  Block& block = *host::current();
  auto& machine = static_cast<ucontext_t*>(state)->uc_mcontext;
  if (!c.running || !block.watch || !block.live) {  // a fault of somebody else: as if this handler were not there
    Handlers& all = handlers();
    sigaction(signal, signal == SIGFPE ? &all.previous_fpe : signal == SIGSEGV ? &all.previous_segv : &all.previous_bus,
              nullptr);
    return;
  }
  const unsigned rank = rank_of(block);
  const Place place = c.place[rank];
  if (signal == SIGFPE && info->si_code == FPE_INTDIV) {
    set_report(division, rank, place, "integer division by zero");
  } else if (signal == SIGFPE) {
#if defined(__x86_64__)
    if (makes_no_nan(reinterpret_cast<const unsigned char*>(machine.gregs[REG_RIP]))) {
      machine.fpregs->mxcsr = (machine.fpregs->mxcsr | FE_INVALID << 7) & ~unsigned(FE_INVALID);
      c.rearm = true;
      return;
    }
#endif
    set_report(nan, rank, place, "a NaN is produced");
  } else {
    set_report(bounds, rank, place, "out of bounds: no memory at address %p", info->si_addr);
  }
  // Go on, after this handler, in a function that leaves the launch, on a stack that is surely there.
  const std::uintptr_t stack = reinterpret_cast<std::uintptr_t>(c.fault_stack) + (64 << 10);
#if defined(__x86_64__)
  machine.gregs[REG_RSP] = stack - 8;
  machine.gregs[REG_RIP] = reinterpret_cast<long long>(&leave_after_fault);
#else
  machine.sp = stack;
  machine.pc = reinterpret_cast<unsigned long long>(&leave_after_fault);
#endif
}

// ---- launches -----------------------------------------------------------------------------------------------------
// What the next launch of this thread checks, and its arguments: for each three words, whether it is an array, and the
// addresses of its first byte and past its last. Returns the address of the report.
inline unsigned long prepare(unsigned checks, unsigned count, const std::uint64_t* words) noexcept {
  Context& c = context();
  c.checks = checks;
  c.arguments = count < most_arguments ? count : most_arguments;
  for (unsigned k = 0; k < c.arguments; ++k) {
    c.known[k] = words[3 * k] != 0;
    c.argument[k].low = words[3 * k + 1];
    c.argument[k].high = words[3 * k + 2];
  }
  c.report = Report{};
  return reinterpret_cast<unsigned long>(&c.report);
}

// Like host::launch; `function` is the address of a debug::thunk's run_threads.
inline int launch(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                  unsigned block_z, unsigned shared_bytes, void*, void** args, void**) noexcept {
  Context& c = context();
  Handlers& all = handlers();
  std::lock_guard<std::mutex> lock(all.mutex);
  constexpr std::size_t stack_bytes = 64 << 10;
  if (!c.fault_stack) c.fault_stack = static_cast<char*>(std::aligned_alloc(16, 2 * stack_bytes));
  for (unsigned k = 0; k < c.shared_count; ++k) {
    delete[] c.shared[k].shadow;
    c.shared[k] = Shared{};
  }
  c.shared_count = 0;
  c.epoch = 1;
  c.pending.size = 0;
  c.rearm = false;

  stack_t signals{}, signals_before{};
  signals.ss_sp = c.fault_stack + stack_bytes;
  signals.ss_size = stack_bytes;
  sigaltstack(&signals, &signals_before);
  struct sigaction action{};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGFPE, &action, &all.previous_fpe);
  sigaction(SIGSEGV, &action, &all.previous_segv);
  sigaction(SIGBUS, &action, &all.previous_bus);
  fenv_t floating_point;
  fegetenv(&floating_point);
  feclearexcept(FE_ALL_EXCEPT);
  if (c.checks & check_nan) feenableexcept(FE_INVALID);

  host::Grid grid;
  grid.run = host::run_blocks;
  grid.function = reinterpret_cast<host::RunThreads*>(function);
  grid.args = args;
  grid.gridDim = dim3(grid_x, grid_y, grid_z);
  grid.blockDim = dim3(block_x, block_y, block_z);
  grid.shared_bytes = shared_bytes;
  grid.blocks = grid.chunk = std::uint64_t(grid_x) * grid_y * grid_z;
  c.running = true;
  host::run_blocks(grid);
  c.running = false;

  fesetenv(&floating_point);
  sigaction(SIGFPE, &all.previous_fpe, nullptr);
  sigaction(SIGSEGV, &all.previous_segv, nullptr);
  sigaction(SIGBUS, &all.previous_bus, nullptr);
  if (!(signals_before.ss_flags & SS_ONSTACK)) sigaltstack(&signals_before, nullptr);
  return grid.result;
}

}  // namespace ca::debug
