// For the GPU's compiler, which has no standard library: see cstdint.
#pragma once
#include "cstdint"
