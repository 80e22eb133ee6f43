// The prices of European calls and puts by Black and Scholes. One thread an option:
// black_scholes[(n / block) rounded up, block](spot, strike, years, call, put, n, rate, volatility).
__device__ float normal_cdf(float x) { return 0.5f * erfcf(-x * 0.70710678f); }
__device__ double normal_cdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }

template <class T>
__global__ void black_scholes(const T* spot, const T* strike, const T* years, T* call, T* put, int n, T rate,
                              T volatility) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const T s = spot[i], k = strike[i], t = years[i];
  const T deviation = volatility * sqrt(t);
  const T d1 = (log(s / k) + (rate + T(0.5) * volatility * volatility) * t) / deviation;
  const T d2 = d1 - deviation;
  const T discounted = k * exp(-rate * t);
  call[i] = s * normal_cdf(d1) - discounted * normal_cdf(d2);
  put[i] = discounted * normal_cdf(-d2) - s * normal_cdf(-d1);
}
