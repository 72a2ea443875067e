#include "server/core/filter.h"

#include <gtest/gtest.h>

namespace graft::server::core {
namespace {

TEST(FilterTest, EmptyMatchesAll) {
  for (const char* text : {"", "   "}) {
    const auto query = ParseJobFilter(text);
    ASSERT_TRUE(query.ok()) << query.status();
    EXPECT_TRUE(query->states.empty() && query->adapter.empty() && query->labels.empty());
  }
}

TEST(FilterTest, ReadsEveryTerm) {
  const auto query = ParseJobFilter(
      " state=RUNNING  adapter=support base=minilm label.team=x label.env=\"a b=c\" state=QUEUED "
      "label.empty= state=RUNNING");

  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->states, (std::vector<JobState>{JobState::kRunning, JobState::kQueued}));
  EXPECT_EQ(query->adapter, "support");
  EXPECT_EQ(query->base, "minilm");
  EXPECT_EQ(query->labels,
            (std::map<std::string, std::string>{{"team", "x"}, {"env", "a b=c"}, {"empty", ""}}));
}

TEST(FilterTest, EveryStateHasItsName) {
  for (int s = 1; s <= 7; ++s) {
    const auto state = static_cast<JobState>(s);
    const auto query = ParseJobFilter("state=" + std::string(JobStateName(state)));
    ASSERT_TRUE(query.ok()) << query.status();
    EXPECT_EQ(query->states.at(0), state);
    std::string lower(JobStateName(state));
    for (char& c : lower) c = static_cast<char>(c | 0x20);
    EXPECT_EQ(ParseJobFilter("state=" + lower)->states.at(0), state);
  }
}

TEST(FilterTest, RefusesWhatItDoesNotKnow) {
  for (const std::string text :
       {"running", "state=", "state=runnin", "state=runnings", "state=UNKNOWN", "State=QUEUED",
        "owner=x", "adapter=a adapter=b", "base=a base=a", "adapter=", "label.=x",
        "label.a=1 label.a=2", "label.a=\"x", "label.a=x\"y\"", "label.a=\"x\"y", "=", "a b",
        "state=QUEUED,RUNNING"}) {
    const auto query = ParseJobFilter(text);
    ASSERT_FALSE(query.ok()) << text;
    EXPECT_EQ(query.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(query.status().details().at(0).field, "filter");
  }
  EXPECT_FALSE(ParseJobFilter("label.a=" + std::string(5000, 'x')).ok());
}

TEST(FilterTest, BaseFilterKnowsBaseAlone) {
  EXPECT_EQ(*ParseBaseFilter(""), "");
  EXPECT_EQ(*ParseBaseFilter(" base=minilm "), "minilm");
  for (const char* text : {"base=", "base=a base=b", "state=RUNNING", "minilm"}) {
    EXPECT_EQ(ParseBaseFilter(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(FilterTest, VersionFilterKnowsJobAlone) {
  EXPECT_EQ(*ParseVersionFilter(""), "");
  EXPECT_EQ(*ParseVersionFilter(" job=jobs/01hxyz "), "01hxyz");
  EXPECT_EQ(*ParseVersionFilter("job=01hxyz"), "01hxyz");
  for (const char* text :
       {"job=", "job=jobs/", "job=jobs/a/b", "job=a job=b", "jobs/a", "base=a"}) {
    EXPECT_EQ(ParseVersionFilter(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(FilterTest, APageTokenLeadsBackToWhereTheListWas) {
  const std::string token = MakePageToken("01hxyz", "state=RUNNING");

  EXPECT_EQ(*ParsePageToken(token, "state=RUNNING"), "01hxyz");
  EXPECT_EQ(*ParsePageToken("", "state=RUNNING"), "");
}

TEST(FilterTest, APageTokenOfAnotherListIsRefused) {
  const std::string token = MakePageToken("01hxyz", "state=RUNNING");

  for (const std::string& bad :
       {token + "0", token.substr(1), std::string("x"), std::string("."), "1" + token}) {
    const auto last = ParsePageToken(bad, "state=RUNNING");
    ASSERT_FALSE(last.ok()) << bad;
    EXPECT_EQ(last.status().details().at(0).reason, "BAD_PAGE_TOKEN");
  }
  EXPECT_FALSE(ParsePageToken(token, "").ok());
}

}  // namespace
}  // namespace graft::server::core
