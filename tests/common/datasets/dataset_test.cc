#include "common/datasets/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/json.h"
#include "common/base/sha256.h"

namespace graft::datasets {
namespace {

using ::testing::HasSubstr;

IngestedDataset Small() {
  IngestedDataset dataset;
  dataset.label_names = {"neg", "pos"};
  dataset.train = {{"good", "", 1}, {"bad", "", 0}};
  dataset.validation = {{"fine", "", 1}};
  return dataset;
}

IngestedDataset Nasty() {
  IngestedDataset dataset;
  dataset.label_names = {"", "a\"b", "\n", "\xC3\xA4"};
  dataset.has_pair = true;
  std::string controls;
  for (int c = 0; c < 0x21; ++c) controls += static_cast<char>(c);
  dataset.train = {{controls + "\"\\/\x7F", "\xE2\x80\xA8\xF0\x9F\x98\x80", 3}, {"", "", -1}};
  dataset.validation = {{"]", "[\"", 0}};
  dataset.test = {{"\\u0041", "\\\\\"", 2}};
  return dataset;
}

TEST(DatasetTest, StoredFormIsAsDocumented) {
  EXPECT_EQ(Serialize(Small()),
            "{\"format\":\"graft.dataset.v1\",\"labels\":[\"neg\",\"pos\"],\"pair\":false,"
            "\"splits\":{\"train\":2,\"validation\":1,\"test\":0}}\n"
            "[\"good\",1]\n[\"bad\",0]\n[\"fine\",1]\n");
}

TEST(DatasetTest, StoredFormNamesTheDatasetForever) {
  // If this hash changes, datasets that are already stored are no longer found: make a v2 instead.
  EXPECT_EQ(Sha256Hex(Serialize(Nasty())),
            "4fd13a2809007adc369c38eb8849d4a0d7699aa1bba49fe4c4c40e2ae339ed3f");
}

IngestedDataset OfLanguage(Shape shape) {
  IngestedDataset dataset;
  dataset.shape = shape;
  dataset.train = {{"a \"b\"", ""}, {"", ""}};
  dataset.test = {{"\n", ""}};
  if (shape != Shape::kText) dataset.train[0].text_pair = "[]\\";
  return dataset;
}

TEST(DatasetTest, ALanguageModelsStoredFormIsAsDocumented) {
  EXPECT_EQ(Serialize(OfLanguage(Shape::kText)),
            "{\"format\":\"graft.dataset.v2\",\"shape\":\"text\","
            "\"splits\":{\"train\":2,\"validation\":0,\"test\":1}}\n"
            "[\"a \\\"b\\\"\"]\n[\"\"]\n[\"\\n\"]\n");
  EXPECT_THAT(Serialize(OfLanguage(Shape::kCompletion)),
              HasSubstr("\"shape\":\"completion\",\"splits\""));
  EXPECT_THAT(Serialize(OfLanguage(Shape::kMessages)),
              HasSubstr("\n[\"a \\\"b\\\"\",\"[]\\\\\"]\n[\"\",\"\"]\n"));
}

TEST(DatasetTest, ALanguageModelsLinesAreReadStrictly) {
  const std::string good = Serialize(OfLanguage(Shape::kText));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    return Parse(bytes).status().code();
  };
  EXPECT_EQ(with("\"text\"", "\"texts\""), StatusCode::kDataLoss);
  EXPECT_EQ(with("[\"\"]", "[\"\",\"\"]"), StatusCode::kDataLoss);
  EXPECT_EQ(with("[\"\"]", "[\"\",1]"), StatusCode::kDataLoss);
  EXPECT_EQ(with("\"train\":2", "\"train\":9"), StatusCode::kDataLoss);
  EXPECT_EQ(with("v2", "v1"), StatusCode::kDataLoss);
  EXPECT_EQ(with("\"text\"", "\"text\""), StatusCode::kOk);
}

TEST(DatasetTest, ParseGivesBackWhatWasSerialized) {
  for (const IngestedDataset& dataset :
       {Small(), Nasty(), IngestedDataset(), OfLanguage(Shape::kText),
        OfLanguage(Shape::kCompletion), OfLanguage(Shape::kMessages)}) {
    const std::string bytes = Serialize(dataset);

    const auto parsed = Parse(bytes);

    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, dataset);
    EXPECT_EQ(Serialize(*parsed), bytes);
  }
}

TEST(DatasetTest, EveryLineIsJsonForOthers) {
  const std::string bytes = Serialize(Nasty());
  size_t begin = 0;
  int lines = 0;
  for (size_t end; (end = bytes.find('\n', begin)) != std::string::npos; begin = end + 1, ++lines) {
    const auto json = ParseJson(bytes.substr(begin, end - begin), "a line");
    ASSERT_TRUE(json.ok()) << json.status();
    if (lines == 1) {
      EXPECT_EQ((*json)[0], Nasty().train[0].text);
    }
  }
  EXPECT_EQ(begin, bytes.size());
  EXPECT_EQ(lines, 5);
}

