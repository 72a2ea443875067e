#pragma once
/// Tests of plain code.
#include "cmake/precompiled/plain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
