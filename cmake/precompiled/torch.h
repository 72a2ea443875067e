#pragma once
/// What the engine includes: its one header of libtorch, which must never meet a .pb.h.
#include "cmake/precompiled/plain.h"
#include "worker/engine/device/tensor.h"
