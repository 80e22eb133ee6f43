// How many of the points 0 ... n - 1 lie in the quarter disc: pi is about 4 * hits / n. The points come from a counter-
// based generator, so the result depends on n and seed alone. Integers throughout, so it is exact. Any grid and block;
// every thread adds its hits to hits[0]: count_hits[grid, block](hits, n, seed).

// Philox 2x32 with ten rounds: 64 random bits for a counter and a key.
__device__ unsigned long long philox(unsigned int low, unsigned int high, unsigned int key) {
  for (int round = 0; round < 10; ++round) {
    const unsigned long long product = 0xd256d193ull * low;
    low = (unsigned int)(product >> 32) ^ key ^ high;
    high = (unsigned int)product;
    key += 0x9e3779b9u;
  }
  return (unsigned long long)high << 32 | low;
}

__global__ void count_hits(unsigned long long* hits, long long n, unsigned int seed) {
  unsigned long long found = 0;
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += stride) {
    const unsigned long long bits = philox((unsigned int)i, (unsigned int)(i >> 32), seed);
    const unsigned long long x = (bits & 0xffffffffu) >> 1, y = bits >> 33;  // 31 bits each
    found += x * x + y * y < 1ull << 62;
  }
  atomicAdd(hits, found);
}
