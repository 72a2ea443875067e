/// What a base's files say of generating text, and how a fault of theirs is told.

#include "common/bases/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "common/base/file.h"
#include "common/base/json.h"
#include "tests/support/must.h"

namespace graft::bases {
namespace {

using graft::testing::Must;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Of a folder with these files, the first of which may be missing ("").
StatusOr<GenerationConfig> Read(const std::string& own, const std::string& config = "{}") {
  const TempFolder folder = Must(TempFolder::Create());
  Must(WriteFileDurably(folder.path() / "config.json", config));
  if (!own.empty()) Must(WriteFileDurably(folder.path() / "generation_config.json", own));
  return ReadGenerationConfig(folder.path(), 100);
}

TEST(GenerationConfigTest, WhatIsDrawnBySaysHow) {
  const GenerationConfig config = Must(Read(
      R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.9, "min_p": 0.1,
          "repetition_penalty": 1.1, "eos_token_id": [7, 8], "max_length": 20})",
      R"({"eos_token_id": 3})"));

  EXPECT_EQ(config.temperature, 0.6);
  EXPECT_EQ(config.top_k, 20);
  EXPECT_EQ(config.top_p, 0.9);
  EXPECT_EQ(config.min_p, 0.1);
  EXPECT_EQ(config.repetition_penalty, 1.1);
  EXPECT_THAT(config.end_tokens, ElementsAre(7, 8));
}

TEST(GenerationConfigTest, WithoutDoSampleTheLikeliestIsTakenAndTheRestIsNotRead) {
  for (const char* own : {"", "{}", R"({"do_sample": false, "top_k": "all", "temperature": 1})"}) {
    const GenerationConfig config = Must(Read(own, R"({"eos_token_id": 3})"));

    EXPECT_EQ(config.temperature, 0) << own;
    EXPECT_FALSE(config.top_k) << own;
    EXPECT_THAT(config.end_tokens, ElementsAre(3)) << own;
  }
  EXPECT_THAT(Must(Read("")).end_tokens, IsEmpty());
}

TEST(GenerationConfigTest, AFieldThatIsWrongIsNamedWithWhatToDo) {
  const std::pair<Json, const char*> rows[] = {
      {{{"top_k", 5.5}}, "top_k must be a whole number from 0 to 16777216"},
      {{{"top_k", -1}}, "top_k must be a whole number from 0 to 16777216"},
      {{{"top_k", 18446744073709551615ULL}}, "top_k must be a whole number from 0 to 16777216"},
      {{{"top_p", 1.5}}, "top_p must be a number from 0 to 1"},
      {{{"min_p", "0.1"}}, "min_p must be a number from 0 to 1"},
      {{{"temperature", -1}}, "temperature must be a number from 0 to 100"},
      {{{"repetition_penalty", 0}}, "repetition_penalty must be a number from 0.01 to 100"},
      {{{"eos_token_id", 100}}, "eos_token_id must be a token, or a list of them, from 0 to 99"},
      {{{"eos_token_id", {1, "</s>"}}}, "eos_token_id must be a token, or a list of them"},
      {{{"eos_token_id", std::vector<int>(257, 1)}}, "eos_token_id names more than 256 tokens"},
      {{{"do_sample", 1}}, "do_sample must be true or false"},
  };
  for (const auto& [fields, says] : rows) {
    Json own = {{"do_sample", true}};
    own.update(fields);

    const Status status = Read(own.dump()).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << own;
    EXPECT_THAT(status.message(), AllOf(HasSubstr(std::string("generation_config.json: ") + says),
                                        HasSubstr("; correct it, or take the file away")))
        << own;
  }
}

TEST(GenerationConfigTest, AFileThatIsNoObjectIsNamedWithWhatToDo) {
  for (const char* own : {"[]", "{", "7"}) {
    EXPECT_THAT(Read(own).status().message(),
                AllOf(HasSubstr("generation_config.json"), HasSubstr("or take the file away")));
  }
}

TEST(GenerationConfigTest, EndTokensOfTheConfigAreCheckedWhereTheyCount) {
  const char* config = R"({"eos_token_id": 100})";

  EXPECT_THAT(Read("", config).status().message(),
              AllOf(HasSubstr("config.json: eos_token_id must be a token, or a list of them, from "
                              "0 to 99"),
                    HasSubstr("; correct it, or take it out")));
  EXPECT_TRUE(Read(R"({"eos_token_id": 5})", config).ok());
}

}  // namespace
}  // namespace graft::bases
