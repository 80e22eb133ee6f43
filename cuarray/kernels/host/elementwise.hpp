// How the CPU runs the two elementwise kernels: a block has a part of the items to itself.
//
// Everything comes down to runs of items that stand side by side in every array. Contiguous arrays are one such run.
// Other operands are cut into tiles and, where their items lie otherwise, copied into buffers: strided, broadcast or
// transposed ones then cost a copy within the L1 cache, and one loop serves all.
//
// A run's loop is one that the compiler turns into vector instructions, or it calls the functor with simd<T> where that
// is a number of vectors' own functions (ops::InVectors).
#pragma once
#include "host/simd.hpp"

namespace ca::runs {

// ---- items: the parts of complex numbers one by one, as the compiler makes no vectors of pairs ----------------------
template <class Stored> CA_ALWAYS_INLINE Stored read(const Stored* from, i64 i) {
  if constexpr (is_complex<Stored>) {
    const auto* parts = reinterpret_cast<const real_t<Stored>*>(from);
    return {parts[2 * i], parts[2 * i + 1]};
  } else {
    return from[i];
  }
}
template <class Stored> CA_ALWAYS_INLINE void write(Stored* to, i64 i, Stored value) {
  if constexpr (is_complex<Stored>) {
    auto* parts = reinterpret_cast<real_t<Stored>*>(to);
    parts[2 * i] = value.re;
    parts[2 * i + 1] = value.im;
  } else {
    to[i] = value;
  }
}

// ---- the items of an operand -------------------------------------------------------------------------------------
// Pointers are kept apart from what else an operand is: as parameters they can be `restrict`.
template <class In, bool AsStored> struct Source;
template <class Stored, class Loop, bool AsStored> struct Source<Array<Stored, Loop>, AsStored> {
  using Item = Stored;
  const Stored* items;
  Source(const Head& head, int k) : items(reinterpret_cast<const Stored*>(head.word[k])) {}
  CA_ALWAYS_INLINE argument_t<Loop, AsStored> get(const Stored* from, i64 i) const {
    return convert<argument_t<Loop, AsStored>>(convert<Loop>(read(from, i)));
  }
};
template <class Loop, bool AsStored> struct Source<Scalar<Loop>, AsStored> {
  using Item = char;
  const Item* items = nullptr;
  argument_t<Loop, AsStored> value;
  Source(const Head& head, int k) : value(Scalar<Loop>::template load<AsStored>(head, k, 0)) {}
  CA_ALWAYS_INLINE argument_t<Loop, AsStored> get(const Item*, i64) const { return value; }
};
template <bool AsStored> struct Source<Position, AsStored> {
  using Item = char;
  const Item* items = nullptr;
  i64 first;
  Source(const Head& head, int k) : first(i64(head.word[k])) {}
  CA_ALWAYS_INLINE i64 get(const Item*, i64 i) const { return first + i; }
};

template <class Out, int K = 0> struct Target;
template <class Stored, class Loop, int K> struct Target<Array<Stored, Loop>, K> {
  using Item = Stored;
  using Second = char;
  Stored* items;
  Second* seconds = nullptr;
  explicit Target(const Head& head) : items(reinterpret_cast<Stored*>(head.word[K])) {}
  template <class Value> static CA_ALWAYS_INLINE void set(Stored* to, Second*, i64 i, Value value) {
    write(to, i, convert<Stored>(convert<Loop>(value)));
  }
  template <class Value> static CA_ALWAYS_INLINE void set(Stored* to, Second*, i64 i, ops::Maybe<Value> value) {
    const Stored before = read(to, i), now = convert<Stored>(convert<Loop>(value.value));
    write(to, i, value.there ? now : before);
  }
};
template <class One, class Other> struct Target<Both<One, Other>, 0> {
  using First = Target<One, 0>;
  using Item = typename First::Item;
  using Second = typename Target<Other, 1>::Item;
  Item* items;
  Second* seconds;
  explicit Target(const Head& head) : items(First(head).items), seconds(Target<Other, 1>(head).items) {}
  template <class A, class B> static CA_ALWAYS_INLINE void set(Item* to, Second* other, i64 i, ops::Two<A, B> value) {
    First::set(to, nullptr, i, value.first);
    Target<Other, 1>::set(other, nullptr, i, value.second);
  }
};

// The loop that the compiler is to turn into vector instructions. The outputs may be an operand's own array, although
// they are `restrict`: an item is read before it is written, and no other one is written meanwhile.
template <class Op, class To, class... From> struct Loop {
  static __attribute__((noinline)) void go(i64 n, typename To::Item* __restrict to,
                                           typename To::Second* __restrict other,
                                           const typename From::Item* __restrict... items, From... from) {
    for (i64 i = 0; i < n; ++i) To::set(to, other, i, Op{}(from.get(items, i)...));
  }
};
template <class Op, class To, class... From> CA_ALWAYS_INLINE void loop(i64 n, To to, From... from) {
  Loop<Op, To, From...>::go(n, to.items, to.seconds, from.items..., from...);
}

// The bytes of an item of each operand, the outputs first; 0: a scalar.
template <i64... Bytes> struct ItemBytes {
  static constexpr i64 values[] = {Bytes...};
  static constexpr i64 widest() {
    i64 most = 0;
    for (i64 own : values) most = own > most ? own : most;
    return most;
  }
};
template <class Out, class... In> struct item_bytes { using type = ItemBytes<Out::item_bytes, In::item_bytes...>; };
template <class First, class Second, class... In> struct item_bytes<Both<First, Second>, In...> {
  using type = ItemBytes<First::item_bytes, Second::item_bytes, In::item_bytes...>;
};

// ---- one run ------------------------------------------------------------------------------------------------------
inline constexpr i64 tile_items = 1024;  // 8 KiB of doubles: with three operands they stay in the L1 cache

template <class T, class... More> struct last_of : last_of<More...> {};
template <class T> struct last_of<T> { using type = T; };

template <class Operand> struct computed { using type = void; };
template <class Stored, class Loop> struct computed<Array<Stored, Loop>> { using type = compute_t<Loop>; };
template <class Loop> struct computed<Scalar<Loop>> { using type = compute_t<Loop>; };

// Whether the functor is called with simd<T>.
template <class Op, class T>
inline constexpr bool has_vectors_of =
    is_floating<T> || (is_integer<T> && sizeof(T) >= ops::integers_in_vectors<Op>);
template <class Op, class T, class... In>
inline constexpr bool in_vectors = std::is_base_of_v<ops::InVectors, Op> && has_vectors_of<Op, T> &&
                                   (is_same_v<T, typename computed<In>::type> && ...);

// An operand as vectors of T; one that is stored as something else is converted before, a tile at a time.
template <class In, class T> struct Vectors {
  Source<In, false> source;
  T items[tile_items];
  Vectors(const Head& head, int k) : source(head, k) {}
  void prepare(i64 first, i64 n) {
    for (i64 i = 0; i < n; ++i) items[i] = source.get(source.items, first + i);
  }
  CA_ALWAYS_INLINE simd<T> get(i64 i) const { return simd<T>::load(items + i); }
  CA_ALWAYS_INLINE simd<T> get(i64 i, i64 n) const { return simd<T>::load(items + i, n); }
};
template <class T> struct Vectors<Array<T, T>, T> {
  const T *all, *items = nullptr;
  Vectors(const Head& head, int k) : all(reinterpret_cast<const T*>(head.word[k])) {}
  void prepare(i64 first, i64) { items = all + first; }
  CA_ALWAYS_INLINE simd<T> get(i64 i) const { return simd<T>::load(items + i); }
  CA_ALWAYS_INLINE simd<T> get(i64 i, i64 n) const { return simd<T>::load(items + i, n); }
};
template <class Loop, class T> struct Vectors<Scalar<Loop>, T> {
  simd<T> value;
  Vectors(const Head& head, int k) : value(Scalar<Loop>::load(head, k, 0)) {}
  void prepare(i64, i64) {}
  CA_ALWAYS_INLINE simd<T> get(i64) const { return value; }
  CA_ALWAYS_INLINE simd<T> get(i64, i64) const { return value; }
};

// An output that vectors of T are written to.
template <class Out, class T, int K = 0> struct Results {
  Target<Out, K> target;
  T items[tile_items];
  explicit Results(const Head& head) : target(head) {}
  void prepare(i64) {}
  CA_ALWAYS_INLINE void put(i64 i, simd<T> x) { x.store(items + i); }
  CA_ALWAYS_INLINE void put(i64 i, simd<T> x, i64 n) { x.store(items + i, n); }
  void finish(i64 first, i64 n) {
    for (i64 i = 0; i < n; ++i) Target<Out, K>::set(target.items, nullptr, first + i, items[i]);
  }
};
template <class T, int K> struct Results<Array<T, T>, T, K> {
  T *all, *items = nullptr;
  explicit Results(const Head& head) : all(reinterpret_cast<T*>(head.word[K])) {}
  void prepare(i64 first) { items = all + first; }
  CA_ALWAYS_INLINE void put(i64 i, simd<T> x) { x.store(items + i); }
  CA_ALWAYS_INLINE void put(i64 i, simd<T> x, i64 n) { x.store(items + i, n); }
  void finish(i64, i64) {}
};
template <class First, class Second, class T> struct Results<Both<First, Second>, T, 0> {
  Results<First, T, 0> first;
  Results<Second, T, 1> second;
  explicit Results(const Head& head) : first(head), second(head) {}
  void prepare(i64 at) { first.prepare(at), second.prepare(at); }
  template <class Value, class... N> CA_ALWAYS_INLINE void put(i64 i, Value x, N... n) {
    first.put(i, x.first, n...), second.put(i, x.second, n...);
  }
  void finish(i64 at, i64 n) { first.finish(at, n), second.finish(at, n); }
};

// Arrays of float16 become float a tile at a time: the compiler takes comparisons and signs of converted numbers for
// ones of float16, which no vector instruction does.
__attribute__((noinline)) inline void widen(float* to, const float16* from, i64 n) {
  for (i64 i = 0; i < n; ++i) to[i] = float(from[i]);
}
__attribute__((noinline)) inline void narrow(float16* to, const float* from, i64 n) {
  for (i64 i = 0; i < n; ++i) to[i] = float16(from[i]);
}
template <class Operand> struct widened { using type = Operand; };
template <class Loop> struct widened<Array<float16, Loop>> {
  using type = Array<float, typename choose<is_same_v<Loop, float16>, float, Loop>::type>;
};
template <> struct widened<Scalar<float16>> { using type = Scalar<float>; };
template <class Operand> inline constexpr bool is_half = false;
template <class Loop> inline constexpr bool is_half<Array<float16, Loop>> = true;

// Runs the functor on n items that stand side by side in every array, from where the head's words point to.
template <class Op, class Out, class... In> struct Run {
  using T = typename computed<typename last_of<In...>::type>::type;

  static void go(const Head& head, i64 n) {
    if constexpr (!ops::takes_stored<Op> && Out::outputs == 1 && (is_half<In> || ...)) by_widening(head, n);
    else go(head, n, typename make_indices<sizeof...(In)>::type{});
  }

 private:
  static void by_widening(const Head& head, i64 n) {
    constexpr bool narrows = is_same_v<Out, Array<float16, float16>>;
    using Wide = Run<Op, typename choose<narrows, Array<float, float>, Out>::type, typename widened<In>::type...>;
    constexpr bool half[] = {is_half<In>...}, scalar[] = {is_same_v<In, Scalar<float16>>...};
    constexpr i64 bytes[] = {In::item_bytes...};
    float items[1 + sizeof...(In)][tile_items];
    for (i64 first = 0; first < n; first += tile_items) {
      const i64 count = n - first < tile_items ? n - first : tile_items;
      Head own = head;
      own.word[0] = narrows ? u64(items[0]) : head.word[0] + first * Out::item_bytes;
      for (int k = 1; k <= int(sizeof...(In)); ++k) {
        own.word[k] += first * bytes[k - 1];
        if (half[k - 1]) {
          widen(items[k], reinterpret_cast<const float16*>(own.word[k]), count);
          own.word[k] = u64(items[k]);
        } else if (scalar[k - 1]) {
          own.word[k] = bit_cast<unsigned>(float(bit_cast<float16>(static_cast<unsigned short>(head.word[k]))));
        }
      }
      Wide::go(own, count);
      if (narrows) narrow(reinterpret_cast<float16*>(head.word[0]) + first, items[0], count);
    }
  }
  template <int... K> static void go(const Head& head, i64 n, indices<K...>) {
    if constexpr (in_vectors<Op, T, In...>)
      by_vectors(n, Results<Out, T>(head), Vectors<In, T>(head, K + Out::outputs)...);
    else loop<Op>(n, Target<Out>(head), Source<In, ops::takes_stored<Op>>(head, K + Out::outputs)...);
  }
  template <class To, class... From> static CA_ALWAYS_INLINE void by_vectors(i64 n, To&& to, From&&... from) {
    constexpr i64 size = simd<T>::size;
    for (i64 first = 0; first < n; first += tile_items) {
      const i64 count = n - first < tile_items ? n - first : tile_items, whole = count - count % size;
      (from.prepare(first, count), ...);
      to.prepare(first);
      for (i64 i = 0; i < whole; i += size) to.put(i, Op{}(from.get(i)...));
      if (whole < count) to.put(whole, Op{}(from.get(whole, count - whole)...), count - whole);
      to.finish(first, count);
    }
  }
};

// A number's bits are enough, and float would be a detour.
template <> struct Run<ops::Absolute, Array<float16, float16>, Array<float16, float16>> {
  static void go(const Head& head, i64 n) {
    clear_signs(n, reinterpret_cast<unsigned short*>(head.word[0]), reinterpret_cast<const unsigned short*>(head.word[1]));
  }

 private:
  static __attribute__((noinline)) void clear_signs(i64 n, unsigned short* __restrict to,
                                                    const unsigned short* __restrict from) {
    for (i64 i = 0; i < n; ++i) to[i] = from[i] & 0x7fff;
  }
};

// Under a mask all items of a tile are computed, and those are written that the mask has.
template <class Op, class Out, class Mask, class... In> struct Run<ops::OnlyWhere<Op>, Out, Mask, In...> {
  using T = typename computed<typename last_of<Mask, In...>::type>::type;

  static void go(const Head& head, i64 n) {
    if constexpr (in_vectors<Op, T, In...>) {
      T values[tile_items];
      const Target<Out> target(head);
      const Source<Mask, false> mask(head, 1);
      constexpr i64 bytes[] = {0, In::item_bytes...};
      for (i64 first = 0; first < n; first += tile_items) {
        const i64 count = n - first < tile_items ? n - first : tile_items;
        Head own = head;
        own.word[0] = u64(values);
        for (int k = 1; k <= int(sizeof...(In)); ++k) {
          own.word[k] = head.word[k + 1] + first * bytes[k];
          own.high[k - 1] = head.high[k];
        }
        Run<Op, Array<T, T>, In...>::go(own, count);
        for (i64 i = 0; i < count; ++i)
          target.set(target.items, nullptr, first + i, ops::Maybe<T>{mask.get(mask.items, first + i), values[i]});
      }
    } else {
      go(head, n, typename make_indices<sizeof...(In)>::type{});
    }
  }

 private:
  template <int... K> static void go(const Head& head, i64 n, indices<K...>) {
    constexpr bool stored = ops::takes_stored<Op>;
    loop<ops::OnlyWhere<Op>>(n, Target<Out>(head), Source<Mask, stored>(head, 1), Source<In, stored>(head, K + 2)...);
  }
};

// ---- contiguous arrays ----------------------------------------------------------------------------------------------
template <class Op, class Out, class... In> inline void contiguous(const Contiguous& p) {
  const auto items = work_items(p.size);
  if (items.first == items.last) return;
  using Bytes = typename item_bytes<Out, In...>::type;
  Head head = p.head;
  for (int k = 0; k < Out::outputs + int(sizeof...(In)); ++k) head.word[k] += items.first * Bytes::values[k];
  Run<Op, Out, In...>::go(head, items.last - items.first);
}

// ---- arrays with any strides ----------------------------------------------------------------------------------------
// Rows and columns of a piece of an array in memory, in bytes.
struct Steps { i64 row, column; };

template <i64 Bytes> struct word_of { using type = Opaque<char, Bytes>; };
template <> struct word_of<1> { using type = unsigned char; };
template <> struct word_of<2> { using type = unsigned short; };
template <> struct word_of<4> { using type = unsigned int; };
template <> struct word_of<8> { using type = u64; };
template <> struct word_of<16> { using type = Opaque<u64, 2>; };

template <class Word>
void copy_one_by_one(char* to, Steps to_steps, const char* from, Steps from_steps, i64 rows, i64 columns) {
  for (i64 r = 0; r < rows; ++r, to += to_steps.row, from += from_steps.row) {
    char* out = to;
    const char* in = from;
#pragma clang loop vectorize(disable) unroll_count(4)
    for (i64 c = 0; c < columns; ++c, out += to_steps.column, in += from_steps.column)
      *reinterpret_cast<Word*>(out) = *reinterpret_cast<const Word*>(in);
  }
}

// Neighbours in a row become neighbours in a column: four by four, in registers.
template <class Word>
void copy_turned(char* to, i64 to_column, const char* from, i64 from_row, i64 rows, i64 columns) {
  typedef Word Four __attribute__((ext_vector_type(4)));
  constexpr i64 bytes = sizeof(Word);
  const i64 whole_rows = rows - rows % 4, whole_columns = columns - columns % 4;
  for (i64 r = 0; r < whole_rows; r += 4)
    for (i64 c = 0; c < whole_columns; c += 4) {
      Four in[4];
      for (int i = 0; i < 4; ++i) memcpy(&in[i], from + (r + i) * from_row + c * bytes, sizeof(Four));
      const Four low = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5);
      const Four high = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
      const Four low2 = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
      const Four high2 = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
      const Four out[4] = {__builtin_shufflevector(low, low2, 0, 1, 4, 5),
                           __builtin_shufflevector(low, low2, 2, 3, 6, 7),
                           __builtin_shufflevector(high, high2, 0, 1, 4, 5),
                           __builtin_shufflevector(high, high2, 2, 3, 6, 7)};
      for (int i = 0; i < 4; ++i) memcpy(to + (c + i) * to_column + r * bytes, &out[i], sizeof(Four));
    }
  const Steps to_steps = {bytes, to_column}, from_steps = {from_row, bytes};
  copy_one_by_one<Word>(to + whole_columns * to_column, to_steps, from + whole_columns * bytes, from_steps, whole_rows,
                        columns - whole_columns);
  copy_one_by_one<Word>(to + whole_rows * bytes, to_steps, from + whole_rows * from_row, from_steps, rows - whole_rows,
                        columns);
}

