// Operands of elementwise kernels, several items at a time: a pack is what a thread reads or writes at once, Width items
// that follow each other in memory, at most 16 bytes.
//
// Held<In, Width> is what a thread holds of an input, Results<Out, Width, Masked> what it is going to write. The items of
// a pack are taken and put by their number where loops are unrolled, and from one end to the other where they are not: an
// index that is not known at compile time would send the pack to memory.
#pragma once
#include "elementwise.cuh"

namespace ca {

// ---- memory access: how loads and stores treat the caches --------------------------------------------------------
// Loads: 0 as usual, 1 do not stay in the L1 cache, 2 are the first to be evicted. Stores: 0 as usual, 1 the first to be
// evicted. What these are good for is in _tuning.py.
#if CA_ON_DEVICE
template <int Policy> struct Loads;
template <int Policy> struct Stores;
#define CA_LOADS(policy, load)                                                                            \
  template <> struct Loads<policy> {                                                                      \
    template <int Bytes> static __device__ __forceinline__ void get(u64 address, unsigned int* word) {     \
      if constexpr (Bytes == 16)                                                                          \
        asm volatile(load ".v4.u32 {%0, %1, %2, %3}, [%4];"                                               \
                     : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3]) : "l"(address));         \
      else if constexpr (Bytes == 8)                                                                      \
        asm volatile(load ".v2.u32 {%0, %1}, [%2];" : "=r"(word[0]), "=r"(word[1]) : "l"(address));        \
      else if constexpr (Bytes == 4) asm volatile(load ".u32 %0, [%1];" : "=r"(word[0]) : "l"(address));   \
      else if constexpr (Bytes == 2) asm volatile(load ".u16 %0, [%1];" : "=r"(word[0]) : "l"(address));   \
      else asm volatile(load ".u8 %0, [%1];" : "=r"(word[0]) : "l"(address));                              \
    }                                                                                                     \
  };
#define CA_STORES(policy, store)                                                                          \
  template <> struct Stores<policy> {                                                                     \
    template <int Bytes> static __device__ __forceinline__ void put(u64 address, const unsigned int* word) { \
      if constexpr (Bytes == 16)                                                                          \
        asm volatile(store ".v4.u32 [%0], {%1, %2, %3, %4};"                                              \
                     :: "l"(address), "r"(word[0]), "r"(word[1]), "r"(word[2]), "r"(word[3]));             \
      else if constexpr (Bytes == 8)                                                                      \
        asm volatile(store ".v2.u32 [%0], {%1, %2};" :: "l"(address), "r"(word[0]), "r"(word[1]));         \
      else if constexpr (Bytes == 4) asm volatile(store ".u32 [%0], %1;" :: "l"(address), "r"(word[0]));   \
      else if constexpr (Bytes == 2) asm volatile(store ".u16 [%0], %1;" :: "l"(address), "r"(word[0]));   \
      else asm volatile(store ".u8 [%0], %1;" :: "l"(address), "r"(word[0]));                              \
    }                                                                                                     \
  };
CA_LOADS(0, "ld.global")
CA_LOADS(1, "ld.global.L1::no_allocate")
CA_LOADS(2, "ld.global.cs")
CA_STORES(0, "st.global")
CA_STORES(1, "st.global.cs")
#undef CA_LOADS
#undef CA_STORES
#else
template <int> struct Loads {
  template <int Bytes> static void get(u64 address, unsigned int* word) {
    memcpy(word, reinterpret_cast<const void*>(address), Bytes);
  }
};
template <int> struct Stores {
  template <int Bytes> static void put(u64 address, const unsigned int* word) {
    memcpy(reinterpret_cast<void*>(address), word, Bytes);
  }
};
#endif

// Items that one access of 1 to 16 bytes reads; of others, structs in words, a pack has only one.
template <class Stored> inline constexpr bool in_one_access =
    alignof(Stored) == sizeof(Stored) && (sizeof(Stored) & (sizeof(Stored) - 1)) == 0 && sizeof(Stored) <= 16;

