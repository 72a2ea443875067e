#pragma once
/// A HuggingFace checkpoint: one model.safetensors, or shards with an index; and the fingerprint of
/// a base.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/safetensors/safetensors.h"

namespace graft::safetensors {

/// Thread safety: const after Open. Keeps the files open.
class Checkpoint {
 public:
  /// Old names (LayerNorm.gamma, LayerNorm.beta) are given as weight and bias.
  /// Errors: NotFound if there are no weights or a shard is missing; InvalidArgument if the index
  /// names a file outside the folder, or a tensor that isn't where it says, or if only pickle files
  /// are there; as View::Parse.
  static StatusOr<std::shared_ptr<const Checkpoint>> Open(const std::filesystem::path& folder);

  std::vector<std::string> names() const;               ///< Sorted.
  const TensorInfo* Find(std::string_view name) const;  ///< Null if there is none.
  /// As File::Read. Requires: Find knows the name.
  StatusOr<std::string> Read(std::string_view name) const;
  /// The hash of a tensor's bytes, which are read in pieces. Errors and requirement: as Read.
  StatusOr<std::string> Hash(std::string_view name) const;
  /// As File::CheckUnchanged, of every file.
  Status CheckUnchanged() const;
  const std::vector<std::shared_ptr<const File>>& files() const { return files_; }

 private:
  struct Entry {
    const File* file = nullptr;
    TensorInfo info;
  };
  Status Add(const std::filesystem::path& path);
  /// A shard with the tensors that the index names for it.
  Status AddShard(const std::filesystem::path& index, const std::string& shard,
                  const std::vector<std::string>& tensors);
  const Entry& At(std::string_view name) const;

  std::vector<std::shared_ptr<const File>> files_;
  std::unordered_map<std::string, Entry> tensors_;
};

/// What names a base: SHA-256 over its sorted tensors (name, dtype, shape, hash of the data) and
/// the config that its forward pass depends on, so that resharding keeps it.
class FingerprintBuilder {
 public:
  /// Takes the tensors in the order of Checkpoint::names.
  void Add(std::string_view name, const TensorInfo& tensor, const std::string& data_sha256);
  std::string Finish(const std::string& config);

 private:
  Sha256 hash_;
};

/// The fingerprint of the files as they are. Read from and written to `cache` (a folder, may be
/// empty) under their paths, sizes, times and inodes; a cache that can't be read or written is
/// passed over.
/// Errors: as File::Read; Unavailable if a file changes while it is read.
StatusOr<std::string> Fingerprint(const Checkpoint& checkpoint, const std::string& config,
                                  const std::filesystem::path& cache);

}  // namespace graft::safetensors