// Copies rows x columns items of so many bytes.
template <i64 Bytes>
void copy_tile(char* to, Steps to_steps, const char* from, Steps from_steps, i64 rows, i64 columns) {
  using Word = typename word_of<Bytes>::type;
  if (to_steps.column == Bytes && from_steps.column == Bytes) {
    for (i64 r = 0; r < rows; ++r) memcpy(to + r * to_steps.row, from + r * from_steps.row, columns * Bytes);
    return;
  }
  if (to_steps.column == Bytes && from_steps.column == 0) {
    for (i64 r = 0; r < rows; ++r) {
      const Word value = *reinterpret_cast<const Word*>(from + r * from_steps.row);
      Word* items = reinterpret_cast<Word*>(to + r * to_steps.row);
      for (i64 c = 0; c < columns; ++c) items[c] = value;
    }
    return;
  }
  if constexpr (Bytes <= 8 && sizeof(Word) == Bytes) {
    if (to_steps.column == Bytes && from_steps.column == 2 * Bytes) {  // a step that vectors can be picked from
      for (i64 r = 0; r < rows; ++r) {
        const Word* __restrict in = reinterpret_cast<const Word*>(from + r * from_steps.row);
        Word* __restrict items = reinterpret_cast<Word*>(to + r * to_steps.row);
        for (i64 c = 0; c < columns; ++c) items[c] = in[2 * c];
        // What the next tile begins with: the CPU foresees no further than a page.
        const char* next = reinterpret_cast<const char*>(in + 2 * columns);
        for (i64 ahead = 0; ahead < 2 * columns * Bytes; ahead += 64) __builtin_prefetch(next + ahead, 0, 2);
      }
      return;
    }
  }
  if constexpr (Bytes == 4 || Bytes == 8) {
    if (to_steps.row == Bytes && from_steps.column == Bytes)
      return copy_turned<Word>(to, to_steps.column, from, from_steps.row, rows, columns);
    if (to_steps.column == Bytes && from_steps.row == Bytes)
      return copy_turned<Word>(to, to_steps.row, from, from_steps.column, columns, rows);
  }
  const auto distance = [](i64 a, i64 b) { return (a < 0 ? -a : a) + (b < 0 ? -b : b); };
  // What lies closer together is walked first.
  if (distance(to_steps.column, from_steps.column) > distance(to_steps.row, from_steps.row)) {
    to_steps = {to_steps.column, to_steps.row};
    from_steps = {from_steps.column, from_steps.row};
    const i64 other = rows;
    rows = columns;
    columns = other;
  }
  copy_one_by_one<Word>(to, to_steps, from, from_steps, rows, columns);
}
using CopyTile = void(char*, Steps, const char*, Steps, i64, i64);
template <i64 Bytes> constexpr CopyTile* tile_copier() {
  if constexpr (Bytes == 0) return nullptr;
  else return copy_tile<Bytes>;
}

