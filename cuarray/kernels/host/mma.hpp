// Instructions of tensor cores for the host: the lanes of a warp compute together what the hardware computes of their
// registers (../mma.cuh). The lane that arrives last does it for all.
#pragma once
#include <cstring>

#include "warp.hpp"

namespace ca::host {

struct Tf32 {};  // a float of which the last 13 bits are not looked at

// Number `at` of a register, or of several of them.
template <class T, class Word> inline double number(const Word* words, int at) noexcept {
  if constexpr (std::is_same_v<T, Tf32>) {
    const unsigned word = words[at] & 0xffffe000u;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  } else {
    T value;
    std::memcpy(static_cast<void*>(&value), reinterpret_cast<const char*>(words) + at * int(sizeof(T)), sizeof value);
    if constexpr (std::is_same_v<T, double>) return value;
    else return float(value);
  }
}

template <class Sum, class Word> struct MmaLane {
  Sum* c;
  const Word *a, *b;
};

template <class T, class Sum, class Word, int Words> inline void complete_mma(void* const* data, unsigned arrived) noexcept {
  using Lane = MmaLane<Sum, Word>;
  constexpr int across = std::is_same_v<T, Tf32> || std::is_same_v<T, double> ? 1 : 2, k = 4 * across * Words;
  if (arrived != all_lanes) fail_launch(launch_failed);  // all lanes take part in it
  double a[16][k], b[k][8];
  for (int lane = 0; lane < 32; ++lane) {
    const Lane& own = *static_cast<const Lane*>(data[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int r = 0; r < 2 * Words; ++r)
      for (int e = 0; e < across; ++e)
        a[g + 8 * (r % 2)][across * (t + 4 * (r / 2)) + e] = number<T>(own.a, r * across + e);
    for (int r = 0; r < Words; ++r)
      for (int e = 0; e < across; ++e) b[across * (t + 4 * r) + e][g] = number<T>(own.b, r * across + e);
  }
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      Sum& c = static_cast<const Lane*>(data[lane])->c[i];
      const int row = lane / 4 + 8 * (i / 2), col = lane % 4 * 2 + i % 2;
      Sum sum = c;
      for (int j = 0; j < k; ++j) sum = Sum(sum + a[row][j] * b[j][col]);
      c = sum;
    }
}

template <class T, class Sum, class Word, std::size_t Words>
inline void multiply(Sum (&c)[4], const Word (&a)[2 * Words], const Word (&b)[Words]) noexcept {
  MmaLane<Sum, Word> lane{c, a, b};
  collective(all_lanes, complete_mma<T, Sum, Word, int(Words)>, &lane);
}

struct MatrixRow {
  const void* row;
  unsigned* word;
};

template <bool Turned> inline void complete_load_matrices(void* const* data, unsigned arrived) noexcept {
  if (arrived != all_lanes) fail_launch(launch_failed);
  const auto at = [&](int lane) { return static_cast<const MatrixRow*>(data[lane]); };
  for (int lane = 0; lane < 32; ++lane)
    for (int matrix = 0; matrix < 4; ++matrix) {
      const auto row = [&](int i) { return static_cast<const char*>(at(8 * matrix + i)->row); };
      char* const to = reinterpret_cast<char*>(&at(lane)->word[matrix]);
      if constexpr (Turned) {
        std::memcpy(to, row(lane % 4 * 2) + 2 * (lane / 4), 2);
        std::memcpy(to + 2, row(lane % 4 * 2 + 1) + 2 * (lane / 4), 2);
      } else {
        std::memcpy(to, row(lane / 4) + 4 * (lane % 4), 4);
      }
    }
}
template <bool Turned> inline void load_matrices(unsigned (&word)[4], const void* row) noexcept {
  MatrixRow lane{row, word};
  collective(all_lanes, complete_load_matrices<Turned>, &lane);
}

}  // namespace ca::host
