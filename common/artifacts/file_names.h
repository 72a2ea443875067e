#pragma once
/// The names of the files in an adapter's folder, and what they are to graft.

#include <array>
#include <string_view>

namespace graft::artifacts {

inline constexpr std::string_view kManifestName = "graft.json";

/// What transformers keeps a tokenizer in.
inline constexpr std::array<std::string_view, 5> kTokenizerFiles = {
    "added_tokens.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
    "vocab.txt"};

/// True for a file that says something of a folder's model or tokenizer.
bool SaysOfItself(std::string_view name);

/// True if a folder of any format may have a use for a file of this name (in its weights, its
/// config or what it says of itself). The others needn't be sent.
bool MayBeRead(std::string_view name);

}  // namespace graft::artifacts
