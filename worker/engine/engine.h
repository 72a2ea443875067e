#pragma once
/// The engine: one thread that owns a device, trains adapters on frozen bases and serves them in
/// between. Everything the agent and the benches use; no torch type in it.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/templates/chat_files.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

struct EngineOptions {
  std::filesystem::path bases;  ///< Folder whose sub-folders are HuggingFace models.
  std::string device = "cpu";   ///< "cpu" or "cuda:N"
  int threads = 0;              ///< CPU threads; 0: one a core.
  /// All that is kept on the device together: bases, adapters, keys and values, training, and what
  /// passes take. 0: four fifths of the machine's memory (or its container's), nine tenths of a
  /// GPU's: the rest is for libraries, texts and other processes.
  int64_t memory_bytes = 0;
  /// Of that, bases kept resident; beyond it those that nobody uses leave, least recently used
  /// first. 0: half.
  int64_t max_base_bytes = 0;
  int64_t max_adapter_bytes = int64_t{4} << 30;  ///< Adapters kept resident, likewise.
  size_t max_waiting = 4096;  ///< Inputs that may wait for serving; beyond it RESOURCE_EXHAUSTED.
  /// What a serving pass may take, by what passes before it took: as long as newcomers and
  /// promotions wait.
  double pass_seconds = 0.05;
  /// In which plain bases serve; versions serve in the one that they were trained in.
  spec::Precision base_precision = spec::Precision::kAuto;
  /// Keys and values of texts that are being generated, a base. A prompt and its text together are
  /// no longer than what it holds, also where the base's context is.
  int64_t max_kv_bytes = int64_t{1} << 30;
};

/// Errors: InvalidArgument if EngineOptions::max_kv_bytes can't be so many.
Status CheckKeyValueBytes(int64_t bytes);

struct DeviceFacts {
  std::string device, name;
  int64_t memory_bytes = 0;  ///< All of it.
  int threads = 0;
  bool fast_bf16 = false;
  bool rounds_sums = false;  ///< See RoundsSums, of bf16.
  double bf16_gflops = 0, fp32_gflops = 0;
};

/// What a job could get of the device's memory.
struct JobMemory {
  int64_t most_bytes = 0;  ///< Its base included, if nothing else were there.
  /// The same now: what nobody has, and what bases and adapters have that nobody uses, for those
  /// leave for a job.
  int64_t free_bytes = 0;
  /// Bases in use: a job on one of them in its precision needs so much less than it says.
  struct BaseInUse {
    std::string id;
    bool is_bf16 = false;
    int64_t bytes = 0;
  };
  std::vector<BaseInUse> bases_in_use;
};

struct ResidentBase {
  std::string id, fingerprint, family;
  int64_t parameters = 0, bytes = 0;
};

/// What is kept on the device, by its ledger, in bytes now.
struct MemoryFigures {
  int64_t budget = 0, free = 0;
  int64_t bases = 0, adapters = 0, keys_values = 0, training = 0, passes = 0;
  int64_t peak = 0;  ///< Of all together, since start.
};

/// Figures for metrics; counters since start.
struct EngineFigures {
  int64_t train_tokens = 0, train_steps = 0;
  int64_t train_rows = 0;        ///< Computed: fewer than tokens where examples begin alike.
  int64_t training_jobs = 0;     ///< Now.
  int64_t requests_waiting = 0;  ///< Inputs, now.
  int64_t adapters_resident = 0, adapter_bytes = 0, adapter_tensor_bytes = 0;
  int64_t lookups_hit = 0, lookups_miss = 0;
  int64_t served_inputs = 0, served_passes = 0;
  int64_t generations = 0;  ///< Requests whose text isn't over, now.
  int64_t prompt_tokens = 0, generated_tokens = 0, preemptions = 0;
  int64_t kv_bytes = 0, kv_used_bytes = 0;  ///< Of keys and values: allocated, and of texts. Now.
  MemoryFigures memory;
  int64_t memory_bytes = 0;  ///< Of the device, that the engine uses now.
  int64_t peak_memory_bytes = 0;
};

/// How a version, or a plain base, reads conversations.
struct ChatForm {
  templates::ChatFiles files;
  /// What the template is given besides, unless a request says otherwise: the variables that the
  /// version was trained with. An object.
  Json variables = Json::object();
};

/// True if `status`, the engine's, says that the device is lost to this process (reason
/// DEVICE_FAILED).
bool IsDeviceFailure(const Status& status);

/// True if `status`, the engine's, says that what was asked for doesn't fit in memory now.
bool IsRefusedForMemory(const Status& status);

