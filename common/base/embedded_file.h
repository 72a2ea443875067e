#pragma once
/// A file that was made a part of the program by graft_embed (cmake/GraftEmbed.cmake).

#include <string_view>

namespace graft {

struct EmbeddedFile {
  std::string_view name;  ///< "openapi.json"; folders stand in front of it, with slashes.
  std::string_view bytes;
};

}  // namespace graft
