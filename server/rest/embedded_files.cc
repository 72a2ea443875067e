#include "server/rest/embedded_files.h"

#include <algorithm>
#include <string>

namespace graft::server::rest {
namespace {

/// By the ending of a file's name.
std::string ContentType(std::string_view name) {
  if (name.ends_with(".json")) return "application/json";
  if (name.ends_with(".yaml")) return "application/yaml";
  return "application/octet-stream";
}

}  // namespace

http::Handler EmbeddedFileHandler(std::span<const EmbeddedFile> files, std::string_view name) {
  return [files, name](calls::CallContext&, const http::Request&,
                       http::Responder& out) -> calls::Awaitable<Status> {
    const auto file = std::ranges::find(files, name, &EmbeddedFile::name);
    if (file == files.end()) co_return NotFoundError("this server was built without the file");
    out.Send({200, ContentType(name), {}}, std::string(file->bytes));
    co_return OkStatus();
  };
}

}  // namespace graft::server::rest
