#pragma once
/// What stands behind Engine: the device's ledger, the caches, and the loop that computes. Private
/// to the engine.

#include <functional>
#include <memory>

#include "common/language/encoder.h"
#include "worker/engine/caches/adapter_cache.h"
#include "worker/engine/caches/base_cache.h"
#include "worker/engine/device/ledger.h"
#include "worker/engine/engine.h"
#include "worker/engine/loop/loop.h"
#include "worker/engine/loop/turn_tasks.h"
#include "worker/engine/serving/generation_queue.h"
#include "worker/engine/serving/serving_queue.h"
#include "worker/engine/training/training_client.h"

namespace graft::worker::engine {

class Engine::Impl {
 public:
  Impl(EngineOptions options, at::Device device, Engine::Probe probe);

  Status Train(TrainRequest request, std::shared_ptr<TrainObserver> observer);
  /// Reads base and data for a run; `between` is called often, and ends the work with its error.
  /// If the base doesn't fit, it tells `observer` what the job needs all the same.
  StatusOr<std::shared_ptr<TrainInput>> ReadInput(const TrainRequest& request,
                                                  const std::function<Status()>& between,
                                                  TrainObserver& observer);
  /// What a run reads of its data, by the base's config and tokenizer alone: `on` may be a
  /// description.
  static StatusOr<std::shared_ptr<TrainInput>> ReadTexts(const TrainRequest& request,
                                                         std::shared_ptr<const Base> on,
                                                         const std::function<Status()>& between);
  /// What the job needs whose base doesn't fit; nothing if that can't be found out.
  void TellNeed(const TrainRequest& request, at::ScalarType compute,
                const std::function<Status()>& between, TrainObserver& observer) const;
  /// What conversations are rendered with, `chat_template` or else the base's, at `now`; nothing if
  /// the data holds none.
  static StatusOr<language::ChatOptions> ChatOf(const datasets::IngestedDataset& data,
                                                const Base& base, const std::string& chat_template,
                                                std::chrono::sys_seconds now);
  EngineFigures figures() const;
  JobMemory job_memory() const;

  // requests.cc
  StatusOr<LoadResult> Load(LoadRequest request);
  void Classify(ClassifyRequest request, Callback<ClassifyResult> done);
  void Embed(EmbedRequest request, Callback<EmbedResult> done);
  void Evaluate(EvaluateRequest request, Callback<Evaluation> done);

  // score.cc
  void Score(ScoreRequest request, Callback<ScoreResult> done);

  // generate.cc
  StatusOr<ChatForm> ChatFormOf(const std::string& base, const VersionId& version);
  void Generate(GenerateRequest request, std::function<void(GeneratedPiece)> on_piece,
                Callback<GenerateResult> done);

  at::ScalarType Resolve(spec::Precision precision) const {
    if (precision == spec::Precision::kAuto) return facts_.fast_bf16 ? at::kBFloat16 : at::kFloat;
    return precision == spec::Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  }

  DeviceFacts facts_;
  const EngineOptions options_;
  const at::Device device_;
  const Engine::Probe probe_;
  const std::shared_ptr<Ledger> ledger_;
  AdapterCache adapters_;
  BaseCache bases_;
  ServingQueue serving_;
  GenerationQueue generation_;
  TurnTasks evaluations_;
  TrainingClient training_;
  Loop loop_;
};

}  // namespace graft::worker::engine
