#include "worker/engine/model/base.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/bases/checks.h"
#include "worker/engine/device/convert.h"

namespace graft::worker::engine {
namespace fs = std::filesystem;
namespace {

bool AllFinite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

std::string Join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += name + "+";
  return joined;
}

/// Query, key and value of each layer read one input, as gate and up do: kept as one matrix, they
/// are one GEMM.
std::vector<std::vector<std::string>> FusedGroups(const families::Layout& layout) {
  std::vector<std::vector<std::string>> groups;
  for (int64_t layer = 0; layer < layout.num_layers; ++layer) {
    const auto add = [&](std::initializer_list<families::LinearRole> roles) {
      std::vector<std::string>& group = groups.emplace_back();
      for (const families::LinearRole role : roles)
        group.push_back(layout.linears[layout.LinearAt(layer, role)].path);
    };
    using enum families::LinearRole;
    add({kQuery, kKey, kValue});
    if (layout.gated()) add({kGate, kUp});
  }
  return groups;
}

Status Named(const std::string& id, const Status& status) {
  Status named(status.code(), "the base " + id + ": " + status.message());
  for (const ErrorDetail& detail : status.details()) named.AddDetail(detail);
  return named;
}

/// True if capitals are small letters to the tokenizer.
bool MakesSmall(const tokenizers::Tokenizer& tokenizer) {
  const auto ids = [&](std::string_view text) { return tokenizer.Encode(text, {}).ids; };
  return ids("A B C D E N O S T X Z") == ids("a b c d e n o s t x z") && ids("a b") != ids("b a");
}

}  // namespace

StatusOr<std::shared_ptr<const Base>> Base::Load(const std::string& id, const fs::path& folder,
                                                 at::ScalarType compute, at::Device device,
                                                 const std::function<Status()>& between,
                                                 const AdmitBase& admit) {
  const at::NoGradGuard no_grad;
  std::shared_ptr<Base> base(new Base(id, folder, compute, device));
  const Status read = base->Read([&]() -> Status {
    if (admit) GRAFT_RETURN_IF_ERROR(admit(base->memory()));
    return base->LoadTensors(between);
  });
  GRAFT_RETURN_IF_ERROR(read);
  for (const std::vector<std::string>& paths : FusedGroups(base->layout_)) {
    for (const char* suffix : {".weight", ".bias"}) base->Fuse(paths, suffix);
  }
  return std::shared_ptr<const Base>(std::move(base));
}

StatusOr<std::shared_ptr<const Base>> Base::Describe(const std::string& id, const fs::path& folder,
                                                     at::ScalarType compute, at::Device device) {
  std::shared_ptr<Base> base(new Base(id, folder, compute, device));
  GRAFT_RETURN_IF_ERROR(base->Read([] { return OkStatus(); }));
  return std::shared_ptr<const Base>(std::move(base));
}

Status Base::Read(const std::function<Status()>& rest) {
  stamp_ = FolderStamp(folder_);
  Status status = ReadFolder();
  if (status.ok()) {
    status = rest();
  } else {
    status = Named(id_, status);
  }
  // Config, tokenizer and weights are of one state of the folder or of none; this also explains
  // whatever was found wrong.
  if (!IsCurrent()) {
    return UnavailableError("the base " + id_ + ": its files were changed while they were read" +
                            (status.ok() ? "" : " (" + status.message() + ")") + "; try again");
  }
  return status;
}

Status Base::ReadFolder() {
  GRAFT_ASSIGN_OR_RETURN(const std::string config, ReadFile(folder_ / "config.json", 1 << 20));
  GRAFT_ASSIGN_OR_RETURN(checkpoint_, safetensors::Checkpoint::Open(folder_));
  GRAFT_ASSIGN_OR_RETURN(layout_, families::ReadLayout(config, checkpoint_->names()));
  GRAFT_RETURN_IF_ERROR(bases::CheckTensors(*checkpoint_, layout_));
  return LoadTexts();
}

