#pragma once
/// What the engine is asked and what it answers, without a torch type: the agent's and the benches'
/// view of it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/datasets/dataset.h"
#include "common/report/report.h"
#include "common/spec/job_spec.h"
#include "worker/engine/serving/generation/settings.h"

namespace graft::worker::engine {

/// The files of an adapter version: file name -> bytes.
using Files = std::map<std::string, std::string>;

using report::JobFacts;
using report::Progress;

/// See graft.v1.LabelFigures.
struct LabelFigures {
  std::string label;
  int64_t examples = 0;
  double precision = 0, recall = 0, f1 = 0;
};
struct Evaluation : report::Evaluation {
  std::vector<LabelFigures> labels;
  std::string base_fingerprint;  ///< Of Engine::Evaluate only.
};

/// A finished version: its files (graft.json among them) and what names it.
struct Artifact {
  Files files;
  std::string sha256;  ///< Of all that changes an answer.
  std::string base_fingerprint;
  int64_t parameters = 0;  ///< Stored tensors, adapter and head.
  int64_t bytes = 0;       ///< Of its files.
  std::vector<std::string> label_names;
  int max_length = 0;
  Json method;  ///< {"lora": {...}}
};

struct TrainRequest {
  std::string job_id;
  std::string base;
  /// Of the base and its tokenizer that the job was checked against; empty: any.
  std::string base_fingerprint, tokenizer;
  std::shared_ptr<const spec::JobSpec> spec;  ///< Resolved.
  std::shared_ptr<const datasets::IngestedDataset> dataset;
  std::string dataset_sha256;
  int64_t create_time = 0;  ///< Of the job, seconds since 1970: what chat templates take for now.
  std::string checkpoint;   ///< Bytes to resume from; empty to start.
  Files init_from;          ///< A version's files to start from; empty for none.
  /// Checkpoints up to this step were kept as versions by earlier attempts.
  int64_t kept_through = 0;
};

/// A state on a run's way that its job keeps as a version.
struct KeptCheckpoint {
  int64_t step = 0;
  Artifact artifact;
  std::vector<Evaluation> evaluations;  ///< Of the run so far.
};

/// What the job's owner wants of it now.
enum class DesiredState { kRun, kPause, kCancel, kRelease /* checkpoint, then give it back */ };

/// How a run ended.
struct TrainOutcome {
  enum class Kind { kSucceeded, kPaused, kCancelled, kReleased } kind = Kind::kSucceeded;
  Artifact artifact;  ///< If kSucceeded.
  std::vector<Evaluation> evaluations;
  int64_t kept_step = 0;  ///< If kSucceeded: of the state that the artifact holds.
  JobFacts facts;
  std::string precision;  ///< "fp32" or "bf16"
};

/// How a run ends that its owner doesn't want to go on. Requires: not kRun.
inline TrainOutcome::Kind EndOf(DesiredState desired) {
  if (desired == DesiredState::kCancel) return TrainOutcome::Kind::kCancelled;
  if (desired == DesiredState::kPause) return TrainOutcome::Kind::kPaused;
  return TrainOutcome::Kind::kReleased;
}

/// Port; implemented by the agent. All methods must return at once, and are called on the engine's
/// thread. Before OnStarted, OnActivity and Desired are called on the thread that calls
/// Engine::Train, and so is OnDone of a job that isn't to begin any more.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  /// What the job needs of the device's memory at least, its base included: before it gets it or is
  /// refused for it, be it for its base alone. On the thread that asks for the training.
  virtual void OnMemory(int64_t /*bytes*/) {}
  virtual void OnStarted(const std::string& /*precision*/, int64_t /*first_step*/) {}
  virtual void OnProgress(const Progress&) {}
  virtual void OnEvaluation(const Evaluation&) {}
  /// Behind the evaluation that it belongs to.
  virtual void OnSample(const report::Sample&) {}
  /// `bytes` is a whole checkpoint; the observer stores it elsewhere, off this thread.
  virtual void OnCheckpoint(int64_t /*step*/, std::shared_ptr<const std::string> /*bytes*/) {}
  /// A checkpoint to be kept as a version; stored elsewhere likewise. Steps rise. Of two
  /// checkpoints that come, one to be kept and a later one to resume from, the first must be safe
  /// before the second counts: what is resumed doesn't make it again.
  virtual void OnKept(std::shared_ptr<const KeptCheckpoint>) {}
  /// Often, between tensors and examples that are read, and between layers of training and of
  /// evaluation alike: the job still computes.
  virtual void OnActivity() {}
  virtual void OnWarning(const std::string&) {}
  /// Asked between tensors and examples that are read; then between turns: steps, passes of an
  /// evaluation, steps of its samples.
  virtual DesiredState Desired() { return DesiredState::kRun; }
  /// Last call. FaultOf (common/base/fault.h) an error says who caused it.
  virtual void OnDone(StatusOr<TrainOutcome> outcome) = 0;
};

