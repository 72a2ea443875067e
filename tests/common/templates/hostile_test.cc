/// Whatever bytes a template is made of, parsing and rendering it ends, with a text or an error.
#include <gtest/gtest.h>

#include <random>

#include "common/base/file.h"
#include "tests/common/templates/render.h"

namespace graft::templates {
namespace {

const std::filesystem::path kGolden = GRAFT_SOURCE_DIR "/tests/common/templates/golden";
const Limits kLimits{
    .max_steps = 20'000, .max_value_bytes = size_t{1} << 20, .max_output_bytes = size_t{1} << 20};

Conversation Chat() {
  Conversation chat;
  chat.messages = {Message("system", "s"), Message("user", "u \u00e9"), Message("assistant", "a")};
  chat.tools = {{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", 1.5}}}}};
  return chat;
}

/// Renders it, and says so in the test's output if that ends in neither a text nor InvalidArgument.
void TryTemplate(const std::string& source) {
  const auto parsed = ChatTemplate::Parse(source, kLimits);
  if (!parsed.ok()) {
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument);
    return;
  }
  RenderOptions options;
  options.limits = kLimits;
  const auto rendered = parsed->Render(Chat(), options);
  if (!rendered.ok()) {
    EXPECT_EQ(rendered.status().code(), StatusCode::kInvalidArgument) << rendered.status();
  }
}

std::vector<std::string> Sources() {
  std::vector<std::string> sources;
  for (const char* name : {"chatml", "headers", "inst", "marked"})
    sources.push_back(ReadFile(kGolden / (std::string(name) + ".jinja")).value());
  for (const char* name : {"access", "filters", "loops", "methods", "scopes", "whitespace"}) {
    const OrderedJson cases =
        ParseOrderedJson(ReadFile(kGolden / (std::string(name) + ".json")).value(), name).value();
    for (const OrderedJson& snippet : cases) sources.push_back(snippet[0]);
  }
  return sources;
}

TEST(HostileTemplatesTest, CutAtAnyByteTheyEnd) {
  for (const std::string& source : Sources()) {
    for (size_t size = 0; size <= source.size(); ++size) TryTemplate(source.substr(0, size));
  }
}

TEST(HostileTemplatesTest, WithBytesChangedTheyEnd) {
  std::mt19937 random(1);
  const std::vector<std::string> sources = Sources();
  for (int i = 0; i < 20'000; ++i) {
    std::string source = sources[random() % sources.size()];
    for (size_t changes = 1 + random() % 4; changes > 0 && !source.empty(); --changes) {
      const size_t at = random() % source.size();
      const std::string& other = sources[random() % sources.size()];
      switch (random() % 4) {
        case 0:
          source[at] = static_cast<char>(random() % 256);
          break;
        case 1:
          source.erase(at, 1 + random() % 8);
          break;
        case 2:
          source.insert(at, other.substr(random() % (other.size() + 1), random() % 30));
          break;
        default:
          source.insert(at, source.substr(random() % source.size(), random() % 10));
      }
    }
    TryTemplate(source);
  }
}

TEST(HostileTemplatesTest, OfRandomTokensTheyEnd) {
  const char* const tokens[] = {"{{",         "}}",
                                "{%",         "%}",
                                "{%-",        "-%}",
                                "{#",         "#}",
                                " if ",       " else ",
                                " elif ",     " for ",
                                " in ",       "set ",
                                " x ",        " y ",
                                "messages",   "(",
                                ")",          "[",
                                "]",          "{",
                                "}",          "|",
                                ".",          ",",
                                ":",          "=",
                                "==",         "+",
                                "-",          "*",
                                "~",          "'a'",
                                "\"b\"",      "1",
                                "2.5",        " not ",
                                " and ",      " or ",
                                " is ",       "defined",
                                "endif",      "endfor",
                                "endset",     "macro ",
                                "endmacro",   "loop",
                                "namespace",  "range",
                                "tojson",     "length",
                                "join",       "map",
                                "sort",       "items",
                                "split",      "strip",
                                "\n",         " ",
                                "generation", "endgeneration",
                                "break",      "raw",
                                "endraw",     "call ",
                                "endcall",    "filter ",
                                "endfilter",  "**",
                                "//",         "%"};
  std::mt19937 random(2);
  for (int i = 0; i < 15'000; ++i) {
    std::string source;
    for (size_t count = 1 + random() % 30; count > 0; --count)
      source += tokens[random() % std::size(tokens)];
    TryTemplate(source);
  }
}

TEST(HostileTemplatesTest, OfRandomBytesTheyEnd) {
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string source = i % 2 == 0 ? "{{ " : "";
    for (size_t count = random() % 40; count > 0; --count)
      source += static_cast<char>(i % 3 == 0 ? random() % 256 : 32 + random() % 95);
    TryTemplate(source);
  }
}

TEST(HostileTemplatesTest, MessagesOfAnyFormAreReadOrRefused) {
  const ChatTemplate chatml = MustParse(ReadFile(kGolden / "chatml.jinja").value());
  for (const char* messages :
       {"null", "5", "{}", "[5]", "[null]", "[[]]", R"([{}])", R"([{"role":5}])",
        R"([{"role":"user"}])", R"([{"role":["a"],"content":{}}])",
        R"([{"role":"user","content":1e400}])",
        R"([{"role":"user","content":18446744073709551615}])"}) {
    const auto json = ParseOrderedJson(messages, "messages");
    if (!json.ok()) continue;
    const auto rendered = chatml.Render({*json, {}}, {});
    if (!rendered.ok()) {
      EXPECT_EQ(rendered.status().code(), StatusCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace graft::templates
