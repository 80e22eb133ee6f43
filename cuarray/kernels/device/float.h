// For the GPU's compiler, which has no standard library: see cfloat.
#pragma once
#include "cfloat"
