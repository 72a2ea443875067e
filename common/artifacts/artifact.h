#pragma once
/// An adapter version as files: PEFT's, AdapterHub's or plain state-dict files plus graft.json,
/// which names the base, proves the files and carries what the others have no place for.
/// docs/formats.md describes graft.json.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/artifacts/file_names.h"
#include "common/base/json.h"
#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/methods/method_spec.h"
#include "common/tasks/task_spec.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::artifacts {

/// File name -> bytes.
using Files = std::map<std::string, std::string>;

/// All that changes an answer, besides the bytes of the files themselves.
struct Identity {
  std::string base_fingerprint;
  std::shared_ptr<const methods::MethodSpec> method;  ///< Resolved.
  tasks::TaskSpec task;                               ///< With its labels.
  int max_length = 512;
  std::string tokenizer;  ///< Its fingerprint.
  std::string precision;  ///< "fp32" or "bf16": what its passes compute in.
};

/// What is worth knowing but changes no answer.
struct Record {
  std::string base;         ///< Base id.
  bool base_proved = true;  ///< False for an imported folder: its base is declared, not proved.
  Json probe;  ///< Seeded token ids and the trained adapter's logits; null if there is none.
  Json job;    ///< Job spec, dataset hash, evaluations; null if imported.
  std::optional<bool> has_pair = {};  ///< Trained on pairs of texts; empty if unknown.
};

struct Manifest {
  Identity identity;
  Record record;
  std::map<std::string, std::string> file_hashes;  ///< Every file but graft.json.
  std::string sha256;                              ///< The version's name.
};

/// Returns the version's name: SHA-256 over the identity and the other files' names and hashes, in
/// name order.
std::string VersionHash(const Identity& identity,
                        const std::map<std::string, std::string>& file_hashes);

/// How a version's language model was trained, as far as its record says. The template variables
/// are the identity's; a version that was made before those were in it has them in its record
/// alone.
tasks::LanguageTraining TrainingOf(const tasks::TaskSpec& identity, const Json& job);

/// Adds graft.json to weight and config files; returns the manifest that it holds.
Manifest Seal(const Identity& identity, const Record& record, Files& files);

/// Reads and checks graft.json against the other files.
/// Errors: NotFound if there is none; InvalidArgument if it is malformed or means nothing for this
/// layout; DataLoss if a file is missing, extra or has another hash, or graft.json itself isn't
/// what was sealed.
StatusOr<Manifest> Open(const Files& files, const families::Layout& layout);

/// The few fields that choose a base, without checking the rest.
struct Header {
  std::string base, base_fingerprint, precision, tokenizer;
  std::vector<std::string> files;  ///< The version's, graft.json not among them.
  Json template_variables;         ///< Of its chats; an object.
};
StatusOr<Header> ReadHeader(const Files& files);

/// One tensor of a version's files: where it belongs and its bytes (borrowed from the files).
struct BoundTensor {
  const methods::TensorSpec* spec = nullptr;
  std::string_view data;  ///< Row-major, little-endian.
  std::string dtype;      ///< "F32", "BF16", "F16", "F64"
};

/// Finds every tensor that the method expects in the files' safetensors. `specs` must outlive the
/// result. `renamed_keys`: see methods::ImportedMethod.
/// Errors: InvalidArgument if a tensor is missing, extra, misshapen, of a type that isn't a float,
/// or holds a value that isn't finite, each naming file and tensor; DataLoss if a file is torn.
StatusOr<std::vector<BoundTensor>> BindTensors(
    const Files& files, const std::vector<methods::TensorSpec>& specs,
    const std::map<std::string, std::string>& renamed_keys = {});

/// What a foreign folder (PEFT or AdapterHub, or an exported graft folder) is to become.
struct ImportRequest {
  std::string base;
  std::string base_fingerprint;
  std::string tokenizer;                 ///< Fingerprint of the base's.
  std::vector<std::string> label_names;  ///< Used if the folder doesn't say.
  int max_length = 0;                    ///< 0: what the folder says, else the longest up to 512.
  std::string precision = "fp32";
  /// The base's tokenizer and its files, to compare a folder's own with; null compares nothing.
  const tokenizers::Tokenizer* base_tokenizer = nullptr;
  tokenizers::TokenizerFiles tokenizer_files = {};
};

/// What became of a folder.
struct Imported {
  Manifest manifest;
  /// Sentences on what was taken otherwise than folder or request say, and on an adapter that
  /// changes nothing.
  std::vector<std::string> warnings;
  std::vector<std::string> left_aside;  ///< Names of files that the folder's format doesn't read.
};

/// Checks a folder's files and seals them as a version whose base is declared, not proved. A folder
/// that graft wrote for the same base keeps its identity, and so its hash. Files that the folder's
/// format doesn't read (README.md, *.bin beside safetensors) are left aside unread.
/// Errors: as Open, BindTensors and methods::ImportMethod; FailedPrecondition if graft.json names
/// another base or tokenizer; InvalidArgument if only pickle files are there (.bin, .pt), if the
/// head or its labels aren't those of a classifier of two labels or more, or if the folder's own
/// tokenizer gives other ids than the base's.
StatusOr<Imported> Import(const ImportRequest& request, const families::Layout& layout,
                          Files& files);

}  // namespace graft::artifacts
