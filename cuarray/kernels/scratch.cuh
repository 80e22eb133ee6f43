// What scratch memory begins with: counters, which are 0 before and after every launch (see memory_pool.hpp).
#pragma once
#include "portable.cuh"

namespace ca {

inline constexpr i64 scratch_counters = 1024;
inline constexpr i64 after_counters = scratch_counters * i64(sizeof(unsigned));  // bytes

}  // namespace ca
