#include "common/artifacts/file_names.h"

#include <algorithm>

namespace graft::artifacts {

bool SaysOfItself(std::string_view name) {
  return name == "config.json" ||
         std::find(kTokenizerFiles.begin(), kTokenizerFiles.end(), name) != kTokenizerFiles.end();
}

bool MayBeRead(std::string_view name) {
  // Any of these may stand in a graft.json's list of files.
  return name.ends_with(".json") || name.ends_with(".safetensors") || SaysOfItself(name);
}

}  // namespace graft::artifacts