// How arrays are cut into tiles of the two innermost axes, of at most so many items.
template <int Operands, int NDim> struct Tiles {
  const Strided<NDim, Operands>& p;
  i64 rows, columns;        // of a tile, at most
  i64 row_tiles, column_tiles;
  bool gathered[Operands];  // copied into a buffer
  bool flat = true;         // in all others the rows of a tile follow each other

  i64 row_stride(int k) const { return NDim > 1 ? p.strides[k][NDim > 1 ? NDim - 2 : 0] : 0; }
  i64 column_stride(int k) const { return p.strides[k][NDim - 1]; }
  Steps steps(int k) const { return {row_stride(k), column_stride(k)}; }
  i64 all_rows() const { return NDim > 1 ? p.shape[NDim > 1 ? NDim - 2 : 0] : 1; }
  i64 all_columns() const { return p.shape[NDim - 1]; }

  Tiles(const Strided<NDim, Operands>& p, const i64 (&bytes)[Operands], i64 items, i64 edge) : p(p) {
    bool any = false, across = false;
    for (int k = 0; k < Operands; ++k) {
      gathered[k] = bytes[k] && column_stride(k) != bytes[k];
      any |= gathered[k];
      across |= gathered[k] && all_rows() > 1 && row_stride(k) && distance(row_stride(k)) < distance(column_stride(k));
    }
    // Where an operand's neighbours stand in different rows, a tile has as many rows as columns: the cache lines that
    // it touches are used up while they are in the L1 cache.
    columns = lesser(all_columns(), across ? edge : any ? items : 16 * items);
    rows = lesser(all_rows(), across ? edge : columns < few ? lesser(items / columns, items / 2) : 1);
    if (rows < 1) rows = 1;
    for (int k = 0; k < Operands; ++k) {
      if (!bytes[k] || gathered[k] || rows == 1) continue;
      const bool follows = columns == all_columns() && row_stride(k) == columns * bytes[k];
      if (!follows && columns < few && !across) gathered[k] = true;
      else flat &= follows;
    }
    row_tiles = (all_rows() + rows - 1) / rows;
    column_tiles = (all_columns() + columns - 1) / columns;
  }
  i64 count() const {
    i64 tiles = row_tiles * column_tiles;
    for (int d = 0; d < NDim - 2; ++d) tiles *= p.shape[d];
    return tiles;
  }

  static constexpr i64 few = 32;  // columns: then many rows are one run
  static i64 distance(i64 stride) { return stride < 0 ? -stride : stride; }
  static i64 lesser(i64 a, i64 b) { return a < b ? a : b; }
};

