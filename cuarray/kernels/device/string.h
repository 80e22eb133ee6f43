// For the GPU's compiler, which has no standard library: see cstring.
#pragma once
#include "cstring"
