/// What jinja2 rendered, set up as transformers sets it up; golden/make_golden.py made the files.
#include <chrono>
#include <filesystem>

#include "common/base/file.h"
#include "tests/common/templates/render.h"

namespace graft::templates {
namespace {

const std::filesystem::path kGolden = GRAFT_SOURCE_DIR "/tests/common/templates/golden";

OrderedJson ReadGolden(const std::string& name) {
  return ParseOrderedJson(ReadFile(kGolden / name).value(), name).value();
}

class GoldenSnippetsTest : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Concern, GoldenSnippetsTest,
                         testing::Values("access", "errors", "filters", "json", "literals", "loops",
                                         "methods", "operators", "scopes", "tests", "whitespace"),
                         [](const auto& concern) { return concern.param; });

TEST_P(GoldenSnippetsTest, EachRendersOrIsRefusedAsByJinja2) {
  const OrderedJson variables = ReadGolden("variables.json");
  const OrderedJson cases = ReadGolden(GetParam() + ".json");
  ASSERT_GE(cases.size(), 15);
  for (const OrderedJson& snippet : cases) {
    const auto source = snippet[0].get<std::string>();
    const auto text = Render(source, variables);
    if (snippet[1].is_null()) {
      EXPECT_FALSE(text.ok()) << source << " rendered " << (text.ok() ? *text : "");
    } else {
      ASSERT_TRUE(text.ok()) << source << ": " << text.status();
      EXPECT_EQ(*text, snippet[1].get<std::string>()) << source;
    }
  }
}

TEST(GoldenConversationsTest, EachRendersOrIsRefusedAsByTransformers) {
  const OrderedJson golden = ReadGolden("conversations.json");
  ASSERT_EQ(golden["rendered"].size(), 88);
  for (const OrderedJson& rendered : golden["rendered"]) {
    const std::string name = rendered["template"].get<std::string>() + ".jinja";
    const ChatTemplate parsed = MustParse(ReadFile(kGolden / name).value());
    const OrderedJson& given = golden["conversations"][rendered["conversation"].get<size_t>()];
    const Conversation conversation{given["messages"], given.value("tools", OrderedJson())};
    RenderOptions options;
    options.special_tokens = golden["special_tokens"];
    options.add_generation_prompt = rendered["add_generation_prompt"];
    options.now = std::chrono::sys_days(std::chrono::year(2024) / 7 / 6);

    const auto actual = parsed.Render(conversation, options);

    const OrderedJson& expected = rendered["is"];
    ASSERT_EQ(actual.ok(), !expected.is_null()) << rendered << actual.status();
    if (!actual.ok()) continue;
    EXPECT_EQ(actual->text, expected["text"].get<std::string>()) << rendered;
    OrderedJson generated = OrderedJson::array();
    for (const ByteRange& range : actual->generated) generated.push_back({range.begin, range.end});
    EXPECT_EQ(generated, expected["generated"]) << rendered;
  }
}

}  // namespace
}  // namespace graft::templates