/// Names an adapter version inside the engine: its sha256.
using VersionId = std::string;

struct TextInput {
  std::string text;
  std::string text_pair;
};

/// True once nobody waits for an answer any more; empty: somebody always does. Asked on the
/// engine's thread until the request was answered.
using Abandoned = std::function<bool()>;

struct ClassifyRequest {
  VersionId version;
  std::vector<TextInput> inputs;
  Abandoned abandoned = {};
};

struct Prediction {
  std::vector<float> logits;         ///< [C]
  std::vector<float> probabilities;  ///< [C]
  int32_t tokens = 0;
  bool truncated = false;
};

struct ClassifyResult {
  std::vector<Prediction> predictions;
  std::shared_ptr<const std::vector<std::string>> label_names;
  std::string base_fingerprint;
};

struct EmbedRequest {
  std::string base;   ///< Either this
  VersionId version;  ///< or this.
  std::vector<TextInput> inputs;
  bool normalize = false;
  Abandoned abandoned = {};
};

struct Embedding {
  std::vector<float> values;  ///< [D]
  int32_t tokens = 0;
  bool truncated = false;
};

struct EmbedResult {
  std::vector<Embedding> embeddings;
  std::string base_fingerprint;
};

struct ScoreInput {
  std::string prompt;                ///< Is read, not scored; may be empty.
  std::string text;                  ///< Behind the prompt, both being one text.
  std::vector<int32_t> tokens = {};  ///< Unless empty, instead of both: scored as they are.
};

struct TokenScore {
  int32_t token = 0;
  float log_probability = 0;  ///< Natural logarithm, by the logits as the model gave them.
};

struct ScoreRequest {
  std::string base;   ///< Either this
  VersionId version;  ///< or this.
  std::vector<ScoreInput> inputs;
  int best = 0;  ///< So many of the likeliest tokens are told too; at most 20.
  Abandoned abandoned = {};
};

struct ScoredToken {
  int32_t token = 0;
  std::string text;                      ///< Whole characters; empty where one isn't over.
  std::optional<float> log_probability;  ///< None of a first token, which nothing stands before.
  std::vector<TokenScore> best = {};     ///< The likeliest in its place, if asked for.
};

/// The tokens of an input's text; one that has a part of the prompt too is the text's.
struct TextScore {
  int64_t prompt_tokens = 0;
  std::vector<ScoredToken> tokens;
};

struct ScoreResult {
  std::vector<TextScore> scores;  ///< One an input.
  std::string base_fingerprint;
};

/// A token of one of a request's sequences, and the text that can be shown with it.
struct GeneratedPiece {
  int32_t index = 0;  ///< Of the n sequences.
  int32_t token = 0;
  std::string text;  ///< Whole characters; empty while none is certain.
  std::optional<float> log_probability;
  std::vector<TokenScore> best;                     ///< The likeliest, if asked for.
  std::optional<std::string> finish;                ///< With the last: "stop", "length".
  int64_t prompt_tokens = 0, generated_tokens = 0;  ///< Of this sequence so far.
  std::string base_fingerprint;
  std::vector<std::string> without_effect;  ///< With a request's first: see SettingsWithoutEffect.
};

struct GenerateRequest {
  std::string base;   ///< Either this
  VersionId version;  ///< or this.
  std::string prompt;
  std::vector<int32_t> tokens = {};  ///< Unless empty, instead of the prompt, as they are.
  /// The prompt is a conversation as its template wrote it, special tokens and all: what comes is
  /// an answer of its own. Else the tokenizer puts its own around it, and what comes continues it.
  bool is_chat = false;
  /// What is absent is the base's own (generation_config.json), then what the settings say.
  generation::GenerationSettings settings;
  Abandoned abandoned = {};
};

/// What computed a generation.
struct GenerateResult {
  std::string base_fingerprint;
};

struct EvaluateRequest {
  VersionId version;
  std::shared_ptr<const datasets::IngestedDataset> dataset;  ///< Its train split is evaluated.
  Abandoned abandoned = {};
};

struct LoadRequest {
  VersionId version;
  std::string base;
  std::string base_fingerprint;  ///< Expected; empty if only declared.
  Files files;
  bool prove = false;  ///< Recompute the probe.
};

struct LoadResult {
  std::string base_fingerprint;
  int64_t bytes = 0;  ///< On the device.
  double seconds = 0;
  bool proved = false;
};

template <typename T>
using Callback = std::function<void(StatusOr<T>)>;

}  // namespace graft::worker::engine
