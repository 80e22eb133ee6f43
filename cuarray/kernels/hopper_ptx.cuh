// Instructions of compute capability 9.0 that C++ has no words for: barriers in shared memory that count bytes,
// copies of boxes by tensor maps, clusters of blocks, and products by warpgroups (128 threads). For sm_90a only.
#pragma once
#include "portable.cuh"

namespace ca {

using u32 = unsigned int;

struct alignas(128) TensorMap { u64 words[16]; };  // CUtensorMap

namespace ptx {

__device__ inline u32 shared_address(const void* pointer) { return u32(__cvta_generic_to_shared(pointer)); }

// ---- barriers in shared memory: a phase ends when `count` arrivals and the bytes that were announced are there
__device__ inline void barrier_init(u32 barrier, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count));
}

// Makes the initial state visible to the other blocks of the cluster and to the copy engine.
__device__ inline void fence_barrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ inline void arrive_expecting(u32 barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ inline void arrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// At the same place in the shared memory of block `rank` of the cluster. It orders nothing but what wgmma has read,
// which is waited for before: a release for the whole cluster would be a fence of all memory, in every slice.
__device__ inline void arrive_at(u32 barrier, u32 rank) {
  asm volatile(
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}" ::"r"(barrier), "r"(rank) : "memory");
}

// Whether the phase of this parity has ended: that of parity 1 "before the first" has.
__device__ inline bool phase_ended(u32 barrier, u32 parity) {
  u32 ended;
  asm volatile(
      "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
      : "=r"(ended) : "r"(barrier), "r"(parity) : "memory");
  return ended;
}

// `Bounded`: the kernel fails after about two seconds instead of waiting for ever.
template <bool Bounded> __device__ inline void wait(u32 barrier, u32 parity) {
  if constexpr (Bounded) {
    const long long begin = clock64();
    while (!phase_ended(barrier, parity))
      if (clock64() - begin > 3500000000ll) asm volatile("trap;");
  } else {
    while (!phase_ended(barrier, parity)) {
    }
  }
}

// ---- blocks and warpgroups
__device__ inline u32 cluster_rank() {
  u32 rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// All threads of the cluster meet; only what fence_barrier_init made visible is visible then.
__device__ inline void cluster_meet() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}

// Barrier 0 is __syncthreads.
__device__ inline void named_barrier(u32 number, u32 threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

template <int Registers> __device__ inline void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers> __device__ inline void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}

// ---- copies of boxes. Coordinates count elements, innermost first. What is outside of the tensor is read as 0 and not
// written; it counts as bytes all the same.
__device__ inline void prefetch(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

__device__ inline void load_box(u32 to, const TensorMap& map, u32 barrier, int x, int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];"
      ::"r"(to), "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z) : "memory");
}

// To the same place in all blocks of the cluster whose bit is in `ranks`, where the barriers of the same place count.
__device__ inline void load_box(u32 to, const TensorMap& map, u32 barrier, int x, int y, int z, unsigned short ranks) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
      "[%1, {%4, %5, %6}], [%2], %3;"
      ::"r"(to), "l"(&map), "r"(barrier), "h"(ranks), "r"(x), "r"(y), "r"(z) : "memory");
}

__device__ inline void store_box(const TensorMap& map, u32 from, int x, int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];\ncp.async.bulk.commit_group;"
      ::"l"(&map), "r"(from), "r"(x), "r"(y), "r"(z) : "memory");
}

// Until all but `Left` of this thread's stores have read shared memory; of the second, are done.
template <int Left> __device__ inline void wait_for_reads() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(Left) : "memory");
}
__device__ inline void wait_for_stores() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

// As descriptors of operands have it: 14 bits. In a cluster, addresses have the number of the block above these.
__device__ inline u64 descriptor_address(u32 address) { return (address & 0x3ffffu) >> 4; }

// Between this thread's writes to shared memory and the copy engine's reads of them.
__device__ inline void fence_for_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Four 8 x 8 matrices of 16-bit elements, of which lane 4r + c holds the pairs at row r, columns 2c and 2c + 1. Lane
// 8q + r gives the address of row r of matrix q.
__device__ inline void store_matrices(u32 row, u32 q0, u32 q1, u32 q2, u32 q3) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(q0), "r"(q1), "r"(q2),
               "r"(q3) : "memory");
}

__device__ inline void store_pair(u32 to, float first, float second) {
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(to), "f"(first), "f"(second) : "memory");
}

__device__ inline u32 pack(float16, float first, float second) {
  u32 both;
  asm("cvt.rn.f16x2.f32 %0, %2, %1;" : "=r"(both) : "f"(first), "f"(second));
  return both;
}
__device__ inline u32 pack(bfloat16, float first, float second) {
  u32 both;
  asm("cvt.rn.bf16x2.f32 %0, %2, %1;" : "=r"(both) : "f"(first), "f"(second));
  return both;
}

