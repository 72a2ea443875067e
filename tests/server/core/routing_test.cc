#include "server/core/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::core {
namespace {

using testing::ElementsAre;

constexpr TimeUs kSecond = 1'000'000;

class RoutingTest : public testing::Test {
 protected:
  void Add(const std::string& id, std::vector<std::string> resident,
           std::vector<std::string> bases = {"minilm", "gpt2"}) {
    table_.Put({id, std::move(bases), std::move(resident), false}, 0);
  }
  void Serve(const std::string& id, const std::string& version, bool ok = true) {
    table_.Began(id);
    table_.Ended(id, version, ok);
  }

  WorkerTable table_{10 * kSecond};
};

TEST_F(RoutingTest, NoWorkerNoPick) {
  EXPECT_FALSE(table_.Pick("minilm", "v"));
  Add("w1", {}, {"gpt2"});
  EXPECT_FALSE(table_.Pick("minilm", "v"));
}

TEST_F(RoutingTest, BasesComeAndGo) {
  Add("w1", {}, {"gpt2"});
  EXPECT_TRUE(table_.SetBases("w1", {"gpt2", "minilm"}));
  EXPECT_FALSE(table_.SetBases("w1", {"gpt2", "minilm"})) << "no news";
  EXPECT_FALSE(table_.SetBases("w2", {"minilm"})) << "nobody knows it";

  EXPECT_EQ(table_.Pick("minilm", "v"), "w1");
  EXPECT_EQ(table_.NumThatHave("minilm"), 1U);
  EXPECT_THAT(table_.BasesOf("w1"), ElementsAre("gpt2", "minilm"));

  EXPECT_TRUE(table_.SetBases("w1", {"minilm"}));
  EXPECT_FALSE(table_.Pick("gpt2", "v"));
  EXPECT_EQ(table_.NumThatHave("gpt2"), 0U);
}

TEST_F(RoutingTest, TheWorkerThatHasTheVersionIsBest) {
  Add("w1", {"minilm"});
  Add("w2", {"minilm"});
  Add("w3", {});
  Serve("w2", "v");

  EXPECT_EQ(table_.Pick("minilm", "v"), "w2");
  EXPECT_EQ(table_.Pick("minilm", "other"), "w1");
}

TEST_F(RoutingTest, AFailedRequestDoesNotCountAsLoaded) {
  Add("w1", {"minilm"});
  Add("w2", {"minilm"});
  Serve("w2", "v", false);

  EXPECT_EQ(table_.Pick("minilm", "v"), "w1");
}

TEST_F(RoutingTest, AHolderOfTheBaseIsBetterThanOneThatMustLoadIt) {
  Add("w1", {});
  Add("w2", {"minilm"});

  EXPECT_EQ(table_.Pick("minilm", "v"), "w2");
  EXPECT_EQ(table_.Pick("gpt2", "v"), "w1");
  EXPECT_THAT(table_.Holders("minilm"), ElementsAre("w2"));
}

TEST_F(RoutingTest, AmongEqualsTheLeastBusy) {
  Add("w1", {"minilm"});
  Add("w2", {"minilm"});
  table_.Began("w1");

  EXPECT_EQ(table_.Pick("minilm", "v"), "w2");
  table_.Began("w2");
  table_.Began("w2");
  EXPECT_EQ(table_.Pick("minilm", "v"), "w1");
  table_.Ended("w2", "", true);
  table_.Ended("w2", "", true);
  EXPECT_EQ(table_.Pick("minilm", "v"), "w2");
}

TEST_F(RoutingTest, DrainingAndExcludedWorkersAreNotPicked) {
  Add("w1", {"minilm"});
  Add("w2", {"minilm"});
  table_.SetResident("w1", {"minilm"}, /*draining=*/true);

  EXPECT_EQ(table_.Pick("minilm", "v"), "w2");
  EXPECT_FALSE(table_.Pick("minilm", "v", {"w2"}));
}

TEST_F(RoutingTest, SilentWorkersAreForgotten) {
  Add("w1", {"minilm"});
  Add("w2", {"minilm"});
  EXPECT_TRUE(table_.Touch("w2", 5 * kSecond));

  EXPECT_TRUE(table_.RemoveSilent(10 * kSecond).empty());
  EXPECT_THAT(table_.RemoveSilent(10 * kSecond + 1), ElementsAre("w1"));
  EXPECT_THAT(table_.Ids(), ElementsAre("w2"));
  EXPECT_FALSE(table_.Touch("w1", 11 * kSecond));
}

TEST_F(RoutingTest, EndsOfUnknownWorkersAreIgnored) {
  Add("w1", {"minilm"});
  table_.Remove("w1");
  table_.Began("w1");
  table_.Ended("w1", "v", true);
  table_.SetResident("w1", {"minilm"}, false);

  EXPECT_TRUE(table_.Ids().empty());
}

TEST_F(RoutingTest, AWorkerThatStartsAnewHasNoVersions) {
  Add("w1", {"minilm"});
  Add("w2", {"minilm"});
  Serve("w2", "v");
  Add("w2", {});
  table_.SetResident("w2", {"minilm"}, false);

  EXPECT_EQ(table_.Pick("minilm", "v"), "w1");
}

TEST_F(RoutingTest, AWorkerThatRegistersAgainKeepsItsCount) {
  Add("w1", {"minilm"});
  Add("w2", {"minilm"});
  table_.Began("w1");
  Add("w1", {"minilm"});

  EXPECT_EQ(table_.Pick("minilm", "v"), "w2");
}

}  // namespace
}  // namespace graft::server::core
