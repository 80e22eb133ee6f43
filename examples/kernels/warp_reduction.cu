// Adds the sum of x to *total: within a warp by shuffles, among the warps of a block by shared memory and one more warp,
// among blocks by an atomic. The block has a multiple of 32 threads: warp_reduce[grid, block](x, total, n).
template <class T> __device__ T warp_sum(T value) {
  for (int delta = 16; delta > 0; delta /= 2) value += __shfl_down_sync(0xffffffffu, value, delta);
  return value;  // complete in lane 0
}

template <class T> __global__ void warp_reduce(const T* x, T* total, int n) {
  __shared__ T of_warps[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  T sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += x[i];
  sum = warp_sum(sum);
  if (lane == 0) of_warps[warp] = sum;
  __syncthreads();
  if (warp == 0) {
    sum = warp_sum(lane < blockDim.x / 32 ? of_warps[lane] : T(0));
    if (lane == 0) atomicAdd(total, sum);
  }
}

// The largest element of every row of a matrix, a warp a row, known to all its lanes by a butterfly of shuffles, which
// then subtract it: out = x - max(x, axis=1). Threads a block: a multiple of 32.
// warp_subtract_max[(32 * rows / block) rounded up, block](x, out, rows, columns).
template <class T> __global__ void warp_subtract_max(const T* x, T* out, int rows, int columns) {
  const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;  // the whole warp
  T largest = x[row * columns];
  for (int i = lane; i < columns; i += 32) largest = max(largest, x[row * columns + i]);
  for (int mask = 16; mask > 0; mask /= 2) largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, mask));
  for (int i = lane; i < columns; i += 32) out[row * columns + i] = x[row * columns + i] - largest;
}
