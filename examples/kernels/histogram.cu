// Adds to counts[bin] how often a value falls into it; bin = value % bins. Any grid and any block.

// Atomics in global memory alone: histogram_global[grid, block](values, counts, n, bins).
template <class T> __global__ void histogram_global(const T* values, unsigned int* counts, int n, int bins) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&counts[values[i] % bins], 1u);
}

// A histogram of each block's own in shared memory first: histogram_shared[grid, block, stream, 4 * bins](...).
template <class T> __global__ void histogram_shared(const T* values, unsigned int* counts, int n, int bins) {
  extern __shared__ unsigned int local[];
  for (int bin = threadIdx.x; bin < bins; bin += blockDim.x) local[bin] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&local[values[i] % bins], 1u);
  __syncthreads();
  for (int bin = threadIdx.x; bin < bins; bin += blockDim.x)
    if (local[bin] != 0) atomicAdd(&counts[bin], local[bin]);
}
