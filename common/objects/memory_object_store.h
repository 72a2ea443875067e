#pragma once
/// Objects in memory, for tests.

#include <map>
#include <mutex>

#include "common/objects/object_store.h"

namespace graft::objects {

/// Thread safety: thread-safe.
class MemoryObjectStore : public ObjectStore {
 public:
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
  std::mutex mutex_;
  struct Object {
    std::string bytes;
    TimeUs written = 0;
  };
  std::map<std::string, Object> objects_;
};

}  // namespace graft::objects
