/// A language model's data from files to examples.
#include "common/datasets/language.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/json.h"
#include "tests/common/datasets/support.h"

namespace graft::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Outcome {
  Report report;
  IngestedDataset dataset;
  /// "3 messages BAD_ROLE", by line and column.
  std::vector<std::string> faults() const {
    std::vector<std::string> all;
    for (const ErrorDetail& e : report.errors) {
      all.push_back(std::to_string(e.line) + (e.column.empty() ? " " : " " + e.column + " ") +
                    e.reason);
    }
    return all;
  }
};

IngestSpec SpecOf(const std::string& name, const std::string& bytes,
                  const LanguageColumns& columns = {}) {
  IngestSpec spec;
  spec.train = FileOf(name, bytes);
  spec.language = columns;
  return spec;
}

Outcome Read(const IngestSpec& spec) {
  Outcome outcome;
  auto report = Ingest(spec, &outcome.dataset);
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok()) outcome.report = *std::move(report);
  return outcome;
}

constexpr const char* kHello =
    R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}])";

std::string Chat(const std::string& messages, const std::string& more = "") {
  return "{\"messages\":" + messages + more + "}\n";
}

TEST(LanguageReaderTest, TheShapeIsWhatTheFileHas) {
  const Outcome texts = Read(SpecOf("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n"));
  EXPECT_EQ(texts.dataset.shape, Shape::kText);
  EXPECT_THAT(texts.dataset.train, ElementsAre(Example{"a", ""}, Example{"b", ""}));
  EXPECT_EQ(texts.dataset.train[1].line, 2);

  const Outcome prompts = Read(SpecOf("a.csv", "id,completion,prompt\n1,b,a\n"));
  EXPECT_EQ(prompts.dataset.shape, Shape::kCompletion);
  EXPECT_THAT(prompts.dataset.train, ElementsAre(Example{"a", "b"}));

  const Outcome chats = Read(SpecOf("a.jsonl", Chat(kHello, R"(,"prompt":"x")")));
  EXPECT_EQ(chats.dataset.shape, Shape::kMessages);
  EXPECT_THAT(chats.dataset.train, ElementsAre(Example{kHello, ""}));
  EXPECT_EQ(chats.report.Summary(), "1 train example");
}

TEST(LanguageReaderTest, AColumnThatIsNamedSaysTheShape) {
  const std::string both =
      "{\"text\":\"t\",\"q\":\"a\",\"a\":\"b\",\"messages\":" + std::string(kHello) +
      ",\"chat\":" + kHello + "}\n";

  EXPECT_EQ(Read(SpecOf("a.jsonl", both, {.text = "text"})).dataset.train[0].text, "t");
  EXPECT_THAT(Read(SpecOf("a.jsonl", both, {.prompt = "q", .completion = "a"})).dataset.train,
              ElementsAre(Example{"a", "b"}));
  EXPECT_EQ(Read(SpecOf("a.jsonl", both, {.messages = "chat"})).dataset.train[0].text, kHello);
  EXPECT_THAT(Read(SpecOf("a.jsonl", both, {.prompt = "q"})).faults(),
              ElementsAre("1 completion COLUMN_MISSING"));
}

TEST(LanguageReaderTest, DataOfTwoShapesIsAskedWhich) {
  const std::string line = "{\"text\":\"t\",\"messages\":" + std::string(kHello) + "}\n";
  const Outcome outcome = Read(SpecOf("a.jsonl", line + line));

  EXPECT_THAT(outcome.faults(), ElementsAre("1 SHAPE_AMBIGUOUS"));
  EXPECT_THAT(outcome.report.errors[0].message,
              HasSubstr("dataset.messages_column or dataset.text_columns"));
  // What is null isn't there.
  EXPECT_EQ(Read(SpecOf("a.jsonl", "{\"text\":null,\"messages\":" + std::string(kHello) + "}\n"))
                .dataset.shape,
            Shape::kMessages);
}

