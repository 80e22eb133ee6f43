// y = A x for a sparse matrix in CSR form: the columns and values of row r are at starts[r] ... starts[r + 1] - 1.

// One thread a row: spmv_scalar[(rows / block) rounded up, block](starts, columns, values, x, y, rows).
template <class T>
__global__ void spmv_scalar(const int* starts, const int* columns, const T* values, const T* x, T* y, int rows) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  T sum = 0;
  for (int k = starts[row]; k < starts[row + 1]; ++k) sum += values[k] * x[columns[k]];
  y[row] = sum;
}

// One warp a row, so that its lanes read neighbours; threads a block: a multiple of 32.
// spmv_warp[(32 * rows / block) rounded up, block](starts, columns, values, x, y, rows).
template <class T>
__global__ void spmv_warp(const int* starts, const int* columns, const T* values, const T* x, T* y, int rows) {
  const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;  // the whole warp
  T sum = 0;
  for (int k = starts[row] + lane; k < starts[row + 1]; k += 32) sum += values[k] * x[columns[k]];
  for (int delta = 16; delta > 0; delta /= 2) sum += __shfl_down_sync(0xffffffffu, sum, delta);
  if (lane == 0) y[row] = sum;
}
