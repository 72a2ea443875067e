#pragma once
/// Port: where datasets, checkpoints and artifacts lie, by key. Implemented by memory_object_store
/// and local_object_store; one conformance suite.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"

namespace graft::objects {

/// A large object on its way in. Dropped without a trace unless committed.
/// Thread safety: confined to one thread at a time.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  /// Errors: ResourceExhausted if the disk is full. After an error nothing can be written or
  /// committed any more.
  virtual Status Write(std::string_view bytes) = 0;
  /// Makes the object appear, whole and durable, under the key it was opened with, or another one
  /// (content-addressed objects know their name only at the end). Call once.
  /// Errors: as ObjectStore::Put.
  virtual Status Commit() = 0;
  virtual Status CommitAs(const std::string& key) = 0;
};

/// Keys are segments joined by '/', up to 1,024 bytes: each of 1 to 200 printable ASCII characters
/// without backslashes, none "." or "..", and none ".tmp" or with ".tmp." in it, which stores keep
/// for what is on its way. No key is another's folder: where "a/b" is, "a" can't be.
/// Thread safety: thread-safe. Calls block.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  /// Stores an object, whole and durable once this returns OK; replaces one that is there.
  /// Errors: InvalidArgument for a bad key; FailedPrecondition if the key is another's folder, or
  /// the reverse; ResourceExhausted if the disk is full. On error nothing was written.
  virtual Status Put(const std::string& key, std::string_view bytes) = 0;
  /// Errors: NotFound; InvalidArgument if it is larger than `max_bytes`.
  virtual StatusOr<std::string> Get(const std::string& key,
                                    uint64_t max_bytes = uint64_t{8} << 30) = 0;
  /// Up to `length` bytes from `offset`; fewer at the end, none behind it. Errors: NotFound.
  virtual StatusOr<std::string> ReadRange(const std::string& key, uint64_t offset,
                                          uint64_t length) = 0;
  struct Info {
    uint64_t bytes = 0;
    TimeUs written = 0;  ///< When it was last put, by the store's clock.
  };
  virtual StatusOr<Info> Stat(const std::string& key) = 0;  ///< NotFound.
  /// Keys that begin with `prefix` and sort behind `after`, in the order of their bytes, up to
  /// `limit`. An object that is put or deleted meanwhile may be in it or not; all others are.
  virtual StatusOr<std::vector<std::string>> List(const std::string& prefix,
                                                  const std::string& after, size_t limit) = 0;
  virtual Status Delete(const std::string& key) = 0;  ///< OK if it isn't there.
  virtual StatusOr<std::unique_ptr<ObjectWriter>> OpenWriter(const std::string& key) = 0;
};

/// What stores answer, in the same words. `key` is the one that can't be an object and a folder.
Status IsAnothersFolder(const std::string& key);
Status TooLarge(const std::string& key, uint64_t bytes, uint64_t max_bytes);

/// InvalidArgument with the rule unless `key` is one.
Status CheckKey(std::string_view key);

/// All keys below `prefix`. Errors: ResourceExhausted if there are more than `max`.
StatusOr<std::vector<std::string>> ListAll(ObjectStore& store, const std::string& prefix,
                                           size_t max);

/// Get, and DataLoss if the bytes don't have this SHA-256.
StatusOr<std::string> GetVerified(ObjectStore& store, const std::string& key,
                                  const std::string& sha256);

/// Deletes everything below `prefix`.
Status DeleteAll(ObjectStore& store, const std::string& prefix);

}  // namespace graft::objects
