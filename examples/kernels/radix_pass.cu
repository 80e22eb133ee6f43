// One stable pass of a radix sort: keys are ordered by the digit of four bits that begins at bit `shift`, and keep
// their order within a digit. Passes over all digits, lowest first, sort. With blocks = n / Threads, rounded up:
//
//   count_digits[blocks, Threads](keys, counts, n, shift)      counts[digit][block]
//   scan_counts[1, 32](counts, 16 * blocks)                    becomes: where the block's first key of that digit goes
//   scatter[blocks, Threads](keys, counts, out, n, shift)
constexpr int Threads = 128, Warps = Threads / 32, Digits = 16;

__device__ int digit_of(unsigned int key, int shift) { return key >> shift & (Digits - 1); }

__global__ void count_digits(const unsigned int* keys, int* counts, int n, int shift) {
  __shared__ int local[Digits];
  if (threadIdx.x < Digits) local[threadIdx.x] = 0;
  __syncthreads();
  const int i = blockIdx.x * Threads + threadIdx.x;
  if (i < n) atomicAdd(&local[digit_of(keys[i], shift)], 1);
  __syncthreads();
  if (threadIdx.x < Digits) counts[threadIdx.x * gridDim.x + blockIdx.x] = local[threadIdx.x];
}

// Exclusive prefix sums, in place, by a single warp: 32 counts at a time, and what came before is carried along.
__global__ void scan_counts(int* counts, int n) {
  const int lane = threadIdx.x;
  int before = 0;
  for (int first = 0; first < n; first += 32) {
    const int own = first + lane < n ? counts[first + lane] : 0;
    int sum = own;
    for (int distance = 1; distance < 32; distance *= 2) {
      const int other = __shfl_up_sync(0xffffffffu, sum, distance);
      if (lane >= distance) sum += other;
    }
    if (first + lane < n) counts[first + lane] = before + sum - own;
    before += __shfl_sync(0xffffffffu, sum, 31);
  }
}

// A key goes behind the keys of its digit in the block's earlier warps, and in earlier lanes of its own warp: votes on
// each bit of the digit tell a lane which lanes have the same digit.
__global__ void scatter(const unsigned int* keys, const int* starts, unsigned int* out, int n, int shift) {
  __shared__ int in_warp[Warps][Digits];
  const int i = blockIdx.x * Threads + threadIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int k = threadIdx.x; k < Warps * Digits; k += Threads) in_warp[k / Digits][k % Digits] = 0;
  __syncthreads();
  const unsigned int key = i < n ? keys[i] : 0;
  const int digit = digit_of(key, shift);
  unsigned int same = __ballot_sync(0xffffffffu, i < n);
  for (int bit = 0; bit < 4; ++bit) {
    const unsigned int set = __ballot_sync(0xffffffffu, digit >> bit & 1);
    same &= digit >> bit & 1 ? set : ~set;
  }
  const int rank = __popc(same & ((1u << lane) - 1));
  if (i < n && rank == 0) in_warp[warp][digit] = __popc(same);
  __syncthreads();
  if (i >= n) return;
  int place = starts[digit * gridDim.x + blockIdx.x] + rank;
  for (int w = 0; w < warp; ++w) place += in_warp[w][digit];
  out[place] = key;
}
