#include "common/base/ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace graft {
namespace {

TEST(ClockTest, SystemClockIsInMicrosecondsSince1970) {
  const TimeUs first = SystemClock().Now();
  const TimeUs second = SystemClock().Now();

  EXPECT_GT(first, 1'577'836'800'000'000);  // 2020
  EXPECT_LT(first, 7'258'118'400'000'000);  // 2200
  EXPECT_GE(second, first);
}

TEST(ClockTest, FakeClockMovesOnlyWhenTold) {
  FakeClock clock(100);

  EXPECT_EQ(clock.Now(), 100);
  EXPECT_EQ(clock.Now(), 100);
  clock.Advance(5);
  EXPECT_EQ(clock.Now(), 105);
}

TEST(NewIdTest, IsAValidNameOf26Characters) {
  const std::string id = NewId(1'700'000'000'123'456);

  EXPECT_EQ(id.size(), 26U);
  EXPECT_TRUE(IsValidName(id)) << id;
  EXPECT_EQ(id.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz"), std::string::npos) << id;
}

TEST(NewIdTest, BeginsWithTheMillisecondsOfTheUlidLayout) {
  // 1469918176385 ms is the ULID specification's example, 01ARYZ6S41.
  EXPECT_EQ(NewId(1'469'918'176'385'000).substr(0, 10), "01aryz6s41");
  EXPECT_EQ(NewId(1'469'918'176'385'999).substr(0, 10), "01aryz6s41");
  EXPECT_EQ(NewId(0).substr(0, 10), "0000000000");
}

TEST(NewIdTest, WithinAMillisecondSortsByCall) {
  std::vector<std::string> ids;
  for (int i = 0; i < 2000; ++i) ids.push_back(NewId(1'700'000'000'123'456 + i % 7));

  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
}

TEST(NewIdTest, SortsByTime) {
  std::vector<std::string> ids;
  for (TimeUs ms = 1; ms < 1'000'000'000'000; ms *= 7) ids.push_back(NewId(ms * 1000));

  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST(NewIdTest, DiffersWithinOneMillisecond) {
  std::set<std::string> ids;
  std::set<char> characters;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = NewId(1'000);
    ids.insert(id);
    characters.insert(id.begin() + 10, id.end());
  }

  EXPECT_EQ(ids.size(), 10'000U);
  EXPECT_EQ(characters.size(), 32U);
}

TEST(IsValidNameTest, TakesWhatIsSafeAsAPathSegment) {
  for (const char* name : {"a", "0", "minilm", "a.b_c-d", "a..b", "x-"}) {
    EXPECT_TRUE(IsValidName(name)) << name;
  }
  EXPECT_TRUE(IsValidName(std::string(63, 'a')));
}

TEST(IsValidNameTest, RefusesAllElse) {
  for (const char* name : {"", ".", "..", ".a", "-a", "_a", "A", "aB", "a/b", "a b", "a\n",
                           "\xC3\xA9", "a@1", "a:b", "a\\b"}) {
    EXPECT_FALSE(IsValidName(name)) << name;
  }
  EXPECT_FALSE(IsValidName(std::string(64, 'a')));
  EXPECT_FALSE(IsValidName(std::string_view("a\0b", 3)));
}

TEST(IsValidBaseNameTest, TakesCapitalsToo) {
  EXPECT_TRUE(IsValidBaseName("all-MiniLM-L6-v2"));
  EXPECT_TRUE(IsValidBaseName("BERT"));
  for (const char* name : {"", "..", ".a", "-A", "A/b", "A b", "\xC3\xA9"})
    EXPECT_FALSE(IsValidBaseName(name)) << name;
  EXPECT_THAT(CheckBaseName("a/b", "base").message(), testing::HasSubstr("can't name a base"));
}

TEST(CheckNameTest, SaysTheRuleAndTheField) {
  EXPECT_TRUE(CheckName("support", "adapter", "job.adapter").ok());

  const Status status = CheckName("Sup/port\n\xFF", "adapter", "job.adapter");

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(
      status.message(),
      "\"Sup/port\\n\\xff\" can't name an adapter: use 1 to 63 of a-z, 0-9, '.', '_' and '-', "
      "starting with a letter or digit");
  ASSERT_EQ(status.details().size(), 1U);
  EXPECT_EQ(status.details()[0].field, "job.adapter");
  EXPECT_EQ(status.details()[0].reason, "BAD_NAME");
}

TEST(CheckNameTest, ArticleFollowsTheNoun) {
  EXPECT_NE(CheckName("", "base", "b").message().find("can't name a base:"), std::string::npos);
}

}  // namespace
}  // namespace graft
