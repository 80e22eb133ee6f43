// Launches with more than a grid and a block: clusters of blocks, cooperative grids, parameters with tensor maps. The
// driver has cuLaunchKernelEx for them; here it has the signature of cuLaunchKernel, so that whoever launches need not
// know. Without CUDA's headers: these structures are the driver's ABI.
#pragma once
#include <cstring>

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

// A tensor map in a kernel's parameter: it is encoded once, for any address, and each launch puts in the one at hand.
struct MapAddress {
  long map;     // where the map is in the parameter, in words: a multiple of 128 bytes
  long word;    // of the parameter: the address that it gets,
  long offset;  // plus so many bytes
};
constexpr unsigned most_maps = 8, most_parameter_words = 7 + 512;

// What launch_extended() is given as the function to launch.
struct ExtendedFunction {
  void* const* function;  // the handle may change
  int (*launch)(const LaunchConfig*, void*, void**, void**);
  unsigned attribute_count = 0;
  LaunchAttribute attributes[2] = {};
  int (*replace)(void* map, void* address) = nullptr;  // cuTensorMapReplaceAddress
  unsigned map_count = 0, parameter_words = 0;
  MapAddress maps[most_maps] = {};
};

// 0: too many maps, or too large a parameter. `maps`: the address of `map_count` MapAddresses.
inline unsigned long make_extended_function(unsigned long cell, unsigned long launch, unsigned cluster_x,
                                            unsigned cluster_y, unsigned cluster_z, bool cooperative,
                                            unsigned long replace, unsigned long maps, unsigned map_count,
                                            unsigned parameter_words) noexcept {
  if (map_count > most_maps || parameter_words > most_parameter_words) return 0;
  auto* made = new ExtendedFunction{reinterpret_cast<void* const*>(cell),
                                    reinterpret_cast<decltype(ExtendedFunction::launch)>(launch)};
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
  made->replace = reinterpret_cast<decltype(ExtendedFunction::replace)>(replace);
  made->map_count = map_count, made->parameter_words = parameter_words;
  if (map_count) std::memcpy(made->maps, reinterpret_cast<const void*>(maps), map_count * sizeof(MapAddress));
  return reinterpret_cast<unsigned long>(made);
}

inline int launch_extended(void* extended, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                           unsigned block_y, unsigned block_z, unsigned shared_bytes, void* stream, void** args,
                           void** extra) noexcept {
  ExtendedFunction& function = *static_cast<ExtendedFunction*>(extended);
  const LaunchConfig config = {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, stream,
                               function.attributes, function.attribute_count};
  if (!function.map_count) return function.launch(&config, *function.function, args, extra);
  alignas(128) unsigned long parameter[most_parameter_words];
  std::memcpy(parameter, args[0], function.parameter_words * sizeof *parameter);
  for (unsigned k = 0; k < function.map_count; ++k) {
    const MapAddress& own = function.maps[k];
    void* const address = reinterpret_cast<void*>(parameter[own.word] + own.offset);
    if (const int error = function.replace(parameter + own.map, address)) return error;
  }
  void* with_addresses[] = {parameter};
  return function.launch(&config, *function.function, with_addresses, extra);
}

}  // namespace ca
