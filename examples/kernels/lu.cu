// The LU factors of an n x n matrix in place, right-looking and without pivots: L below the diagonal (its own diagonal
// is 1), U on and above it. For k = 0 ... n - 2, in this order:
//
//   scale_column[(n / block) rounded up, block](a, n, k)
//   update_rest[(n / 32, n / 8) rounded up, (32, 8)](a, n, k)
//
// A thread has an element of the column, or of the matrix right of and below (k, k).
template <class T> __global__ void scale_column(T* a, int n, int k) {
  const int row = k + 1 + blockIdx.x * blockDim.x + threadIdx.x;
  if (row < n) a[row * n + k] /= a[k * n + k];
}

template <class T> __global__ void update_rest(T* a, int n, int k) {
  const int column = k + 1 + blockIdx.x * blockDim.x + threadIdx.x;
  const int row = k + 1 + blockIdx.y * blockDim.y + threadIdx.y;
  if (row < n && column < n) a[row * n + column] -= a[row * n + k] * a[k * n + column];
}
