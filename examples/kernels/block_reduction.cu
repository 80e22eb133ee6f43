// sums[b] = the sum of what block b read, by a tree in shared memory. Template argument: the threads of a block, a power
// of two. A second launch with one block adds the blocks' sums up:
// block_sum[Threads,][blocks, Threads](x, sums, n), then block_sum[Threads,][1, Threads](sums, total, blocks).
template <int Threads, class T> __global__ void block_sum(const T* x, T* sums, int n) {
  __shared__ T tree[Threads];
  T sum = 0;
  for (int i = blockIdx.x * Threads + threadIdx.x; i < n; i += gridDim.x * Threads) sum += x[i];
  tree[threadIdx.x] = sum;
  __syncthreads();
  for (int half = Threads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) tree[threadIdx.x] += tree[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = tree[0];
}
