#pragma once
/// Objects as files under one folder: key "a/b" is the file a/b. Written as temp, fsync, rename,
/// fsync of the folder.

#include <filesystem>

#include "common/objects/object_store.h"

namespace graft::objects {

/// Thread safety: thread-safe, also between processes on one folder.
class LocalObjectStore : public ObjectStore {
 public:
  /// Makes the folder if need be and removes temporary files that a crash left there. The folder is
  /// graft's own; a link in an object's place is no object.
  static StatusOr<std::unique_ptr<LocalObjectStore>> Open(const std::filesystem::path& root);

  Status Put(const std::string& key, std::string_view bytes) override;
  StatusOr<std::string> Get(const std::string& key, uint64_t max_bytes) override;
  StatusOr<std::string> ReadRange(const std::string& key, uint64_t offset,
                                  uint64_t length) override;
  StatusOr<Info> Stat(const std::string& key) override;
  StatusOr<std::vector<std::string>> List(const std::string& prefix, const std::string& after,
                                          size_t limit) override;
  Status Delete(const std::string& key) override;
  StatusOr<std::unique_ptr<ObjectWriter>> OpenWriter(const std::string& key) override;

 private:
  explicit LocalObjectStore(std::filesystem::path root) : root_(std::move(root)) {}
  const std::filesystem::path root_;
};

}  // namespace graft::objects