/// Thread safety: thread-safe. Callbacks run on the engine's thread and must only hand over.
class Engine {
 public:
  /// Called on the engine's thread after each event; for histograms. All optional.
  struct Probe {
    std::function<void(double seconds)> train_step;
    /// The mean loss of the step's examples.
    std::function<void(const std::string& adapter, double loss)> train_loss;
    std::function<void(int64_t rows)> serving_pass;
    std::function<void(double seconds)> adapter_load;
  };

  /// Starts the thread. Errors: see ParseDevice; NotFound if `bases` isn't a folder.
  static StatusOr<std::unique_ptr<Engine>> Create(EngineOptions options, Probe probe = {});
  /// Stops after the current training step or evaluation; jobs that aren't done end UNAVAILABLE
  /// without a checkpoint (ask them to release first), and so does all that waits.
  ~Engine();

  DeviceFacts device_facts() const;
  std::vector<std::string> BaseIds() const;  ///< Sub-folders of `bases` now, sorted.
  /// Lets go of the bases whose files were changed or removed since they were read, and of the
  /// versions on them; what runs on one goes on with the bytes that it has. A look at each file:
  /// call it every second or so.
  void RefreshBases();
  std::vector<ResidentBase> resident_bases() const;
  EngineFigures figures() const;
  JobMemory job_memory() const;

  /// Queues a job. Blocks the caller while data is tokenized and the base is loaded (not the
  /// engine's thread); a job that isn't to run any more ends there, as its observer desires.
  /// Errors: as TrainObserver::OnDone's; then OnDone isn't called.
  Status Train(TrainRequest request, std::shared_ptr<TrainObserver> observer);

  /// Loads a version; with `prove` also recomputes its probe. Blocks the caller while a base is
  /// loaded.
  /// Errors: FailedPrecondition if the base's fingerprint differs or the probe does;
  /// InvalidArgument or DataLoss if a tensor is missing, extra, misshapen or not finite; NotFound
  /// for an unknown base.
  StatusOr<LoadResult> Load(LoadRequest request);
  void Unload(const VersionId& version);
  bool IsResident(const VersionId& version) const;
  /// Checks that `base` is there and can be read, loading it if need be.
  StatusOr<std::string> BaseFingerprint(const std::string& base);

  /// True if requests to the plain base are answered without reading it from disk.
  bool HoldsBase(const std::string& base) const;
  /// True if the base is in memory in whatever precision: most versions on it need no more.
  bool HoldsSomeFormOf(const std::string& base) const;
  /// True if Load finds the base in memory in the precision that the version asks for; also if the
  /// version's files are at fault, which Load tells at once.
  bool HoldsBaseFor(const LoadRequest& request) const;

  /// NotFound with reason VERSION_NOT_RESIDENT if the version must be loaded first.
  void Classify(ClassifyRequest request, Callback<ClassifyResult> done);
  void Embed(EmbedRequest request, Callback<EmbedResult> done);
  /// Generates text: `on_piece` gets each token as it is chosen, `done` ends it. Both are called on
  /// the engine's thread and must only hand over; `done` alone if it can't begin.
  /// Errors: InvalidArgument with the field's path (below "generation") if a setting is wrong, or
  /// "prompt" if it has no token or is longer than the context or the cache; FailedPrecondition if
  /// the base has no language head or the version is no language model's, or a logit isn't finite;
  /// ResourceExhausted if too many wait.
  void Generate(GenerateRequest request, std::function<void(GeneratedPiece)> on_piece,
                Callback<GenerateResult> done);
  /// Log-probabilities of given texts, token by token, by the logits as the model gives them.
  /// Errors: InvalidArgument at "inputs[2].text" if a text has no token or is longer than the
  /// base's context; as Generate's if the model is none of language; ResourceExhausted if too many
  /// wait; FailedPrecondition with reason NON_FINITE if a logit isn't finite.
  void Score(ScoreRequest request, Callback<ScoreResult> done);
  /// What renders a chat with `version`, or with `base` if that is empty: the version's own
  /// template if it has one, else its base's, and the base's special tokens. May read the base from
  /// disk. Errors: as Generate's if the model generates no text; InvalidArgument if the base's
  /// files say nothing that can be read.
  StatusOr<ChatForm> ChatFormOf(const std::string& base, const VersionId& version);
  /// Takes turns with training steps and yields to requests.
  void Evaluate(EvaluateRequest request, Callback<Evaluation> done);

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft::worker::engine
