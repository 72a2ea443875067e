#include "server/tensorboard/crc32c.h"

#include <string>

#include <gtest/gtest.h>

namespace graft::server::tensorboard {
namespace {

TEST(Crc32cTest, ChecksumsAreThoseOfTheStandard) {
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) {
    rising += static_cast<char>(i);
    falling += static_cast<char>(31 - i);
  }

  // RFC 3720, appendix B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(Crc32c(rising), 0x46dd794eU);
  EXPECT_EQ(Crc32c(falling), 0x113fdb5cU);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(Crc32c(""), 0U);
}

TEST(Crc32cTest, TheMaskIsTensorFlows) {
  EXPECT_EQ(MaskedCrc32c(""), 0xa282ead8U);
  // ((0xe3069283 >> 15) | (0xe3069283 << 17)) + 0xa282ead8
  EXPECT_EQ(MaskedCrc32c("123456789"), 0xc78ab0e5U);
}

}  // namespace
}  // namespace graft::server::tensorboard
