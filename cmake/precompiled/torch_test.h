#pragma once
/// Tests of torch code.
#include "cmake/precompiled/torch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
