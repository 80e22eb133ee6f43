// CUDA's header of this name, for the host: the words of kernels are known without it.
#pragma once
#include "host/intrinsics.hpp"
