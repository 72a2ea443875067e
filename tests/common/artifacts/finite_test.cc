#include "common/artifacts/finite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace graft::artifacts {
namespace {

template <typename Word>
bool Finite(std::string_view dtype, Word bits) {
  // Between ordinary values, so that a look at the first or last one alone isn't enough.
  std::string data(sizeof(Word), '\0');
  data.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
  data.append(sizeof(Word), '\0');
  const auto finite = AllFinite(dtype, data, "w");
  EXPECT_TRUE(finite.ok()) << finite.status();
  return finite.ok() && *finite;
}

TEST(AllFiniteTest, TellsTheLargestValuesFromTheFirstThatBf16RoundsToInfinity) {
  for (const uint32_t sign : {0U, 0x80000000U}) {
    EXPECT_TRUE(Finite<uint32_t>("F32", sign | 0x7F7F7FFFU));
    EXPECT_FALSE(Finite<uint32_t>("F32", sign | 0x7F7F8000U));
    EXPECT_FALSE(Finite<uint32_t>("F32", sign | 0x7F800000U));
    EXPECT_FALSE(Finite<uint32_t>("F32", sign | 0x7FC00000U));
    EXPECT_FALSE(Finite<uint32_t>("F32", sign | 0x7F800001U));
  }
  for (const uint16_t sign : {uint16_t{0}, uint16_t{0x8000}}) {
    EXPECT_TRUE(Finite<uint16_t>("BF16", static_cast<uint16_t>(sign | 0x7F7F)));
    EXPECT_FALSE(Finite<uint16_t>("BF16", static_cast<uint16_t>(sign | 0x7F80)));
    EXPECT_FALSE(Finite<uint16_t>("BF16", static_cast<uint16_t>(sign | 0x7FC0)));
    EXPECT_TRUE(Finite<uint16_t>("F16", static_cast<uint16_t>(sign | 0x7BFF)));
    EXPECT_FALSE(Finite<uint16_t>("F16", static_cast<uint16_t>(sign | 0x7C00)));
    EXPECT_FALSE(Finite<uint16_t>("F16", static_cast<uint16_t>(sign | 0x7E00)));
  }
}

TEST(AllFiniteTest, ADoublesBoundIsWhereItsFloatRoundsToInfinity) {
  const float first = 0x1.FFp127F;  // 0x7F7F8000: halfway to 2^128, rounds to infinity in bf16.
  double below = first;
  below -= 0x1p103 * 1.5;  // Rounds to a smaller float.
  double just_below = first;
  just_below -= 0x1p103;  // A tie that rounds to `first`.
  uint64_t bits = 0;
  for (const auto& [value, finite] : {std::pair{below, true},
                                      {just_below, false},
                                      {static_cast<double>(first), false},
                                      {1e300, false}}) {
    ASSERT_EQ(static_cast<float>(value) < first, finite);
    std::memcpy(&bits, &value, sizeof(bits));
    EXPECT_EQ(Finite<uint64_t>("F64", bits), finite) << value;
  }
  EXPECT_FALSE(Finite<uint64_t>("F64", 0x7FF0000000000000));
  EXPECT_FALSE(Finite<uint64_t>("F64", 0xFFF8000000000000));
  EXPECT_TRUE(Finite<uint64_t>("F64", 0x3FF0000000000000));
}

TEST(AllFiniteTest, SmallNumbersAndNothingAreFinite) {
  EXPECT_TRUE(Finite<uint32_t>("F32", 1));
  EXPECT_TRUE(Finite<uint16_t>("F16", 0x8001));
  for (const char* dtype : {"F32", "F16", "BF16", "F64"}) EXPECT_TRUE(*AllFinite(dtype, "", "w"));
}

TEST(AllFiniteTest, OtherTypesAreRefusedWithTheirPlace) {
  for (const char* dtype : {"I32", "U8", "BOOL", "F8_E4M3", "f32", ""}) {
    const Status status = AllFinite(dtype, "1234", "file: the tensor t").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), testing::StartsWith("file: the tensor t has the type"));
  }
}

}  // namespace
}  // namespace graft::artifacts
