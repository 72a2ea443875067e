// Foreign folders as versions.

#include <algorithm>
#include <optional>
#include <utility>

#include "common/artifacts/artifact.h"
#include "common/artifacts/chat.h"
#include "common/artifacts/declared.h"
#include "common/base/utf8.h"
#include "common/methods/peft_task.h"
#include "common/safetensors/safetensors.h"

namespace graft::artifacts {
namespace {

constexpr std::string_view kConfigName = "adapter_config.json";
/// Tokens of a text, where nothing says how many: a classifier's, and a language model's.
constexpr int kUsualLength = 512, kUsualLanguageLength = 2048;
/// What is said of an adapter that changes nothing.
std::string ChangesNothingOf(const tasks::TaskSpec& task) {
  const bool classifies = task.kind == tasks::Kind::kSequenceClassification;
  return std::string(
             "the adapter changes nothing of the base: all that it adds is multiplied by zeros. It "
             "was saved before it was trained, or its trained weights were lost on saving; ") +
         (classifies ? "only its head answers" : "it writes what the base writes");
}

bool IsPickledWeights(std::string_view name) {
  // What Trainer keeps beside the weights to continue a run.
  for (const char* state : {"optimizer", "scheduler", "rng_state", "training_args", "scaler"}) {
    if (name.starts_with(state)) return false;
  }
  return name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth") ||
         name.ends_with(".pkl");
}

/// Unknown where adapter_config.json is missing or malformed, which is said later.
enum class Format { kUnknown, kPeft, kAdapterHub };

Format FormatOf(const Files& files) {
  const auto file = files.find(std::string(kConfigName));
  if (file == files.end()) return Format::kUnknown;
  const auto config = ParseJson(file->second, kConfigName, {.max_bytes = 1 << 20});
  if (!config.ok() || !config->is_object()) return Format::kUnknown;
  if (config->contains("peft_type")) return Format::kPeft;
  return config->contains("config") ? Format::kAdapterHub : Format::kUnknown;
}

bool HoldsWeights(std::string_view name, Format format) {
  if (IsPeftWeights(name)) return format != Format::kAdapterHub;
  return format != Format::kPeft && IsHubWeights(name);
}

/// Takes the files out that aren't read; returns their names.
template <typename Reads>
std::vector<std::string> LeaveAside(Files& files, const Reads& reads) {
  std::vector<std::string> names;
  for (auto file = files.begin(); file != files.end();) {
    if (reads(file->first)) {
      ++file;
    } else {
      names.push_back(file->first);
      file = files.erase(file);
    }
  }
  return names;
}

bool IsZero(const BoundTensor& tensor) {
  // Also -0.0, whose only bit is the sign; no float's other bits matter when all are zero.
  size_t width = 4;
  if (tensor.dtype == "F64") width = 8;
  if (tensor.dtype == "BF16" || tensor.dtype == "F16") width = 2;
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    const bool sign_byte = i % width == width - 1;
    if ((static_cast<uint8_t>(tensor.data[i]) & (sign_byte ? 0x7F : 0xFF)) != 0) return false;
  }
  return true;
}

bool ChangesNothing(const methods::MethodSpec& method, const families::Layout& layout,
                    const std::vector<BoundTensor>& bound) {
  return method.ChangesNothing(layout, [&](const std::string& name) {
    const auto tensor = std::find_if(bound.begin(), bound.end(),
                                     [&](const auto& one) { return one.spec->name == name; });
    return tensor != bound.end() && IsZero(*tensor);
  });
}

StatusOr<Imported> ImportSealed(const ImportRequest& request, const families::Layout& layout,
                                Files& files) {
  Imported imported;
  GRAFT_ASSIGN_OR_RETURN(const Header header, ReadHeader(files));
  // What hubs and people add beside a version: a README.md, a .gitattributes.
  imported.left_aside = LeaveAside(files, [&](const std::string& name) {
    return name == kManifestName ||
           std::find(header.files.begin(), header.files.end(), name) != header.files.end();
  });
  GRAFT_ASSIGN_OR_RETURN(imported.manifest, Open(files, layout));
  const Manifest& manifest = imported.manifest;
  if (manifest.identity.base_fingerprint != request.base_fingerprint) {
    return FailedPreconditionError("the folder's graft.json names a base with fingerprint " +
                                   manifest.identity.base_fingerprint.substr(0, 12) + "; " +
                                   request.base + " has " + request.base_fingerprint.substr(0, 12));
  }
  if (manifest.identity.tokenizer != request.tokenizer) {
    return FailedPreconditionError("the folder's graft.json names another tokenizer than that of " +
                                   request.base +
                                   "; the adapter would read other tokens than it was trained on");
  }
  if (!request.label_names.empty() && request.label_names != manifest.identity.task.label_names)
    imported.warnings.emplace_back(
        "the labels are those of the folder's graft.json, not those given");
  if (request.max_length > 0 && request.max_length != manifest.identity.max_length) {
    imported.warnings.push_back("max_length is " + std::to_string(manifest.identity.max_length) +
                                " as in the folder's graft.json, not the " +
                                std::to_string(request.max_length) + " given");
  }
  const tasks::TaskSpec& task = manifest.identity.task;
  if (task.kind == tasks::Kind::kSequenceClassification) {
    GRAFT_RETURN_IF_ERROR(CheckLabels(task.label_names, /*head_outputs=*/0, /*names_given=*/false));
  } else {
    GRAFT_RETURN_IF_ERROR(OwnChatTemplate(files, request, imported.warnings).status());
  }
  const auto specs = manifest.identity.method->Tensors(layout, task);
  GRAFT_ASSIGN_OR_RETURN(const auto bound, BindTensors(files, specs));
  if (ChangesNothing(*manifest.identity.method, layout, bound))
    imported.warnings.push_back(ChangesNothingOf(task));
  return imported;
}

StatusOr<std::map<std::string, std::vector<int64_t>>> ShapesIn(const Files& files,
                                                               bool has_pickle) {
  std::map<std::string, std::vector<int64_t>> shapes;
  bool has_weights = false;
  for (const auto& [name, bytes] : files) {
    if (!name.ends_with(".safetensors")) continue;
    has_weights = true;
    GRAFT_ASSIGN_OR_RETURN(const safetensors::View view, safetensors::View::Parse(bytes, name));
    for (const safetensors::TensorView& tensor : view.tensors())
      shapes[std::string(tensor.name)] = {tensor.shape.begin(), tensor.shape.end()};
  }
  if (has_weights) return shapes;
  return InvalidArgumentError(has_pickle
                                  ? "the folder holds pickle files only (.bin, .pt), which graft "
                                    "never reads: they can run "
                                    "code. Save it again with safe serialization (safetensors)"
                                  : "the folder holds no .safetensors file of an adapter "
                                    "(adapter_model.safetensors of PEFT, adapter.safetensors of "
                                    "AdapterHub)");
}

/// What the base has as one tensor must be one in the file.
Status CheckTied(const Files& files, const methods::ImportedMethod& method,
                 const families::Layout& layout) {
  const auto keys = methods::FindTiedKeys(method.renamed_keys, layout);
  if (!keys) return OkStatus();
  std::map<std::string, std::pair<safetensors::DType, std::string_view>> held;
  for (const auto& [name, bytes] : files) {
    if (!name.ends_with(".safetensors")) continue;
    GRAFT_ASSIGN_OR_RETURN(const safetensors::View view, safetensors::View::Parse(bytes, name));
    for (const safetensors::TensorView& tensor : view.tensors())
      held[std::string(tensor.name)] = {tensor.dtype, tensor.data};
  }
  if (held[keys->head] == held[keys->words]) return OkStatus();
  return InvalidArgumentError("the tensors " + Printable(keys->head, 200) + " and " +
                              Printable(keys->words, 200) +
                              " differ, and in this base they are one: the adapter was trained "
                              "with a head apart from its embeddings, which graft keeps together. "
                              "Train it again with ensure_weight_tying");
}

/// The last name of a path or hub name, "org/minilm" -> "minilm"; in the Hub's cache that of the
/// model, ".../models--org--minilm/snapshots/0123abcd" -> "minilm".
std::string LastName(std::string text) {
  if (const size_t cached = text.rfind("models--"); cached != std::string::npos) {
    text = text.substr(cached, text.find_first_of("/\\", cached) - cached);
    return text.substr(text.rfind("--") + 2);
  }
  while (text.ends_with('/') || text.ends_with('\\')) text.pop_back();
  return text.substr(text.find_last_of("/\\") + 1);
}

/// What was asked for, else what the folder says, else the longest up to `usual`.
int MaxLength(const ImportRequest& request, const families::Layout& layout,
              const Declared& declared, int usual, std::vector<std::string>& warnings) {
  const auto most = static_cast<int>(layout.max_positions);
  const std::string says =
      "the folder's tokenizer_config.json says " + std::to_string(declared.max_length);
  if (request.max_length > 0) {
    if (declared.max_length > 0 && std::min(declared.max_length, most) != request.max_length)
      warnings.push_back("max_length is " + std::to_string(request.max_length) + " as given; " +
                         says);
    return request.max_length;
  }
  if (declared.max_length == 0) return std::min(usual, most);
  if (declared.max_length > most)
    warnings.push_back("max_length is " + std::to_string(most) + ", the most that " + request.base +
                       " has positions for; " + says);
  return std::min(declared.max_length, most);
}

/// A classifier's labels: the folder's own, else those given.
StatusOr<tasks::TaskSpec> WithLabels(const ImportRequest& request,
                                     const methods::ImportedMethod& method,
                                     const Declared& declared, std::vector<std::string>& warnings) {
  std::vector<std::string> labels = method.task.label_names;
  const auto fits = [&](const std::vector<std::string>& names) {
    return std::cmp_equal(names.size(), method.head_outputs);
  };
  if (labels.empty() || (AreStandIns(labels) && fits(declared.label_names)))
    labels = declared.label_names;
  if (!request.label_names.empty()) {
    // Stand-ins give way to names, and are better than none.
    if (!labels.empty() && AreNumbers(labels) && labels != request.label_names)
      warnings.emplace_back(
          "the labels are those given: the folder only numbers its own, 0, 1, ...");
    if (AreStandIns(labels) || AreNumbers(labels)) labels.clear();
  }
  const bool given = labels.empty() || (!fits(labels) && fits(request.label_names));
  if (given) {
    if (!labels.empty()) {
      warnings.push_back("the labels are those given: the folder names " +
                         std::to_string(labels.size()) + ", and its head has " +
                         std::to_string(method.head_outputs) + " outputs");
    }
    labels = request.label_names;
  } else if (!request.label_names.empty() && request.label_names != labels) {
    warnings.emplace_back("the labels are those that the folder itself names, not those given");
  }
  GRAFT_RETURN_IF_ERROR(CheckLabels(labels, method.head_outputs, given));
  return tasks::Classification(std::move(labels));
}

StatusOr<Identity> MakeIdentity(const ImportRequest& request, const families::Layout& layout,
                                const methods::ImportedMethod& method, const Declared& declared,
                                std::vector<std::string>& warnings) {
  const bool classifies = method.task.kind == tasks::Kind::kSequenceClassification;
  tasks::TaskSpec task = method.task;
  if (classifies) {
    GRAFT_ASSIGN_OR_RETURN(task, WithLabels(request, method, declared, warnings));
  } else if (!request.label_names.empty()) {
    warnings.emplace_back(
        "the folder is a language model's, which has no labels; those given are "
        "passed over");
  }
  const int max_length = MaxLength(request, layout, declared,
                                   classifies ? kUsualLength : kUsualLanguageLength, warnings);
  if (max_length < families::kLeastMaxLength) {
    return InvalidArgumentError(
               "max_length is " + std::to_string(max_length) +
               (request.max_length == 0 ? ", as the folder's tokenizer_config.json says" : "") +
               "; it must leave room for text: at least " +
               std::to_string(families::kLeastMaxLength))
        .At("header.max_length", "OUT_OF_RANGE");
  }
  const std::string& trained_on =
      method.declared_base.empty() ? declared.base : method.declared_base;
  if (!trained_on.empty() && LastName(trained_on) != LastName(request.base)) {
    warnings.push_back("the folder says that it was trained on " + Quoted(trained_on, 200) +
                       "; it is served on " + Quoted(request.base) +
                       ", and only if both are the same model are its answers right");
  }
  return Identity{.base_fingerprint = request.base_fingerprint,
                  .method = method.method,
                  .task = std::move(task),
                  .max_length = max_length,
                  .tokenizer = request.tokenizer,
                  .precision = request.precision};
}

/// The files as graft writes them, whatever the folder called its adapter.
StatusOr<Files> Rewritten(const std::vector<BoundTensor>& bound, const Identity& identity,
                          const ImportRequest& request, const families::Layout& layout) {
  std::map<std::string, std::vector<safetensors::TensorToWrite>> by_file;
  for (const BoundTensor& tensor : bound) {
    GRAFT_ASSIGN_OR_RETURN(const safetensors::DType dtype, safetensors::ParseDType(tensor.dtype));
    by_file[tensor.spec->file].push_back(
        {tensor.spec->key, dtype, tensor.spec->shape, tensor.data});
  }
  Files files;
  for (auto& [file, tensors] : by_file) {
    GRAFT_ASSIGN_OR_RETURN(files[file], safetensors::Write(std::move(tensors)));
  }
  for (auto& [name, text] :
       identity.method->ConfigFiles(layout, {request.base, "graft", identity.task})) {
    files[name] = text;
  }
  return files;
}

/// A language model keeps the folder's chat template; a classifier has none.
Status TakeChatTemplate(const ImportRequest& request, const Identity& identity, const Files& files,
                        Files& sealed, Imported& imported) {
  const std::string name(kChatTemplateName);
  if (identity.task.kind == tasks::Kind::kSequenceClassification) {
    if (files.contains(name)) imported.left_aside.push_back(name);
    std::sort(imported.left_aside.begin(), imported.left_aside.end());
    return OkStatus();
  }
  GRAFT_ASSIGN_OR_RETURN(std::optional<std::string> own,
                         OwnChatTemplate(files, request, imported.warnings));
  if (own) sealed[name] = *std::move(own);
  // Files of a tokenizer that no tokenizer.json tells: what they say can't be compared.
  for (const std::string& aside : imported.left_aside) {
    if (files.contains("tokenizer.json")) break;
    if (aside != "tokenizer.model" && aside != "vocab.json" && aside != "merges.txt") continue;
    imported.warnings.push_back("the folder's " + aside +
                                " isn't compared with the base's tokenizer, for the folder has no "
                                "tokenizer.json; texts are read by the base's");
  }
  return OkStatus();
}

}  // namespace

