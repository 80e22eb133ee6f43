// Elementwise operations on arrays whose contiguous axes differ, as elementwise_tiles.cuh has them, where both axes can be
// read in packs: x.T.copy() of an array whose extents are multiples of four, for example.
//
// A thread reads square patches of a turned input, How::width packs along axis b, turns each in its registers, and puts
// it into shared memory as packs along axis a, which the output is contiguous along: all accesses are of whole packs. In
// shared memory the packs of a row are rotated by the number of their patch: threads that follow each other along a and
// those that follow each other along b use different banks.
#pragma once
#include "elementwise_tiles.cuh"

namespace ca {

// The bytes of `x` (0 to 3) and `y` (4 to 7) that the hexadecimal digits of `select` say, the last one first.
__device__ inline unsigned int pick_bytes(unsigned int x, unsigned int y, unsigned int select) {
#if CA_ON_DEVICE
  return __byte_perm(x, y, select);
#else
  const u64 both = u64(y) << 32 | x;
  unsigned int result = 0;
  for (int i = 0; i < 4; ++i) result |= static_cast<unsigned int>(both >> 8 * (select >> 4 * i & 7) & 0xff) << 8 * i;
  return result;
#endif
}

template <class Stored, int Width> __device__ inline void turn_patch(Pack<Stored, Width> (&pack)[Width]) {
  if constexpr (sizeof(Stored) == 1 && Width == 4) {
    const unsigned int low = pick_bytes(pack[0].word[0], pack[1].word[0], 0x5140);
    const unsigned int low2 = pick_bytes(pack[2].word[0], pack[3].word[0], 0x5140);
    const unsigned int high = pick_bytes(pack[0].word[0], pack[1].word[0], 0x7362);
    const unsigned int high2 = pick_bytes(pack[2].word[0], pack[3].word[0], 0x7362);
    pack[0].word[0] = pick_bytes(low, low2, 0x5410);
    pack[1].word[0] = pick_bytes(low, low2, 0x7632);
    pack[2].word[0] = pick_bytes(high, high2, 0x5410);
    pack[3].word[0] = pick_bytes(high, high2, 0x7632);
  } else if constexpr (sizeof(Stored) == 2 && Width == 4) {
    unsigned int word[4][2];
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int w = 0; w < 2; ++w)
        word[i][w] = pick_bytes(pack[2 * w].word[i / 2], pack[2 * w + 1].word[i / 2], i % 2 ? 0x7632 : 0x5410);
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int w = 0; w < 2; ++w) pack[i].word[w] = word[i][w];
  } else {
    const auto swap = [&](int i, int j) {
      const Stored one = pack[i].item(j), other = pack[j].item(i);
      pack[i].put(j, other);
      pack[j].put(i, one);
    };
#pragma unroll
    for (int i = 0; i < Width; ++i)
#pragma unroll
      for (int j = i + 1; j < Width; ++j) swap(i, j);
  }
}

