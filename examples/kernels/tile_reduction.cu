// The sum of every row of a matrix, a tile of cooperating threads a row. Template argument: the threads of a tile, a
// power of two up to 32. The threads of a block are a multiple of it:
// row_sums[Tile,][(Tile * rows / block) rounded up, block](x, sums, rows, columns).
#include <cooperative_groups.h>

namespace cg = cooperative_groups;

template <class Group, class T> __device__ T sum_of_group(const Group& group, T value) {
  for (int distance = group.size() / 2; distance > 0; distance /= 2) value += group.shfl_down(value, distance);
  return value;  // complete in rank 0
}

template <int Tile, class T> __global__ void row_sums(const T* x, T* sums, int rows, int columns) {
  const cg::thread_block block = cg::this_thread_block();
  const cg::thread_block_tile<Tile> tile = cg::tiled_partition<Tile>(block);
  const int row = blockIdx.x * (blockDim.x / Tile) + block.thread_rank() / Tile;
  if (row >= rows) return;  // the whole tile
  T sum = 0;
  for (int i = tile.thread_rank(); i < columns; i += tile.size()) sum += x[row * columns + i];
  sum = sum_of_group(tile, sum);
  if (tile.thread_rank() == 0) sums[row] = sum;
}