at::ScalarType Base::TypeOf(const families::TensorShape& tensor) const {
  // A GEMM wants its bias in its own type; norms stay in fp32.
  const bool is_linear_bias =
      tensor.role == families::TensorRole::kBias && tensor.layer != families::kAboveLayers;
  return tensor.shape.size() >= 2 || is_linear_bias ? compute_ : at::kFloat;
}

BaseMemory Base::memory() const {
  BaseMemory memory;
  std::unordered_map<std::string, int64_t> bytes;
  int64_t largest = 0;
  for (const families::TensorShape& tensor : layout_.tensors) {
    const int64_t count =
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
    const auto element = static_cast<int64_t>(c10::elementSize(TypeOf(tensor)));
    bytes[tensor.name] = count * element;
    memory.tensors += count * element;
    // As the file has it, in fp32, and while it is looked at for what isn't finite: its magnitudes
    // and two masks.
    const bool is_cast = element != static_cast<int64_t>(sizeof(float));
    largest = std::max(largest, count * (element + 2 + (is_cast ? 4 : 0)));
  }
  if (device_.is_cpu()) memory.loading = largest;
  for (const std::vector<std::string>& paths : FusedGroups(layout_)) {
    int64_t group = 0;
    for (const std::string& path : paths) {
      const auto found = bytes.find(path + ".weight");
      group += found != bytes.end() ? found->second : 0;
    }
    memory.loading = std::max(memory.loading, group);
  }
  return memory;
}

bool Base::IsCurrent() const { return FolderStamp(folder_) == stamp_; }

Status Base::LoadTexts() {
  GRAFT_ASSIGN_OR_RETURN(tokenizer_, tokenizers::LoadTokenizer(folder_));
  GRAFT_RETURN_IF_ERROR(bases::CheckTokenizer(*tokenizer_, layout_));
  knows_pairs_ = bases::HoldsTypes(tokenizer_->EncodePair("a", "b", {}), layout_);
  if (!layout_.language_head.empty()) {
    GRAFT_ASSIGN_OR_RETURN(generation_, ReadGenerationConfig(folder_, layout_.vocab_size));
    chat_files_ = templates::ReadChatFiles(folder_);
  }
  StatusOr<EmbeddingRecipe> recipe = ReadEmbeddingRecipe(folder_);
  embedding_status_ = recipe.status();
  if (recipe.ok()) recipe_ = *recipe;
  if (recipe.ok() && layout_.causal && !fs::exists(folder_ / "modules.json")) {
    embedding_status_ = UnimplementedError(
        "this base can't embed texts: it is a decoder, and no modules.json says how its tokens are "
        "pooled");
  }
  if (recipe_.lower_case && !MakesSmall(*tokenizer_)) {
    embedding_status_ = UnimplementedError(
        "this base can't embed texts: sentence_bert_config.json says do_lower_case, which its "
        "tokenizer doesn't do; set do_lower_case in tokenizer_config.json");
  }
  return OkStatus();
}

Status Base::CheckKnowsPairs(const std::string& field) const {
  if (knows_pairs_) return OkStatus();
  return InvalidArgumentError("this base knows no pairs of texts: " + id_ +
                              " has one token type only")
      .At(field, "NO_PAIRS");
}

std::string Base::StoredName(std::string_view name) const {
  return bases::StoredName(*checkpoint_, layout_, name);
}

