/// Where a prompt's text goes on, with a tokenizer like Llama 2's: a space begins each word, and
/// what the vocabulary lacks is written in bytes.

#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/file.h"
#include "tests/support/must.h"
#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/serving/generate_case.h"
#include "tests/worker/engine/zero_base.h"

namespace graft::worker::engine {
namespace {

namespace fs = std::filesystem;
using graft::testing::Must;
using testing::Ask;
using testing::Greedy;

constexpr const char* kSpace = "\u2581";
constexpr int32_t kByte0 = 3, kA = 259, kAWord = 262, kEnd = 2;

Json LikeLlama2() {
  Json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", kEnd}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    vocabulary[name] = kByte0 + byte;
  }
  vocabulary["a"] = kA;
  vocabulary["b"] = kA + 1;
  vocabulary[kSpace] = kA + 2;
  vocabulary[std::string(kSpace) + "a"] = kAWord;
  Json added = Json::array();
  for (const auto& [id, content] : {std::pair(0, "<unk>"), {1, "<s>"}, {2, "</s>"}}) {
    added.push_back({{"id", id},
                     {"content", content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const auto replace = [](const std::string& from, const std::string& to) {
    return Json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  };
  const Json prepend = {{"type", "Prepend"}, {"prepend", kSpace}};
  const Json strip = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", {prepend, replace(" ", kSpace)}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, strip}}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocabulary},
            {"merges", {std::string(kSpace) + " a"}}}}};
}

class ContinuedTextTest : public ::testing::Test {
 protected:
  ContinuedTextTest() {
    const fs::path base = folder_.path() / "words";
    testing::WriteZeroBase(fs::path(testing::DecoderFolder()) / "base-llama", base,
                           {.hidden = 32, .inner = 64, .vocabulary = 300, .head_dim = 8});
    Must(WriteFileDurably(base / "tokenizer.json", LikeLlama2().dump()));
    EngineOptions options;
    options.bases = folder_.path();
    options.base_precision = spec::Precision::kFp32;
    engine_ = Must(Engine::Create(std::move(options)));
  }

  /// What `tokens` times the likeliest, which is "▁a" for a base of zeros with this bias, give.
  std::string Text(const std::string& prompt, bool is_chat = false, int32_t token = kAWord) {
    GenerateRequest request = Greedy("words", prompt, 2);
    request.is_chat = is_chat;
    request.settings.sampling.logit_bias = {{token, 100}};
    const testing::Answer answer = Ask(*engine_, std::move(request)).get();
    EXPECT_TRUE(answer.status.ok()) << answer.status;
    return answer.texts.contains(0) ? answer.texts.at(0).text : std::string();
  }

  TempFolder folder_ = Must(TempFolder::Create());
  std::unique_ptr<Engine> engine_;
};

TEST_F(ContinuedTextTest, TheSpaceBetweenPromptAndTextIsTold) { EXPECT_EQ(Text("a b"), " a a"); }

TEST_F(ContinuedTextTest, WhatThePromptEndsWithIsNotToldAgain) {
  for (const char* prompt : {"a\n", "a\n\n", "a\U0001F600", "a\U0001F600\U0001F601\U0001F602",
                             "b\u00e9 \U0001F600 \n", "\n", "\U0001F600"}) {
    EXPECT_EQ(Text(prompt), " a a") << prompt;
  }
}

TEST_F(ContinuedTextTest, AnAnswerBeginsAnew) {
  EXPECT_EQ(Text("a b", /*is_chat=*/true), "a a");
  EXPECT_EQ(Text("a\n", /*is_chat=*/true), "a a");
}

TEST_F(ContinuedTextTest, ATextThatEndsAtOnceIsEmpty) {
  EXPECT_EQ(Text("a\n", /*is_chat=*/false, kEnd), "");
}

}  // namespace
}  // namespace graft::worker::engine
