// out = in.T for a row-major matrix of rows x columns. A block moves a tile of 32 x 32 elements through shared memory,
// so that both reads and writes go along rows; a column of padding keeps the threads of a warp on different banks.
// transpose[(columns / 32, rows / 32) rounded up, (32, 8)](in, out, rows, columns).
constexpr int tile_side = 32, block_rows = 8;

template <class T> __global__ void transpose(const T* in, T* out, int rows, int columns) {
  __shared__ T tile[tile_side][tile_side + 1];
  int column = blockIdx.x * tile_side + threadIdx.x;
  int row = blockIdx.y * tile_side + threadIdx.y;
  for (int j = 0; j < tile_side; j += block_rows)
    if (row + j < rows && column < columns) tile[threadIdx.y + j][threadIdx.x] = in[(row + j) * columns + column];
  __syncthreads();
  column = blockIdx.y * tile_side + threadIdx.x;  // of out
  row = blockIdx.x * tile_side + threadIdx.y;
  for (int j = 0; j < tile_side; j += block_rows)
    if (row + j < columns && column < rows) out[(row + j) * rows + column] = tile[threadIdx.x][threadIdx.y + j];
}
