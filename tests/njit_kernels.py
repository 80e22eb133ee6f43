"""The kernels that the tests of numba.njit launch."""

SOURCE = r"""
// y += a * x
template <class T> __global__ void axpy(T a, const T* x, T* y, long n) {
  long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i];
}
template <int Tile, class T> __global__ void tiled_matmul(const T* a, const T* b, T* out, int n) {
  __shared__ T left[Tile][Tile], right[Tile][Tile];
  int row = blockIdx.y * Tile + threadIdx.y, col = blockIdx.x * Tile + threadIdx.x;
  T sum = 0;
  for (int k = 0; k < n; k += Tile) {
    left[threadIdx.y][threadIdx.x] = row < n && k + threadIdx.x < n ? a[row * n + k + threadIdx.x] : T(0);
    right[threadIdx.y][threadIdx.x] = k + threadIdx.y < n && col < n ? b[(k + threadIdx.y) * n + col] : T(0);
    __syncthreads();
    for (int t = 0; t < Tile; ++t) sum += left[threadIdx.y][t] * right[t][threadIdx.x];
    __syncthreads();
  }
  if (row < n && col < n) out[row * n + col] = sum;
}
template <class T> __global__ void fill(T value, void* out, int n) {
  for (int i = 0; i < n; ++i) static_cast<T*>(out)[i] = value;
}
__global__ void scalars(bool b, signed char i8, unsigned short u16, int i32, long long i64, float f32, double f64,
                        ca::complex<float> c64, ca::complex<double> c128, double* out) {
  double reals[] = {double(b), double(i8), double(u16), double(i32), double(i64), f32, f64};
  for (int k = 0; k < 7; ++k) out[k] = reals[k];
  out[7] = c64.re, out[8] = c64.im, out[9] = c128.re, out[10] = c128.im;
}
__global__ void unsigneds(unsigned int a, unsigned long b, double* out) { out[0] = a, out[1] = b; }
// The extents of the grid and the block, and how many threads there were.
__global__ void shape(unsigned* out) {
  if (threadIdx.x + threadIdx.y + threadIdx.z + blockIdx.x + blockIdx.y + blockIdx.z == 0) {
    out[0] = gridDim.x, out[1] = gridDim.y, out[2] = gridDim.z;
    out[3] = blockDim.x, out[4] = blockDim.y, out[5] = blockDim.z;
  }
  atomicAdd(&out[6], 1u);
}
__global__ void reverse(float* x) {
  extern __shared__ float buffer[];
  buffer[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = buffer[blockDim.x - 1 - threadIdx.x];
}
__global__ void defaults(double* out, double a = 2.5, int b = 7) { out[0] = a, out[1] = b; }
"""
