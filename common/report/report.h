#pragma once
/// What a training run tells of itself: the worker's engine writes it, the server keeps it, and
/// proto/report.h carries it between them. Units and meaning: the messages of the same names in
/// graft/v1/job.proto.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace graft::report {

struct Progress {
  int64_t step = 0, total_steps = 0;
  double epoch = 0, loss = 0, learning_rate = 0, grad_norm = 0, tokens_per_second = 0,
         eta_seconds = 0;
  int64_t tokens = 0;
};

struct Evaluation {
  int64_t step = 0;
  std::string split;  ///< "validation" or "test"
  int64_t examples = 0;
  double loss = 0;  ///< Mean over what the task counts: examples, or tokens that carry loss.
  /// What else the task measures, by name: "accuracy", "macro_f1".
  std::map<std::string, double> metrics;
};

/// Most bytes that are told of a sample.
inline constexpr size_t kMostSamplePromptBytes = 256;
inline constexpr size_t kMostSampleTextBytes = size_t{16} << 10;

/// A prompt of the job's as its adapter continued it at an evaluation.
struct Sample {
  int64_t step = 0;
  int32_t index = 0;   ///< Of the prompt.
  std::string prompt;  ///< Its beginning.
  std::string text;
  std::string finish_reason;  ///< "stop" or "length"
  int64_t tokens = 0;
};

/// What a job needs of a device's memory in one precision, its base included; 0: not known, or it
/// doesn't run in that.
struct MemoryNeed {
  int64_t whole = 0;  ///< Where a pass keeps all that it can use.
  int64_t least = 0;  ///< Where it computes its layers again instead.
};

struct JobFacts {
  int64_t train_examples = 0, validation_examples = 0, test_examples = 0;
  int64_t train_tokens = 0, total_steps = 0, trainable_parameters = 0, base_parameters = 0;
  int64_t artifact_bytes = 0, peak_memory_bytes = 0;
  double seconds = 0;
  int64_t labels = 0, truncated_examples = 0;
  int64_t loss_tokens = 0, dropped_examples = 0;
  /// By the precision that a worker runs it in. The server's own: it isn't told.
  MemoryNeed fp32_memory = {}, bf16_memory = {};
};

}  // namespace graft::report