template <class Stored, int Width> struct Pack {
  static constexpr int bytes = sizeof(Stored) * Width, words = (bytes + 3) / 4, item_words = sizeof(Stored) / 4;
  static_assert(Width == 1 || (in_one_access<Stored> && bytes <= 16), "a pack is read by one access");
  unsigned int word[words];

  __device__ Stored item(int j) const {
    Stored value;
    memcpy(&value, reinterpret_cast<const char*>(word) + j * sizeof(Stored), sizeof(Stored));
    return value;
  }
  __device__ void put(int j, Stored value) {
    memcpy(reinterpret_cast<char*>(word) + j * sizeof(Stored), &value, sizeof(Stored));
  }
  // All items one place down: the first one is gone, the last place is free.
  __device__ void drop() {
    if constexpr (Width == 1) {
    } else if constexpr (item_words > 0) {
#pragma unroll
      for (int w = 0; w + item_words < words; ++w) word[w] = word[w + item_words];
    } else {
      constexpr int bits = 8 * sizeof(Stored);
#pragma unroll
      for (int w = 0; w < words; ++w) word[w] = word[w] >> bits | (w + 1 < words ? word[w + 1] << (32 - bits) : 0);
    }
  }
  __device__ void append(Stored value) {
    drop();
    put(Width - 1, value);
  }

  template <int Policy> __device__ void load(u64 address) {
    if constexpr (in_one_access<Stored>) Loads<Policy>::template get<bytes>(address, word);
    else put(0, *reinterpret_cast<const Stored*>(address));
  }
  template <int Policy> __device__ void store(u64 address) const {
    if constexpr (in_one_access<Stored>) Stores<Policy>::template put<bytes>(address, word);
    else *reinterpret_cast<Stored*>(address) = item(0);
  }
  // Item by item, the first `count` of them: where the address is no multiple of the pack's bytes, and at an array's end.
  __device__ void load_items(u64 address, int count) {
    constexpr int together = Width < 4 ? Width : 4;  // loads in flight
#pragma unroll 1
    for (int first = 0; first < Width; first += together) {
      Stored value[together];
#pragma unroll
      for (int j = 0; j < together; ++j)
        value[j] = first + j < count ? reinterpret_cast<const Stored*>(address)[first + j] : Stored();
#pragma unroll
      for (int j = 0; j < together; ++j) append(value[j]);
    }
  }
};

// ---- inputs ---------------------------------------------------------------------------------------------------------
// How a functor sees a stored item.
template <class Stored, class Loop, bool AsStored> __device__ inline argument_t<Loop, AsStored> as_argument(Stored value) {
  return convert<argument_t<Loop, AsStored>>(convert<Loop>(value));
}

// An array of which all items of a pack are the same one: it is broadcast along the last axis.
template <class Stored, class Loop> struct Repeated {
  static constexpr i64 item_bytes = 0;
};

template <class In, int Width> struct Held;

template <class Stored, class Loop, int Width> struct Held<Array<Stored, Loop>, Width> {
  static constexpr int pack_bytes = in_one_access<Stored> ? Pack<Stored, Width>::bytes : 1;
  Pack<Stored, Width> pack;

  template <int Policy> __device__ void load(const Head& head, int k, i64 offset) {
    pack.template load<Policy>(head.word[k] + offset);
  }
  __device__ void load_items(const Head& head, int k, i64 offset, int count) {
    pack.load_items(head.word[k] + offset, count);
  }
  template <bool AsStored> __device__ argument_t<Loop, AsStored> argument(int j) const {
    return as_argument<Stored, Loop, AsStored>(pack.item(j));
  }
  __device__ void drop() { pack.drop(); }
};

template <class Stored, class Loop, int Width> struct Held<Repeated<Stored, Loop>, Width> {
  static constexpr int pack_bytes = 1;
  Pack<Stored, 1> pack;

  template <int Policy> __device__ void load(const Head& head, int k, i64 offset) {
    pack.template load<Policy>(head.word[k] + offset);
  }
  __device__ void load_items(const Head& head, int k, i64 offset, int) { load<0>(head, k, offset); }
  template <bool AsStored> __device__ argument_t<Loop, AsStored> argument(int) const {
    return as_argument<Stored, Loop, AsStored>(pack.item(0));
  }
  __device__ void drop() {}
};

template <class Loop, int Width> struct Held<Scalar<Loop>, Width> {
  static constexpr int pack_bytes = 1;
  Loop value;

  template <int> __device__ void load(const Head& head, int k, i64) { value = Scalar<Loop>::template load<true>(head, k, 0); }
  __device__ void load_items(const Head& head, int k, i64, int) { load<0>(head, k, 0); }
  template <bool AsStored> __device__ argument_t<Loop, AsStored> argument(int) const {
    return convert<argument_t<Loop, AsStored>>(value);
  }
  __device__ void drop() {}
};

template <int Width> struct Held<Position, Width> {
  static constexpr int pack_bytes = 1;
  i64 first;

  template <int> __device__ void load(const Head&, int, i64 offset) { first = offset; }
  __device__ void load_items(const Head&, int, i64 offset, int) { first = offset; }
  template <bool> __device__ i64 argument(int j) const { return first + j; }
  __device__ void drop() { ++first; }
};

// ---- outputs ----------------------------------------------------------------------------------------------------------
// The first items of a pack are at `offset`, those of a second output at the next one. Masked: the functor returns Maybe,
// and what is not there is not written.
template <class Out, int Width, bool Masked> struct Results;