// A tile: where it begins in each operand, and the next one.
template <int Operands, int NDim> struct Tile {
  const Tiles<Operands, NDim>& tiles;
  i64 row_tile, column_tile, at[NDim], outer[Operands] = {};

  Tile(const Tiles<Operands, NDim>& tiles, i64 number) : tiles(tiles) {
    column_tile = number % tiles.column_tiles;
    number /= tiles.column_tiles;
    row_tile = number % tiles.row_tiles;
    number /= tiles.row_tiles;
    for (int d = NDim - 3; d >= 0; --d) {
      at[d] = number % tiles.p.shape[d];
      number /= tiles.p.shape[d];
      for (int k = 0; k < Operands; ++k) outer[k] += at[d] * tiles.p.strides[k][d];
    }
  }
  i64 rows() const { return tiles.lesser(tiles.rows, tiles.all_rows() - row_tile * tiles.rows); }
  i64 columns() const { return tiles.lesser(tiles.columns, tiles.all_columns() - column_tile * tiles.columns); }
  i64 offset(int k) const {
    const i64 row = row_tile * tiles.rows, column = column_tile * tiles.columns;
    return outer[k] + row * tiles.row_stride(k) + column * tiles.column_stride(k);
  }
  void advance() {
    if (++column_tile < tiles.column_tiles) return;
    column_tile = 0;
    if (++row_tile < tiles.row_tiles) return;
    row_tile = 0;
    for (int d = NDim - 3; d >= 0; --d) {
      for (int k = 0; k < Operands; ++k) outer[k] += tiles.p.strides[k][d];
      if (++at[d] < tiles.p.shape[d]) return;
      for (int k = 0; k < Operands; ++k) outer[k] -= at[d] * tiles.p.strides[k][d];
      at[d] = 0;
    }
  }
};

