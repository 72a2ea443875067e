#include "common/objects/object_store.h"

#include <algorithm>

#include "common/base/sha256.h"
#include "common/base/utf8.h"

namespace graft::objects {

Status IsAnothersFolder(const std::string& key) {
  return FailedPreconditionError("the key " + key + " can't be an object and the folder of others");
}

Status TooLarge(const std::string& key, uint64_t bytes, uint64_t max_bytes) {
  return InvalidArgumentError("the object " + key + " has " + std::to_string(bytes) +
                              " bytes, the limit is " + std::to_string(max_bytes));
}

Status CheckKey(std::string_view key) {
  const auto bad = [&](const char* why) {
    return InvalidArgumentError(Quoted(key, 100) + " is no object key: " + why);
  };
  if (key.empty() || key.size() > 1024) return bad("it must have 1 to 1,024 bytes");
  for (const char c : key) {
    if (c < 0x20 || c > 0x7E || c == '\\')
      return bad("it may hold printable ASCII without backslashes only");
  }
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view segment = key.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..")
      return bad("a segment is empty, \".\" or \"..\"");
    if (segment.size() > 200) return bad("a segment has over 200 bytes");
    if (segment == ".tmp" || segment.find(".tmp.") != std::string_view::npos) {
      return bad("\".tmp\" is kept for objects on their way");
    }
    begin = end + 1;
  }
  return OkStatus();
}

StatusOr<std::vector<std::string>> ListAll(ObjectStore& store, const std::string& prefix,
                                           size_t max) {
  GRAFT_ASSIGN_OR_RETURN(std::vector<std::string> keys, store.List(prefix, {}, max + 1));
  if (keys.size() > max)
    return ResourceExhaustedError("more than " + std::to_string(max) + " objects under " + prefix);
  return keys;
}

StatusOr<std::string> GetVerified(ObjectStore& store, const std::string& key,
                                  const std::string& sha256) {
  GRAFT_ASSIGN_OR_RETURN(std::string bytes, store.Get(key));
  if (Sha256Hex(bytes) != sha256)
    return DataLossError("the object " + key +
                         " doesn't have the hash that names it; it was damaged");
  return bytes;
}

Status DeleteAll(ObjectStore& store, const std::string& prefix) {
  for (;;) {
    GRAFT_ASSIGN_OR_RETURN(const std::vector<std::string> keys, store.List(prefix, {}, 1000));
    if (keys.empty()) return OkStatus();
    for (const std::string& key : keys) GRAFT_RETURN_IF_ERROR(store.Delete(key));
  }
}

}  // namespace graft::objects
