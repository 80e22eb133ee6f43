// A bilateral filter: each pixel becomes the mean of the pixels around it, weighted by how near they are in place and
// in value, so that edges stay sharp. Beyond the image its border goes on. One thread a pixel:
// bilateral[(width / 32, height / 8) rounded up, (32, 8)](in, out, width, height, radius, 1 / (2 sigma_place^2),
// 1 / (2 sigma_value^2)).
__global__ void bilateral(const float* in, float* out, int width, int height, int radius, float place, float value) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height) return;
  const float centre = in[y * width + x];
  float sum = 0, weights = 0;
  for (int dy = -radius; dy <= radius; ++dy)
    for (int dx = -radius; dx <= radius; ++dx) {
      const int column = min(max(x + dx, 0), width - 1), row = min(max(y + dy, 0), height - 1);
      const float other = in[row * width + column], difference = other - centre;
      const float weight = expf(-(dx * dx + dy * dy) * place - difference * difference * value);
      sum += weight * other;
      weights += weight;
    }
  out[y * width + x] = sum / weights;
}
