// For the GPU's compiler, which has no standard library: see cmath.
#pragma once
#include "cmath"
