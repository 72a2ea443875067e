#pragma once
/// Tests of services code.
#include "cmake/precompiled/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
