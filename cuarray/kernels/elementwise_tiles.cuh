// Elementwise operations on arrays whose contiguous axes differ, x + y.T for example: tiles through shared memory.
//
// The output is contiguous along axis a, some inputs (Turned) along another axis b. A block reads its tile of a turned
// input along b, and everything else as it writes the output, along a: neighbouring threads use neighbouring items on
// both sides. The tile's extents are part of the plan, so that an axis of few items (RGB images) makes a tile long.
// Rows of a tile in shared memory are an odd number of 4-byte words or of items apart: no bank conflicts.
#pragma once
#include "division.cuh"
#include "packs.cuh"

namespace ca {

template <class Index, int NDim, int Operands> struct Tiles {
  Head head;
  i64 tiles;
  i64 extent_a, extent_b;
  Divisor<unsigned int> tile_a, tile_b;  // items of a tile along each
  Divisor<Index> tiles_a, tiles_b;       // tiles along each
  Divisor<Index> axis[NDim];             // all other axes
  i64 strides[Operands][NDim];           // in bytes
  i64 strides_a[Operands], strides_b[Operands];
};

// An input that is contiguous along b.
template <class In> struct Turned;

// The bytes from a row of `extent` items to the next: see tile_pitch() in _plan/_elementwise.py.
template <int Bytes> __device__ inline int tile_pitch(int extent) {
  if constexpr (Bytes >= 4) return (extent | 1) * Bytes;
  else return ((extent * Bytes + 3) / 4 | 1) * 4;
}

template <class Held, int Items> __device__ inline void drop_first(Held (&held)[Items]) {
#pragma unroll
  for (int u = 1; u < Items; ++u) held[u - 1] = held[u];
}

// What a thread holds of an input while its block does a tile: `Items` items, which it reads in the output's order, or,
// if the input is turned, in the other one and puts into shared memory.
template <class In, int Items, int Threads> struct Staged {
  static constexpr int shared_bytes = 0;
  static constexpr bool turned = false;
  Held<In, 1> held[Items];

  __device__ void stage(char*, int, int, int) const {}
  __device__ void staged() {}
  __device__ void fetch(const char*, int, int, int) {}
  __device__ void used() { drop_first(held); }
};
template <class Stored, class Loop, int Items, int Threads> struct Staged<Turned<Array<Stored, Loop>>, Items, Threads> {
  // See tile_items() in _plan/_elementwise.py: tiles are chosen such that their rows fit.
  static constexpr int shared_bytes = (Items * Threads * int(sizeof(Stored)) / 16 * 17 + 128) / 16 * 16;
  static constexpr bool turned = true;
  Held<Array<Stored, Loop>, 1> held[Items];

  static __device__ int place(int a, int b, int extent_b) {
    return a * tile_pitch<sizeof(Stored)>(extent_b) + b * int(sizeof(Stored));
  }
  __device__ void stage(char* shared, int a, int b, int extent_b) const {
    *reinterpret_cast<Stored*>(shared + place(a, b, extent_b)) = held[0].pack.item(0);
  }
  __device__ void staged() { drop_first(held); }
  __device__ void fetch(const char* shared, int a, int b, int extent_b) {
    held[0].pack.put(0, *reinterpret_cast<const Stored*>(shared + place(a, b, extent_b)));
  }
  __device__ void used() {}
};

struct alignas(16) SharedWords { u64 word[2]; };

// An item's place in a tile.
struct Place {
  int a, b;
  bool inside;
};

template <int K, class In, class How> struct StagedInput { Staged<In, How::packs, How::threads> own; };

template <class Op, int Outputs, class How, class Numbers, class... In> struct StagedInputs;
template <class Op, int Outputs, class How, int... K, class... In>
struct StagedInputs<Op, Outputs, How, indices<K...>, In...> : StagedInput<K, In, How>... {
  // Of the inputs before number N.
  template <int N>
  static constexpr int shared_bytes = (0 + ... + (K < N ? Staged<In, How::packs, How::threads>::shared_bytes : 0));

