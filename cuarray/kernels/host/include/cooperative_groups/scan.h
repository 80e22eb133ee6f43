// CUDA's header of this name, for the host.
#pragma once
#include "host/cooperative_groups.hpp"
