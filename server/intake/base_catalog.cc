#include "server/intake/base_catalog.h"

#include <algorithm>
#include <system_error>

#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/bases/checks.h"
#include "common/bases/generation_config.h"
#include "common/safetensors/checkpoint.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::server::intake {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfigBytes = 4 << 20;
constexpr size_t kMaxNamedBases = 20;

/// The object in a small file; an empty one if there is none that can be read.
Json ObjectIn(const fs::path& path) {
  const auto text = ReadFile(path, kMaxConfigBytes);
  if (!text.ok()) return Json::object();
  auto json = ParseJson(*text, path.filename().string());
  return json.ok() && json->is_object() ? *std::move(json) : Json::object();
}

/// The names of the folders below that hold a model's config.json.
std::vector<std::string> ModelsBelow(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (ObjectIn(it->path() / "config.json").contains("model_type"))
      names.push_back(Quoted(it->path().filename().string()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status CheckIsModel(const fs::path& folder) {
  std::error_code error;
  // Where it can't be told, reading it says why.
  if (ObjectIn(folder / "adapter_config.json").contains("peft_type")) {
    return InvalidArgumentError(
        "it holds PEFT's adapter_config.json, by which transformers (with PEFT installed) loads "
        "the "
        "base that it names and adds the adapter; take that file out if the weights beside it are "
        "the whole model, or import the adapter on its base");
  }
  // Where it can't be told, reading it says why.
  if (fs::exists(folder / "adapter_config.json", error)) {
    return InvalidArgumentError(
        "it holds adapter_config.json, by which transformers loads the base that it names and adds "
        "the adapter; take that file out if the weights beside it are the whole model, or import "
        "the adapter on its base");
  }
  if (fs::exists(folder / "config.json", error) || error) return OkStatus();
  // The Hub's cache keeps a model's files two folders further down, once a version.
  if (fs::is_directory(folder / "snapshots", error)) {
    return InvalidArgumentError(
        "it is a folder of the Hub's cache, which keeps models under snapshots/; link the "
        "snapshot's folder into --bases instead of this one");
  }
  const std::vector<std::string> below = ModelsBelow(folder);
  if (below.empty()) {
    return InvalidArgumentError(
        "it holds no config.json, so it is no folder of a model as transformers saves them");
  }
  // Old sentence-transformers folders keep the model in 0_BERT, others in 0_Transformer.
  return InvalidArgumentError(
      "it holds no config.json; the folder " + below.front() + " below it does" +
      (below.size() > 1 ? " (and " + std::to_string(below.size() - 1) + " more)" : "") +
      ": link that folder into --bases instead of this one");
}

/// A fault of the machine rather than of the folder: it may be gone at the next try.
bool IsPassing(const Status& status) {
  return status.code() == StatusCode::kResourceExhausted ||
         status.code() == StatusCode::kInternal || status.code() == StatusCode::kUnavailable;
}

}  // namespace

Status ReadBase(const fs::path& cache, Base& base) {
  GRAFT_RETURN_IF_ERROR(CheckIsModel(base.folder));
  GRAFT_ASSIGN_OR_RETURN(const std::string config,
                         ReadFile(base.folder / "config.json", kMaxConfigBytes));
  GRAFT_ASSIGN_OR_RETURN(const auto checkpoint, safetensors::Checkpoint::Open(base.folder));
  GRAFT_ASSIGN_OR_RETURN(base.layout, families::ReadLayout(config, checkpoint->names()));
  GRAFT_RETURN_IF_ERROR(bases::CheckTensors(*checkpoint, base.layout));
  GRAFT_ASSIGN_OR_RETURN(base.tokenizer, tokenizers::LoadTokenizer(base.folder));
  GRAFT_RETURN_IF_ERROR(bases::CheckTokenizer(*base.tokenizer, base.layout));
  // A worker would find all this out too, but only once somebody waits for it.
  if (!base.layout.language_head.empty()) {
    GRAFT_RETURN_IF_ERROR(
        bases::ReadGenerationConfig(base.folder, base.layout.vocab_size).status());
  }
  auto chat = templates::ReadChatFiles(base.folder);
  base.chat_error = chat.status();
  if (chat.ok()) base.chat = *std::move(chat);
  for (const std::string& name : checkpoint->names()) {
    base.weight_bytes += static_cast<int64_t>(checkpoint->Find(name)->size());
  }
  GRAFT_ASSIGN_OR_RETURN(
      base.fingerprint,
      safetensors::Fingerprint(*checkpoint, base.layout.fingerprint_config.dump(), cache));
  return OkStatus();
}

BaseCatalog::BaseCatalog(fs::path bases, fs::path cache, Reader read)
    : bases_(std::move(bases)), cache_(std::move(cache)), read_(std::move(read)) {}

std::vector<std::string> BaseCatalog::Names() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(bases_, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const std::string name = it->path().filename().string();
    if (IsValidBaseName(name) && fs::is_directory(it->path(), ignored)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

BasePtr BaseCatalog::Known(const std::string& id, const std::string& stamp) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.stamp == stamp ? found->second.base : nullptr;
}

BasePtr BaseCatalog::Cached(const std::string& id) {
  if (!IsValidBaseName(id)) return nullptr;
  return Known(id, FolderStamp(bases_ / id));
}

Status BaseCatalog::NoBase(const std::string& id) const {
  std::error_code error;
  for (fs::directory_iterator it(bases_, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string() != id || IsValidBaseName(id)) continue;
    return NotFoundError("the --bases folder holds " + Quoted(id, 128) +
                         ", but no base can be called so: rename it, or link to it under a name of "
                         "1 to 63 of a-z, A-Z, 0-9, '.', '_' and '-' that starts with a letter or "
                         "digit");
  }
  std::string known;
  const auto names = Names();
  for (size_t i = 0; i < std::min(names.size(), kMaxNamedBases); ++i)
    known += (i == 0 ? "" : ", ") + names[i];
  return NotFoundError(
      "no base named " + Quoted(id, 128) + "; " +
      (names.empty() ? "the server's --bases folder holds none" : "there are: " + known));
}

bool BaseCatalog::Has(const std::string& id) const {
  std::error_code ignored;
  return IsValidBaseName(id) && fs::is_directory(bases_ / id, ignored);
}

Status BaseCatalog::Check(const std::string& id) {
  if (!Has(id)) {
    return FailedPreconditionError("the base isn't there any more: " + NoBase(id).message());
  }
  const BasePtr known = Cached(id);
  return known != nullptr ? CheckUsable(*known) : OkStatus();
}

StatusOr<BasePtr> BaseCatalog::Get(const std::string& id) {
  if (!Has(id)) return NoBase(id);
  const std::string stamp = FolderStamp(bases_ / id);
  if (BasePtr known = Known(id, stamp)) return known;
  // Hashing a large base takes long: others may look up theirs meanwhile.
  auto base = std::make_shared<Base>();
  base->id = id;
  base->folder = bases_ / id;
  base->error = read_(cache_, *base);
  // Half of an old base and half of a new one is neither.
  if (FolderStamp(bases_ / id) != stamp)
    base->error = UnavailableError("its files were changed while they were read; try again");
  if (IsPassing(base->error)) {
    return Status(base->error.code(),
                  "the base " + id + " can't be read now: " + base->error.message());
  }
  // Permissions are given without a trace in the files' sizes and times.
  if (base->error.code() == StatusCode::kPermissionDenied) return BasePtr(std::move(base));
  const std::lock_guard lock(mutex_);
  entries_[id] = {stamp, base};
  return BasePtr(std::move(base));
}

StatusOr<BasePtr> BaseCatalog::Find(const std::string& id) {
  GRAFT_ASSIGN_OR_RETURN(BasePtr base, Get(id));
  GRAFT_RETURN_IF_ERROR(CheckUsable(*base));
  return base;
}

Status CheckUsable(const Base& base) {
  if (base.error.ok()) return OkStatus();
  return FailedPreconditionError("the base " + base.id + " can't be used: " + base.error.message());
}

}  // namespace graft::server::intake