Status Base::LoadTensors(const std::function<Status()>& between) {
  std::unordered_map<std::string, const families::TensorShape*> wanted;
  for (const families::TensorShape& tensor : layout_.tensors)
    wanted[StoredName(tensor.name)] = &tensor;
  safetensors::FingerprintBuilder fingerprint;
  for (const std::string& name : checkpoint_->names()) {
    if (between) GRAFT_RETURN_IF_ERROR(between());
    const safetensors::TensorInfo& info = *checkpoint_->Find(name);
    const auto found = wanted.find(name);
    std::string hash;
    if (found == wanted.end()) {
      StatusOr<std::string> read = checkpoint_->Hash(name);
      if (!read.ok()) return Named(id_, read.status());
      hash = *std::move(read);
    } else {
      const StatusOr<std::string> bytes = checkpoint_->Read(name);
      if (!bytes.ok()) return Named(id_, bytes.status());
      hash = Sha256Hex(*bytes);
      GRAFT_RETURN_IF_ERROR(
          Place(*found->second, safetensors::DTypeName(info.dtype), info.shape, *bytes));
      if (tensors_.at(found->second->name).scalar_type() != at::kFloat) hashes_[name] = hash;
    }
    fingerprint.Add(name, info, hash);
  }
  fingerprint_ = fingerprint.Finish(layout_.fingerprint_config.dump());
  return OkStatus();
}

Status Base::Place(const families::TensorShape& wanted, std::string_view dtype,
                   const std::vector<int64_t>& shape, std::string_view bytes) {
  StatusOr<at::Tensor> read = BytesToFloat(dtype, shape, bytes);
  if (!read.ok()) {
    return InvalidArgumentError("the base " + id_ + ": the tensor " + wanted.name + ": " +
                                read.status().message());
  }
  at::Tensor value = *std::move(read);
  value = value.to(TypeOf(wanted));
  if (!AllFinite(value)) {
    return InvalidArgumentError("the base " + id_ + ": the tensor " + wanted.name +
                                " holds a NaN or an infinity");
  }
  bytes_ += static_cast<int64_t>(value.nbytes());
  tensors_[wanted.name] = value.to(device_);
  return OkStatus();
}

void Base::Fuse(const std::vector<std::string>& paths, const char* suffix) {
  std::vector<std::string> names;
  std::vector<at::Tensor> parts;
  for (const std::string& path : paths) {
    const auto part = tensors_.find(path + suffix);
    if (part == tensors_.end()) return;
    names.push_back(part->first);
    parts.push_back(part->second);
  }
  const at::Tensor fused = at::cat(parts, 0);
  int64_t row = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    tensors_[names[i]] = fused.narrow(0, row, parts[i].size(0));
    row += parts[i].size(0);
  }
  // Whole groups and their tails (key and value alone, for a pooled last layer) are slices of one
  // matrix.
  row = 0;
  for (size_t first = 0; first + 1 < names.size(); ++first) {
    fused_[Join({names.begin() + static_cast<int64_t>(first), names.end()})] =
        fused.narrow(0, row, fused.size(0) - row);
    row += parts[first].size(0);
  }
}

const at::Tensor& Base::Tensor(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  TORCH_CHECK(found != tensors_.end(), "the base ", id_, " has no tensor ", name);
  return found->second;
}

at::Tensor Base::Fused(const std::vector<std::string>& names) const {
  const auto found = fused_.find(Join(names));
  return found != fused_.end() ? found->second : at::Tensor();
}

StatusOr<at::Tensor> Base::Master(std::string_view name) const {
  const auto resident = tensors_.find(std::string(name));
  if (resident == tensors_.end())
    return NotFoundError("the base " + id_ + " has no tensor " + std::string(name));
  if (resident->second.scalar_type() == at::kFloat)
    return resident->second.to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  const std::string stored = StoredName(name);
  const safetensors::TensorInfo& info = *checkpoint_->Find(stored);
  const StatusOr<std::string> bytes = checkpoint_->Read(stored);
  if (!bytes.ok() || Sha256Hex(*bytes) != hashes_.at(stored)) {
    return FailedPreconditionError(
               "the base " + id_ + " was changed on disk since it was loaded (the tensor " +
               std::string(name) + " is another now); a job that trains its weights would mix " +
               "old and new ones: submit it again")
        .AddDetail({"BASE_CHANGED", "base", 0, {}, {}});
  }
  return BytesToFloat(safetensors::DTypeName(info.dtype), info.shape, *bytes);
}

}  // namespace graft::worker::engine
