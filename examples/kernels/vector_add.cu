// out = a + b. One thread an element: vector_add[(n + block - 1) / block, block](a, b, out, n).
template <class T> __global__ void vector_add(const T* a, const T* b, T* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a[i] + b[i];
}
