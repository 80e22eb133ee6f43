// out = a @ b for row-major a (m x k) and b (k x n), by square tiles in shared memory. Template argument: the tile's
// side. One thread an element of out: matmul[Tile,][(n / Tile, m / Tile) rounded up, (Tile, Tile)](a, b, out, m, n, k).
template <int Tile, class T> __global__ void matmul(const T* a, const T* b, T* out, int m, int n, int k) {
  __shared__ T left[Tile][Tile];
  __shared__ T right[Tile][Tile];
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * Tile + y, column = blockIdx.x * Tile + x;
  T sum = 0;
  for (int first = 0; first < k; first += Tile) {
    left[y][x] = row < m && first + x < k ? a[row * k + first + x] : T(0);
    right[y][x] = first + y < k && column < n ? b[(first + y) * n + column] : T(0);
    __syncthreads();
    for (int t = 0; t < Tile; ++t) sum += left[y][t] * right[t][x];
    __syncthreads();
  }
  if (row < m && column < n) out[row * n + column] = sum;
}
