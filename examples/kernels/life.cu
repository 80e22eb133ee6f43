// One generation of Conway's Game of Life on a torus of rows x columns cells, each 0 or 1. One thread a cell:
// life[(columns / 32, rows / 8) rounded up, (32, 8)](now, next, rows, columns).
__global__ void life(const unsigned char* now, unsigned char* next, int rows, int columns) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  const int row = blockIdx.y * blockDim.y + threadIdx.y;
  if (row >= rows || column >= columns) return;
  const int left = column > 0 ? column - 1 : columns - 1, right = column < columns - 1 ? column + 1 : 0;
  const unsigned char* above = now + (row > 0 ? row - 1 : rows - 1) * columns;
  const unsigned char* here = now + row * columns;
  const unsigned char* below = now + (row < rows - 1 ? row + 1 : 0) * columns;
  const int neighbours = above[left] + above[column] + above[right] + here[left] + here[right] + below[left] +
                         below[column] + below[right];
  next[row * columns + column] = neighbours == 3 || (neighbours == 2 && here[column]);
}
