/// Which files of a folder count; parity.py asks transformers about the same.
#include "common/templates/chat_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/base/file.h"
#include "common/base/json.h"

namespace graft::templates {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class ChatFilesTest : public testing::Test {
 protected:
  void Write(const fs::path& name, const std::string& text) {
    fs::create_directories((folder_.path() / name).parent_path());
    std::ofstream(folder_.path() / name) << text;
  }
  void WriteConfig(const Json& config) { Write("tokenizer_config.json", config.dump()); }
  ChatFiles Read() {
    const auto files = ReadChatFiles(folder_.path());
    EXPECT_TRUE(files.ok()) << files.status();
    return files.ok() ? *files : ChatFiles();
  }
  std::string Refusal() { return ReadChatFiles(folder_.path()).status().message(); }

  TempFolder folder_ = TempFolder::Create().value();
};

TEST_F(ChatFilesTest, AFolderThatSaysNothingHasNoTemplate) {
  EXPECT_THAT(Read().templates, IsEmpty());
  EXPECT_EQ(ChooseTemplate(Read(), false).status().code(), StatusCode::kNotFound);
}

TEST_F(ChatFilesTest, TheConfigsTextIsTheDefault) {
  WriteConfig({{"chat_template", "a"}});
  EXPECT_EQ(*ChooseTemplate(Read(), false), "a");
  EXPECT_EQ(*ChooseTemplate(Read(), true), "a");
}

TEST_F(ChatFilesTest, TheFileWinsOverTheConfig) {
  WriteConfig({{"chat_template", "a"}});
  Write("chat_template.jinja", "b\n");
  EXPECT_THAT(Read().templates, ElementsAre(Pair("default", "b\n")));
}

TEST_F(ChatFilesTest, AListHasOneForTools) {
  WriteConfig(
      {{"chat_template",
        {{{"name", "default"}, {"template", "a"}}, {{"name", "tool_use"}, {"template", "t"}}}}});
  EXPECT_EQ(*ChooseTemplate(Read(), false), "a");
  EXPECT_EQ(*ChooseTemplate(Read(), true), "t");
}

TEST_F(ChatFilesTest, AListWithoutADefaultIsToldWhatItHas) {
  WriteConfig({{"chat_template", {{{"name", "rag"}, {"template", "a"}}}}});
  EXPECT_THAT(ChooseTemplate(Read(), false).status().message(), HasSubstr("\"rag\""));
}

TEST_F(ChatFilesTest, FurtherFilesAreNamedByTheirStem) {
  WriteConfig({{"chat_template", "a"}});
  Write("chat_template.jinja", "b");
  Write("additional_chat_templates/tool_use.jinja", "t");
  Write("additional_chat_templates/notes.txt", "n");
  EXPECT_THAT(Read().templates, ElementsAre(Pair("default", "b"), Pair("tool_use", "t")));
}

TEST_F(ChatFilesTest, FurtherFilesAloneTakeTheConfigsPlaceToo) {
  WriteConfig({{"chat_template", "a"}});
  Write("additional_chat_templates/tool_use.jinja", "t");
  EXPECT_THAT(Read().templates, ElementsAre(Pair("tool_use", "t")));
}

TEST_F(ChatFilesTest, TokensAreTextsOrObjects) {
  WriteConfig({{"bos_token", "<s>"},
               {"eos_token", {{"__type", "AddedToken"}, {"content", "</s>"}}},
               {"pad_token", nullptr},
               {"image_token", "<image>"},
               {"add_bos_token", true},
               {"extra_special_tokens", {{"boi_token", "<b>"}}}});
  EXPECT_THAT(Read().special_tokens,
              ElementsAre(Pair("boi_token", "<b>"), Pair("bos_token", "<s>"),
                          Pair("eos_token", "</s>"), Pair("image_token", "<image>")));
}

TEST_F(ChatFilesTest, TheOldMapCountsWhereTheConfigListsNoTokens) {
  WriteConfig({{"bos_token", "<s>"}});
  Write("special_tokens_map.json", R"({"bos_token":"<a>","eos_token":{"content":"<b>"}})");
  EXPECT_THAT(Read().special_tokens,
              ElementsAre(Pair("bos_token", "<a>"), Pair("eos_token", "<b>")));

  WriteConfig({{"bos_token", "<s>"}, {"added_tokens_decoder", Json::object()}});
  EXPECT_THAT(Read().special_tokens, ElementsAre(Pair("bos_token", "<s>")));
}

TEST_F(ChatFilesTest, AnAdaptersFilesLieOverItsBases) {
  const ChatFiles base{{{"default", "a"}}, {{"bos_token", "<s>"}, {"eos_token", "</s>"}}};

  EXPECT_EQ(Overlaid(base, {}).templates.at("default"), "a");
  const ChatFiles both = Overlaid(base, {{{"default", "b"}}, {{"eos_token", "<end>"}}});
  EXPECT_EQ(both.templates.at("default"), "b");
  EXPECT_THAT(both.special_tokens,
              ElementsAre(Pair("bos_token", "<s>"), Pair("eos_token", "<end>")));
}

TEST_F(ChatFilesTest, WhatIsNoTemplateIsRefusedByFileAndField) {
  WriteConfig({{"chat_template", 5}});
  EXPECT_THAT(Refusal(), HasSubstr("tokenizer_config.json: chat_template must be"));
  WriteConfig({{"chat_template", {{{"name", "default"}}}}});
  EXPECT_THAT(Refusal(), HasSubstr("a name and a template"));
  WriteConfig({{"bos_token", {{"content", 5}}}});
  EXPECT_THAT(Refusal(), HasSubstr("content of \"bos_token\""));
  Write("tokenizer_config.json", "[]");
  EXPECT_THAT(Refusal(), HasSubstr("must be an object"));
  Write("tokenizer_config.json", "{");
  EXPECT_THAT(Refusal(), HasSubstr("not valid JSON"));
}

}  // namespace
}  // namespace graft::templates
