#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/common/tokenizers/tiny.h"

namespace graft::tokenizers {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Edit = std::function<void(Json&)>;

void ExpectRefused(const Edit& edit, const std::string& part,
                   StatusCode code = StatusCode::kInvalidArgument) {
  Json json = TinyTokenizer();
  edit(json);
  const Status status = Load(json).status();
  EXPECT_EQ(status.code(), code) << part << ": " << status;
  EXPECT_THAT(status.message(), AllOf(HasSubstr("tokenizer.json"), HasSubstr(part)));
}

std::string VocabTxt(const std::string& line_end = "\n") {
  std::string text;
  for (const std::string& token : TinyVocabulary()) text += token + line_end;
  return text;
}

TEST(LoadTokenizerTest, AVocabularyOfBertsKindIsRefusedForAModelOfAnotherKind) {
  const Status status =
      LoadFiles({{"vocab.txt", VocabTxt()}, {"config.json", "{\"model_type\":\"llama\"}"}})
          .status();

  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
  EXPECT_THAT(status.message(), HasSubstr("put its tokenizer.json there"));
}

TEST(LoadTokenizerTest, AFolderWithoutATokenizerIsNotFound) {
  const Status status = LoadFiles({{"config.json", "{}"}}).status();

  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("neither tokenizer.json nor vocab.txt"));
  EXPECT_EQ(LoadTokenizer("/no/such/folder").status().code(), StatusCode::kNotFound);
}

TEST(LoadTokenizerTest, TextThatIsNoJsonIsRefused) {
  for (const char* text : {"", "{", "not json", "\xff", "{\"model\":1,\"model\":2}"}) {
    const Status status = LoadFiles({{"tokenizer.json", text}}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr("tokenizer.json")) << text;
  }
}

TEST(LoadTokenizerTest, AFolderInTheFilesPlaceIsRefused) {
  const auto folder = TempFolder::Create();
  std::filesystem::create_directory(folder->path() / "tokenizer.json");
  EXPECT_EQ(LoadTokenizer(folder->path()).status().code(), StatusCode::kInvalidArgument);
}