TEST(DatasetTest, EveryCutIsDataLoss) {
  const std::string bytes = Serialize(Nasty());
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_EQ(Parse(bytes.substr(0, cut)).status().code(), StatusCode::kDataLoss) << cut;
  }
}

TEST(DatasetTest, EveryFlippedByteIsRefusedOrAnotherDataset) {
  const std::string bytes = Serialize(Nasty());
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const char put : {'"', '\\', '0', '\n', '\xFF', ' '}) {
      std::string changed = bytes;
      if (changed[at] == put) continue;
      changed[at] = put;

      const auto parsed = Parse(changed);

      if (parsed.ok()) {
        EXPECT_EQ(Serialize(*parsed), changed) << at;
      } else {
        EXPECT_EQ(parsed.status().code(), StatusCode::kDataLoss);
      }
    }
  }
}

struct Forged {
  const char* name;
  std::string bytes;
  int line;
};

void PrintTo(const Forged& f, std::ostream* out) { *out << f.name; }

class ForgedDatasetTest : public testing::TestWithParam<Forged> {};

TEST_P(ForgedDatasetTest, IsDataLossWithItsLine) {
  const Status status = Parse(GetParam().bytes).status();

  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("at line " + std::to_string(GetParam().line) + ":"));
}

std::string Header(const std::string& splits, const std::string& labels = "[\"a\",\"b\"]",
                   const std::string& pair = "false") {
  return R"({"format":"graft.dataset.v1","labels":)" + labels + R"(,"pair":)" + pair +
         R"(,"splits":)" + splits + "}\n";
}

const char kOne[] = R"({"train":1,"validation":0,"test":0})";

INSTANTIATE_TEST_SUITE_P(
    All, ForgedDatasetTest,
    testing::Values(
        Forged{"Empty", "", 1}, Forged{"NoJson", "hello\n", 1}, Forged{"NoObject", "[]\n", 1},
        Forged{"OtherFormat", "{\"format\":\"graft.dataset.v2\"}\n", 1},
        Forged{"LabelsNoArray", Header(kOne, "3") + "[\"x\",0]\n", 1},
        Forged{"LabelNoString", Header(kOne, "[3]") + "[\"x\",0]\n", 1},
        Forged{"PairNoBool", Header(kOne, "[\"a\"]", "1") + "[\"x\",0]\n", 1},
        Forged{"SplitsMissing", Header(R"({"train":1,"test":0})") + "[\"x\",0]\n", 1},
        Forged{"CountNegative", Header(R"({"train":-1,"validation":0,"test":0})"), 1},
        Forged{"CountHuge", Header(R"({"train":18446744073709551615,"validation":0,"test":0})"), 1},
        Forged{"CountsOverflow",
               Header(R"({"train":1,"validation":18446744073709551615,"test":0})") + "[\"x\",0]\n",
               1},
        Forged{"TooFew",
               Header(R"({"train":2,"validation":0,"test":0})") + "[\"xxxxxxxxxxxx\",0]\n", 3},
        Forged{"TooMany", Header(kOne) + "[\"x\",0]\n[\"x\",0]\n", 3},
        Forged{"LabelTooHigh", Header(kOne) + "[\"x\",2]\n", 2},
        Forged{"LabelTooLow", Header(kOne) + "[\"x\",-2]\n", 2},
        Forged{"LabelHuge", Header(kOne) + "[\"x\",99999999999]\n", 2},
        Forged{"LabelPadded", Header(kOne) + "[\"x\",01]\n", 2},
        Forged{"MinusZero", Header(kOne) + "[\"x\",-0]\n", 2},
        Forged{"Spaces", Header(kOne) + "[\"x\", 1]\n", 2},
        Forged{"OtherEscape", Header(kOne) + "[\"\\u0041\",1]\n", 2},
        Forged{"UpperHex", Header(kOne) + "[\"\\u001F\",1]\n", 2},
        Forged{"LongEscape", Header(kOne) + "[\"\\u000a\",1]\n", 2},
        Forged{"SlashEscape", Header(kOne) + "[\"\\/\",1]\n", 2},
        Forged{"BadUtf8", Header(kOne) + "[\"\xE9\",1]\n", 2},
        Forged{"PairUnasked", Header(kOne) + "[\"x\",\"y\",1]\n", 2},
        Forged{"PairMissing", Header(kOne, "[\"a\"]", "true") + "[\"xxxx\",0]\n", 2},
        Forged{"HeaderSpaced",
               "{ \"format\":\"graft.dataset.v1\",\"labels\":[],\"pair\":false,"
               "\"splits\":{\"train\":0,\"validation\":0,\"test\":0}}\n",
               1},
        Forged{"HeaderMore",
               "{\"format\":\"graft.dataset.v1\",\"labels\":[],\"pair\":false,\"x\":1,"
               "\"splits\":{\"train\":0,\"validation\":0,\"test\":0}}\n",
               1}),
    [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace graft::datasets
