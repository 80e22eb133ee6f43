// found[i] = 1 where the pattern of m bytes begins at text[i], else 0; occurrences may overlap. One thread a position:
// find_all[(n / block) rounded up, block](text, n, pattern, m, found).
__global__ void find_all(const unsigned char* text, int n, const unsigned char* pattern, int m, unsigned char* found) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int matched = 0;
  if (i <= n - m)
    while (matched < m && text[i + matched] == pattern[matched]) ++matched;
  found[i] = matched == m;
}
