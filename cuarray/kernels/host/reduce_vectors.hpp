// Reductions whose results do not depend on the order in which items are combined (extremes and their places, any, all,
// counts), by blocks of items of one output: vectors of the CPU's width, and no accumulators in memory.
//
// A place is not kept by lane. A block's extreme value is found first, and only where that is better than all before,
// the block is searched for it: the first of equals is the one that NumPy reports, and the items are still in the cache.
#pragma once
#include "vector_bytes.hpp"

namespace ca::reductions {

// ---- vectors of items -----------------------------------------------------------------------------------------------
// Numbers that stand side by side.
template <class T> struct Numbers {
  using Number = T;
  const T* items;

  CA_ALWAYS_INLINE Lanes<T> at(i64 i) const {
    Lanes<T> x;
    memcpy(&x, items + i, sizeof x);
    return x;
  }
  CA_ALWAYS_INLINE Lanes<T> head(i64 n) const {  // of fewer items than lanes: the first one stands in all others
    Lanes<T> x = items[0];
    memcpy(&x, items, n * sizeof(T));
    return x;
  }
};

// Their bits without the sign, as an integer: 0 for numbers that are 0. Of complex numbers, both parts' bits.
template <int Bytes> struct bits_of_size;
template <> struct bits_of_size<1> { using type = unsigned char; };
template <> struct bits_of_size<2> { using type = unsigned short; };
template <> struct bits_of_size<4> { using type = unsigned int; };
template <> struct bits_of_size<8> { using type = u64; };
template <> struct bits_of_size<16> { using type = u64; };
template <class Item> struct Magnitudes {
  static_assert(sizeof(Item) <= 16, "an item is a number");
  using Number = typename bits_of_size<sizeof(Item)>::type;
  static constexpr Number top = Number(Number(1) << (sizeof(Number) * 8 - 1));
  static constexpr Number used = Number(is_same_v<Item, complex<float>>               ? ~(top | top >> 32)
                                        : is_integer<Item> || is_bool<Item> ? ~Number(0) : ~top);
  const Item* items;

  CA_ALWAYS_INLINE Lanes<Number> at(i64 i) const {
    const Numbers<Number> words{reinterpret_cast<const Number*>(items)};
    if constexpr (sizeof(Item) == 16) return pairs(words.at(2 * i), words.at(2 * i + lanes_of<Number>));
    else return words.at(i) & used;
  }
  CA_ALWAYS_INLINE Lanes<Number> head(i64 n) const {
    Item padded[lanes_of<Number>];
    for (Item& item : padded) item = items[0];
    memcpy(padded, items, n * sizeof(Item));
    return Magnitudes{padded}.at(0);
  }

 private:
  static CA_ALWAYS_INLINE Lanes<Number> pairs(Lanes<Number> a, Lanes<Number> b) {
    struct { Lanes<Number> a, b; } both = {a, b};
    typedef Number Two __attribute__((ext_vector_type(2 * lanes_of<Number>)));
    const Two words = bit_cast<Two>(both);
    return (words.even | words.odd) & used;
  }
};

template <bool Greatest, class V> CA_ALWAYS_INLINE V better_of(V a, V b) {  // b where a is NaN
  if constexpr (Greatest) return a > b ? a : b;
  else return a < b ? a : b;
}
template <bool Greatest, int Count, class V> CA_ALWAYS_INLINE auto best_lane(V x) {
  if constexpr (Count == 1) return x;
  else return best_lane<Greatest, Count / 2>(better_of<Greatest>(V(x).lo, V(x).hi));
}
template <class T> CA_ALWAYS_INLINE bool any(Truth<T> lanes) {
  typedef unsigned char Bytes __attribute__((ext_vector_type(lanes_of<T>)));
  return __builtin_reduce_or(__builtin_convertvector(lanes, Bytes)) != 0;
}
template <bool Greatest, class T> CA_ALWAYS_INLINE T worst_of() {
  return Greatest ? limits<T>::lowest() : limits<T>::highest();
}

template <class T> struct Extreme {
  T value;  // of the numbers; the worst one if there are none
  bool has_nan;
};
// Of one item at least. An item may be looked at twice.
template <bool Greatest, class Source, class T = typename Source::Number>
CA_ALWAYS_INLINE Extreme<T> best_of(const Source& from, i64 n) {
  constexpr int ways = 4, width = lanes_of<T>;  // vectors that do not wait for each other
  Lanes<T> best[ways];
  for (int w = 0; w < ways; ++w) best[w] = worst_of<Greatest, T>();
  Truth<T> nan = 0;
  auto add = [&](int w, Lanes<T> x) {
    best[w] = better_of<Greatest>(x, best[w]);
    if constexpr (is_floating<T>) nan |= __builtin_convertvector(x != x, Truth<T>);
  };
  i64 i = 0;
  for (; i + ways * width <= n; i += ways * width) {
    Lanes<T> x[ways];
    for (int w = 0; w < ways; ++w) x[w] = from.at(i + w * width);
    for (int w = 0; w < ways; ++w) best[w] = better_of<Greatest>(x[w], best[w]);
    if constexpr (is_floating<T>)
      for (int w = 0; w < ways; w += 2)
        nan |= __builtin_convertvector((x[w] != x[w]) | (x[w + 1] != x[w + 1]), Truth<T>);
  }
  for (int w = 0; i + width <= n; i += width, ++w) add(w, from.at(i));
  if (i < n) add(0, n < width ? from.head(n) : from.at(n - width));
  const Lanes<T> all = better_of<Greatest>(better_of<Greatest>(best[0], best[1]), better_of<Greatest>(best[2], best[3]));
  return {best_lane<Greatest, width>(all), is_floating<T> && any<T>(nan)};
}

// The first of the items that is equal to x, or a NaN; n if there is none.
template <bool Nan, class T> CA_ALWAYS_INLINE i64 first_of(const T* items, i64 n, T x) {
  const Numbers<T> from{items};
  const Lanes<T> wanted = x;
  i64 i = 0;
  for (; i + lanes_of<T> <= n; i += lanes_of<T>) {
    const Lanes<T> own = from.at(i);
    if (any<T>(__builtin_convertvector(Nan ? own != own : own == wanted, Truth<T>))) break;
  }
  for (; i < n; ++i)
    if (Nan ? items[i] != items[i] : items[i] == x) break;
  return i;
}

// ---- what a block of items does -------------------------------------------------------------------------------------
// Of a reduction: Item, the type that items are to have; add(items, n, place) for n of them, 1 or more, of which the first
// has this number; held(), before the items are gone; settled(), if no further item matters; total().
template <class Op> struct Block { static constexpr bool exists = false; };

template <class T> using number_t = typename choose<is_bool<T>, unsigned char, T>::type;

template <class Op, class Loop, bool Greatest> struct ExtremumBlock {
  static constexpr bool exists = true, settles = is_bool<Loop>;
  using Item = compute_t<Loop>;
  using Number = number_t<Item>;
  typename Op::Acc acc = Op::identity();
  bool nan = false;

  static Item absent() { return Op::identity(); }
  void add(const Item* items, i64 n, i64) {
    const auto* numbers = reinterpret_cast<const Number*>(items);
    const Extreme<Number> best = best_of<Greatest>(Numbers<Number>{numbers}, n);
    nan = best.has_nan;
    acc = Op::combine(acc, Item(nan ? numbers[first_of<true>(numbers, n, Number(0))] : best.value));
  }
  void held() {}
  bool settled() const { return nan || (is_bool<Loop> && acc == Item(Greatest)); }
  typename Op::Acc total() { return acc; }
};
template <class Loop> struct Block<Min<Loop>> : ExtremumBlock<Min<Loop>, Loop, false> {};
template <class Loop> struct Block<Max<Loop>> : ExtremumBlock<Max<Loop>, Loop, true> {};

template <class Op, class Loop, class Place, bool Greatest, bool SkipNan> struct PlaceBlock {
  static constexpr bool exists = true, settles = is_bool<Loop>;
  using Item = compute_t<Loop>;
  using Number = number_t<Item>;
  Number value = worst_of<Greatest, Number>();
  i64 place = -1;
  bool nan = false;
  const Number* found = nullptr;  // the block that has the value, from `place` on, where it was not searched yet
  i64 count = 0;

  void add(const Item* items, i64 n, i64 first) {
    const auto* numbers = reinterpret_cast<const Number*>(items);
    if constexpr (is_bool<Loop>) return find(numbers, n, first);
    const Extreme<Number> best = best_of<Greatest>(Numbers<Number>{numbers}, n);
    if (!SkipNan && best.has_nan) {
      const i64 k = first_of<true>(numbers, n, Number(0));
      nan = true, value = numbers[k], place = first + k, found = nullptr;
    } else if (place < 0 || (Greatest ? best.value > value : best.value < value)) {
      value = best.value, found = numbers, count = n;
      const i64 before = place;
      place = first;
      if (SkipNan && value == worst_of<Greatest, Number>()) {  // which may be none of the items
        held();
        if (place == first + n) place = before;
      }
    }
  }
  void held() {
    if (found) place += first_of<false>(found, count, value);
    found = nullptr;
  }
  bool settled() const { return nan || (is_bool<Loop> && value == Number(Greatest)); }
  typename Op::Acc total() {
    held();
    if (place < 0) return Op::identity();
    return {Item(value), Place(place)};
  }

 private:
  void find(const Number* numbers, i64 n, i64 first) {  // of two values there are
    const i64 k = first_of<false>(numbers, n, Number(Greatest));
    if (k < n) value = Number(Greatest), place = first + k;
    else if (place < 0) place = first;
  }
};

// Lexicographic: where the real part is as good as the best one, the imaginary part counts.
template <class Op, class Loop, bool Greatest, bool SkipNan> struct ComplexBlock {
  static constexpr bool exists = true, settles = false;
  static constexpr int most = 1024;
  using Item = Loop;
  using Real = real_t<Loop>;
  typename Op::Acc acc = Op::identity();
  Real edge = worst_of<Greatest, Real>();  // no better real part was met, nor a NaN
  bool nan = false;

  static Item absent() { return {worst_of<Greatest, Real>(), worst_of<Greatest, Real>()}; }
  void add(const Item* items, i64 n, i64 place) {
    for (i64 i = 0; i < n && !settled(); i += most) add_some(items + i, n - i < most ? n - i : most, place + i);
  }
  void held() {}
  bool settled() const { return nan; }
  typename Op::Acc total() { return acc; }

 private:
  void add_some(const Item* items, i64 n, i64 place) {
    Real re[most], im[most];
    const auto* parts = reinterpret_cast<const Real*>(items);
    int missing = 0;
    for (i64 i = 0; i < n; ++i) {
      re[i] = parts[2 * i];
      im[i] = parts[2 * i + 1];
      missing |= (re[i] != re[i]) | (im[i] != im[i]);
    }
    if (missing) {
      for (i64 i = 0; i < n; ++i) acc = Op::combine(acc, Op::load(items[i], place + i));
      nan = !SkipNan;
      return;
    }
    const Real best = best_of<Greatest>(Numbers<Real>{re}, n).value;
    if (Greatest ? best < edge : best > edge) return;
    edge = best;
    const Real worst = worst_of<Greatest, Real>();
    for (i64 i = 0; i < n; ++i) im[i] = re[i] == best ? im[i] : worst;
    const Real beside = best_of<Greatest>(Numbers<Real>{im}, n).value;
    i64 k = 0;
    while (!(re[k] == best && im[k] == beside)) ++k;
    acc = Op::combine(acc, Op::load(items[k], place + k));
  }
};
template <class T> struct Block<Min<complex<T>>> : ComplexBlock<Min<complex<T>>, complex<T>, false, false> {};
template <class T> struct Block<Max<complex<T>>> : ComplexBlock<Max<complex<T>>, complex<T>, true, false> {};

template <class Op, class Loop, class Place, bool Greatest, bool SkipNan>
using place_block = typename choose<is_complex<compute_t<Loop>>, ComplexBlock<Op, Loop, Greatest, SkipNan>,
                                    PlaceBlock<Op, Loop, Place, Greatest, SkipNan>>::type;
template <class Loop, class P> struct Block<ArgMin<Loop, P>> : place_block<ArgMin<Loop, P>, Loop, P, false, false> {};
template <class Loop, class P> struct Block<ArgMax<Loop, P>> : place_block<ArgMax<Loop, P>, Loop, P, true, false> {};
template <class Loop, class P>
struct Block<NanArgMin<Loop, P>> : place_block<NanArgMin<Loop, P>, Loop, P, false, true> {};
template <class Loop, class P>
struct Block<NanArgMax<Loop, P>> : place_block<NanArgMax<Loop, P>, Loop, P, true, true> {};

// Any: the largest magnitude is not 0. All: nor is the smallest one.
template <class Op, class Loop, bool Greatest> struct TruthBlock {
  static constexpr bool exists = true, settles = true;
  using Item = Loop;
  typename Op::Acc acc = Op::identity();

  static Item absent() { return Greatest ? Item(0.0f) : Item(1.0f); }
  void add(const Item* items, i64 n, i64) {
    acc = Op::combine(acc, best_of<Greatest>(Magnitudes<Item>{items}, n).value != 0);
  }
  void held() {}
  bool settled() const { return Op::settled(acc); }
  typename Op::Acc total() { return acc; }
};
template <class Loop> struct Block<Any<Loop>> : TruthBlock<Any<Loop>, Loop, true> {};
template <class Loop> struct Block<All<Loop>> : TruthBlock<All<Loop>, Loop, false> {};

template <class Loop> struct Block<CountNonzero<Loop>> {
  static constexpr bool exists = true, settles = false;
  using Item = Loop;
  i64 acc = 0;

  static Item absent() { return Item(0.0f); }
  void add(const Item* items, i64 n, i64) {
    using T = typename Magnitudes<Item>::Number;
    constexpr int width = lanes_of<T>, rounds = 255;  // a lane of a byte counts no further
    const Magnitudes<Item> from{items};
    i64 i = 0;
    while (i + width <= n) {
      Lanes<T> counts = 0;
      const i64 left = (n - i) / width, some = left < rounds ? left : rounds;
      for (i64 k = 0; k < some; ++k, i += width) counts -= bit_cast<Lanes<T>>(from.at(i) != 0);
      for (int j = 0; j < width; ++j) acc += i64(counts[j]);
    }
    for (; i < n; ++i) acc += convert<bool>(items[i]);
  }
  void held() {}
  bool settled() const { return false; }
  i64 total() { return acc; }
};

// ---- runs of items --------------------------------------------------------------------------------------------------
// Adds the n items of a row.
template <class In, class Loop, class B, class R> void add_run(B& block, const R& from, i64 n) {
  using Item = typename B::Item;
  if constexpr (R::packed && !R::masked && is_same_v<In, Item>) {
    constexpr i64 most = (B::settles ? 8192 : 32768) / sizeof(Item);
    const auto* items = reinterpret_cast<const Item*>(from.in);
    for (i64 i = 0; i < n && !block.settled(); i += most) block.add(items + i, n - i < most ? n - i : most, from.place + i);
  } else {
    constexpr i64 most = 1024;
    Item items[most];
    R rest = from;
    for (i64 i = 0; i < n && !block.settled(); i += most) {
      const i64 some = n - i < most ? n - i : most;
      rest.copy_row(items, 0, some);
      if constexpr (R::masked)
        for (i64 j = 0; j < some; ++j) items[j] = rest.there(0, j) ? items[j] : B::absent();
      block.add(items, some, from.place + i);
      block.held();
      rest.in += some * rest.step;
      rest.mask += some * rest.mask_step;
    }
  }
}

}  // namespace ca::reductions
