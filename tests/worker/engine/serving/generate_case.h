#pragma once
/// Texts for tests of generation: engines over the decoders' golden bases, adapters that were
/// trained on texts, and what the engine tells of an answer.

#include <future>
#include <map>
#include <memory>
#include <string>

#include "worker/engine/engine.h"

namespace graft::worker::engine::testing {

struct Text {
  std::vector<int32_t> tokens;
  std::string text, finish;

  friend bool operator==(const Text&, const Text&) = default;
};
struct Answer {
  Status status;
  std::map<int32_t, Text> texts;  ///< By index.
};

/// An engine on the CPU with two threads over the decoders' bases. Throws if it can't start.
std::unique_ptr<Engine> MakeTextEngine(int64_t max_kv_bytes = int64_t{1} << 28,
                                       spec::Precision precision = spec::Precision::kFp32);

/// Asks; the future has all that was told, when it is over.
std::future<Answer> Ask(Engine& engine, GenerateRequest request);

/// A request to a plain base for its likeliest tokens.
GenerateRequest Greedy(const std::string& base, const std::string& prompt, int64_t max_tokens);

/// A job of `method` on texts that are all `text`, which throws if its fields are wrong.
TrainRequest TextJob(const std::string& base, const Json& method, const std::string& text,
                     const Json& hyperparameters);

/// Loads what such a job made under its own name, and proves it.
StatusOr<LoadResult> LoadTexts(Engine& engine, const std::string& base, const Artifact& artifact);

}  // namespace graft::worker::engine::testing
