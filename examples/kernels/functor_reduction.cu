// A reduction by any associative operation: a functor is the template argument, and the tree lies in dynamic shared
// memory. The threads of a block are a power of two; a second launch with one block combines the blocks' results:
// reduce["Max"][blocks, threads, stream, threads * sizeof(T)](x, results, n), n > 0.
struct Sum {
  template <class T> __device__ static T start(T) { return T(0); }
  template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};
struct Max {
  template <class T> __device__ static T start(T any) { return any; }
  template <class T> __device__ T operator()(T a, T b) const { return a > b ? a : b; }
};
struct Xor {
  template <class T> __device__ static T start(T) { return T(0); }
  template <class T> __device__ T operator()(T a, T b) const { return a ^ b; }
};

template <class Operation, class T> __global__ void reduce(const T* x, T* results, int n) {
  extern __shared__ __align__(16) unsigned char memory[];
  T* tree = reinterpret_cast<T*>(memory);
  const auto combine = Operation();
  T result = Operation::start(x[0]);  // changes nothing, wherever it is combined
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) result = combine(result, x[i]);
  tree[threadIdx.x] = result;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) tree[threadIdx.x] = combine(tree[threadIdx.x], tree[threadIdx.x + half]);
    __syncthreads();
  }
  if (threadIdx.x == 0) results[blockIdx.x] = tree[0];
}
