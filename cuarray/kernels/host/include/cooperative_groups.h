// CUDA's cooperative groups for the host.
#pragma once
#include "host/cooperative_groups.hpp"
