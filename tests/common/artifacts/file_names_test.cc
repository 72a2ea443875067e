#include "common/artifacts/file_names.h"

#include <gtest/gtest.h>

namespace graft::artifacts {
namespace {

TEST(FileNamesTest, AnExportsNamesArePlainButForChatTemplates) {
  for (const std::string_view good :
       {"graft.json", "model.safetensors", ".hidden", "additional_chat_templates",
        "additional_chat_templates/tool_use.jinja", "additional_chat_templates/..jinja"}) {
    EXPECT_TRUE(IsExportedName(good)) << good;
  }
  for (const std::string_view bad :
       {"", ".", "..", "a/b", "/a", "../a", "additional_chat_templates/",
        "additional_chat_templates/a.txt", "additional_chat_templates/../a.jinja",
        "additional_chat_templates//a.jinja"}) {
    EXPECT_FALSE(IsExportedName(bad)) << bad;
  }
  EXPECT_FALSE(IsExportedName(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace graft::artifacts
