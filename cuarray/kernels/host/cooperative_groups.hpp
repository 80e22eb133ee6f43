// CUDA's cooperative groups for the host. A group within a warp is its mask of lanes; its collectives are those of
// warp.hpp. <cooperative_groups.h> and the headers in cooperative_groups/ include this.
#pragma once
#include "intrinsics.hpp"

namespace cooperative_groups {

namespace host = ::ca::host;

// ---- the grid and the block ---------------------------------------------------------------------------------------
class thread_block {
 public:
  static void sync() { host::barrier(); }
  static unsigned thread_rank() { return host::thread_rank(); }
  static unsigned num_threads() { return host::current()->threads; }
  static unsigned size() { return num_threads(); }
  static dim3 group_index() { return host::block_index(); }
  static dim3 thread_index() { return host::thread_index(); }
  static dim3 group_dim() { return host::block_extents(); }
  static dim3 dim_threads() { return group_dim(); }
};
inline thread_block this_thread_block() { return {}; }

class grid_group {
 public:
  // Blocks run one after another, so they can only wait for one another if there is one.
  static void sync() {
    if (num_blocks() > 1) host::fail_launch(host::cooperative_launch_too_large);
    host::barrier();
  }
  static bool is_valid() { return true; }
  static unsigned long long num_blocks() {
    const dim3 n = host::grid_extents();
    return (unsigned long long)n.x * n.y * n.z;
  }
  static unsigned long long block_rank() {
    const dim3 at = host::block_index(), n = host::grid_extents();
    return ((unsigned long long)at.z * n.y + at.y) * n.x + at.x;
  }
  static unsigned long long num_threads() { return num_blocks() * host::current()->threads; }
  static unsigned long long size() { return num_threads(); }
  static unsigned long long thread_rank() { return block_rank() * host::current()->threads + host::thread_rank(); }
  static dim3 group_dim() { return host::grid_extents(); }
  static dim3 dim_blocks() { return host::grid_extents(); }
  static dim3 block_index() { return host::block_index(); }
};
inline grid_group this_grid() { return {}; }

// The blocks of a cluster. Launches with clusters are the GPU's, so here each block is one of its own.
class cluster_group : public thread_block {
 public:
  static unsigned num_blocks() { return 1; }
  static unsigned block_rank() { return 0; }
  static dim3 block_index() { return {0, 0, 0}; }
  static dim3 dim_blocks() { return {1, 1, 1}; }
  template <class T> static T* map_shared_rank(T* address, int /*rank*/) { return address; }
  template <class T> static unsigned query_shared_rank(T* /*address*/) { return 0; }
};
inline cluster_group this_cluster() { return {}; }

// ---- parts of a warp ------------------------------------------------------------------------------------------------
// The lanes of a mask, numbered from 0.
class lanes {
 public:
  unsigned num_threads() const { return __builtin_popcount(mask_); }
  unsigned size() const { return num_threads(); }
  unsigned thread_rank() const { return rank_of(host::lane_id()); }
  unsigned meta_group_rank() const { return meta_rank_; }
  unsigned meta_group_size() const { return meta_size_; }
  void sync() const { host::collective(mask_, host::no_result, nullptr); }

  template <class T> T shfl(T value, int rank) const { return host::shuffle(mask_, value, lane_of(rank)); }
  template <class T> T shfl_up(T value, unsigned delta) const {
    const unsigned rank = thread_rank();
    return shfl(value, int(delta <= rank ? rank - delta : rank));
  }
  template <class T> T shfl_down(T value, unsigned delta) const {
    const unsigned rank = thread_rank();
    return shfl(value, int(delta < size() - rank ? rank + delta : rank));
  }
  int any(int predicate) const { return host::ballot(mask_, predicate) != 0; }
  int all(int predicate) const { return host::ballot(mask_, !predicate) == 0; }
  unsigned ballot(int predicate) const { return packed(host::ballot(mask_, predicate)); }
  template <class T> unsigned match_any(T value) const { return packed(host::match(mask_, value)); }
  template <class T> unsigned match_all(T value, int& all) const {
    return packed(::ca::cuda_functions::__match_all_sync(mask_, value, &all));
  }

  unsigned lane_mask() const { return mask_; }  // the host's own: for the functions below

 protected:
  lanes(unsigned mask, unsigned meta_rank, unsigned meta_size)
      : mask_(mask), meta_rank_(meta_rank), meta_size_(meta_size) {}

