#include "common/objects/memory_object_store.h"

#include <algorithm>

namespace graft::objects {
namespace {

Status Missing(const std::string& key) { return NotFoundError("there is no object " + key); }

class MemoryWriter : public ObjectWriter {
 public:
  MemoryWriter(MemoryObjectStore& store, std::string key) : store_(store), key_(std::move(key)) {}
  Status Write(std::string_view bytes) override {
    bytes_ += bytes;
    return OkStatus();
  }
  Status Commit() override { return store_.Put(key_, bytes_); }
  Status CommitAs(const std::string& key) override { return store_.Put(key, bytes_); }

 private:
  MemoryObjectStore& store_;
  const std::string key_;
  std::string bytes_;
};

}  // namespace

Status MemoryObjectStore::Put(const std::string& key, std::string_view bytes) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  const std::lock_guard lock(mutex_);
  for (size_t end = key.find('/'); end != std::string::npos; end = key.find('/', end + 1)) {
    if (objects_.contains(key.substr(0, end))) return IsAnothersFolder(key.substr(0, end));
  }
  if (const auto below = objects_.lower_bound(key + "/");
      below != objects_.end() && below->first.starts_with(key + "/")) {
    return IsAnothersFolder(key);
  }
  objects_[key] = {std::string(bytes), SystemClock().Now()};
  return OkStatus();
}

StatusOr<std::string> MemoryObjectStore::Get(const std::string& key, uint64_t max_bytes) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return Missing(key);
  const std::string& bytes = found->second.bytes;
  if (bytes.size() > max_bytes) return TooLarge(key, bytes.size(), max_bytes);
  return bytes;
}

StatusOr<std::string> MemoryObjectStore::ReadRange(const std::string& key, uint64_t offset,
                                                   uint64_t length) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return Missing(key);
  const std::string& bytes = found->second.bytes;
  return offset >= bytes.size() ? std::string() : bytes.substr(offset, length);
}

StatusOr<ObjectStore::Info> MemoryObjectStore::Stat(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return Missing(key);
  return Info{found->second.bytes.size(), found->second.written};
}

StatusOr<std::vector<std::string>> MemoryObjectStore::List(const std::string& prefix,
                                                           const std::string& after, size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> keys;
  for (auto entry = objects_.lower_bound(prefix);
       entry != objects_.end() && entry->first.starts_with(prefix); ++entry) {
    if (keys.size() >= limit) break;
    if (entry->first > after) keys.push_back(entry->first);
  }
  return keys;
}

Status MemoryObjectStore::Delete(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  const std::lock_guard lock(mutex_);
  objects_.erase(key);
  return OkStatus();
}

StatusOr<std::unique_ptr<ObjectWriter>> MemoryObjectStore::OpenWriter(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  return std::unique_ptr<ObjectWriter>(std::make_unique<MemoryWriter>(*this, key));
}

}  // namespace graft::objects
