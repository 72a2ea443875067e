#pragma once
/// The prompts of a job that its adapter continues at an evaluation, as it is then.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/language/encoder.h"
#include "common/tasks/task_spec.h"
#include "worker/engine/adapters/adapter.h"
#include "worker/engine/passes/base_generation.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

/// What is generated at each evaluation of a run.
struct SamplePlan {
  std::vector<std::string> prompts;
  std::vector<std::vector<int32_t>> tokens;  ///< Of each prompt.
  bool are_chats = false;
  int64_t max_tokens = 0;   ///< Of each text.
  int64_t cache_bytes = 0;  ///< Of keys and values.
};

/// Encodes the samples of a job on data of this shape; none asked for, none planned.
/// Errors: as language::Encoder::Create and EncodeSamples.
StatusOr<SamplePlan> PlanSamples(const spec::JobSpec& spec, const Base& base, datasets::Shape shape,
                                 const language::ChatOptions& chat);

/// Generates them once, greedily, a step of all at a time, in a cache of its own: what is served
/// meanwhile neither waits for it nor changes it. Thread safety: confined to the engine's thread.
class SampleTexts {
 public:
  /// Borrows plan and adapter, which doesn't change before done(). Requires: the plan has prompts.
  /// A fault is no error of the run: it is what Result says.
  SampleTexts(const LoadedBase& on, const Adapter& adapter, const SamplePlan& plan);

  /// Takes one step; `yield` is called between its layers. Requires: !done().
  void Advance(const Yield& yield);
  bool done() const { return open_ == 0; }
  /// The text of each prompt, or why there is none. Requires: done().
  std::vector<StatusOr<report::Sample>> Result() const;

 private:
  struct Text {
    report::Sample sample;
    Status status;
  };
  Status Begin(const LoadedBase& on, const Adapter& adapter);
  std::shared_ptr<GenerationWork> WorkOf(const LoadedBase& on, const Adapter& adapter,
                                         size_t index);

  const SamplePlan& plan_;
  std::vector<Text> texts_;
  std::atomic<size_t> open_;
  std::unique_ptr<BaseGeneration> generation_;
};

}  // namespace graft::worker::engine
