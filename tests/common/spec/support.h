#pragma once
/// What the tests of common/spec share.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "common/spec/job_spec.h"
#include "tests/common/families/configs.h"
#include "tests/support/details.h"

namespace graft::spec {

/// The least that a client must say.
inline Json Minimal() {
  return {{"base", "minilm"},
          {"adapter", "support"},
          {"method", {{"lora", Json::object()}}},
          {"dataset", {{"train", "file:///data/train.csv"}}}};
}

/// Minimal with one value set, `path` as "/hyperparameters/epochs".
inline Json MinimalWith(const std::string& path, Json value) {
  Json json = Minimal();
  json[Json::json_pointer(path)] = std::move(value);
  return json;
}

inline Json MinimalWithValidation(const std::string& path, Json value) {
  Json json = MinimalWith(path, std::move(value));
  json["dataset"]["validation_fraction"] = 0.1;
  return json;
}

/// Fails the test and returns an empty spec if the JSON is refused.
inline JobSpec Must(const Json& json) {
  auto spec = FromJson(json);
  EXPECT_TRUE(spec.ok()) << spec.status() << " " << json;
  return spec.ok() ? *std::move(spec) : JobSpec{};
}

inline Status Refusal(const Json& json) { return FromJson(json).status(); }

}  // namespace graft::spec