template <class Stored, class Loop, int Width, bool Masked> struct Results<Array<Stored, Loop>, Width, Masked> {
  static constexpr int outputs = 1, pack_bytes = in_one_access<Stored> ? Pack<Stored, Width>::bytes : 1;
  static constexpr unsigned int all = (1u << Width) - 1;
  Pack<Stored, Width> pack;
  unsigned int there = 0;  // a bit an item

  template <class Value> static __device__ Stored stored(Value value) { return convert<Stored>(convert<Loop>(value)); }
  template <class Value> __device__ void put(int j, Value value) { pack.put(j, stored(value)); }
  template <class Value> __device__ void put(int j, ops::Maybe<Value> value) {
    pack.put(j, stored(value.value));
    there |= unsigned(value.there) << j;
  }
  template <class Value> __device__ void append(Value value) { pack.append(stored(value)); }
  template <class Value> __device__ void append(ops::Maybe<Value> value) {
    pack.append(stored(value.value));
    there = there >> 1 | unsigned(value.there) << (Width - 1);
  }
  __device__ void append_nothing() {
    pack.append(Stored());
    there >>= 1;
  }
  template <int Policy> __device__ void store(const Head& head, const i64* offset) const {
    const u64 address = head.word[0] + offset[0];
    if constexpr (Masked) {
      if (there == 0) return;
      if constexpr (Width > 1) {
        if (there != all) return store_items(address, Width);
      }
    }
    pack.template store<Policy>(address);
  }
  __device__ void store_items(const Head& head, const i64* offset, int count) const {
    store_items(head.word[0] + offset[0], count);
  }

 private:
  __device__ void store_items(u64 address, int count) const {
    Results rest = *this;
#pragma unroll 1
    for (int j = 0; j < count; ++j) {
      if (!Masked || (rest.there & 1)) *reinterpret_cast<Stored*>(address + j * sizeof(Stored)) = rest.pack.item(0);
      rest.pack.drop();
      rest.there >>= 1;
    }
  }
};

template <class First, class Second, int Width, bool Masked> struct Results<Both<First, Second>, Width, Masked> {
  using A = Results<First, Width, false>;
  using B = Results<Second, Width, false>;
  static_assert(!Masked, "a masked operation has one result");
  static constexpr int outputs = 2, pack_bytes = A::pack_bytes > B::pack_bytes ? A::pack_bytes : B::pack_bytes;
  A first;
  B second;

  template <class X, class Y> __device__ void put(int j, ops::Two<X, Y> value) {
    first.put(j, value.first);
    second.put(j, value.second);
  }
  template <class X, class Y> __device__ void append(ops::Two<X, Y> value) {
    first.append(value.first);
    second.append(value.second);
  }
  __device__ void append_nothing() {
    first.append_nothing();
    second.append_nothing();
  }
  template <int Policy> __device__ void store(const Head& head, const i64* offset) const {
    first.template store<Policy>(head, offset);
    second.template store<Policy>(shifted(head), offset + 1);
  }
  __device__ void store_items(const Head& head, const i64* offset, int count) const {
    first.store_items(head, offset, count);
    second.store_items(shifted(head), offset + 1, count);
  }

 private:
  static __device__ Head shifted(const Head& head) { return {{head.word[1]}, {}}; }
};

template <class Op> inline constexpr bool is_masked = false;
template <class Op> inline constexpr bool is_masked<ops::OnlyWhere<Op>> = true;

// ---- all operands of an operation -----------------------------------------------------------------------------------
template <int K, class In, int Width> struct Input { Held<In, Width> held; };

template <class Op, int Outputs, int Width, class Numbers, class... In> struct Inputs;
template <class Op, int Outputs, int Width, int... K, class... In>
struct Inputs<Op, Outputs, Width, indices<K...>, In...> : Input<K, In, Width>... {
  static constexpr bool as_stored = ops::takes_stored<Op>;

  template <int Policy> __device__ void load(const Head& head, const i64* offset) {
    (Input<K, In, Width>::held.template load<Policy>(head, K + Outputs, offset[K + Outputs]), ...);
  }
  __device__ void load_items(const Head& head, const i64* offset, int count) {
    (Input<K, In, Width>::held.load_items(head, K + Outputs, offset[K + Outputs], count), ...);
  }
  __device__ auto result(int j) const { return Op{}(Input<K, In, Width>::held.template argument<as_stored>(j)...); }
  __device__ void drop() { (Input<K, In, Width>::held.drop(), ...); }

  // Whether these addresses are multiples of the packs' bytes.
  static __device__ bool aligned(const Head& head) {
    return (true && ... && (head.word[K + Outputs] % Held<In, Width>::pack_bytes == 0 || Held<In, Width>::pack_bytes == 1));
  }
};

// What a kernel is made with: threads of a block, packs that each reads before it writes the first result, items in a
// pack; whether the functor's code is there once (Rolled) or for each item; how caches are used.
template <int Threads, int Packs, int Width, bool Rolled, int LoadPolicy, int StorePolicy> struct How {
  static constexpr int threads = Threads, packs = Packs, width = Width, loads = LoadPolicy, stores = StorePolicy;
  static constexpr bool rolled = Rolled;
  // The same for so many single items.
  template <int Count> using of_items = How<Threads, Count, 1, Rolled, LoadPolicy, StorePolicy>;
};

}  // namespace ca
