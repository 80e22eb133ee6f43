// Sorts n = 2^p elements, ascending. A bitonic sequence of `size` elements is merged by exchanges over the distances
// size / 2, size / 4 ... 1; sizes grow from 2 to n. Distances that fit a block are done in shared memory.
//
//   bitonic_tiles[n / (2 * Threads), Threads](x, 2, min(n, 2 * Threads))       sizes up to a block's
//   for size = 4 * Threads ... n:
//     for distance = size / 2 ... 2 * Threads:
//       bitonic_exchange[n / 2 / Threads, Threads](x, size, distance)
//     bitonic_tiles[n / (2 * Threads), Threads](x, size, size)                 the distances below
constexpr int Threads = 64;

template <class T> __device__ void order(T& low, T& high, bool ascending) {
  if ((low > high) == ascending) {
    const T other = low;
    low = high;
    high = other;
  }
}

// One exchange for each of n / 2 threads.
template <class T> __global__ void bitonic_exchange(T* x, int size, int distance) {
  const int pair = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = 2 * pair - (pair & (distance - 1));  // a zero bit inserted where `distance` has its one
  order(x[i], x[i + distance], (i & size) == 0);
}

// All exchanges of the sizes first_size ... last_size over distances within 2 * Threads elements.
template <class T> __global__ void bitonic_tiles(T* x, int first_size, int last_size) {
  __shared__ T tile[2 * Threads];
  const int first = blockIdx.x * 2 * Threads;
  tile[threadIdx.x] = x[first + threadIdx.x];
  tile[threadIdx.x + Threads] = x[first + threadIdx.x + Threads];
  for (int size = first_size; size <= last_size; size *= 2)
    for (int distance = min(size / 2, Threads); distance > 0; distance /= 2) {
      __syncthreads();
      const int i = 2 * threadIdx.x - (threadIdx.x & (distance - 1));
      order(tile[i], tile[i + distance], ((first + i) & size) == 0);
    }
  __syncthreads();
  x[first + threadIdx.x] = tile[threadIdx.x];
  x[first + threadIdx.x + Threads] = tile[threadIdx.x + Threads];
}
