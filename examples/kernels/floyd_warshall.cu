// All shortest paths in a graph of n nodes, after Floyd and Warshall: distances[i][j] is the length of the edge from i
// to j, or more than any path where there is none; after the steps k = 0 ... n - 1 it is that of the shortest path.
// One thread a pair: floyd_warshall_step[(n / 32, n / 8) rounded up, (32, 8)](distances, n, k).
// Row k and column k do not change in step k, so it can be done in place.
template <class T> __global__ void floyd_warshall_step(T* distances, int n, int k) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= n || j >= n) return;
  const T around = distances[i * n + k] + distances[k * n + j];
  if (around < distances[i * n + j]) distances[i * n + j] = around;
}
