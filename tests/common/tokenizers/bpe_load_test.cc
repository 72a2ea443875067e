/// What a tokenizer.json of byte pair encoding may say, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "common/tokenizers/components/split_pattern.h"
#include "tests/common/tokenizers/tiny_bpe.h"

namespace graft::tokenizers {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Edit = std::function<void(Json&)>;

void ExpectRefused(Json json, const Edit& edit, const std::string& part, StatusCode code) {
  edit(json);
  const Status status = Load(json).status();
  EXPECT_EQ(status.code(), code) << part << ": " << status;
  EXPECT_THAT(status.message(), AllOf(HasSubstr("tokenizer.json"), HasSubstr(part)));
}

Edit Set(const char* stage, const Json& value) {
  return [=](Json& j) { j[stage] = value; };
}
Edit SetOfModel(const char* name, const Json& value) {
  return [=](Json& j) { j["model"][name] = value; };
}
Edit SetMerge(const Json& merge) {
  return [=](Json& j) { j["model"]["merges"][1] = merge; };
}
Json Split(const std::string& regex, const char* behavior = "Isolated", bool invert = false) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", behavior},
          {"invert", invert}};
}

TEST(BpeLoadTest, WhatIsntBuiltIsNamed) {
  const Json byte_level = ByteLevelTokenizer()["pre_tokenizer"];
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const Json first = {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "first"}};
  const Json fuse = {{"type", "Fuse"}};
  const Json text = {{"String", "x"}};
  const Json regex = {{"Regex", "x+"}};
  const auto in_sequence = [](const char* parts, std::vector<Json> list) {
    return Json{{"type", "Sequence"}, {parts, list}};
  };
  const std::vector<std::pair<Edit, std::string>> edits = {
      {SetOfModel("dropout", 0.1), "the dropout 0.1 isn't built"},
      {SetOfModel("continuing_subword_prefix", "##"), "continuing_subword_prefix \"##\""},
      {SetOfModel("end_of_word_suffix", "</w>"), "end_of_word_suffix \"</w>\""},
      {Set("normalizer", {{"type", "NFKC"}}), "the normalizer \"NFKC\""},
      {Set("normalizer", {{"type", "Replace"}, {"pattern", regex}, {"content", ""}}),
       "the pattern \"x+\" of the normalizer \"Replace\""},
      {Set("pre_tokenizer", Split("\\w+")), "the pattern \"\\w+\" of the pre-tokenizer \"Split\""},
      {Set("pre_tokenizer", {{"type", "Split"}, {"pattern", text}}), "the pattern \"x\" of"},
      {Set("pre_tokenizer", Split(std::string(RegexOf(SplitPattern::kQwen2)), "Removed")),
       "the behavior of the pre-tokenizer \"Split\" \"Removed\""},
      {Set("pre_tokenizer", Split(std::string(RegexOf(SplitPattern::kQwen2)), "Isolated", true)),
       "the inverted behavior"},
      {Set("pre_tokenizer", in_sequence("pretokenizers", {byte_level, digits})),
       "the pre-tokenizer \"ByteLevel\" isn't built where others follow"},
      {Set("pre_tokenizer", in_sequence("pretokenizers", {digits, first})),
       "the pre-tokenizer \"Metaspace\" isn't built with the prepend_scheme first"},
      {Set("decoder", {{"type", "CTC"}}), "the decoder \"CTC\""},
      {Set("decoder", in_sequence("decoders", {fuse, {{"type", "ByteFallback"}}})),
       "joins all tokens, \"ByteFallback\""},
      {Set("decoder", {{"type", "Replace"}, {"pattern", regex}, {"content", ""}}),
       "the pattern \"x+\" of the decoder \"Replace\""},
      {Set("decoder", {{"type", "Strip"}, {"content", " "}, {"start", 0}, {"stop", 1}}),
       "with a stop of 1"},
      {Set("post_processor", {{"type", "Other"}}), "the post-processor \"Other\""},
      {Set("post_processor", in_sequence("processors", {{{"type", "Other"}}})),
       "the post-processor \"Other\""},
      {[](Json& j) {
         const Json own = j["post_processor"];
         j["post_processor"] = {{"type", "Sequence"}, {"processors", {own, own}}};
       },
       "two that add tokens"}};
  for (const auto& [edit, part] : edits) {
    ExpectRefused(MarkTokenizer(), edit, part, StatusCode::kUnimplemented);
  }
}

