// The discrete Fourier transform of n = 2^p complex numbers (float2), after Cooley and Tukey: a permutation, then p
// stages of n / 2 butterflies each.
//
//   bit_reverse[(n / block) rounded up, block](in, out, p)
//   for half = 1, 2, 4 ... n / 2: butterflies[(n / 2 / block) rounded up, block](out, n, half, sign)
//
// sign = -1: forward; +1: backward, without the factor 1 / n.
__global__ void bit_reverse(const float2* in, float2* out, int p) {
  const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >> p) return;
  const unsigned int from = p > 0 ? __brev(i) >> (32 - p) : 0;
  out[i] = in[from];
}

__device__ float2 multiply(float2 a, float2 b) { return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }

__global__ void butterflies(float2* x, int n, int half, float sign) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n / 2) return;
  const int k = i % half, first = 2 * i - k, second = first + half;
  float2 twiddle;
  sincosf(sign * 3.14159265f * k / half, &twiddle.y, &twiddle.x);
  const float2 a = x[first], b = multiply(twiddle, x[second]);
  x[first] = make_float2(a.x + b.x, a.y + b.y);
  x[second] = make_float2(a.x - b.x, a.y - b.y);
}
