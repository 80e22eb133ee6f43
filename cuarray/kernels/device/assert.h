// For the GPU's compiler, which has no standard library: see cassert.
#pragma once
#include "cassert"
