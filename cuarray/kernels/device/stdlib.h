// For the GPU's compiler, which has no standard library: see cstdlib.
#pragma once
#include "cstdlib"
