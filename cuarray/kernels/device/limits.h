// For the GPU's compiler, which has no standard library: see climits.
#pragma once
#include "climits"
