#pragma once
/// Between an adapter's tensors and a version's files.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/artifacts/artifact.h"
#include "worker/engine/adapters/adapter.h"
#include "worker/engine/model/base.h"
#include "worker/engine/types.h"

namespace graft::worker::engine {

struct TrainInput;

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
  std::optional<bool> has_pair;  ///< Whether it was trained on pairs of texts, if it says so.
  Json probe;                    ///< Null if there is none.
};

/// Checks a version's files and puts its tensors on the base's device in fp32.
/// Errors: as artifacts::Open and artifacts::BindTensors; FailedPrecondition with reason
/// TOKENIZER_MISMATCH if it names another tokenizer than the base's.
StatusOr<LoadedArtifact> ReadArtifact(const Files& files, const Base& base);

/// Writes the adapter's files with graft.json, its probe included.
StatusOr<Artifact> WriteArtifact(const Adapter& adapter, const TrainInput& input,
                                 const TrainOutcome& outcome);

/// Copies equal-named tensors. Errors: InvalidArgument if names or shapes differ.
Status CopyParameters(const ParameterSet& from, ParameterSet& to);

}  // namespace graft::worker::engine
