// One explicit step of the heat equation on a grid of rows x columns: the five-point stencil, with a border that keeps
// its values. One thread a point, in two dimensions, x along the columns:
// heat_step[(columns / 32, rows / 8) rounded up, (32, 8)](now, next, rows, columns, rate).
template <class T> __global__ void heat_step(const T* now, T* next, int rows, int columns, T rate) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  const int row = blockIdx.y * blockDim.y + threadIdx.y;
  if (row >= rows || column >= columns) return;
  const int i = row * columns + column;
  const T here = now[i];
  if (row == 0 || row == rows - 1 || column == 0 || column == columns - 1) {
    next[i] = here;
    return;
  }
  next[i] = here + rate * (now[i - columns] + now[i + columns] + now[i - 1] + now[i + 1] - T(4) * here);
}