TEST(LoadTokenizerTest, AComponentThatIsntBuiltIsNamed) {
  const auto unbuilt = StatusCode::kUnimplemented;
  ExpectRefused(
      [](Json& j) {
        j["model"] = {{"type", "Unigram"}, {"vocab", Json::array()}};
      },
      "the model \"Unigram\" isn't built", unbuilt);
  ExpectRefused(
      [](Json& j) {
        j["normalizer"] = {{"type", "NFKC"}};
      },
      "the normalizer \"NFKC\"", unbuilt);
  ExpectRefused(
      [](Json& j) {
        j["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
      },
      "the pre-tokenizer \"UnicodeScripts\"", unbuilt);
  ExpectRefused(
      [](Json& j) {
        j["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
      },
      "the pre-tokenizer ByteLevel before the model \"WordPiece\"", unbuilt);
  ExpectRefused(
      [](Json& j) {
        j["post_processor"] = {{"type", "Other"}};
      },
      "the post-processor \"Other\"", unbuilt);
}

TEST(LoadTokenizerTest, AModelWithoutItsTypeIsKnownByItsPrefix) {
  Json json = TinyTokenizer();
  json["model"].erase("type");

  EXPECT_EQ(MustLoad(json)->fingerprint(), MustLoad()->fingerprint());
}

TEST(LoadTokenizerTest, AWrongTypeIsRefused) {
  const std::vector<std::pair<Edit, std::string>> edits = {
      {[](Json& j) { j = Json::array(); }, "no model"},
      {[](Json& j) { j.erase("model"); }, "no model"},
      {[](Json& j) { j["model"].erase("vocab"); }, "no vocab"},
      {[](Json& j) { j["model"]["vocab"] = Json::array(); }, "no vocab"},
      {[](Json& j) { j["model"]["unk_token"] = 7; }, "unk_token isn't a text"},
      {[](Json& j) { j["model"]["continuing_subword_prefix"] = true; }, "prefix isn't a text"},
      {[](Json& j) { j["model"]["max_input_chars_per_word"] = "many"; }, "isn't a count"},
      {[](Json& j) { j["model"]["max_input_chars_per_word"] = -1; }, "isn't a count"},
      {[](Json& j) { j["normalizer"]["lowercase"] = "yes"; }, "lowercase must be true, false"},
      {[](Json& j) { j["normalizer"]["strip_accents"] = 1; }, "strip_accents must be true, false"},
      {[](Json& j) { j["added_tokens"] = "x"; }, "added_tokens isn't a list"},
      {[](Json& j) { j["added_tokens"][0] = 7; }, "lacks its content or id"},
      {[](Json& j) { j["added_tokens"][0].erase("id"); }, "lacks its content or id"},
      {[](Json& j) { j["added_tokens"][0]["content"] = 7; }, "lacks its content or id"},
      {[](Json& j) { j["added_tokens"][0]["lstrip"] = 1; }, "lstrip must be true, false"}};
  for (const auto& [edit, part] : edits) ExpectRefused(edit, part);
}

TEST(LoadTokenizerTest, AnIdOutOfRangeIsRefused) {
  for (const Json& id : {Json(-1), Json(1.5), Json("7"), Json(nullptr), Json((1 << 24) + 1),
                         Json(uint64_t{1} << 32), Json(UINT64_MAX)}) {
    ExpectRefused([&](Json& j) { j["model"]["vocab"]["new"] = id; }, "the id of \"new\"");
    ExpectRefused(
        [&](Json& j) {
          j["added_tokens"].push_back({{"id", id}, {"content", "x"}});
        },
        "the id of \"x\"");
    ExpectRefused([&](Json& j) { j["post_processor"]["special_tokens"]["[CLS]"]["ids"] = {id}; },
                  "the id of \"[CLS]\"");
    ExpectRefused(
        [&](Json& j) {
          j["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"c", 2}}, {"sep", {"s", id}}};
        },
        "the id of \"sep\"");
  }
}

TEST(LoadTokenizerTest, AnIdThatTwoTokensHaveIsRefused) {
  ExpectRefused([](Json& j) { j["model"]["vocab"]["zzz"] = 10; }, "\"zzz\" has the id 10");
  ExpectRefused(
      [](Json& j) {
        j["added_tokens"].push_back({{"id", 10}, {"content", "x"}});
      },
      "has the id 10, as \"hello\" has");
  ExpectRefused(
      [](Json& j) {
        j["added_tokens"].push_back({{"id", kNext}, {"content", "x"}});
        j["added_tokens"].push_back({{"id", kNext}, {"content", "y"}});
      },
      "has the id 32, as \"x\" has");
  ExpectRefused([](Json& j) { j["added_tokens"][1]["id"] = 100; }, "but the vocabulary says 1");
}

TEST(LoadTokenizerTest, AVocabularyWithoutItsUnknownTokenIsRefused) {
  Json json = TinyTokenizer();
  json["model"]["unk_token"] = "<unk>";

  const Status status = Load(json).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("lacks its unknown token \"<unk>\""));
}

TEST(LoadTokenizerTest, AMalformedTemplateIsRefused) {
  const auto single = [](const Json& pieces) {
    return [=](Json& j) { j["post_processor"]["single"] = pieces; };
  };
  const Json a = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json b = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  ExpectRefused(single(nullptr), "malformed");
  ExpectRefused(single("A"), "malformed");
  ExpectRefused(single(Json::array({7})), "malformed");
  ExpectRefused(single(Json::array({{{"Sequence", 7}}})), "malformed");
  ExpectRefused(single(Json::array({{{"Other", {{"id", "A"}}}}})), "malformed");
  ExpectRefused(single(Json::array({{{"Sequence", {{"id", 7}}}}})), "malformed");
  ExpectRefused(single(Json::array({{{"Sequence", {{"id", "C"}}}}})), "isn't A or B");
  ExpectRefused(single(Json::array({{{"Sequence", {{"id", "A"}, {"type_id", 2}}}}})), "type_id");
  ExpectRefused(single(Json::array({{{"Sequence", {{"id", "A"}, {"type_id", -1}}}}})), "type_id");
  ExpectRefused(single(Json::array({a, {{"SpecialToken", {{"id", "[NO]"}}}}})), "[NO]");
  ExpectRefused(single(Json::array()), "each text once");
  ExpectRefused(single(Json::array({a, a})), "each text once");
  ExpectRefused(single(Json::array({a, b})), "each text once");
  ExpectRefused([&](Json& j) { j["post_processor"]["pair"] = Json::array({a}); }, "each text once");
  ExpectRefused([](Json& j) { j["post_processor"]["special_tokens"]["[SEP]"] = 7; }, "[SEP]");
  ExpectRefused([](Json& j) { j["post_processor"]["special_tokens"]["[SEP]"]["ids"] = 3; },
                "has no ids");
}

TEST(LoadTokenizerTest, BertProcessingIsTheTemplateOfBert) {
  Json json = TinyTokenizer();
  json["post_processor"] = {
      {"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}};

  EXPECT_EQ(MustLoad(json)->fingerprint(), MustLoad()->fingerprint());
  ExpectRefused(
      [](Json& j) {
        j["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"c", 2}}};
      },
      "no sep");
}

TEST(LoadVocabularyTest, ReadsVocabTxtAsTheSameTokenizer) {
  for (const char* line_end : {"\n", "\r\n"}) {
    const auto tokenizer = LoadFiles({{"vocab.txt", VocabTxt(line_end)}});
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    EXPECT_EQ((*tokenizer)->fingerprint(), MustLoad()->fingerprint());
  }
}

TEST(LoadVocabularyTest, TheConfigsFlagsCount) {
  const auto cased = LoadFiles(
      {{"vocab.txt", VocabTxt()}, {"tokenizer_config.json", "{\"do_lower_case\":false}"}});
  ASSERT_TRUE(cased.ok()) << cased.status();

  EXPECT_EQ(Inner(**cased, "Hello r\u00e9sum\u00e9"), Ids({"Hello", "r\u00e9sum\u00e9"}));
}

TEST(LoadVocabularyTest, OfALineThatStandsTwiceTheLastCounts) {
  const auto tokenizer = LoadFiles({{"vocab.txt", VocabTxt() + "hello\n"}});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();

  EXPECT_THAT(Inner(**tokenizer, "hello"),
              testing::ElementsAre(static_cast<int32_t>(TinyVocabulary().size())));
}

TEST(LoadVocabularyTest, AVocabularyWithoutItsUnknownTokenIsRefused) {
  for (const char* text : {"", "hello\nworld\n", "[PAD]\n[CLS]\n[SEP]\n"}) {
    const Status status = LoadFiles({{"vocab.txt", text}}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr("vocab.txt: the vocabulary lacks its unknown token"));
  }
}

TEST(LoadVocabularyTest, OtherSpecialTokensThatTheVocabularyLacksAreAdded) {
  const auto tokenizer = LoadFiles({{"vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n"}});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();

  EXPECT_THAT(Inner(**tokenizer, "hello [MASK]"), testing::ElementsAre(4, 5));
}

TEST(LoadVocabularyTest, WhiteSpaceAfterATokenIsRefusedWithItsLine) {
  for (const char* line : {"foo ", "foo\t", "foo\u00a0", "fo\ro", "foo\r\r"}) {
    const Status status = LoadFiles({{"vocab.txt", VocabTxt() + line + "\n"}}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << line;
    EXPECT_THAT(status.message(), HasSubstr("vocab.txt: line 33 has white space")) << line;
  }
  EXPECT_TRUE(LoadFiles({{"vocab.txt", VocabTxt() + "\n \n\u3000\n"}}).ok());
}

TEST(LoadVocabularyTest, TextThatIsntUtf8IsRefused) {
  const Status status = LoadFiles({{"vocab.txt", VocabTxt() + "\xff\n"}}).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("vocab.txt: it isn't UTF-8"));
}

TEST(LoadVocabularyTest, AMalformedConfigIsRefused) {
  for (const char* config : {"", "{", "[]", "7", "null", "{\"do_lower_case\":\"yes\"}",
                             "{\"strip_accents\":0}", "{\"tokenize_chinese_chars\":[]}"}) {
    const Status status =
        LoadFiles({{"vocab.txt", VocabTxt()}, {"tokenizer_config.json", config}}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << config << ": " << status;
    EXPECT_THAT(status.message(), HasSubstr("tokenizer_config.json")) << config;
  }
}

TEST(LoadVocabularyTest, TokenizerJsonWinsOverVocabTxt) {
  const auto tokenizer =
      LoadFiles({{"tokenizer.json", TinyTokenizer().dump()}, {"vocab.txt", "hello\n"}});

  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
}

}  // namespace
}  // namespace graft::tokenizers
