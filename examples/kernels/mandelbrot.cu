// counts[row][column] = after how many steps of z = z^2 + c the point c has left the disc of radius 2, `limit` if it
// has not by then. The picture's lower left corner is the point (left, bottom), its pixels are `step` apart. One thread
// a pixel: mandelbrot[(width / 32, height / 8) rounded up, (32, 8)](counts, width, height, left, bottom, step, limit).
template <class T>
__global__ void mandelbrot(int* counts, int width, int height, T left, T bottom, T step, int limit) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  const int row = blockIdx.y * blockDim.y + threadIdx.y;
  if (column >= width || row >= height) return;
  const T re = left + step * column, im = bottom + step * row;
  T x = 0, y = 0;
  int count = 0;
  while (count < limit && x * x + y * y <= T(4)) {
    const T next = x * x - y * y + re;
    y = T(2) * x * y + im;
    x = next;
    ++count;
  }
  counts[row * width + column] = count;
}