TEST(LanguageReaderTest, DataOfNoShapeIsToldWhatThereIs) {
  for (const IngestSpec& spec :
       {SpecOf("a.jsonl", "{\"instruction\":\"a\",\"output\":\"b\"}\n{\"instruction\":\"a\"}\n"),
        SpecOf("a.csv", "instruction,output\na,b\nc,d\n")}) {
    const Outcome outcome = Read(spec);
    EXPECT_THAT(outcome.faults(), ElementsAre("1 COLUMN_MISSING"));
    EXPECT_THAT(outcome.report.errors[0].message,
                HasSubstr("no column \"messages\", \"prompt\" with \"completion\" or \"text\"; the "
                          "columns are \"instruction\", \"output\""));
    EXPECT_THAT(outcome.report.errors[0].message, HasSubstr("prompt_column, completion_column"));
  }
}

TEST(LanguageReaderTest, ConversationsUnderAnotherNameAreToldHowToNameThem) {
  for (const auto& [line, advice] : std::vector<std::pair<std::string, std::string>>{
           {R"({"conversations":[{"from":"human","value":"a"}]})",
            "name the column of conversations (messages_column)"},
           {R"({"chat":[{"role":"user","content":"a"}]})",
            "name the column of conversations (messages_column)"},
           {R"({"mails":[{"from":"a","text":"b"}]})", "jq -c '.[\"mails\"][]'"},
           {R"({"Messages":[{"role":"user","content":"a"}]})",
            "name it as it is written, \"Messages\""},
           {R"({"Text":"a"})", "name it as it is written, \"Text\""},
           {R"({"rows":[{"text":"a"}]})", "jq -c '.[\"rows\"][]'"}}) {
    for (const bool in_array : {false, true}) {
      const Outcome outcome = Read(SpecOf("a.json", in_array ? "[" + line + "]" : line + "\n"));

      ASSERT_EQ(outcome.report.errors.size(), 1U) << line;
      const std::string& message = outcome.report.errors.front().message;
      const bool is_list = advice.starts_with("jq");
      if (!in_array || !is_list) {
        EXPECT_THAT(message, HasSubstr(advice)) << line;
      }
      if (in_array || !is_list) {
        EXPECT_THAT(message, Not(HasSubstr("jq"))) << line;
      }
    }
  }
}

TEST(LanguageReaderTest, ConversationsStandInCellsAsJson) {
  const Outcome outcome = Read(SpecOf(
      "a.csv",
      "messages;tools\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"Hi\"\"},{\"\"role\"\":"
      "\"\"assistant\"\",\"\"content\"\":\"\"Hello\"\"}]\";\"[{\"\"name\"\": \"\"f\"\"}]\"\n"));

  EXPECT_THAT(outcome.faults(), IsEmpty());
  EXPECT_THAT(outcome.dataset.train, ElementsAre(Example{kHello, "[{\"name\":\"f\"}]"}));
}

TEST(LanguageReaderTest, AllFormatsGiveTheSameConversations) {
  const std::string quoted = Json(kHello).dump();
  for (const IngestSpec& spec : {SpecOf("a.jsonl", Chat(kHello)), SpecOf("a.jsonl", Chat(quoted)),
                                 SpecOf("a.json", "[" + Chat(kHello) + "]"),
                                 SpecOf("a.jsonl.gz", Gzip(Chat(kHello, R"(,"tools":null)")))}) {
    EXPECT_THAT(Read(spec).dataset.train, ElementsAre(Example{kHello, ""})) << spec.train.name;
  }
}

TEST(LanguageReaderTest, KeysOfToolsKeepTheirOrder) {
  const Outcome outcome = Read(SpecOf(
      "a.jsonl",
      Chat(kHello,
           R"(,"tools":[{"function":{"name":"f","parameters":{"z":1,"a":{"y":1,"b":2}}}}])")));

  EXPECT_EQ(outcome.dataset.train.at(0).text_pair,
            R"([{"function":{"name":"f","parameters":{"z":1,"a":{"y":1,"b":2}}}}])");
}

TEST(LanguageReaderTest, EachFaultHasItsLineAndColumn) {
  const Outcome outcome = Read(
      SpecOf("a.jsonl", Chat(kHello) + Chat("[]") + Chat(R"([{"role":"bot","content":"x"}])") +
                            "{\"other\":1}\n" + Chat(kHello, R"(,"tools":[{}])") + Chat("\"[\"") +
                            Chat(R"([{"role":"user","content":"x"}])") + "{\"messages\":\n"));

  EXPECT_THAT(outcome.faults(),
              ElementsAre("2 messages MESSAGES_EMPTY", "3 messages BAD_ROLE",
                          "4 messages TEXT_EMPTY", "5 tools BAD_TOOLS", "6 messages BAD_JSON",
                          "7 messages NO_ASSISTANT", "8 BAD_JSON"));
}

