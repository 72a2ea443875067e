#pragma once
/// A frozen base on a device: its layout, tokenizer, fingerprint and weights, held once for all
/// adapters.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"
#include "common/templates/chat_files.h"
#include "common/tokenizers/tokenizer.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/model/embedding_recipe.h"
#include "worker/engine/model/generation_config.h"

namespace graft::worker::engine {

/// What loading a base takes of its device.
struct BaseMemory {
  int64_t tensors = 0;  ///< For as long as the base is there: its bytes().
  int64_t loading = 0;  ///< Beside them at most, until it is loaded.
};
/// Asked before a base's tensors are read; an error ends its loading.
using AdmitBase = std::function<Status(const BaseMemory&)>;

/// Thread safety: const after Load; tensors are never written.
class Base {
 public:
  /// Reads a HuggingFace folder and puts its weights on `device`: matrices, embeddings and the
  /// biases of GEMMs in `compute` (fp32 or bf16), norms in fp32. The fingerprint is that of the
  /// bytes that were read, never one that was written down; costs a pass of SHA-256 over them.
  /// `between`, if set, is called before each tensor, and ends the work with its error; `admit` may
  /// be empty.
  /// Errors: NotFound if a file is missing; DataLoss or InvalidArgument if one is broken, a tensor
  /// is missing, of no use, or has the wrong shape or a value that isn't finite (also after the
  /// cast), or if the tokenizer gives ids that the embeddings don't hold; Unimplemented for an
  /// unknown family; Unavailable if a file was changed while it was read; what `admit` says.
  static StatusOr<std::shared_ptr<const Base>> Load(const std::string& id,
                                                    const std::filesystem::path& folder,
                                                    at::ScalarType compute, at::Device device,
                                                    const std::function<Status()>& between = {},
                                                    const AdmitBase& admit = {});
  /// The same without its weights: what its config and tokenizer tell, and what it would take.
  /// Errors: as Load. Of the result neither tensors nor fingerprint may be asked for.
  static StatusOr<std::shared_ptr<const Base>> Describe(const std::string& id,
                                                        const std::filesystem::path& folder,
                                                        at::ScalarType compute, at::Device device);

  const std::string& id() const { return id_; }
  const std::string& fingerprint() const { return fingerprint_; }
  /// True while the folder's files are those that were read. Costs a look at each.
  bool IsCurrent() const;
  const families::Layout& layout() const { return layout_; }
  const tokenizers::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Why the base can be trained but embeds no text; OK if it does. See ReadEmbeddingRecipe.
  const Status& embedding_status() const { return embedding_status_; }
  const GenerationConfig& generation_config() const { return generation_; }
  /// Of a base with a language head; the error says which of its files can't be read.
  const StatusOr<templates::ChatFiles>& chat_files() const { return chat_files_; }
  Pooling pooling() const { return recipe_.pooling; }
  bool normalize_embeddings() const { return recipe_.normalize; }
  /// Tokens that the plain base's embeddings read of a text.
  int max_embedded_length() const {
    const int64_t wanted = recipe_.max_length > 0 ? recipe_.max_length : 512;
    return static_cast<int>(std::min(wanted, layout_.max_positions));
  }
  /// InvalidArgument at `field` if the second text of a pair would get a token type that the base
  /// has no embedding of.
  Status CheckKnowsPairs(const std::string& field) const;
  at::ScalarType compute() const { return compute_; }
  at::Device device() const { return device_; }
  int64_t bytes() const { return bytes_; }  ///< Of its tensors on the device.
  BaseMemory memory() const;                ///< Told by its layout.

  /// The tensor by its HF name. Neighbouring projections (query, key, value) are views of one
  /// matrix, see Fused.
  const at::Tensor& Tensor(std::string_view name) const;
  /// The concatenation of `names` along dim 0 if Load laid them out so, else undefined.
  at::Tensor Fused(const std::vector<std::string>& names) const;
  /// The tensor as the checkpoint held it when the base was loaded, in fp32 on the CPU: masters of
  /// weight overlays. Read from the file again if the device has less than its precision.
  /// Errors: FailedPrecondition with reason BASE_CHANGED if the file holds other bytes by now.
  StatusOr<at::Tensor> Master(std::string_view name) const;

 private:
  Base(std::string id, std::filesystem::path folder, at::ScalarType compute, at::Device device)
      : id_(std::move(id)), compute_(compute), device_(device), folder_(std::move(folder)) {}
  /// Reads config and texts, then does `rest`, all of one state of the folder.
  Status Read(const std::function<Status()>& rest);
  /// The type in which a tensor is held.
  at::ScalarType TypeOf(const families::TensorShape& tensor) const;
  /// All but the tensors' numbers. Errors: sentences that don't name the base.
  Status ReadFolder();
  Status LoadTexts();
  /// Reads every tensor once: for its hash, and for the device if the layout names it.
  Status LoadTensors(const std::function<Status()>& between);
  /// See bases::StoredName.
  std::string StoredName(std::string_view name) const;
  Status Place(const families::TensorShape& wanted, std::string_view dtype,
               const std::vector<int64_t>& shape, std::string_view bytes);
  /// Lays `paths`' weights (or biases) one behind the other, their names then being views.
  void Fuse(const std::vector<std::string>& paths, const char* suffix);

  std::string id_, fingerprint_;
  families::Layout layout_;
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
  Status embedding_status_;
  EmbeddingRecipe recipe_;
  GenerationConfig generation_;
  StatusOr<templates::ChatFiles> chat_files_ = templates::ChatFiles();
  bool knows_pairs_ = true;
  const at::ScalarType compute_;
  const at::Device device_;
  int64_t bytes_ = 0;
  std::filesystem::path folder_;
  std::string stamp_;                                          ///< FolderStamp before it was read.
  std::shared_ptr<const safetensors::Checkpoint> checkpoint_;  ///< Open, for Master.
  std::unordered_map<std::string, std::string> hashes_;  ///< Of the tensors that Master reads.
  std::unordered_map<std::string, at::Tensor> tensors_;
  std::unordered_map<std::string, at::Tensor> fused_;  ///< By the names joined with '+'.
};

}  // namespace graft::worker::engine