  // Reads item u: those of turned inputs from one place of the tile, the others from another.
  template <class Offset> __device__ void load(int u, const Head& head, Offset offset, Place along_b, Place along_a) {
    (load_one<K>(StagedInput<K, In, How>::own, u, head, offset, along_b, along_a), ...);
  }
  // The first of the items that are held, which is then dropped: into shared memory, and from there.
  __device__ void stage(SharedWords* shared, Place at, int extent_b) {
    if (at.inside)
      (StagedInput<K, In, How>::own.stage(reinterpret_cast<char*>(shared) + shared_bytes<K>, at.a, at.b, extent_b), ...);
    (StagedInput<K, In, How>::own.staged(), ...);
  }
  __device__ auto result(const SharedWords* shared, Place at, int extent_b) {
    (StagedInput<K, In, How>::own.fetch(reinterpret_cast<const char*>(shared) + shared_bytes<K>, at.a, at.b, extent_b), ...);
    return Op{}(StagedInput<K, In, How>::own.held[0].template argument<ops::takes_stored<Op>>(0)...);
  }
  __device__ void used() { (StagedInput<K, In, How>::own.used(), ...); }

 private:
  template <int Number, class Own, class Offset>
  static __device__ void load_one(Own& own, int u, const Head& head, Offset offset, Place along_b, Place along_a) {
    const Place at = Own::turned ? along_b : along_a;
    if (at.inside) own.held[u].template load<How::loads>(head, Outputs + Number, offset(Outputs + Number, at));
  }
};

template <class Op, class How, class Index, int NDim, class Out, class... In>
__global__ void __launch_bounds__(How::threads) elementwise_tiles(Tiles<Index, NDim, Out::outputs + sizeof...(In)> p) {
  await_previous();
  constexpr int operands = Out::outputs + sizeof...(In);
  using Own = StagedInputs<Op, Out::outputs, How, typename make_indices<sizeof...(In)>::type, In...>;
  using Result = Results<Out, 1, is_masked<Op>>;
  using Factor = typename choose<sizeof(Index) == 4, int, i64>::type;
  struct Offsets {  // of the items of a tile
    const Tiles<Index, NDim, operands>& p;
    i64 first[operands];
    __device__ i64 operator()(int k, Place at) const {
      return first[k] + i64(Factor(at.a)) * Factor(p.strides_a[k]) + i64(Factor(at.b)) * Factor(p.strides_b[k]);
    }
  };
  __shared__ SharedWords shared[Own::template shared_bytes<sizeof...(In)> / sizeof(SharedWords)];
  const unsigned int thread = threadIdx.x;
  const int extent_a = int(p.tile_a.extent), extent_b = int(p.tile_b.extent);
  for (Index tile = blockIdx.x; tile < Index(p.tiles); tile += gridDim.x) {
    const Index column = p.tiles_a.quotient(tile), stack = p.tiles_b.quotient(column);
    const i64 first_a = i64(tile - column * p.tiles_a.extent) * extent_a;
    const i64 first_b = i64(column - stack * p.tiles_b.extent) * extent_b;
    const i64 left_a = p.extent_a - first_a, left_b = p.extent_b - first_b;
    const int count_a = left_a < extent_a ? int(left_a) : extent_a, count_b = left_b < extent_b ? int(left_b) : extent_b;
    auto along_a = [&](int u) -> Place {
      const unsigned int n = thread + u * How::threads, b = p.tile_a.quotient(n), a = n - b * extent_a;
      return {int(a), int(b), int(a) < count_a && int(b) < count_b};
    };
    auto along_b = [&](int u) -> Place {
      const unsigned int n = thread + u * How::threads, a = p.tile_b.quotient(n), b = n - a * extent_b;
      return {int(a), int(b), int(a) < count_a && int(b) < count_b};
    };
    Offsets offset = {p, {}};
    offsets_of(stack, p.axis, p.strides, offset.first);
#pragma unroll
    for (int k = 0; k < operands; ++k) offset.first[k] += first_a * p.strides_a[k] + first_b * p.strides_b[k];

    Own in;
#pragma unroll
    for (int u = 0; u < How::packs; ++u) in.load(u, p.head, offset, along_b(u), along_a(u));
#pragma unroll 1
    for (int u = 0; u < How::packs; ++u) in.stage(shared, along_b(u), extent_b);
    __syncthreads();
#pragma unroll 1
    for (int u = 0; u < How::packs; ++u) {
      const Place at = along_a(u);
      if (at.inside) {
        Result result;
        result.put(0, in.result(shared, at, extent_b));
        i64 places[Out::outputs];
#pragma unroll
        for (int k = 0; k < Out::outputs; ++k) places[k] = offset(k, at);
        result.template store<How::stores>(p.head, places);
      }
      in.used();
    }
    __syncthreads();  // before the next tile
  }
}

}  // namespace ca
