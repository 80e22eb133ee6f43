// In which order blocks compute the tiles of a matrix: tiles that are computed at the same time should share rows of a
// and columns of b, which the L2 cache then reads once.
#pragma once
#include "portable.cuh"

namespace ca {

enum TileOrder { tiles_by_rows, tiles_grouped, tiles_along_curve };

struct TilePlace { unsigned int row, col; };

// Point number `index` of a Hilbert curve through a square of `side`, a power of two: neighbours in number are
// neighbours in the square. It begins at (0, 0) and ends in the last column of row 0.
__device__ inline TilePlace along_curve(unsigned int index, unsigned int side) {
  unsigned int row = 0, col = 0;
  for (unsigned int s = 1; s < side; s *= 2, index /= 4) {
    const unsigned int lower = 1 & (index / 2), turned = 1 & (index ^ lower);
    if (!turned) {
      if (lower) row = s - 1 - row, col = s - 1 - col;
      const unsigned int other = row;
      row = col, col = other;
    }
    col += s * lower, row += s * turned;
  }
  return {row, col};
}

// Where tile number `index` of rows x cols is. `group` rows make a band (a power of two for curves); within a band the
// columns are walked one after the other, or squares along a curve; every other band is walked from right to left.
template <int Order>
__device__ inline TilePlace tile_place(unsigned int index, unsigned int rows, unsigned int cols, unsigned int group) {
  if constexpr (Order == tiles_by_rows) return {index / cols, index % cols};
  const unsigned int band = index / (group * cols), first = band * group;
  const unsigned int height = rows - first < group ? rows - first : group;
  unsigned int within = index - first * cols;
  TilePlace place = {within % height, within / height};
  if constexpr (Order == tiles_along_curve) {
    const unsigned int square = within / (group * group);
    if (height == group && square < cols / group) {
      place = along_curve(within - square * group * group, group);
      place.col += square * group;
    }
  }
  return {first + place.row, band % 2 ? cols - 1 - place.col : place.col};
}

}  // namespace ca