// What a thread holds of an input while its block does a tile: the packs that it computes with; of a turned input, its
// patches before.
template <class In, class How, int Across> struct Patches {
  static constexpr int shared_bytes = 0, count = How::packs * How::width;
  Held<In, How::width> held[count];

  template <class Where> __device__ void load(const Head& head, int k, const Where& where) {
    auto offset_at = [&](Place at) { return where.offset(k, at.a * How::width, at.b); };
    if (where.aligned) {
#pragma unroll
      for (int v = 0; v < count; ++v) {
        const Place at = where.pack(v);
        if (at.inside) held[v].template load<How::loads>(head, k, offset_at(at));
      }
    } else {
#pragma unroll 1
      for (int v = 0; v < count; ++v) {
        const Place at = where.pack(v);
        drop_first(held);
        if (at.inside) held[count - 1].load_items(head, k, offset_at(at), How::width);
      }
    }
  }
  template <class Where> __device__ void stage(char*, const Where&) {}
  __device__ void fetch(const char*, int) {}
  __device__ void used() { drop_first(held); }
  static __device__ bool aligned(const Head& head, int k) {
    return Held<In, How::width>::pack_bytes == 1 || head.word[k] % Held<In, How::width>::pack_bytes == 0;
  }
};
template <class Stored, class Loop, class How, int Across> struct Patches<Turned<Array<Stored, Loop>>, How, Across> {
  static constexpr int width = How::width, count = How::packs * width, pack_bytes = sizeof(Stored) * width;
  static constexpr int shared_bytes = How::threads * count * pack_bytes;
  Held<Array<Stored, Loop>, width> held[count];

  static __device__ int place(int a, int b) { return (b * Across + (a + b / width) % Across) * pack_bytes; }
  template <class Where> __device__ void load(const Head& head, int k, const Where& where) {
    if (where.aligned) {
#pragma unroll
      for (int u = 0; u < How::packs; ++u) {
        const Place at = where.patch(u);
        if (!at.inside) continue;
        i64 offset = where.offset(k, at.a * width, at.b * width);
#pragma unroll
        for (int i = 0; i < width; ++i, offset += where.step_a(k))
          held[u * width + i].template load<How::loads>(head, k, offset);
      }
    } else {
#pragma unroll 1
      for (int n = 0; n < count; ++n) {
        const Place at = where.patch(n / width);
        drop_first(held);
        if (at.inside)
          held[count - 1].load_items(head, k, where.offset(k, at.a * width + n % width, at.b * width), width);
      }
    }
  }
  template <class Where> __device__ void stage(char* shared, const Where& where) {
#pragma unroll
    for (int u = 0; u < How::packs; ++u) {
      const Place at = where.patch(u);
      Pack<Stored, width> pack[width];
#pragma unroll
      for (int i = 0; i < width; ++i) pack[i] = held[u * width + i].pack;
      turn_patch(pack);
#pragma unroll
      for (int i = 0; i < width; ++i)
        *reinterpret_cast<Aligned*>(shared + place(at.a, at.b * width + i)) = bit_cast<Aligned>(pack[i]);
    }
  }
  __device__ void fetch(const char* shared, int at) {
    held[0].pack = bit_cast<Pack<Stored, width>>(*reinterpret_cast<const Aligned*>(shared + at));
  }
  __device__ void used() {}
  static __device__ bool aligned(const Head& head, int k) { return head.word[k] % pack_bytes == 0; }

 private:
  struct alignas(pack_bytes) Aligned { unsigned int word[Pack<Stored, width>::words]; };
};

template <int K, class In, class How, int Across> struct PatchInput { Patches<In, How, Across> own; };

template <class Op, int Outputs, class How, int Across, class Numbers, class... In> struct PatchInputs;
template <class Op, int Outputs, class How, int Across, int... K, class... In>
struct PatchInputs<Op, Outputs, How, Across, indices<K...>, In...> : PatchInput<K, In, How, Across>... {
  template <int N>
  static constexpr int shared_bytes = (0 + ... + (K < N ? Patches<In, How, Across>::shared_bytes : 0));

  template <class Where> __device__ void load(const Head& head, const Where& where) {
    (PatchInput<K, In, How, Across>::own.load(head, Outputs + K, where), ...);
  }
  template <class Where> __device__ void stage(SharedWords* shared, const Where& where) {
    (PatchInput<K, In, How, Across>::own.stage(reinterpret_cast<char*>(shared) + shared_bytes<K>, where), ...);
  }
  // The packs of turned inputs from shared memory, where pack (a, b) is at the same place for items of a byte.
  __device__ void fetch(const SharedWords* shared, int a, int b) {
    (fetch_one(PatchInput<K, In, How, Across>::own, reinterpret_cast<const char*>(shared) + shared_bytes<K>, a, b), ...);
  }
  __device__ auto result(int j) const {
    return Op{}(PatchInput<K, In, How, Across>::own.held[0].template argument<ops::takes_stored<Op>>(j)...);
  }
  __device__ void drop() { (PatchInput<K, In, How, Across>::own.held[0].drop(), ...); }
  __device__ void used() { (PatchInput<K, In, How, Across>::own.used(), ...); }
  static __device__ bool aligned(const Head& head) {
    return (true && ... && Patches<In, How, Across>::aligned(head, Outputs + K));
  }

