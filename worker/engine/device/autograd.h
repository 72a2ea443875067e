#pragma once
/// What a file includes that defines an operation with a backward pass of its own. Apart from
/// tensor.h, since it doubles what that costs to compile; backward() is a tensor's own.

#include <torch/csrc/autograd/custom_function.h>

#include "worker/engine/device/tensor.h"
