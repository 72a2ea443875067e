#include "server/http/router.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::http {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class RouterTest : public ::testing::Test {
 protected:
  /// The pattern that takes it, or "404" or "405 GET, HEAD".
  std::string Find(std::string_view method, const std::vector<std::string>& segments) const {
    const auto found = router_.Find(method, segments);
    if (const auto* refusal = std::get_if<Refusal>(&found)) {
      return std::to_string(refusal->status) + (refusal->allow.empty() ? "" : " " + refusal->allow);
    }
    const Route& route = *std::get<Match>(found).route;
    return std::string(route.method) + " " + std::string(route.pattern);
  }
  std::map<std::string, std::string> ArgumentsOf(const std::vector<std::string>& segments) const {
    const auto found = router_.Find("GET", segments);
    const auto* match = std::get_if<Match>(&found);
    return match == nullptr ? std::map<std::string, std::string>{{"none", ""}} : match->arguments;
  }

  static Route Of(std::string_view method, std::string_view pattern) {
    return {method, pattern, BodyForm::kNone, nullptr, {}};
  }
  const Router router_{{Of("GET", "/"), Of("GET", "/jobs"), Of("POST", "/jobs"),
                        Of("GET", "/jobs/{job}"), Of("DELETE", "/jobs/{job}"),
                        Of("POST", "/jobs/estimate"), Of("POST", "/jobs/{job}/cancel"),
                        Of("GET", "/jobs/{job}/attempts/{attempt}"), Of("GET", "/jobs/newest")}};
};

TEST_F(RouterTest, AMethodAndAPathHaveOneRoute) {
  EXPECT_EQ(Find("GET", {}), "GET /");
  EXPECT_EQ(Find("GET", {"jobs"}), "GET /jobs");
  EXPECT_EQ(Find("POST", {"jobs"}), "POST /jobs");
  EXPECT_EQ(Find("DELETE", {"jobs", "7"}), "DELETE /jobs/{job}");
  EXPECT_EQ(Find("POST", {"jobs", "7", "cancel"}), "POST /jobs/{job}/cancel");
}

TEST_F(RouterTest, BracedNamesTakeOneSegmentWhateverItHolds) {
  EXPECT_THAT(ArgumentsOf({"jobs", "a/b{c}"}), ElementsAre(Pair("job", "a/b{c}")));
  EXPECT_THAT(ArgumentsOf({"jobs", "7", "attempts", "2"}),
              ElementsAre(Pair("attempt", "2"), Pair("job", "7")));
  EXPECT_THAT(ArgumentsOf({"jobs"}), IsEmpty());
}

TEST_F(RouterTest, ALiteralWinsOverANameWhereverItIsListed) {
  EXPECT_EQ(Find("GET", {"jobs", "newest"}), "GET /jobs/newest");
  EXPECT_EQ(Find("POST", {"jobs", "estimate"}), "POST /jobs/estimate");
}

TEST_F(RouterTest, ALiteralWinsWhateverTheMethod) {
  EXPECT_EQ(Find("GET", {"jobs", "estimate"}), "405 POST");
  EXPECT_EQ(Find("DELETE", {"jobs", "newest"}), "405 GET, HEAD");
}

TEST_F(RouterTest, AHeadIsAGet) {
  EXPECT_EQ(Find("HEAD", {"jobs"}), "GET /jobs");
  EXPECT_EQ(Find("HEAD", {"jobs", "7", "cancel"}), "405 POST");
}

TEST_F(RouterTest, AnotherMethodIsToldWhichThereAre) {
  EXPECT_EQ(Find("PUT", {"jobs"}), "405 GET, HEAD, POST");
  EXPECT_EQ(Find("PUT", {"jobs", "7"}), "405 DELETE, GET, HEAD");
  EXPECT_EQ(Find("PUT", {"jobs", "estimate"}), "405 POST");
  EXPECT_EQ(Find("GET", {"jobs", "7", "cancel"}), "405 POST");
  EXPECT_EQ(Find("", {}), "405 GET, HEAD");
}

TEST_F(RouterTest, MethodsAreToldApartByCase) { EXPECT_EQ(Find("get", {}), "405 GET, HEAD"); }

TEST_F(RouterTest, WhatNoRouteTakesIsNotFound) {
  EXPECT_EQ(Find("GET", {"job"}), "404");
  EXPECT_EQ(Find("GET", {"Jobs"}), "404");
  EXPECT_EQ(Find("GET", {"jobs", "7", "attempts"}), "404");
  EXPECT_EQ(Find("GET", {"jobs", "7", "cancel", "x"}), "404");
  EXPECT_EQ(Find("GET", {"{job}"}), "404");
}

}  // namespace
}  // namespace graft::server::http
