// For every ray the sphere that it hits first: its number (-1: none) and the distance in units of the ray's direction.
// A sphere is a float4: its centre, and its radius in w. One thread a ray:
// first_hits[(rays / block) rounded up, block](origins, directions, spheres, rays, count, numbers, distances).
struct Ray {
  float3 origin, direction;
};
struct Sphere {
  float3 centre;
  float radius;
};
struct Hit {
  int number;
  float distance;
};

__device__ float3 operator-(float3 a, float3 b) { return make_float3(a.x - b.x, a.y - b.y, a.z - b.z); }
__device__ float dot(float3 a, float3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

// The smallest distance > 0 at which the ray meets the sphere; negative if there is none.
__device__ float intersect(const Ray& ray, const Sphere& sphere) {
  const float3 to_origin = ray.origin - sphere.centre;
  const float a = dot(ray.direction, ray.direction);
  const float b = dot(ray.direction, to_origin);
  const float c = dot(to_origin, to_origin) - sphere.radius * sphere.radius;
  const float discriminant = b * b - a * c;
  if (discriminant < 0) return -1;
  const float root = sqrtf(discriminant);
  const float near = (-b - root) / a;
  return near > 0 ? near : (-b + root) / a;
}

__global__ void first_hits(const float3* origins, const float3* directions, const float4* spheres, int rays, int count,
                           int* numbers, float* distances) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rays) return;
  const Ray ray = {origins[i], directions[i]};
  Hit hit = {-1, 0};
  for (int k = 0; k < count; ++k) {
    const float4 s = spheres[k];
    const float distance = intersect(ray, Sphere{make_float3(s.x, s.y, s.z), s.w});
    if (distance > 0 && (hit.number < 0 || distance < hit.distance)) hit = {k, distance};
  }
  numbers[i] = hit.number;
  distances[i] = hit.distance;
}
