#pragma once
/// Where a model's chat template and special tokens come from: the files of a HuggingFace folder,
/// read as transformers 5 reads them. Thread safety: free functions.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::templates {

/// Where transformers keeps a folder's own template, and graft a version's.
inline constexpr std::string_view kChatTemplateFile = "chat_template.jinja";

struct ChatFiles {
  /// Sources by name; the one that counts where nothing else is asked for is "default".
  std::map<std::string, std::string> templates;
  /// By the names that templates know them by: bos_token, eos_token ...
  std::map<std::string, std::string> special_tokens;
};

/// Reads a base's or adapter's folder; both maps are empty if its files say nothing of chats.
/// Templates are those of chat_template.jinja and additional_chat_templates/*.jinja if there is any
/// such file, else tokenizer_config.json's chat_template (a text, or a list of name and template).
/// Special tokens are tokenizer_config.json's, and special_tokens_map.json's over them where the
/// former lists no added tokens.
/// Errors: InvalidArgument, naming file and field, for what isn't of these forms; those of
/// ReadFile.
StatusOr<ChatFiles> ReadChatFiles(const std::filesystem::path& folder);

/// The same of a folder's files that are at hand, by name; additional_chat_templates isn't read.
/// Errors: as above, but ReadFile's.
StatusOr<ChatFiles> ChatFilesAmong(const std::map<std::string, std::string>& files);

/// An adapter's files over those of its base: its templates if it has any, and each token that it
/// names.
ChatFiles Overlaid(const ChatFiles& base, const ChatFiles& own);

/// The template that transformers takes: "tool_use" if there are tools and such a template, else
/// "default".
/// Errors: NotFound if there is no template at all; InvalidArgument, naming those that there are,
/// if none is the default.
StatusOr<std::string> ChooseTemplate(const ChatFiles& files, bool has_tools);

}  // namespace graft::templates
