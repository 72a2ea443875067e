#pragma once
/// Imports of folders for a tiny BERT.

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/artifacts/versions.h"

namespace graft::artifacts {

inline ImportRequest Request() {
  return {.base = "tiny",
          .base_fingerprint = Sha256Hex("base"),
          .tokenizer = Sha256Hex("tokenizer"),
          .label_names = {"neg", "pos"},
          .max_length = 32,
          .precision = "fp32",
          .tokenizer_files = {}};
}

inline void ExpectRefused(Files files, const std::string& part,
                          StatusCode code = StatusCode::kInvalidArgument,
                          const ImportRequest& request = Request()) {
  const Status status = Import(request, TinyBert(), files).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(status.message(), testing::HasSubstr(part));
}

}  // namespace graft::artifacts