  unsigned rank_of(unsigned lane) const { return __builtin_popcount(mask_ & ((1u << lane) - 1)); }
  int lane_of(unsigned rank) const {
    unsigned left = mask_;
    for (rank %= size(); rank > 0; --rank) left &= left - 1;
    return __builtin_ctz(left);
  }
  // Bit r of the result is that of the lane whose rank is r.
  unsigned packed(unsigned of_lanes) const {
    unsigned result = 0;
    for (unsigned left = mask_, rank = 0; left; left &= left - 1, ++rank)
      result |= (of_lanes >> __builtin_ctz(left) & 1) << rank;
    return result;
  }

  unsigned mask_, meta_rank_, meta_size_;
};

class coalesced_group : public lanes {
 public:
  explicit coalesced_group(unsigned mask, unsigned meta_rank = 0, unsigned meta_size = 1)
      : lanes(mask, meta_rank, meta_size) {}
};
__attribute__((always_inline)) inline coalesced_group coalesced_threads() {
  return coalesced_group(host::active_mask_at_caller());
}

template <unsigned Size, class Parent = void> class thread_block_tile : public lanes {
  static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0,
                "the host has tiles of 1, 2, 4, 8, 16 and 32 threads");

 public:
  static thread_block_tile of(unsigned rank_in_parent, unsigned parent_size) {
    const unsigned first = host::lane_id() & ~(Size - 1);
    const unsigned mask = Size == 32 ? host::all_lanes : ((1u << (Size % 32)) - 1) << first;
    return {mask, rank_in_parent / Size, (parent_size + Size - 1) / Size};
  }
  static constexpr unsigned num_threads() { return Size; }
  static constexpr unsigned size() { return Size; }
  template <class T> T shfl_xor(T value, unsigned mask) const { return shfl(value, int(thread_rank() ^ mask)); }
  operator thread_block_tile<Size, void>() const { return {mask_, meta_rank_, meta_size_}; }

 private:
  template <unsigned, class> friend class thread_block_tile;
  thread_block_tile(unsigned mask, unsigned meta_rank, unsigned meta_size) : lanes(mask, meta_rank, meta_size) {}
};

template <unsigned Size, class Parent> thread_block_tile<Size, Parent> tiled_partition(const Parent& parent) {
  return thread_block_tile<Size, Parent>::of(parent.thread_rank(), parent.size());
}

// Any of the above, known at run time only.
class thread_group : public coalesced_group {
 public:
  thread_group(const thread_block&) : coalesced_group(0), block_(true) {}
  thread_group(const coalesced_group& g) : coalesced_group(g) {}
  template <unsigned Size, class Parent>
  thread_group(const thread_block_tile<Size, Parent>& g)
      : coalesced_group(g.lane_mask(), g.meta_group_rank(), g.meta_group_size()) {}
  unsigned num_threads() const { return block_ ? thread_block::size() : lanes::num_threads(); }
  unsigned size() const { return num_threads(); }
  unsigned thread_rank() const { return block_ ? thread_block::thread_rank() : lanes::thread_rank(); }
  void sync() const { block_ ? thread_block::sync() : lanes::sync(); }

 private:
  bool block_ = false;
};

// The parts of `size` threads of a group; of a coalesced group the last one may have fewer.
inline coalesced_group tiled_partition(const coalesced_group& parent, unsigned size) {
  const unsigned part = parent.thread_rank() / size;
  unsigned mask = 0, rank = 0;
  for (unsigned left = parent.lane_mask(); left; left &= left - 1, ++rank)
    if (rank / size == part) mask |= left & -left;
  return coalesced_group(mask, part, (parent.size() + size - 1) / size);
}
inline thread_group tiled_partition(const thread_block& parent, unsigned size) {
  const unsigned first = host::lane_id() / size * size;
  const unsigned mask = (size >= 32 ? host::all_lanes : (1u << size) - 1) << first;
  return coalesced_group(mask, parent.thread_rank() / size, (parent.size() + size - 1) / size);
}
inline thread_group tiled_partition(const thread_group& parent, unsigned size) {
  if (parent.lane_mask() == 0) return tiled_partition(this_thread_block(), size);
  return tiled_partition(static_cast<const coalesced_group&>(parent), size);
}
template <class Group> coalesced_group labeled_partition(const Group& group, int label) {
  const unsigned same = host::match(group.lane_mask(), label);
  // Parts are numbered by their first lanes.
  const unsigned first = same & -same;
  const unsigned firsts = host::fold(group.lane_mask(), first, [](unsigned a, unsigned b) { return a | b; });
  return coalesced_group(same, __builtin_popcount(firsts & (first - 1)), __builtin_popcount(firsts));
}
template <class Group> coalesced_group binary_partition(const Group& group, bool predicate) {
  const unsigned yes = host::ballot(group.lane_mask(), predicate), no = group.lane_mask() & ~yes;
  return coalesced_group(predicate ? yes : no, predicate ? 1 : 0, 2);
}

