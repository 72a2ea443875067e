#pragma once
/// The names of the files in an adapter's folder, and what they are to graft.

#include <map>
#include <string>
#include <string_view>

#include "common/templates/chat_files.h"

namespace graft::artifacts {

inline constexpr std::string_view kManifestName = "graft.json";
/// What makes conversations the text that a version was trained on, as transformers names it.
inline constexpr std::string_view kChatTemplateName = templates::kChatTemplateFile;

/// Folder of a base with its other chat templates, NAME.jinja each. An export has them under these
/// names; nothing else of it lies in a folder of its own.
inline constexpr std::string_view kMoreTemplatesFolder = "additional_chat_templates";

/// True for the name of a file in an export: a plain one, or additional_chat_templates/NAME.jinja.
bool IsExportedName(std::string_view name);

/// Those of `files` (name -> bytes) in which transformers keeps a tokenizer.
std::map<std::string, std::string> TokenizerFilesAmong(
    const std::map<std::string, std::string>& files);

/// True for a file that says something of a folder's model or tokenizer.
bool SaysOfItself(std::string_view name);

/// adapter_model.safetensors, or a shard of it.
bool IsPeftWeights(std::string_view name);
/// AdapterHub's, and what graft adds to them.
bool IsHubWeights(std::string_view name);

/// True if a folder may have a use for a file of this name (in its weights, its configs or what it
/// says of itself). The others needn't be sent. `is_version`: it has a graft.json.
bool MayBeRead(std::string_view name, bool is_version);

}  // namespace graft::artifacts