TEST(BpeLoadTest, WhatIsMalformedIsNamed) {
  const auto metaspace = [](const Json& fields) {
    Json json = {{"type", "Metaspace"}, {"replacement", kMark}};
    json.update(fields);
    return Set("pre_tokenizer", json);
  };
  const Json strip = {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}};
  const Json cls = {"<s>", 1};
  const std::vector<std::pair<Edit, std::string>> edits = {
      {SetMerge({"h", "q"}), "merge 2, of \"h\" and \"q\", needs the token \"q\""},
      {SetMerge({"q", "h"}), "needs the token \"q\""},
      {SetMerge({"h", "h"}), "needs the token \"hh\""},
      {SetMerge("h h h"), "merge 2 of the model isn't two tokens"},
      {SetMerge("h"), "merge 2 of the model isn't two tokens"},
      {SetMerge({"h", "h", "h"}), "merge 2 of the model isn't two tokens"},
      {SetMerge({"h", 7}), "merge 2 of the model isn't two tokens"},
      {SetMerge(7), "merge 2 of the model isn't two tokens"},
      {SetOfModel("merges", "x"), "no merges"},
      {SetOfModel("vocab", Json::array()), "no vocab"},
      {SetOfModel("unk_token", 7), "unk_token isn't a text"},
      {SetOfModel("fuse_unk", "yes"), "fuse_unk must be true"},
      {SetOfModel("byte_fallback", 1), "byte_fallback must be true"},
      {SetOfModel("ignore_merges", 1), "ignore_merges must be true"},
      {[](Json& j) { j["model"]["vocab"]["new"] = 5; }, "has the id 5, as another has"},
      {[](Json& j) { j["model"]["vocab"]["new"] = (1 << 24) + 1; }, "the id of \"new\""},
      {[](Json& j) {
         j["model"]["byte_fallback"] = false;
         j["model"]["unk_token"] = "<none>";
       },
       "lacks its unknown token \"<none>\""},
      {[](Json& j) { j["post_processor"]["special_tokens"]["<s>"]["ids"] = {5000}; },
       "the id 5000 around texts, which no token has"},
      {Set("normalizer", {{"type", "Prepend"}}), "the normalizer's prepend isn't a text"},
      {Set("normalizer", {{"type", "Replace"}, {"pattern", 7}}), "the pattern of the normalizer"},
      {Set("normalizer", {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "x"}}),
       "the pattern of the normalizer"},
      {Set("normalizer", {{"type", "Replace"}, {"pattern", {{"String", "x"}}}}),
       "the normalizer's content isn't a text"},
      {Set("pre_tokenizer", {{"type", "ByteLevel"}}), "add_prefix_space of the pre-tokenizer"},
      {Set("pre_tokenizer", {{"type", "Digits"}}), "individual_digits of the pre-tokenizer"},
      {Set("pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", 7}}), "Sequence isn't a list"},
      {metaspace({{"replacement", "__"}}), "replacement of the pre-tokenizer \"Metaspace\""},
      {metaspace({{"replacement", nullptr}}), "replacement of the pre-tokenizer \"Metaspace\""},
      {metaspace({{"prepend_scheme", "last"}}), "prepend_scheme of the pre-tokenizer"},
      {metaspace({{"add_prefix_space", false}}), "contradicts its prepend_scheme"},
      {metaspace({{"split", 1}}), "split must be true"},
      {Set("decoder", strip), "has no counts"},
      {Set("decoder", {{"type", "Strip"}, {"content", "ab"}}), "isn't one character"},
      {Set("decoder", {{"type", "Sequence"}, {"decoders", 7}}), "Sequence isn't a list"},
      {Set("decoder", {{"type", "Replace"}, {"pattern", {{"String", "x"}}}}),
       "content isn't a text"},
      {Set("post_processor", {{"type", "RobertaProcessing"}, {"cls", cls}}), "has no sep"}};
  for (const auto& [edit, part] : edits) {
    ExpectRefused(MarkTokenizer(), edit, part, StatusCode::kInvalidArgument);
  }
}

TEST(BpeLoadTest, NestingTooDeepIsRefused) {
  for (const auto& [stage, parts, inner] :
       {std::tuple("normalizer", "normalizers", Json{{"type", "NFC"}}),
        {"pre_tokenizer", "pretokenizers", Json{{"type", "WhitespaceSplit"}}},
        {"decoder", "decoders", Json{{"type", "ByteFallback"}}},
        {"post_processor", "processors", Json{{"type", "ByteLevel"}}}}) {
    Json nested = inner;
    for (int i = 0; i < 10; ++i) nested = {{"type", "Sequence"}, {parts, {nested}}};
    ExpectRefused(MarkTokenizer(), Set(stage, nested), "isn't built", StatusCode::kUnimplemented);
  }
}