template <class Group> void sync(const Group& group) { group.sync(); }
template <class Group> unsigned long long thread_rank(const Group& group) { return group.thread_rank(); }
template <class Group> unsigned long long group_size(const Group& group) { return group.size(); }

// ---- algorithms ----------------------------------------------------------------------------------------------------
#define CA_FUNCTOR(name, expression)                                              \
  template <class T> struct name {                                                \
    T operator()(const T& a, const T& b) const { return expression; }             \
  };
CA_FUNCTOR(plus, a + b) CA_FUNCTOR(less, b < a ? b : a) CA_FUNCTOR(greater, a < b ? b : a)
CA_FUNCTOR(bit_and, a & b) CA_FUNCTOR(bit_or, a | b) CA_FUNCTOR(bit_xor, a ^ b)
#undef CA_FUNCTOR

// In ascending order of ranks. On the GPU the order is another one: sums of real numbers may differ in their last bits.
template <class Group, class T, class Op> auto reduce(const Group& group, const T& value, Op&& op) {
  return host::fold(group.lane_mask(), std::decay_t<T>(value), op);
}
template <class Group, class T, class Op> auto inclusive_scan(const Group& group, const T& value, Op&& op) {
  return host::scan<false>(group.lane_mask(), std::decay_t<T>(value), std::decay_t<T>(value), op);
}
template <class Group, class T> auto inclusive_scan(const Group& group, const T& value) {
  return inclusive_scan(group, value, plus<T>());
}
// The first thread gets T(), as CUDA says for sums; of other operations its value is unspecified.
template <class Group, class T, class Op> auto exclusive_scan(const Group& group, const T& value, Op&& op) {
  return host::scan<true>(group.lane_mask(), std::decay_t<T>(value), std::decay_t<T>(), op);
}
template <class Group, class T> auto exclusive_scan(const Group& group, const T& value) {
  return exclusive_scan(group, value, plus<T>());
}

template <class Group, class F, class... A> void invoke_one(const Group& group, F&& f, A&&... a) {
  if (group.thread_rank() == 0) f(static_cast<A&&>(a)...);
}
template <class Group, class F, class... A> auto invoke_one_broadcast(const Group& group, F&& f, A&&... a) {
  std::decay_t<decltype(f(static_cast<A&&>(a)...))> result{};
  if (group.thread_rank() == 0) result = f(static_cast<A&&>(a)...);
  return group.shfl(result, 0);
}

// A copy that the threads of the group share, done when the function returns; wait() lets all see all of it.
template <class Group> void memcpy_async(const Group& group, void* to, const void* from, unsigned long bytes) {
  const unsigned long rank = group.thread_rank(), size = group.size(), part = (bytes + size - 1) / size;
  const unsigned long first = rank * part < bytes ? rank * part : bytes;
  std::memcpy(static_cast<char*>(to) + first, static_cast<const char*>(from) + first,
              bytes - first < part ? bytes - first : part);
}
template <class Group, class T> void memcpy_async(const Group& group, T* to, const T* from, unsigned long bytes) {
  memcpy_async(group, static_cast<void*>(to), static_cast<const void*>(from), bytes);
}
template <class Group, class T>
void memcpy_async(const Group& group, T* to, unsigned long to_count, const T* from, unsigned long from_count) {
  const unsigned long count = to_count < from_count ? to_count : from_count;
  memcpy_async(group, static_cast<void*>(to), static_cast<const void*>(from), count * sizeof(T));
}
template <class Group> void wait(const Group& group) { group.sync(); }
template <unsigned Stages, class Group> void wait_prior(const Group& group) { group.sync(); }

}  // namespace cooperative_groups
