// Jacobi's iteration for Poisson's equation: -laplace(u) = f on a grid of rows x columns with points h apart, and values
// given on the border.

// next = the solution of each point's equation with its neighbours' values in u. One thread a point:
// jacobi[(columns / 32, rows / 8) rounded up, (32, 8)](u, f, next, rows, columns, h * h).
template <class T> __global__ void jacobi(const T* u, const T* f, T* next, int rows, int columns, T h2) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  const int row = blockIdx.y * blockDim.y + threadIdx.y;
  if (row >= rows || column >= columns) return;
  const int i = row * columns + column;
  if (row == 0 || row == rows - 1 || column == 0 || column == columns - 1) next[i] = u[i];
  else next[i] = T(0.25) * (u[i - columns] + u[i + columns] + u[i - 1] + u[i + 1] + h2 * f[i]);
}

// Adds to *sum the squares of f + laplace(u) at the inner points. Any grid; a block of 128 threads:
// residual[grid, 128](u, f, sum, rows, columns, h * h).
template <class T>
__global__ void residual(const T* u, const T* f, double* sum, int rows, int columns, T h2) {
  __shared__ double tree[128];
  double own = 0;
  const int inner = (rows - 2) * (columns - 2);
  for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < inner; k += gridDim.x * blockDim.x) {
    const int i = (1 + k / (columns - 2)) * columns + 1 + k % (columns - 2);
    const T r = f[i] + (u[i - columns] + u[i + columns] + u[i - 1] + u[i + 1] - T(4) * u[i]) / h2;
    own += double(r) * r;
  }
  tree[threadIdx.x] = own;
  for (int half = 64; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) tree[threadIdx.x] += tree[threadIdx.x + half];
  }
  if (threadIdx.x == 0) atomicAdd(sum, tree[0]);
}