TEST(BpeLoadTest, CutFilesAreRefused) {
  const std::string text = ByteLevelTokenizer().dump();
  for (size_t size = 0; size < text.size(); size += 97) {
    const Status status = LoadFiles({{"tokenizer.json", text.substr(0, size)}}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << size;
  }
  std::string bad = text;
  bad[bad.find("hell")] = '\xff';
  EXPECT_EQ(LoadFiles({{"tokenizer.json", bad}}).status().code(), StatusCode::kInvalidArgument);
}

TEST(BpeLoadTest, SaysOfNothingAreAcceptedInTheirForms) {
  const auto plain = MustLoad(MarkTokenizer())->fingerprint();
  const std::vector<Edit> edits = {
      SetOfModel("dropout", nullptr),
      SetOfModel("dropout", 0.0),
      SetOfModel("continuing_subword_prefix", ""),
      SetOfModel("end_of_word_suffix", nullptr),
      SetOfModel("ignore_merges", false),
      [](Json& j) { j["model"].erase("type"); },
      [](Json& j) { j["model"]["merges"].insert(j["model"]["merges"].begin(), "#version: 0.2"); },
      [](Json& j) {
        const Json own = j["post_processor"];
        j["post_processor"] = {{"type", "Sequence"},
                               {"processors", {{{"type", "ByteLevel"}}, own}}};
      }};
  for (size_t i = 0; i < edits.size(); ++i) {
    Json json = MarkTokenizer();
    edits[i](json);
    EXPECT_EQ(MustLoad(json)->fingerprint(), plain) << i;
  }
}

TEST(BpeLoadTest, AllBytesKnownNeedNoUnknownToken) {
  Json json = ByteLevelTokenizer();
  json["model"]["unk_token"] = "<none>";
  EXPECT_TRUE(Load(json).ok());
  json["model"]["vocab"].erase("x");
  EXPECT_FALSE(Load(json).ok());
}

TEST(BpeLoadTest, SplitsOnTheKnownPatterns) {
  const TinyMerges tiny = ByteLevelMerges();
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const auto ids = [&](SplitPattern pattern, const char* behavior, bool invert) {
    Json json = ByteLevelTokenizer();
    json["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers", {Split(std::string(RegexOf(pattern)), behavior, invert), byte_level}}};
    return Plain(*MustLoad(json), "12");
  };
  EXPECT_EQ(ids(SplitPattern::kGpt2, "Isolated", false), tiny.Ids({"12"}));
  EXPECT_EQ(ids(SplitPattern::kLlama3, "Isolated", false), tiny.Ids({"12"}));
  EXPECT_EQ(ids(SplitPattern::kQwen2, "Isolated", false), tiny.Ids({"1", "2"}));
  EXPECT_EQ(ids(SplitPattern::kQwen2, "Removed", true), tiny.Ids({"1", "2"}));
}

TEST(BpeLoadTest, PostProcessorsPutTokensAroundTexts) {
  const TinyMerges tiny = MarkMerges();
  const auto of = [](const Json& post_processor) {
    Json json = MarkTokenizer();
    json["post_processor"] = post_processor;
    return MustLoad(json);
  };
  const std::string he = std::string(kMark) + "he";
  EXPECT_EQ(MustLoad(MarkTokenizer())->Encode("he", {}).ids, tiny.Ids({"<s>", he}));
  EXPECT_EQ(MustLoad(MarkTokenizer())->EncodePair("he", "he", {}).ids,
            tiny.Ids({"<s>", he, "<s>", he}));
  const auto roberta =
      of({{"type", "RobertaProcessing"}, {"cls", {"<s>", 1}}, {"sep", {"</s>", 2}}});
  EXPECT_EQ(roberta->Encode("he", {}).ids, tiny.Ids({"<s>", he, "</s>"}));
  const Encoding pair = roberta->EncodePair("he", "he", {});
  EXPECT_EQ(pair.ids, tiny.Ids({"<s>", he, "</s>", "</s>", he, "</s>"}));
  EXPECT_THAT(pair.type_ids, ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_EQ(of(nullptr)->Encode("he", {}).ids, tiny.Ids({he}));
  // Chat templates bring their own.
  EXPECT_EQ(roberta->Encode("he", {.special_tokens = false}).ids, tiny.Ids({he}));
}

TEST(BpeLoadTest, AddedTokensKeepTheirFlags) {
  const TinyMerges tiny = ByteLevelMerges();
  const auto next = static_cast<int32_t>(tiny.tokens.size());
  const auto ids = [&](const Json& flags, std::string_view text) {
    Json json = ByteLevelTokenizer();
    Json token = Special("<q>", next);
    token.update(flags);
    json["added_tokens"].push_back(token);
    return Plain(*MustLoad(json), text);
  };
  EXPECT_EQ(ids(Json::object(), "h <q> h"),
            (std::vector<int32_t>{'h', tiny.Id("\u0120"), next, tiny.Id("\u0120"), 'h'}));
  EXPECT_THAT(ids({{"lstrip", true}, {"rstrip", true}}, "h <q> h"), ElementsAre('h', next, 'h'));
  EXPECT_THAT(ids({{"single_word", true}}, "<q>h").size(), testing::Gt(2u));
}

}  // namespace
}  // namespace graft::tokenizers
