// What the threads of a warp, or of a block, do together besides __syncthreads; and what happens when nobody can go on.
// Included by grid.hpp.
//
// A collective is completed by the thread that arrives last: it sees the values of all the others, which lie on their
// stacks, writes their results there, and makes them ready. So nothing is shared between one collective and the next.
// Threads belong to the same collective if they do the same thing under the same mask; threads of one warp may be in
// different ones at once. Threads that have exited are noticed when no thread can go on: then whoever does not wait
// somewhere is gone.
#pragma once
#include <cstdio>
#include <cstring>

#include "grid.hpp"

namespace ca::host {

constexpr unsigned all_lanes = 0xffffffff;

// Computes the results of a collective from data[lane] of the lanes in `arrived`, each of which points to what that
// lane's thread brought.
using Complete = void(void* const* data, unsigned arrived) noexcept;

struct Group {
  Complete* complete;
  unsigned mask, arrived;
  void* site;  // of active_mask() only: where it was called
};

struct Warp {
  unsigned live;            // lanes not known to have exited
  unsigned waiting;         // lanes in a group
  unsigned groups;
  unsigned finished;        // groups that were let go, for debug.hpp
  Group group[32];
  Thread* thread[32];       // of the lanes that wait
  void* data[32];
};

inline unsigned linear_index(const Block& block, uint3 at) {
  return (at.z * block.blockDim.y + at.y) * block.blockDim.x + at.x;
}
inline unsigned thread_rank() noexcept {
  const Block& block = *current();
  return linear_index(block, block.threadIdx);
}
// For headers that are read while threadIdx and its like are macros.
inline uint3 thread_index() noexcept { return current()->threadIdx; }
inline uint3 block_index() noexcept { return current()->blockIdx; }
inline dim3 block_extents() noexcept { return current()->blockDim; }
inline dim3 grid_extents() noexcept { return current()->gridDim; }
inline unsigned lane_id() noexcept { return thread_rank() % 32; }

__attribute__((noinline)) inline void begin_warps(Block& block) noexcept {
  if (!block.scratch) block.scratch = borrow_scratch();
  if (!block.scratch->warps) block.scratch->warps = new Warp[32];
  block.warps = block.scratch->warps;
  for (unsigned first = 0; first < block.threads; first += 32) {
    Warp& warp = block.warps[first / 32];
    const unsigned lanes = block.threads - first;
    warp.live = lanes < 32 ? (1u << lanes) - 1 : all_lanes;
    warp.waiting = warp.groups = warp.finished = 0;
  }
}

// Lets a group go: its suspended threads become ready, in order. The calling thread may be one that never waited.
inline void finish(Block& block, Warp& warp, unsigned k) noexcept {
  const Group group = warp.group[k];
  warp.group[k] = warp.group[--warp.groups];
  group.complete(warp.data, group.arrived);
  for (unsigned left = group.arrived & warp.waiting; left; left &= left - 1) {
    block.ready.push(warp.thread[__builtin_ctz(left)]);
    --block.elsewhere;
  }
  warp.waiting &= ~group.arrived;
  ++warp.finished;
}

// A calling thread's part in a collective of the lanes in `mask`; returns when all of them, unless exited, took part.
__attribute__((noinline)) inline void collective(unsigned mask, Complete* complete, void* data,
                                                 void* site = nullptr) noexcept {
  Block& block = *current();
  if (!block.warps) begin_warps(block);
  const unsigned rank = linear_index(block, block.threadIdx), lane = rank % 32;
  Warp& warp = block.warps[rank / 32];
  if (!(mask >> lane & 1)) {
    std::fprintf(stderr, "cuarray: a thread calls a function of its warp with a mask (0x%08x) without itself\n", mask);
    fail_launch(launch_failed);
  }
  unsigned k = 0;
  while (k < warp.groups &&
         !(warp.group[k].complete == complete && warp.group[k].mask == mask && warp.group[k].site == site))
    ++k;
  if (k == warp.groups) warp.group[warp.groups++] = {complete, mask, 0, site};
  warp.group[k].arrived |= 1u << lane;
  warp.data[lane] = data;
  if (warp.group[k].arrived == (mask & warp.live)) {
    finish(block, warp, k);
    return;
  }
  Thread self{nullptr, block.threadIdx, nullptr};
  warp.thread[lane] = &self;
  warp.waiting |= 1u << lane;
  ++block.elsewhere;
  switch_away(block, self);
}

// ---- the whole block votes ----------------------------------------------------------------------------------------
struct Vote {
  int predicate;
  unsigned votes, voters;  // the result
};
struct Voter : Thread {
  Vote* vote;
};

inline void finish_vote(Block& block) noexcept {
  unsigned votes = 0;
  for (Thread* t = block.voting.first; t; t = t->next) votes += static_cast<Voter*>(t)->vote->predicate != 0;
  for (Thread* t = block.voting.first; t; t = t->next) {
    static_cast<Voter*>(t)->vote->votes = votes;
    static_cast<Voter*>(t)->vote->voters = block.voters;
  }
  block.elsewhere -= block.voters;
  block.voters = 0;
  ++block.votes;
  block.ready.append(block.voting);
}

// A barrier at which each thread says yes or no, and learns how many threads there were and how many said yes.
__attribute__((noinline)) inline Vote barrier_vote(int predicate) noexcept {
  Block& block = *current();
  Vote vote{predicate, predicate != 0, 1};
  if (block.live == 1) return vote;
  Voter self{{nullptr, block.threadIdx, nullptr}, &vote};
  block.voting.push(&self);
  ++block.voters;
  ++block.elsewhere;
  if (block.voters == block.live) finish_vote(block);
  switch_away(block, self);
  return vote;
}

// ---- when nobody can go on ----------------------------------------------------------------------------------------
inline void no_result(void* const*, unsigned) noexcept {}
inline void active_lanes(void* const* data, unsigned arrived) noexcept {
  for (unsigned left = arrived; left; left &= left - 1) *static_cast<unsigned*>(data[__builtin_ctz(left)]) = arrived;
}

inline void mark_lanes(Block& block, const ThreadQueue& queue, unsigned (&lanes)[32]) noexcept {
  for (Thread* t = queue.first; t; t = t->next) {
    const unsigned rank = linear_index(block, t->threadIdx);
    lanes[rank / 32] |= 1u << rank % 32;
  }
}

// Lets go whoever waits for nothing but exited threads. `running` is a thread that does not wait, or null.
inline void release_finished(Block& block, const uint3* running) noexcept {
  if (block.warps) {
    unsigned lanes[32] = {};
    mark_lanes(block, block.waiting, lanes);
    mark_lanes(block, block.voting, lanes);
    if (running) {
      const unsigned rank = linear_index(block, *running);
      lanes[rank / 32] |= 1u << rank % 32;
    }
    for (unsigned w = 0; w * 32 < block.threads; ++w) {
      Warp& warp = block.warps[w];
      warp.live = lanes[w] | warp.waiting;
      for (unsigned k = warp.groups; k-- > 0;)
        if (warp.group[k].arrived == (warp.group[k].mask & warp.live)) finish(block, warp, k);
    }
  }
  if (block.ready.empty() && block.voters && block.voters == block.live) finish_vote(block);
}

[[noreturn]] __attribute__((noinline)) inline void report_deadlock(Block& block) noexcept {
  const unsigned in_warps = block.elsewhere - block.voters;
  std::fprintf(stderr,
               "cuarray: block (%u, %u, %u) is deadlocked: of its %u threads that have not exited, %u wait at "
               "__syncthreads, %u at __syncthreads_count, _and or _or, %u for others of their warp\n",
               block.blockIdx.x, block.blockIdx.y, block.blockIdx.z, block.live,
               block.live - block.elsewhere, block.voters, in_warps);
  fail_launch(launch_failed);
}

inline void release_waiting(Block& block) noexcept {
  if (block.watch && block.watch(block, false)) return;
  release_finished(block, nullptr);
  if (block.ready.empty() && block.warps) {
    // Threads that ask who is active with them: those who ask at the same place, the foremost place of a warp first,
    // so that branches meet again after they parted.
    for (unsigned w = 0; w * 32 < block.threads; ++w) {
      Warp& warp = block.warps[w];
      unsigned first = warp.groups;
      for (unsigned k = 0; k < warp.groups; ++k)
        if (warp.group[k].site && (first == warp.groups || warp.group[k].site < warp.group[first].site)) first = k;
      if (first < warp.groups) finish(block, warp, first);
    }
  }
  if (block.ready.empty() && block.watch) block.watch(block, true);
  if (block.ready.empty()) report_deadlock(block);
}

// The lanes that call this at the same place in the kernel, as far as they get there before they need one another
// elsewhere: what a GPU says of threads that have not diverged. Inlined, so that the place is the kernel's.
__attribute__((noinline)) inline unsigned active_mask_at_caller() noexcept {
  unsigned lanes = 0;
  collective(all_lanes, active_lanes, &lanes, __builtin_return_address(0));
  return lanes;
}

// Lets other threads of the block run, for one that waits for what they do.
__attribute__((noinline)) inline void yield_thread() noexcept {
  Block& block = *current();
  if (block.live == 0) return;
  if (block.ready.empty() && block.started == block.threads) {
    const uint3 here = block.threadIdx;
    if (block.elsewhere) release_finished(block, &here);
    if (block.ready.empty()) {
      sched_yield();  // another block may do it
      return;
    }
  }
  Thread self{nullptr, block.threadIdx, nullptr};
  if (block.started < block.threads) {
    void* context = new_fiber(block);
    block.ready.push(&self);
    switch_stack(&self.stack_pointer, context);
  } else {
    block.ready.push(&self);
    switch_away(block, self);
  }
}

void inline_ptx_cannot_run_on_a_cpu();  // declared only: a kernel that calls it is not linked

// What assert() calls when it does not hold.
[[noreturn]] inline void assertion_failed(const char* expression, const char* file, unsigned line,
                                          const char* function) noexcept {
  const Block& block = *current();
  std::fprintf(stderr, "%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n", file, line,
               function, block.blockIdx.x, block.blockIdx.y, block.blockIdx.z, block.threadIdx.x, block.threadIdx.y,
               block.threadIdx.z, expression);
  fail_launch(assert_failed);
}

// ---- collectives with values --------------------------------------------------------------------------------------
// Calls f(lane) for each lane in the mask, in ascending order.
template <class F> inline void for_lanes(unsigned mask, F f) {
  for (; mask; mask &= mask - 1) f(__builtin_ctz(mask));
}

template <class T> struct Shuffled {
  T value;
  int source;  // the lane whose value is asked for
  T result;
};
template <class T> inline void complete_shuffle(void* const* data, unsigned arrived) noexcept {
  auto at = [&](unsigned lane) { return static_cast<Shuffled<T>*>(data[lane]); };
  // From a lane that takes no part the value is undefined in CUDA; here it is one's own.
  for_lanes(arrived, [&](unsigned lane) {
    const int source = at(lane)->source;
    at(lane)->result = at(arrived >> source & 1 ? source : lane)->value;
  });
}
template <class T> inline T shuffle(unsigned mask, const T& value, int source) noexcept {
  Shuffled<T> data{value, source, value};
  collective(mask, complete_shuffle<T>, &data);
  return data.result;
}

// Folds the values of all lanes in ascending order; everyone gets the result.
template <class T, class Op> struct Folded {
  T value;
  const Op* op;
};
template <class T, class Op> inline void complete_fold(void* const* data, unsigned arrived) noexcept {
  auto at = [&](unsigned lane) { return static_cast<Folded<T, Op>*>(data[lane]); };
  const unsigned first = __builtin_ctz(arrived);
  T total = at(first)->value;
  for_lanes(arrived & (arrived - 1), [&](unsigned lane) { total = (*at(first)->op)(total, at(lane)->value); });
  for_lanes(arrived, [&](unsigned lane) { at(lane)->value = total; });
}
template <class T, class Op> inline T fold(unsigned mask, const T& value, const Op& op) noexcept {
  Folded<T, Op> data{value, &op};
  collective(mask, complete_fold<T, Op>, &data);
  return data.value;
}

// Everyone gets the fold of its own and the lower lanes' values; or, exclusively, of the lower lanes' alone, the
// lowest lane what it brought as `initial`.
template <class T, class Op> struct Scanned {
  T value, initial;
  const Op* op;
};
template <class T, class Op, bool Exclusive> inline void complete_scan(void* const* data, unsigned arrived) noexcept {
  auto at = [&](unsigned lane) { return static_cast<Scanned<T, Op>*>(data[lane]); };
  const unsigned first = __builtin_ctz(arrived);
  const Op& op = *at(first)->op;
  T total = at(first)->value;
  if (Exclusive) at(first)->value = at(first)->initial;
  for_lanes(arrived & (arrived - 1), [&](unsigned lane) {
    const T next = op(total, at(lane)->value);
    at(lane)->value = Exclusive ? total : next;
    total = next;
  });
}
template <bool Exclusive, class T, class Op>
inline T scan(unsigned mask, const T& value, const T& initial, const Op& op) noexcept {
  Scanned<T, Op> data{value, initial, &op};
  collective(mask, complete_scan<T, Op, Exclusive>, &data);
  return data.value;
}

struct Ballot {
  int predicate;
  unsigned result;
};
inline void complete_ballot(void* const* data, unsigned arrived) noexcept {
  unsigned result = 0;
  for_lanes(arrived, [&](unsigned lane) {
    result |= unsigned(static_cast<Ballot*>(data[lane])->predicate != 0) << lane;
  });
  for_lanes(arrived, [&](unsigned lane) { static_cast<Ballot*>(data[lane])->result = result; });
}
inline unsigned ballot(unsigned mask, int predicate) noexcept {
  Ballot data{predicate, 0};
  collective(mask, complete_ballot, &data);
  return data.result;
}

struct Matched {
  unsigned long long value;
  unsigned same;  // the lanes with the same value
};
inline void complete_match(void* const* data, unsigned arrived) noexcept {
  auto at = [&](unsigned lane) { return static_cast<Matched*>(data[lane]); };
  for_lanes(arrived, [&](unsigned lane) {
    unsigned same = 0;
    for_lanes(arrived, [&](unsigned other) { same |= unsigned(at(other)->value == at(lane)->value) << other; });
    at(lane)->same = same;
  });
}
template <class T> inline unsigned match(unsigned mask, T value) noexcept {
  static_assert(sizeof(T) <= 8);
  Matched data{0, 0};
  std::memcpy(&data.value, &value, sizeof(T));
  collective(mask, complete_match, &data);
  return data.same;
}

}  // namespace ca::host
