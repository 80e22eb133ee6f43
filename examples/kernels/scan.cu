// Inclusive prefix sums in three steps: every block scans its part and writes the part's sum, the sums are scanned in
// the same way, and every block but the first adds the sum of the blocks before it. Template argument: the threads of
// a block. With blocks = n / Threads, rounded up:
// scan_blocks[Threads,][blocks, Threads](x, out, sums, n); scan sums itself; add_offsets[blocks, Threads](out, sums, n).

// Hillis and Steele's scan, with two buffers: after step s, an element is the sum of the 2^s up to itself.
template <int Threads, class T> __global__ void scan_blocks(const T* x, T* out, T* sums, int n) {
  __shared__ T buffer[2][Threads];
  const int t = threadIdx.x, i = blockIdx.x * Threads + t;
  int from = 0;
  buffer[from][t] = i < n ? x[i] : T(0);
  __syncthreads();
  for (int distance = 1; distance < Threads; distance *= 2) {
    buffer[1 - from][t] = t >= distance ? buffer[from][t] + buffer[from][t - distance] : buffer[from][t];
    from = 1 - from;
    __syncthreads();
  }
  if (i < n) out[i] = buffer[from][t];
  if (t == Threads - 1) sums[blockIdx.x] = buffer[from][t];
}

// `sums` are the scanned sums of the blocks.
template <class T> __global__ void add_offsets(T* out, const T* sums, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (blockIdx.x > 0 && i < n) out[i] += sums[blockIdx.x - 1];
}
