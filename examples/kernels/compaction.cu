// Stream compaction: the elements that a predicate keeps, close together and in order. Template argument: the
// predicate. With blocks = n / Threads, rounded up:
//
//   count_kept["Positive"][blocks, Threads](x, counts, n)
//   scan_counts[1, Threads](counts, blocks)             counts becomes the place of each block's first; counts[blocks]:
//                                                       how many in all
//   write_kept["Positive"][blocks, Threads](x, counts, out, n)
constexpr int Threads = 128;

struct Positive {
  template <class T> __device__ bool operator()(T x) const { return x > T(0); }
};
struct Odd {
  template <class T> __device__ bool operator()(T x) const { return x % 2 != 0; }
};

// The sum of `value` over the threads before this one, and over all of the block. Called by all of its threads.
__device__ int exclusive_scan(int value, int& total) {
  __shared__ int sums[Threads];
  const int t = threadIdx.x;
  sums[t] = value;
  __syncthreads();
  for (int distance = 1; distance < Threads; distance *= 2) {
    const int other = t >= distance ? sums[t - distance] : 0;
    __syncthreads();
    sums[t] += other;
    __syncthreads();
  }
  const int inclusive = sums[t];
  total = sums[Threads - 1];
  __syncthreads();  // before a next call writes
  return inclusive - value;
}

template <class Predicate, class T> __global__ void count_kept(const T* x, int* counts, int n) {
  const int i = blockIdx.x * Threads + threadIdx.x;
  int total;
  exclusive_scan(i < n && Predicate()(x[i]), total);
  if (threadIdx.x == 0) counts[blockIdx.x] = total;
}

__global__ void scan_counts(int* counts, int blocks) {
  int before = 0, total;
  for (int first = 0; first < blocks; first += Threads) {
    const int i = first + threadIdx.x;
    const int place = before + exclusive_scan(i < blocks ? counts[i] : 0, total);
    if (i < blocks) counts[i] = place;
    before += total;
  }
  if (threadIdx.x == 0) counts[blocks] = before;
}

template <class Predicate, class T> __global__ void write_kept(const T* x, const int* places, T* out, int n) {
  const int i = blockIdx.x * Threads + threadIdx.x;
  const bool kept = i < n && Predicate()(x[i]);
  int total;
  const int place = places[blockIdx.x] + exclusive_scan(kept, total);
  if (kept) out[place] = x[i];
}
