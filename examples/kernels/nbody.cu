// Gravity among n bodies, all pairs. A body is a float4: its place, and its mass in w. A block loads as many bodies as
// it has threads into shared memory, and each of its threads adds up what they do to its own body:
// accelerations[(n / block) rounded up, block, stream, 16 * block](bodies, out, n, softening squared).
__device__ float3 pull(float3 sum, float4 on, float4 by, float softening2) {
  const float x = by.x - on.x, y = by.y - on.y, z = by.z - on.z;
  const float inverse = rsqrtf(x * x + y * y + z * z + softening2);
  const float factor = by.w * inverse * inverse * inverse;
  return make_float3(sum.x + factor * x, sum.y + factor * y, sum.z + factor * z);
}

__global__ void accelerations(const float4* bodies, float4* out, int n, float softening2) {
  extern __shared__ float4 tile[];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const float4 own = i < n ? bodies[i] : make_float4(0, 0, 0, 0);
  float3 sum = make_float3(0, 0, 0);
  for (int first = 0; first < n; first += blockDim.x) {
    const int other = first + threadIdx.x;
    tile[threadIdx.x] = other < n ? bodies[other] : make_float4(0, 0, 0, 0);  // without mass: it pulls nobody
    __syncthreads();
    for (int k = 0; k < blockDim.x; ++k) sum = pull(sum, own, tile[k], softening2);
    __syncthreads();
  }
  if (i < n) out[i] = make_float4(sum.x, sum.y, sum.z, 0);
}
