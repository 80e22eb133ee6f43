// A step of k-means on n points of `dimensions` coordinates: assign, accumulate (into zeros), move.

// labels[i] = the number of the centre that is nearest to point i. One thread a point:
// assign[(n / block) rounded up, block](points, centres, labels, n, k, dimensions).
template <class T>
__global__ void assign(const T* points, const T* centres, int* labels, int n, int k, int dimensions) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  T least = 0;
  int nearest = -1;
  for (int c = 0; c < k; ++c) {
    T distance = 0;
    for (int d = 0; d < dimensions; ++d) {
      const T difference = points[i * dimensions + d] - centres[c * dimensions + d];
      distance += difference * difference;
    }
    if (nearest < 0 || distance < least) {
      least = distance;
      nearest = c;
    }
  }
  labels[i] = nearest;
}

// Adds every point to its centre's sums and counts it. One thread a point:
// accumulate[(n / block) rounded up, block](points, labels, sums, counts, n, dimensions).
template <class T>
__global__ void accumulate(const T* points, const int* labels, T* sums, int* counts, int n, int dimensions) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  for (int d = 0; d < dimensions; ++d) atomicAdd(&sums[labels[i] * dimensions + d], points[i * dimensions + d]);
  atomicAdd(&counts[labels[i]], 1);
}

// A centre becomes the mean of its points; one without points stays. A block a centre, a thread a coordinate:
// move[k, dimensions](sums, counts, centres).
template <class T> __global__ void move(const T* sums, const int* counts, T* centres) {
  const int c = blockIdx.x, i = c * blockDim.x + threadIdx.x;
  if (counts[c] > 0) centres[i] = sums[i] / counts[c];
}
