#pragma once
/// The chat template that a language model's version brings with it.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/artifacts/artifact.h"
#include "common/artifacts/file_names.h"
#include "common/base/status.h"

namespace graft::artifacts {

/// A folder's own chat template, as transformers would take it of its files; nothing if they have
/// none. Adds to `warnings` what a conversation is rendered without: other named templates, and
/// special tokens that the folder has otherwise than the base, whose tokens count.
/// Errors: InvalidArgument, with line and column, if graft can't read it, or if none of several is
/// the default.
StatusOr<std::optional<std::string>> OwnChatTemplate(const Files& files,
                                                     const ImportRequest& request,
                                                     std::vector<std::string>& warnings);

}  // namespace graft::artifacts
