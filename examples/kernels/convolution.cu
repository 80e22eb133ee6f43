// A separable filter on an image of rows x columns: along its rows, then along its columns. The 2 * Radius + 1
// coefficients are the same for all threads and lie in constant memory, which is set before the launch; what is outside
// of the image counts as 0. Template argument: the radius. One thread a pixel:
// convolve_rows[Radius,][(columns / 64 rounded up, rows), 64](in, out, rows, columns)
// convolve_columns[Radius,][(columns / 32, rows / 8) rounded up, (32, 8)](in, out, rows, columns).
constexpr int max_radius = 16, row_threads = 64;
__constant__ float coefficients[2 * max_radius + 1];

// A block reads its part of a row, and Radius pixels more on either side, into shared memory.
template <int Radius> __global__ void convolve_rows(const float* in, float* out, int rows, int columns) {
  static_assert(Radius <= max_radius, "more coefficients than there is room for");
  __shared__ float part[row_threads + 2 * Radius];
  const int first = blockIdx.x * row_threads - Radius;
  const float* row = in + blockIdx.y * columns;
  for (int k = threadIdx.x; k < row_threads + 2 * Radius; k += row_threads)
    part[k] = first + k >= 0 && first + k < columns ? row[first + k] : 0.0f;
  __syncthreads();
  const int column = blockIdx.x * row_threads + threadIdx.x;
  if (column >= columns) return;
  float sum = 0;
  for (int k = 0; k <= 2 * Radius; ++k) sum += coefficients[k] * part[threadIdx.x + 2 * Radius - k];
  out[blockIdx.y * columns + column] = sum;
}

template <int Radius> __global__ void convolve_columns(const float* in, float* out, int rows, int columns) {
  static_assert(Radius <= max_radius, "more coefficients than there is room for");
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  const int row = blockIdx.y * blockDim.y + threadIdx.y;
  if (row >= rows || column >= columns) return;
  float sum = 0;
  for (int k = 0; k <= 2 * Radius; ++k) {
    const int from = row + Radius - k;
    if (from >= 0 && from < rows) sum += coefficients[k] * in[from * columns + column];
  }
  out[row * columns + column] = sum;
}
