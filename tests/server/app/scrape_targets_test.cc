#include "server/app/scrape_targets.h"

#include <gtest/gtest.h>

namespace graft::server::app {
namespace {

TEST(ScrapeTargetsTest, ServerAndEachWorkerAreAGroup) {
  const Json groups =
      ScrapeTargets({"127.0.0.1", 9464, true}, {{"cuda:0", 9465}, {"cuda:1", 9466}});

  EXPECT_EQ(groups, Json::parse(R"([
    {"targets": ["127.0.0.1:9464"], "labels": {"job": "graft-server"}},
    {"targets": ["127.0.0.1:9465"],
     "labels": {"job": "graft-worker", "worker": "0", "device": "cuda:0"}},
    {"targets": ["127.0.0.1:9466"],
     "labels": {"job": "graft-worker", "worker": "1", "device": "cuda:1"}}])"));
}

TEST(ScrapeTargetsTest, ListeningEverywhereIsDialledOnLoopback) {
  EXPECT_EQ(ScrapeTargets({"0.0.0.0", 1, false}, {})[0]["targets"][0], "127.0.0.1:1");
  EXPECT_EQ(ScrapeTargets({"::", 2, false}, {})[0]["targets"][0], "[::1]:2");
  EXPECT_EQ(ScrapeTargets({"10.0.0.7", 3, false}, {})[0]["targets"][0], "10.0.0.7:3");
}

TEST(ScrapeTargetsTest, NothingServedIsAnEmptyList) {
  EXPECT_EQ(ScrapeTargets({}, {}), Json::array());
}

}  // namespace
}  // namespace graft::server::app
