// One level of a breadth-first search: neighbours of the nodes at distance `level` that have no distance yet (-1) get
// level + 1, and *changed becomes 1 if there are any. Edges as in CSR: those of a node are at starts[node] ...
// starts[node + 1] - 1. Threads that reach a node at the same time write the same. One thread a node; launched with
// level = 0, 1 ... until nothing changes: bfs_step[(nodes / block) rounded up, block](starts, ends, distance, changed,
// level, nodes).
__global__ void bfs_step(const int* starts, const int* ends, int* distance, int* changed, int level, int nodes) {
  const int node = blockIdx.x * blockDim.x + threadIdx.x;
  if (node >= nodes || distance[node] != level) return;
  for (int edge = starts[node]; edge < starts[node + 1]; ++edge) {
    const int to = ends[edge];
    if (distance[to] == -1) {
      distance[to] = level + 1;
      *changed = 1;
    }
  }
}
