#include "server/tensorboard/event.h"

#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "hex.h"

namespace graft::server::tensorboard {
namespace {

/// Field 50001 with 7.
constexpr const char* kNumberSeven = "88b51807";

TEST(EventTest, BytesAreThoseOfTensorBoardsOwnMessages) {
  // Serialized by the messages of the PyPI package tensorboard 2.21.0, but for the number behind.
  EXPECT_EQ(Hex(EncodeVersion(1.5)), "09000000000000f83f1a0d627261696e2e4576656e743a32");
  EXPECT_EQ(Hex(Encode({.wall_time = 1753000000.042,
                        .step = 300,
                        .scalars = {{"train/loss", 0.5}, {"train/learning_rate", 0.001}},
                        .number = 7})),
            "0921b002102a1fda4110ac022a2f0a110a0a747261696e2f6c6f7373150000003f0a1a0a13747261696e2f"
            "6c6561726e696e675f72617465156f12833a" +
                std::string(kNumberSeven));
}

TEST(EventTest, TheNumberIsReadBack) {
  for (const int64_t number : {int64_t{1}, int64_t{127}, int64_t{128}, int64_t{1} << 40,
                               std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(NumberOf(Encode({.wall_time = -1, .step = number, .scalars = {}, .number = number})),
              number);
    EXPECT_EQ(NumberOf(Encode({.wall_time = 2,
                               .step = 0,
                               .scalars = {{std::string(300, 't'), std::nan("")}},
                               .number = number})),
              number);
  }
}

TEST(EventTest, WhatHasNoNumberHasNone) {
  EXPECT_FALSE(NumberOf(EncodeVersion(3)));
  EXPECT_FALSE(NumberOf(""));
  EXPECT_FALSE(NumberOf(std::string(20, '\xff')));
  EXPECT_FALSE(NumberOf("\x0b"));  // A group, which there isn't any more.
  const std::string whole =
      Encode({.wall_time = 1, .step = 2, .scalars = {{"a", 1}}, .number = 300});
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(NumberOf(whole.substr(0, size)));
}

TEST(EventTest, OnlyTheVersionIsOne) {
  EXPECT_TRUE(IsVersion(EncodeVersion(0)));
  EXPECT_TRUE(IsVersion(EncodeVersion(1e9)));
  EXPECT_FALSE(IsVersion(""));
  EXPECT_FALSE(IsVersion(EncodeVersion(0) + "x"));
  EXPECT_FALSE(IsVersion(Encode({.wall_time = 0, .step = 1, .scalars = {}, .number = 1})));
}

}  // namespace
}  // namespace graft::server::tensorboard
