#pragma once
/// A frozen base on a device: its layout, tokenizer, fingerprint and weights, held once for all
/// adapters.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"
#include "common/tokenizers/tokenizer.h"
#include "worker/engine/tensor.h"

namespace graft::worker::engine {

/// How a sentence embedding is made of the last hidden states: sentence-transformers'
/// 1_Pooling/config.json.
enum class Pooling { kMean, kFirst };

/// Thread safety: const after Load; tensors are never written.
class Base {
 public:
  /// Reads a HuggingFace folder and puts its weights on `device`: matrices, embeddings and the
  /// biases of GEMMs in `compute` (fp32 or bf16), norms in fp32. `cache` is a folder for the
  /// fingerprint cache.
  /// Errors: NotFound if a file or tensor is missing; DataLoss or InvalidArgument if one is broken,
  /// has the wrong shape or a value that isn't finite (also after the cast); Unimplemented for an
  /// unknown family.
  static StatusOr<std::shared_ptr<const Base>> Load(const std::string& id,
                                                    const std::filesystem::path& folder,
                                                    const std::filesystem::path& cache,
                                                    at::ScalarType compute, at::Device device);

  const std::string& id() const { return id_; }
  const std::string& fingerprint() const { return fingerprint_; }
  const families::Layout& layout() const { return layout_; }
  const tokenizers::Tokenizer& tokenizer() const { return *tokenizer_; }
  Pooling pooling() const { return pooling_; }
  bool normalize_embeddings() const { return normalize_; }
  at::ScalarType compute() const { return compute_; }
  at::Device device() const { return device_; }
  int64_t bytes() const { return bytes_; }  ///< Of its tensors on the device.

  /// The tensor by its HF name. Neighbouring projections (query, key, value) are views of one
  /// matrix, see Fused.
  const at::Tensor& Tensor(std::string_view name) const;
  /// The concatenation of `names` along dim 0 if Load laid them out so, else undefined.
  at::Tensor Fused(const std::vector<std::string>& names) const;
  /// The tensor as the checkpoint holds it, in fp32 on the CPU: masters of weight overlays.
  StatusOr<at::Tensor> Master(std::string_view name) const;

 private:
  Base() : device_(at::kCPU) {}

  std::string id_, fingerprint_;
  families::Layout layout_;
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
  Pooling pooling_ = Pooling::kFirst;
  bool normalize_ = false;
  at::ScalarType compute_ = at::kFloat;
  at::Device device_;
  int64_t bytes_ = 0;
  std::filesystem::path folder_;
  std::shared_ptr<const safetensors::Checkpoint>
      checkpoint_;  ///< Mapped, for Master; costs no memory of its own.
  std::unordered_map<std::string, at::Tensor> tensors_;
  std::unordered_map<std::string, at::Tensor> fused_;  ///< By the names joined with '+'.
};

}  // namespace graft::worker::engine