StatusOr<Imported> Import(const ImportRequest& request, const families::Layout& layout,
                          Files& files) {
  if (files.contains(std::string(kManifestName))) return ImportSealed(request, layout, files);
  Imported imported;
  const Format format = FormatOf(files);
  const bool has_pickle = std::any_of(
      files.begin(), files.end(), [](const auto& file) { return IsPickledWeights(file.first); });
  imported.left_aside = LeaveAside(files, [&](const std::string& name) {
    return HoldsWeights(name, format) || name == kConfigName || SaysOfItself(name) ||
           (format != Format::kPeft && name == "head_config.json");
  });
  GRAFT_ASSIGN_OR_RETURN(const auto shapes, ShapesIn(files, has_pickle));
  std::map<std::string, std::string> configs;
  for (const auto& [name, text] : files) {
    if (name.ends_with(".json")) configs[name] = text;
  }
  GRAFT_ASSIGN_OR_RETURN(const methods::ImportedMethod method,
                         methods::ImportMethod(configs, shapes, layout));
  GRAFT_RETURN_IF_ERROR(CheckTied(files, method, layout));
  GRAFT_ASSIGN_OR_RETURN(const Declared declared, ReadDeclared(files, layout, method.head_outputs));
  imported.warnings = method.doubts;
  imported.warnings.insert(imported.warnings.end(), declared.passed_over.begin(),
                           declared.passed_over.end());
  GRAFT_RETURN_IF_ERROR(CheckTokenizer(request, files));
  GRAFT_ASSIGN_OR_RETURN(const Identity identity,
                         MakeIdentity(request, layout, method, declared, imported.warnings));
  const auto specs = method.method->Tensors(layout, identity.task);
  GRAFT_ASSIGN_OR_RETURN(const auto bound, BindTensors(files, specs, method.renamed_keys));
  if (ChangesNothing(*identity.method, layout, bound))
    imported.warnings.push_back(ChangesNothingOf(identity.task));
  GRAFT_ASSIGN_OR_RETURN(Files sealed, Rewritten(bound, identity, request, layout));
  GRAFT_RETURN_IF_ERROR(TakeChatTemplate(request, identity, files, sealed, imported));
  imported.manifest =
      Seal(identity, {.base = request.base, .base_proved = false, .probe = {}, .job = {}}, sealed);
  files = std::move(sealed);
  return imported;
}

}  // namespace graft::artifacts
