#include "server/intake/estimate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "common/base/bytes_text.h"
#include "common/spec/pass_memory.h"
#include "common/spec/training_memory.h"

namespace graft::server::intake {
namespace {

/// Share of a measured GEMM speed that whole passes reach: norms, attention and short batches take
/// the rest.
constexpr double kEfficiency = 0.55;

bool Fits(const core::JobFacts& facts, const Machine& machine) {
  return machine.memory_bytes == 0 || facts.peak_memory_bytes <= machine.memory_bytes;
}

/// Parameters that take part in a GEMM for every token.
int64_t GemmParameters(const families::Layout& layout) {
  int64_t sum = 0;
  for (const families::Linear& linear : layout.linears) sum += linear.in * linear.out;
  return sum;
}

/// Of all epochs, of `batches` micro-batches each, and evaluations. `common`: tokens that a
/// micro-batch computes once. `overlay`: weights of layers are trained. Requires: the facts' tokens
/// and steps are set.
double FlopsOf(const spec::JobSpec& spec, const families::Layout& layout, const TokenCounts& tokens,
               const core::JobFacts& facts, int64_t batches, int64_t common, bool overlay) {
  const spec::Hyperparameters& h = spec.hyperparameters;
  const double epochs = facts.total_steps == 0 || batches == 0
                            ? 0
                            : static_cast<double>(facts.total_steps) *
                                  h.gradient_accumulation_steps / static_cast<double>(batches);
  // Forward 2 flops a weight and token; backward through frozen weights 2 more, and 2 for gradients
  // of trained ones.
  const double flops_per_token =
      static_cast<double>(GemmParameters(layout)) * (overlay ? 6.0 : 4.0);
  // The vocabulary's product, forward and back, of the tokens that carry loss alone.
  const bool is_language = spec.task.kind == tasks::Kind::kCausalLanguageModeling;
  const double head_flops = is_language ? 4.0 * static_cast<double>(tokens.loss_tokens) *
                                              static_cast<double>(layout.hidden * layout.vocab_size)
                                        : 0;
  const double evaluations = std::max(1.0, h.evaluations_per_epoch * epochs);
  const int64_t shared = (static_cast<int64_t>(tokens.train.size()) - batches) * common;
  return epochs *
             (static_cast<double>(facts.train_tokens - shared) * flops_per_token + head_flops) +
         static_cast<double>(tokens.validation) * evaluations * flops_per_token / 2 +
         static_cast<double>(tokens.test) * flops_per_token / 2;
}

}  // namespace

int64_t MicroBatches(const spec::Hyperparameters& h, const std::vector<int32_t>& lengths) {
  if (h.batch_tokens <= 0) {
    return (static_cast<int64_t>(lengths.size()) + h.batch_size - 1) / std::max(h.batch_size, 1);
  }
  int64_t batches = 0;
  int64_t filled = 0;
  for (const int32_t length : lengths) {
    if (batches == 0 || filled + length > h.batch_tokens) {
      ++batches;
      filled = 0;
    }
    filled += length;
  }
  return batches;
}

void Estimate(const spec::JobSpec& spec, const families::Layout& layout, const TokenCounts& tokens,
              const Machine& machine, core::JobFacts& facts) {
  const spec::Hyperparameters& h = spec.hyperparameters;
  const auto tensors = spec.method->Tensors(layout, spec.task);
  int64_t stored = 0;
  bool overlay = false;
  for (const methods::TensorSpec& tensor : tensors) {
    stored +=
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
    const bool in_layers = tensor.layer >= 0 && tensor.layer < layout.num_layers;
    overlay |= tensor.overrides_base && in_layers && tensor.trained;
  }
  facts.train_tokens = std::accumulate(tokens.train.begin(), tokens.train.end(), int64_t{0});
  facts.truncated_examples = tokens.truncated_examples;
  facts.loss_tokens = tokens.loss_tokens;
  facts.dropped_examples = tokens.dropped_examples;
  const int64_t batches = MicroBatches(h, tokens.train);
  facts.total_steps = spec::TotalSteps(h, batches);
  facts.trainable_parameters = methods::TrainableParameters(tensors);
  facts.base_parameters = layout.ParameterCount();
  facts.artifact_bytes = stored * 4 + 8192;

  std::vector<spec::ExampleRows> examples;
  for (size_t i = 0; i < tokens.train.size(); ++i)
    examples.push_back({tokens.train[i], tokens.wanted.empty() ? 1 : tokens.wanted[i]});
  const int64_t common = spec.method->SharesBeginnings(layout) ? tokens.common : 0;
  spec::LargestPass pass = spec::LargestPassOf(h, std::move(examples), common);
  pass.evaluated = std::min(std::max(tokens.validation, tokens.test), spec::kEvaluationTokens);
  const auto need_in = [&](bool is_bf16) {
    const int64_t sample_cache = spec::SampleCacheBytes(spec, layout, tokens.samples, is_bf16);
    const spec::PassNumbers numbers = {.is_bf16 = is_bf16,
                                       .widens = is_bf16 && machine.widens,
                                       .rounds = is_bf16 && machine.rounds};
    const auto peak = [&](bool keeps_inputs) {
      const spec::TrainingMemory memory =
          spec::EstimateTrainingMemory(spec, layout, pass, numbers, keeps_inputs);
      return std::max(memory.total(), memory.base + memory.states + sample_cache);
    };
    return report::MemoryNeed{.whole = peak(false), .least = peak(true)};
  };
  if (h.precision != spec::Precision::kBf16) facts.fp32_memory = need_in(false);
  if (h.precision != spec::Precision::kFp32) facts.bf16_memory = need_in(true);
  const bool is_bf16 = h.precision == spec::Precision::kBf16 ||
                       (h.precision == spec::Precision::kAuto && machine.bf16);
  const report::MemoryNeed need = is_bf16 ? facts.bf16_memory : facts.fp32_memory;
  // A worker does the same where memory is short.
  const bool is_short = machine.memory_bytes > 0 && need.whole > machine.memory_bytes;
  facts.peak_memory_bytes = is_short ? need.least : need.whole;

  const double flops = FlopsOf(spec, layout, tokens, facts, batches, common, overlay);
  facts.seconds = machine.gflops > 0 ? flops / (machine.gflops * 1e9 * kEfficiency) : 0;
}

Machine EstimateOn(const spec::JobSpec& spec, const families::Layout& layout,
                   const TokenCounts& tokens, std::span<const Machine> machines,
                   core::JobFacts& facts) {
  for (const Machine& machine : machines) {
    Estimate(spec, layout, tokens, machine, facts);
    if (Fits(facts, machine)) return machine;
  }
  const auto largest = std::ranges::max_element(machines, {}, &Machine::memory_bytes);
  const Machine machine = largest != machines.end() ? *largest : Machine();
  Estimate(spec, layout, tokens, machine, facts);
  return machine;
}

Status CheckFits(const core::JobFacts& facts, const Machine& machine) {
  if (Fits(facts, machine)) return OkStatus();
  return FailedPreconditionError(
             fmt::format(
                 "the job needs about {}, and the largest worker that has its base can give a job "
                 "{}; a smaller batch_size or max_length, or a method with fewer parameters, needs "
                 "less",
                 BytesText(facts.peak_memory_bytes), BytesText(machine.memory_bytes)))
      .AddDetail({"DOES_NOT_FIT", "hyperparameters.batch_size", 0, "", ""});
}

}  // namespace graft::server::intake