TEST(LanguageReaderTest, TextsAndCompletionsHaveSomethingInThem) {
  EXPECT_THAT(Read(SpecOf("a.jsonl",
                          "{\"text\":\"a\"}\n{\"text\":\" \"}\n{\"text\":null}\n"
                          "{\"text\":[1]}\n"))
                  .faults(),
              ElementsAre("2 text TEXT_EMPTY", "3 text TEXT_EMPTY", "4 text WRONG_TYPE"));
  const Outcome outcome = Read(SpecOf("a.csv", "prompt,completion\n,b\na,\n"));
  EXPECT_THAT(outcome.faults(), ElementsAre("3 completion TEXT_EMPTY"));
}

TEST(LanguageReaderTest, AnEmptyPromptIsDoubted) {
  const Outcome outcome = Read(SpecOf("a.csv", "prompt,completion\na,b\n,c\n"));

  EXPECT_THAT(outcome.report.warnings,
              ElementsAre(HasSubstr("1 prompt is empty (the first on line 3)")));
}

TEST(LanguageReaderTest, PromptsThatAreListsAreToldWhereConversationsGo) {
  const Outcome outcome =
      Read(SpecOf("a.jsonl", "{\"prompt\":[{\"role\":\"user\"}],\"completion\":\"b\"}\n"));

  EXPECT_THAT(outcome.faults(), ElementsAre("1 prompt WRONG_TYPE"));
  EXPECT_THAT(outcome.report.errors[0].message, HasSubstr("one column, messages"));
}

TEST(LanguageReaderTest, HeldOutFilesAreOfTheSameShape) {
  IngestSpec spec = SpecOf("a.jsonl", "{\"text\":\"a\"}\n");
  spec.validation = FileOf("v.csv", "text\nb\n");
  spec.test = FileOf("t.jsonl", Chat(kHello));
  const Outcome outcome = Read(spec);

  EXPECT_THAT(outcome.faults(), ElementsAre("1 text COLUMN_MISSING"));
  EXPECT_EQ(outcome.report.errors[0].field, "dataset.test");
}

TEST(LanguageReaderTest, RepeatsAndLeaksAreDoubtedAndFractionsKeepThemTogether) {
  std::string lines;
  for (int i = 0; i < 40; ++i)
    lines += "{\"prompt\":\"p" + std::to_string(i / 2) + "\",\"completion\":\"c\"}\n";
  IngestSpec spec = SpecOf("a.jsonl", lines);
  spec.validation_fraction = 0.25;
  const Outcome outcome = Read(spec);

  EXPECT_EQ(outcome.dataset.validation.size(), 10U);
  EXPECT_EQ(outcome.dataset.train.size(), 30U);
  EXPECT_THAT(outcome.report.warnings,
              ElementsAre(HasSubstr("20 training examples of 40 repeat an earlier text")));
}

TEST(LanguageReaderTest, AClassifiersDataIsToldOfTheOtherTask) {
  IngestSpec spec = CsvSpec("");
  spec.train = FileOf("a.jsonl", Chat(kHello));
  const Outcome outcome = Read(spec);

  EXPECT_THAT(outcome.report.errors.at(0).message, HasSubstr("--task causal_lm"));
}

TEST(LanguageReaderTest, DamagedConversationsNeverCrash) {
  const std::string good = Chat(kHello, R"(,"tools":[{"name":"f"}])") + Chat(kHello);
  PhiloxSequence random(5, RandomStream::kProbe);
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    const std::string bytes = Mutate(good, random);
    SCOPED_TRACE(bytes);
    const Outcome outcome = Read(SpecOf("a.jsonl", bytes));
    if (!outcome.report.usable()) continue;
    for (const Example& example : outcome.dataset.train) {
      // The text may have lost its shape's name and have become another.
      if (outcome.dataset.shape != Shape::kMessages) continue;
      EXPECT_TRUE(ParseJson(example.text, "messages").ok());
    }
    const auto parsed = Parse(Serialize(outcome.dataset));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, outcome.dataset);
  }
}

}  // namespace
}  // namespace graft::datasets
