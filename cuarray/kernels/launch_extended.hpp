// Launches with more than a grid and a block: clusters of blocks, cooperative grids. The driver has cuLaunchKernelEx for
// them; here it has the signature of cuLaunchKernel, so that whoever launches need not know. Read by Cling only, without
// CUDA's headers: these structures are the driver's ABI.
#pragma once

namespace ca {

struct LaunchAttribute {  // CUlaunchAttribute
  int id, padding;
  union {
    char bytes[64];
    unsigned cluster[3];
    int cooperative;
  } value;
};
constexpr int cooperative_attribute = 2, cluster_attribute = 4;  // CU_LAUNCH_ATTRIBUTE_...

struct LaunchConfig {  // CUlaunchConfig
  unsigned grid[3], block[3], shared_bytes;
  void* stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};

// What launch_extended() is given as the function to launch.
struct ExtendedFunction {
  void* const* function;  // the handle may change
  int (*launch)(const LaunchConfig*, void*, void**, void**);
  unsigned attribute_count = 0;
  LaunchAttribute attributes[2] = {};
};

inline unsigned long make_extended_function(unsigned long cell, unsigned long launch, unsigned cluster_x,
                                            unsigned cluster_y, unsigned cluster_z, bool cooperative) noexcept {
  auto* made = new ExtendedFunction{reinterpret_cast<void* const*>(cell), reinterpret_cast<decltype(ExtendedFunction::launch)>(launch)};
  if (cluster_x) {
    LaunchAttribute& attribute = made->attributes[made->attribute_count++];
    attribute.id = cluster_attribute;
    attribute.value.cluster[0] = cluster_x, attribute.value.cluster[1] = cluster_y, attribute.value.cluster[2] = cluster_z;
  }
  if (cooperative) {
    LaunchAttribute& attribute = made->attributes[made->attribute_count++];
    attribute.id = cooperative_attribute;
    attribute.value.cooperative = 1;
  }
  return reinterpret_cast<unsigned long>(made);
}

inline int launch_extended(void* extended, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                           unsigned block_y, unsigned block_z, unsigned shared_bytes, void* stream, void** args,
                           void** extra) noexcept {
  ExtendedFunction& function = *static_cast<ExtendedFunction*>(extended);
  const LaunchConfig config = {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, stream,
                               function.attributes, function.attribute_count};
  return function.launch(&config, *function.function, args, extra);
}

}  // namespace ca
