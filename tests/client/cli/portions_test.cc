#include "client/cli/portions.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::cli {
namespace {

using namespace std::chrono_literals;
using testing::Each;
using testing::Le;

TextInputs Lines(size_t count, size_t length) {
  std::string lines;
  for (size_t i = 0; i < count; ++i) lines += std::string(length, 'x') + "\n";
  std::istringstream in(lines);
  return *TextInputs::Read({"-"}, /*pair=*/false, in);
}

/// How many texts each request held, of a server that takes so long for a KiB of text and reads 4
/// KiB of each.
std::vector<size_t> Send(const TextInputs& inputs, double seconds_a_kib,
                         std::chrono::milliseconds timeout = 30s) {
  Portions portions(timeout);
  std::vector<size_t> sizes;
  for (size_t begin = 0; begin < inputs.size();) {
    const size_t end = portions.End(inputs, begin);
    if (end <= begin) return {};
    double kib = 0;
    for (size_t i = begin; i < end; ++i)
      kib += static_cast<double>(std::min<size_t>(inputs[i].text().size(), 4096)) / 1024;
    const std::chrono::duration<double> took(kib * seconds_a_kib);
    EXPECT_LT(took, 0.5 * timeout);
    portions.Answered(inputs, begin, end, took);
    sizes.push_back(end - begin);
    begin = end;
  }
  return sizes;
}

TEST(PortionsTest, ShortTextsGoManyAtATime) {
  const std::vector<size_t> sizes = Send(Lines(1000, 50), 1e-3);

  EXPECT_EQ(sizes, (std::vector<size_t>{256, 256, 256, 232}));
}

TEST(PortionsTest, LongTextsGoFewAtFirst) {
  for (const size_t length : {2500, 5000, 100'000})
    EXPECT_LE(Send(Lines(300, length), 0.1).front(), 8U) << length;
}

TEST(PortionsTest, NoRequestComesNearItsDeadline) {
  // From a large model on a slow machine to a small one on a fast.
  for (const double seconds_a_kib : {0.6, 0.1, 0.006, 1e-4}) {
    for (const size_t length : {20, 300, 2500, 5000, 20'000}) {
      std::vector<size_t> sizes = Send(Lines(600, length), seconds_a_kib);

      ASSERT_FALSE(sizes.empty());
      sizes.erase(sizes.begin());
      const double seconds_a_text =
          seconds_a_kib * static_cast<double>(std::min<size_t>(length, 4096)) / 1024;
      EXPECT_THAT(sizes, Each(Le(std::max(1.0, 2.5 / seconds_a_text))))
          << seconds_a_kib << " " << length;
    }
  }
}

TEST(PortionsTest, AFastServerGetsFullRequests) {
  const std::vector<size_t> sizes = Send(Lines(1000, 2500), 1e-4);

  EXPECT_EQ(sizes[sizes.size() - 2], 256U);
  EXPECT_LT(sizes.size(), 9U);
}

TEST(PortionsTest, AShortTimeoutMakesSmallerRequests) {
  const std::vector<size_t> sizes = Send(Lines(200, 5000), 0.012, 1s);

  EXPECT_THAT(sizes, Each(Le(4U)));
}

TEST(PortionsTest, ARequestThatTimesOutIsCutOnlyIfTheServerIsThere) {
  const TextInputs inputs = Lines(100, 5000);
  Portions portions(30s);
  EXPECT_FALSE(portions.TimedOut(inputs, 0, 4)) << "nothing was ever answered";
  portions.Answered(inputs, 0, 4, 1ms);
  const size_t before = portions.End(inputs, 4) - 4;

  EXPECT_TRUE(portions.TimedOut(inputs, 4, 4 + before));

  EXPECT_LE(portions.End(inputs, 4) - 4, before / 4);
  for (int i = 0; i < 20; ++i) portions.Answered(inputs, 4, portions.End(inputs, 4), 1ms);
  EXPECT_LE(portions.End(inputs, 4) - 4, before / 2) << "it doesn't grow to what failed";
  EXPECT_FALSE(portions.TimedOut(inputs, 4, 5)) << "one text can't be cut";
}

}  // namespace
}  // namespace graft::cli
