#pragma once
/// A version merged into its base: the weights of one HuggingFace model that needs no adapter.
/// Tensors are computed one after another, so that a large base is never whole in memory.
/// Source: peft 0.21 tuners/lora/layer.py, get_delta_weight.

#include <memory>
#include <string>
#include <vector>

#include "common/artifacts/artifact.h"
#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"

namespace graft::artifacts {

/// model.safetensors in pieces. Each tensor keeps the type that the base stores it in; what a task
/// doesn't use (a classifier's layer to the vocabulary) is left out.
/// Thread safety: confined to one thread at a time.
class MergedWeights {
 public:
  /// `files` are a version's, opened as `manifest`.
  /// Errors: FailedPrecondition if the method has layers of its own (bottleneck), which no weight
  /// of the base can hold; as BindTensors; NotFound if the base lacks a tensor.
  /// Ownership: `layout` outlives it.
  static StatusOr<std::unique_ptr<MergedWeights>> Plan(
      std::shared_ptr<const safetensors::Checkpoint> base, const families::Layout& layout,
      const Manifest& manifest, Files files);

  /// Of the whole file.
  int64_t bytes() const;
  /// The next bytes of the file: its header, then each tensor; empty once it is over.
  /// Errors: as Checkpoint::Read; Unavailable if the base's files changed since Plan.
  StatusOr<std::string> Next();

 private:
  /// A tensor of the file.
  struct Part {
    safetensors::TensorInfo info;
    std::string stored;                     ///< Its name in the base; empty: it has none.
    const BoundTensor* replaced = nullptr;  ///< The version's own.
    const BoundTensor* lora_a = nullptr;    ///< [r, in]
    const BoundTensor* lora_b = nullptr;    ///< [out, r]
    double scale = 0;
  };
  MergedWeights() = default;
  std::string Beginning() const;
  Status Place(const BoundTensor& tensor, const methods::MethodSpec& method);
  Status AddBase(const families::Layout& layout, const tasks::TaskSpec& task);
  Part* Find(const std::string& name);
  StatusOr<std::string> Compute(const Part& part) const;

  std::shared_ptr<const safetensors::Checkpoint> base_;
  Files files_;
  std::vector<methods::TensorSpec> specs_;
  std::vector<BoundTensor> bound_;
  std::vector<Part> parts_;
  size_t next_ = 0;  ///< 0: the header; i: parts_[i - 1].
};

/// A base's config.json as that of a model for `task`, its rope in the words that transformers 4
/// and 5 both read. Errors: InvalidArgument if it isn't an object.
StatusOr<std::string> MergedConfig(const std::string& base_config, const families::Layout& layout,
                                   const tasks::TaskSpec& task);

}  // namespace graft::artifacts
