#pragma once
/// Between an adapter's tensors and a version's files.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/artifacts/artifact.h"
#include "worker/engine/adapters/adapter.h"
#include "worker/engine/model/base.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

/// The few fields that choose a base and a precision. Errors: as artifacts::ReadHeader.
struct ArtifactHeader {
  std::string base, base_fingerprint;
  spec::Precision precision = spec::Precision::kFp32;
};
StatusOr<ArtifactHeader> ReadArtifactHeader(const Files& files);

struct LoadedArtifact {
  std::unique_ptr<Adapter> adapter;
  int max_length = 512;
  std::string sha256;
  std::optional<bool> has_pair;    ///< Whether it was trained on pairs of texts, if it says so.
  Json probe;                      ///< Null if there is none.
  std::string chat_template = {};  ///< Of the conversations that it was trained on, if it was.
  /// The adapter's task, and how it was trained if that is told.
  tasks::TaskSpec trained_for = {};
};

/// Checks a version's files and puts its tensors on the base's device in fp32.
/// Errors: as artifacts::Open and artifacts::BindTensors; FailedPrecondition with reason
/// TOKENIZER_MISMATCH if it names another tokenizer than the base's.
StatusOr<LoadedArtifact> ReadArtifact(const Files& files, const Base& base);

/// What a version says of how it was made.
struct ArtifactOrigin {
  const spec::JobSpec& spec;
  const std::string& dataset_sha256;
  bool has_pair = false;             ///< Trained on pairs of texts.
  const std::string& chat_template;  ///< Of the conversations that it was trained on; empty: none.
  const std::vector<Evaluation>& evaluations;
  const std::string& precision;  ///< "fp32" or "bf16"
  Json probe;                    ///< See MakeProbe.
};

/// Writes the adapter's files with graft.json.
StatusOr<Artifact> WriteArtifact(const Adapter& adapter, const Base& base,
                                 const ArtifactOrigin& origin);

/// Copies equal-named tensors. Errors: InvalidArgument if names or shapes differ.
Status CopyParameters(const ParameterSet& from, ParameterSet& to);

}  // namespace graft::worker::engine
