#pragma once
/// A HuggingFace checkpoint: one model.safetensors, or shards with an index; and the fingerprint of
/// a base.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/safetensors/safetensors.h"

namespace graft::safetensors {

/// Thread safety: const after Open. Keeps the files mapped.
class Checkpoint {
 public:
  /// Old names (LayerNorm.gamma, LayerNorm.beta) are given as weight and bias.
  /// Errors: NotFound if there are no weights or a shard is missing; InvalidArgument if the index
  /// names a file outside the folder, or a tensor that isn't where it says, or if only pickle files
  /// are there; as View::Parse.
  static StatusOr<std::shared_ptr<const Checkpoint>> Open(const std::filesystem::path& folder);

  std::vector<std::string> names() const;  ///< Sorted.
  const TensorView* Find(std::string_view name) const;
  const std::vector<std::filesystem::path>& files() const { return paths_; }

 private:
  Status Add(const std::filesystem::path& path);

  std::vector<std::filesystem::path> paths_;
  std::vector<std::shared_ptr<const MappedFile>> maps_;
  std::unordered_map<std::string, TensorView> tensors_;
};

/// SHA-256 over the sorted tensors (name, dtype, shape, hash of the data) and `config`, so that
/// resharding keeps it. Read from and written to `cache` (a folder, may be empty) under the files'
/// paths, sizes and modification times; a cache that can't be read or written is passed over.
StatusOr<std::string> Fingerprint(const Checkpoint& checkpoint, const std::string& config,
                                  const std::filesystem::path& cache);

}  // namespace graft::safetensors