 private:
  template <class Own> static __device__ void fetch_one(Own& own, const char* shared, int a, int b) {
    if constexpr (Own::shared_bytes > 0) own.fetch(shared, Own::place(a, b));
  }
};

// The extents of axes a and b, and of tiles, are in packs here; strides are those of items.
template <class Op, class How, int Across, class Index, int NDim, class Out, class... In>
__global__ void __launch_bounds__(How::threads, 768 / How::threads) elementwise_turned(Tiles<Index, NDim, Out::outputs + sizeof...(In)> p) {
  await_previous();
  constexpr int operands = Out::outputs + sizeof...(In), width = How::width, down = How::threads * How::packs / Across;
  using Own = PatchInputs<Op, Out::outputs, How, Across, typename make_indices<sizeof...(In)>::type, In...>;
  using Result = Results<Out, width, is_masked<Op>>;
  using Factor = typename choose<sizeof(Index) == 4, int, i64>::type;
  struct Where {  // the items of a tile
    const Tiles<Index, NDim, operands>& p;
    i64 first[operands];
    int count_a, count_b;
    bool aligned;
    __device__ i64 offset(int k, int a, int b) const {
      return first[k] + i64(Factor(a)) * Factor(p.strides_a[k]) + i64(Factor(b)) * Factor(p.strides_b[k]);
    }
    __device__ i64 step_a(int k) const { return p.strides_a[k]; }
    // Both in packs; neighbouring threads are neighbours along b.
    __device__ Place patch(int u) const {
      const int n = int(threadIdx.x) + u * How::threads, a = n / down, b = n % down;
      return {a, b, a < count_a && b < count_b};
    }
    // In packs along a and in items along b; neighbouring threads are neighbours along a.
    __device__ Place pack(int v) const {
      const int n = int(threadIdx.x) + v * How::threads, a = n % Across, b = n / Across;
      return {a, b, a < count_a && b < count_b * width};
    }
  };
  __shared__ SharedWords shared[Own::template shared_bytes<sizeof...(In)> / sizeof(SharedWords)];
  bool aligned = Own::aligned(p.head);
#pragma unroll
  for (int k = 0; k < Out::outputs; ++k) aligned = aligned && p.head.word[k] % Result::pack_bytes == 0;
  for (Index tile = blockIdx.x; tile < Index(p.tiles); tile += gridDim.x) {
    const Index column = p.tiles_a.quotient(tile), stack = p.tiles_b.quotient(column);
    const i64 first_a = i64(tile - column * p.tiles_a.extent) * Across;
    const i64 first_b = i64(column - stack * p.tiles_b.extent) * down;
    const i64 left_a = p.extent_a - first_a, left_b = p.extent_b - first_b;
    Where where = {p, {}, left_a < Across ? int(left_a) : Across, left_b < down ? int(left_b) : down, aligned};
    offsets_of(stack, p.axis, p.strides, where.first);
#pragma unroll
    for (int k = 0; k < operands; ++k) where.first[k] += (first_a * p.strides_a[k] + first_b * p.strides_b[k]) * width;

    Own in;
    in.load(p.head, where);
    in.stage(shared, where);
    __syncthreads();
    auto put = [&](int v, bool whole) {
      const Place at = where.pack(v);
      if (at.inside) {
        in.fetch(shared, at.a, at.b);
        Result result;
        if constexpr (How::rolled) {
#pragma unroll 1
          for (int j = 0; j < width; ++j) {
            result.append(in.result(0));
            in.drop();
          }
        } else {
#pragma unroll
          for (int j = 0; j < width; ++j) result.put(j, in.result(j));
        }
        i64 places[Out::outputs];
#pragma unroll
        for (int k = 0; k < Out::outputs; ++k) places[k] = where.offset(k, at.a * width, at.b);
        if (whole) result.template store<How::stores>(p.head, places);
        else result.store_items(p.head, places, width);
      }
      in.used();
    };
    if (How::rolled || !aligned) {
#pragma unroll 1
      for (int v = 0; v < How::packs * width; ++v) put(v, aligned);
    } else {
#pragma unroll
      for (int v = 0; v < How::packs * width; ++v) put(v, true);
    }
    __syncthreads();  // before the next tile
  }
}

}  // namespace ca