// ---- products by a warpgroup, d (64 x N) += a (64 x K) times b (K x N), K being 32 bytes of elements.
// Thread 32w + 4r + c holds in d[4g + 2h + e] the element at row 16w + 8h + r, column 8g + 2c + e.
__device__ inline void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Left> __device__ inline void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Left) : "memory");
}

// No instruction: keeps the compiler from moving a register's use to the other side.
template <int Count> __device__ inline void keep_in_place(float (&d)[Count]) {
#pragma unroll
  for (int i = 0; i < Count; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

#define CA_FIVE(t, a, b, c, d, e) "%" #t #a ",%" #t #b ",%" #t #c ",%" #t #d ",%" #t #e ","
#define CA_TEN(tens) CA_FIVE(tens, 0, 1, 2, 3, 4) CA_FIVE(tens, 5, 6, 7, 8, 9)
#define CA_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define CA_D16(i) CA_D4(i), CA_D4(i + 4), CA_D4(i + 8), CA_D4(i + 12)
#define CA_D32(i) CA_D16(i), CA_D16(i + 16)

// `add` 0: d = a * b, whatever d holds. ATurned, BTurned: neighbours in shared memory are
// neighbours along m (n) instead of k; only 16-bit elements can be.
#define CA_WGMMA_16(N, type, ptx_type, registers, a_at, b_at, add_at, a_turn, b_turn, ...)                             \
  template <bool ATurned, bool BTurned>                                                                                \
  __device__ inline void multiply(type, float (&d)[N / 2], u64 a, u64 b, u32 add) {                                    \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " add_at ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k16.f32."    \
                 ptx_type "." ptx_type " {" registers "}, " a_at ", " b_at ", p, 1, 1, " a_turn ", " b_turn ";\n}"     \
                 : __VA_ARGS__ : "l"(a), "l"(b), "r"(add), "n"(int(ATurned)), "n"(int(BTurned)));                      \
  }
#define CA_WGMMA_32(N, registers, a_at, b_at, add_at, ...)                                                             \
  template <bool ATurned, bool BTurned>                                                                                \
  __device__ inline void multiply(float, float (&d)[N / 2], u64 a, u64 b, u32 add) {                                   \
    static_assert(!ATurned && !BTurned, "tf32 operands are contiguous along k");                                       \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " add_at ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k8.f32.tf32."\
                 "tf32 {" registers "}, " a_at ", " b_at ", p, 1, 1;\n}"                                               \
                 : __VA_ARGS__ : "l"(a), "l"(b), "r"(add));                                                            \
  }
#define CA_WGMMA(N, registers, a_at, b_at, add_at, a_turn, b_turn, ...)                                                \
  CA_WGMMA_16(N, float16, "f16", registers, a_at, b_at, add_at, a_turn, b_turn, __VA_ARGS__)                           \
  CA_WGMMA_16(N, bfloat16, "bf16", registers, a_at, b_at, add_at, a_turn, b_turn, __VA_ARGS__)                         \
  CA_WGMMA_32(N, registers, a_at, b_at, add_at, __VA_ARGS__)

CA_WGMMA(64, CA_TEN() CA_TEN(1) CA_TEN(2) "%30,%31", "%32", "%33", "%34", "%35", "%36", CA_D32(0))
CA_WGMMA(128, CA_TEN() CA_TEN(1) CA_TEN(2) CA_TEN(3) CA_TEN(4) CA_TEN(5) "%60,%61,%62,%63", "%64", "%65", "%66", "%67",
         "%68", CA_D32(0), CA_D32(32))
CA_WGMMA(192, CA_TEN() CA_TEN(1) CA_TEN(2) CA_TEN(3) CA_TEN(4) CA_TEN(5) CA_TEN(6) CA_TEN(7) CA_TEN(8)
         "%90,%91,%92,%93,%94,%95", "%96", "%97", "%98", "%99", "%100", CA_D32(0), CA_D32(32), CA_D32(64))
CA_WGMMA(256, CA_TEN() CA_TEN(1) CA_TEN(2) CA_TEN(3) CA_TEN(4) CA_TEN(5) CA_TEN(6) CA_TEN(7) CA_TEN(8) CA_TEN(9)
         CA_TEN(10) CA_TEN(11) "%120,%121,%122,%123,%124,%125,%126,%127", "%128", "%129", "%130", "%131", "%132",
         CA_D32(0), CA_D32(32), CA_D32(64), CA_D32(96))
#undef CA_WGMMA
#undef CA_WGMMA_32
#undef CA_WGMMA_16
#undef CA_D32
#undef CA_D16
#undef CA_D4
#undef CA_TEN
#undef CA_FIVE

}  // namespace ptx

}  // namespace ca