template <class Op> inline constexpr bool keeps_items = false;  // some of the output's
template <class Op> inline constexpr bool keeps_items<ops::OnlyWhere<Op>> = true;

using RunItems = void(const Head&, i64);

// Runs items tile by tile: one function for all operations on operands of these sizes.
template <int Outs, bool Keeps, int NDim, i64... Bytes>
__attribute__((noinline)) void walk(const Strided<NDim, int(sizeof...(Bytes))>& p, RunItems* run, ItemBytes<Bytes...>) {
  constexpr int operands = sizeof...(Bytes);
  static constexpr i64 bytes[] = {Bytes...};
  static constexpr CopyTile* copy[] = {tile_copier<Bytes>()...};
  constexpr i64 buffer_bytes = 16 * tile_items, widest = ItemBytes<Bytes...>::widest();
  constexpr i64 items = widest <= 16 ? tile_items : widest <= buffer_bytes ? buffer_bytes / widest : 1;
  const Tiles<operands, NDim> tiles(p, bytes, items, items >= 1024 ? 32 : items >= 16 ? 4 : 1);
  const auto work = work_items(tiles.count());
  if (work.first == work.last) return;
  alignas(64) char buffers[operands][(items * widest + 63) / 64 * 64];
  u64 gathered_from[operands] = {};
  i64 gathered_rows = 0, gathered_columns = 0;
  Tile<operands, NDim> tile(tiles, work.first);
  for (i64 left = work.last - work.first; left > 0; --left, tile.advance()) {
    const i64 rows = tile.rows(), columns = tile.columns();
    const bool same_extents = rows == gathered_rows && columns == gathered_columns;
    Head head = p.head;
    u64 places[operands];
    i64 steps[operands];
    for (int k = 0; k < operands; ++k) {
      places[k] = head.word[k] += tile.offset(k);
      steps[k] = tiles.row_stride(k);
      if (!tiles.gathered[k]) continue;
      head.word[k] = u64(buffers[k]);
      steps[k] = columns * bytes[k];
      if (k < Outs ? !Keeps : same_extents && gathered_from[k] == places[k]) continue;
      gathered_from[k] = places[k];
      copy[k](buffers[k], {steps[k], bytes[k]}, reinterpret_cast<const char*>(places[k]), tiles.steps(k), rows,
              columns);
    }
    gathered_rows = rows, gathered_columns = columns;
    if (tiles.flat) {
      run(head, rows * columns);
    } else {
      for (i64 r = 0; r < rows; ++r) {
        run(head, columns);
        for (int k = 0; k < operands; ++k) head.word[k] += steps[k];
      }
    }
    for (int k = 0; k < Outs; ++k)
      if (tiles.gathered[k])
        copy[k](reinterpret_cast<char*>(places[k]), tiles.steps(k), buffers[k], {columns * bytes[k], bytes[k]}, rows,
                columns);
  }
}
template <class Op, int NDim, class Out, class... In>
inline void strided(const Strided<NDim, Out::outputs + sizeof...(In)>& p) {
  walk<Out::outputs, keeps_items<Op>>(p, Run<Op, Out, In...>::go, typename item_bytes<Out, In...>::type());
}

}  // namespace ca::runs
