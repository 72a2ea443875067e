#pragma once
/// Files that are part of the server, as answers.

#include <span>
#include <string_view>

#include "common/base/embedded_file.h"
#include "server/http/request.h"

namespace graft::server::rest {

/// Answers with the file of this name. Files and name live as long as the program.
http::Handler EmbeddedFileHandler(std::span<const EmbeddedFile> files, std::string_view name);

}  // namespace graft::server::rest
