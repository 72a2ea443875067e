#include "common/base/bytes_text.h"

#include <gtest/gtest.h>

namespace graft {
namespace {

TEST(BytesTextTest, TheUnitFitsTheAmount) {
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(1023), "1023 B");
  EXPECT_EQ(BytesText(1024), "1.0 KiB");
  EXPECT_EQ(BytesText(int64_t{90} << 20), "90.0 MiB");
  EXPECT_EQ(BytesText(int64_t{3} << 29), "1.5 GiB");
  EXPECT_EQ(BytesText((int64_t{1} << 30) - 1), "1.0 GiB");
  EXPECT_EQ(BytesText(int64_t{1} << 50), "1048576.0 GiB");
}

}  // namespace
}  // namespace graft
