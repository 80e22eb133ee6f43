// For the GPU's compiler, which has no standard library: see cstddef.
#pragma once
#include "cstddef"
