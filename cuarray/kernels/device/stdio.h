// For the GPU's compiler, which has no standard library: see cstdio.
#pragma once
#include "cstdio"
