#include "common/spec/training_memory.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>
#include <string>
#include <vector>

namespace graft::spec {
namespace {

using families::LinearRole;

constexpr int64_t kFp32 = 4;
/// Fp32 copies of a part of the logits while its loss is computed: they themselves, their
/// logarithms, and the gradients of both.
constexpr int64_t kLossCopies = 4;
constexpr int64_t kMostSampleCacheBytes = int64_t{256} << 20;
/// The cache is given out in blocks of so many tokens.
constexpr int64_t kCacheBlockTokens = 16;

/// The places of a layer where tensors may be trained, in the order of its computation. What stands
/// in front of the first one keeps nothing, unless the layer's input needs a gradient.
enum class Place { kInput, kProjections, kAttentionOutput, kAttentionSum, kWide, kDown, kSum };

Place PlaceOf(LinearRole role) {
  using enum LinearRole;
  switch (role) {
    case kAttentionOutput:
      return Place::kAttentionOutput;
    case kGate:
    case kUp:
      return Place::kWide;
    case kDown:
      return Place::kDown;
    default:
      return Place::kProjections;
  }
}

/// What a method's tensors make the passes of one layer keep.
struct Trained {
  Place first = Place::kSum;
  std::set<LinearRole> reads;  ///< Linear layers whose input is kept.
  int64_t own = 0;             ///< Elements a row that adapters keep of their own.
};

int64_t Elements(const methods::TensorSpec& tensor) {
  return std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
}

/// A tensor of one or no dimension, a bias or norm, needs no input for its gradient.
bool IsMatrix(const methods::TensorSpec& tensor) { return tensor.shape.size() > 1; }

const families::Linear* LinearOf(const families::Layout& layout, int64_t layer,
                                 const std::string& tensor) {
  for (const families::Linear& linear : layout.linears) {
    if (linear.layer == layer && tensor.starts_with(linear.path + ".")) return &linear;
  }
  return nullptr;
}

Place PlaceOfSublayer(const families::Layout& layout, int64_t layer, const std::string& tensor) {
  const auto& attention =
      layout.sublayers[layout.SublayerAt(layer, families::SublayerKind::kAttention)];
  const bool is_attentions =
      tensor.starts_with(attention.hub_path) || tensor.starts_with(attention.norm + ".");
  return is_attentions ? Place::kAttentionSum : Place::kSum;
}

/// `drops`: adapters read inputs of which some numbers are dropped, each its own.
Trained TrainedIn(const families::Layout& layout, int64_t layer,
                  const std::vector<methods::TensorSpec>& tensors, bool drops) {
  Trained trained;
  for (const methods::TensorSpec& tensor : tensors) {
    if (!tensor.trained || tensor.layer != layer) continue;
    const families::Linear* linear = LinearOf(layout, layer, tensor.name);
    trained.first =
        std::min(trained.first, linear != nullptr ? PlaceOf(linear->role)
                                                  : PlaceOfSublayer(layout, layer, tensor.name));
    if (!IsMatrix(tensor)) continue;
    const bool is_dropped = drops && linear != nullptr && !tensor.overrides_base;
    if (linear != nullptr && !is_dropped) trained.reads.insert(linear->role);
    if (tensor.overrides_base) continue;
    // Half of what a pair of matrices keeps: of low rank what lies between them, and of a
    // bottleneck its input, and what lies between before and behind the activation.
    const int64_t narrow = *std::min_element(tensor.shape.begin(), tensor.shape.end());
    trained.own += linear != nullptr ? (narrow + (is_dropped ? linear->in : 0)) / 2
                                     : narrow + layout.hidden / 2;
  }
  return trained;
}

/// Bytes a row of a whole layer that backward reads.
int64_t KeptByLayer(const families::Layout& layout, const Trained& trained,
                    const PassNumbers& numbers) {
  const int64_t hidden = layout.hidden, inner = layout.intermediate;
  const int64_t q = layout.num_heads * layout.head_dim, kv = layout.num_kv_heads * layout.head_dim;
  const auto reads = [&](std::initializer_list<LinearRole> any) {
    return std::any_of(any.begin(), any.end(),
                       [&](LinearRole role) { return trained.reads.count(role) > 0; });
  };
  using enum LinearRole;
  // The layer's input stays in any case, and so does what a norm behind the last sum reads.
  int64_t residual = (layout.causal ? 1 : 2) * hidden, kept = trained.own;
  if (trained.first <= Place::kProjections) kept += q + 2 * kv;
  if (trained.first <= Place::kProjections && layout.head_norms) kept += q + kv;
  if (trained.first <= Place::kAttentionSum) residual += hidden;
  if (trained.first <= Place::kWide) kept += (layout.gated() ? 2 : 1) * inner;
  if (layout.causal && reads({kQuery, kKey, kValue})) kept += hidden;
  if (reads({kAttentionOutput})) kept += q;
  if (reads({kGate, kUp})) kept += hidden;
  if (reads({kDown})) kept += inner;
  return kept * numbers.element_bytes() + residual * numbers.residual_bytes(layout);
}

/// Bytes of the gradients that are there while a layer goes backward through what is wide, or
/// through attention over `places`.
int64_t GradientsOfLayer(const families::Layout& layout, int64_t rows, int64_t places,
                         const PassNumbers& numbers) {
  const int64_t element = numbers.element_bytes();
  const int64_t q = layout.num_heads * layout.head_dim;
  const int64_t kv = 2 * layout.num_kv_heads * layout.head_dim;
  const int64_t wide = (layout.gated() ? 3 : 2) * layout.intermediate * element +
                       layout.hidden * (element + numbers.residual_bytes(layout));
  // Of shared rows: queries', keys' and values' apart, and both once more where they are joined.
  const int64_t joined = places > 0 ? 2 * (q + kv) : 0;
  return std::max(rows * wide, (rows * (2 * q + kv + joined) + places * kv) * element);
}

/// Width of the widest output: of a head's layers, or the hidden states.
int64_t OutputWidth(const JobSpec& spec, const families::Layout& layout) {
  int64_t width = layout.hidden;
  for (const families::HeadLinear& linear : spec.method->HeadFor(layout, spec.task))
    width = std::max({width, linear.in, linear.out});
  return width;
}

int64_t LossBytes(const JobSpec& spec, const families::Layout& layout, int64_t wanted,
                  int64_t element) {
  const int64_t width = OutputWidth(spec, layout);
  const int64_t rows = std::min(wanted, tasks::RowsAtOnce(spec.task.kind, width));
  return rows * width * (kLossCopies * kFp32 + (element < kFp32 ? element : 0));
}

}  // namespace

void CommonBeginning::Add(std::span<const int32_t> ids, int64_t wanted) {
  const auto most = std::min(ids.size(), static_cast<size_t>(std::max<int64_t>(wanted, 0)));
  if (is_first_) {
    ids_.assign(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(most));
    is_first_ = false;
    return;
  }
  const size_t count = std::min(most, ids_.size());
  const auto end = ids_.begin() + static_cast<ptrdiff_t>(count);
  ids_.erase(std::mismatch(ids_.begin(), end, ids.begin()).first, ids_.end());
}

LargestPass LargestPassOf(const Hyperparameters& hyperparameters, std::vector<ExampleRows> examples,
                          int64_t common) {
  LargestPass pass;
  // All sequences but the first of a micro-batch that has so many of them.
  const auto share = [&](int64_t sequences) {
    pass.places = pass.tokens;
    pass.tokens -= std::max<int64_t>(sequences - 1, 0) * common;
  };
  if (hyperparameters.batch_tokens <= 0) {
    const size_t count = std::min(static_cast<size_t>(hyperparameters.batch_size), examples.size());
    // The sum over those examples that have most.
    const auto most = [&](int32_t ExampleRows::*of) {
      const auto end = examples.begin() + static_cast<ptrdiff_t>(count);
      std::partial_sort(examples.begin(), end, examples.end(),
                        [&](const ExampleRows& a, const ExampleRows& b) { return a.*of > b.*of; });
      int64_t sum = 0;
      for (size_t i = 0; i < count; ++i) sum += examples[i].*of;
      return sum;
    };
    pass.tokens = most(&ExampleRows::tokens);
    pass.wanted = most(&ExampleRows::wanted);
    share(static_cast<int64_t>(count));
    return pass;
  }
  for (const ExampleRows& example : examples) {
    pass.tokens = std::max<int64_t>(pass.tokens, example.tokens);
    pass.wanted = std::max<int64_t>(pass.wanted, example.wanted);
  }
  const int64_t longest = pass.tokens;
  if (!examples.empty()) pass.tokens = std::max(pass.tokens, hyperparameters.batch_tokens);
  std::sort(examples.begin(), examples.end(), [](const ExampleRows& a, const ExampleRows& b) {
    return int64_t{a.wanted} * b.tokens > int64_t{b.wanted} * a.tokens;
  });
  int64_t tokens = 0, wanted = 0;
  for (const ExampleRows& example : examples) {
    const int64_t left = hyperparameters.batch_tokens - tokens;
    if (example.tokens > left) {
      wanted += (example.wanted * left + example.tokens - 1) / std::max(example.tokens, 1);
      break;
    }
    tokens += example.tokens;
    wanted += example.wanted;
  }
  pass.wanted = std::max(pass.wanted, wanted);
  // The fewer sequences fill a micro-batch, the less they share.
  share(longest > 0 ? hyperparameters.batch_tokens / longest : 0);
  return pass;
}

TrainingMemory EstimateTrainingMemory(const JobSpec& spec, const families::Layout& layout,
                                      const LargestPass& pass, const PassNumbers& numbers,
                                      bool keeps_inputs) {
  const int64_t element = numbers.element_bytes();
  const std::vector<methods::TensorSpec> tensors = spec.method->Tensors(layout, spec.task);
  int64_t stored = 0, matrices = 0;
  int lowest = static_cast<int>(layout.num_layers);
  for (const methods::TensorSpec& tensor : tensors) {
    stored += Elements(tensor);
    if (!tensor.trained) continue;
    lowest = std::min(lowest, tensor.layer);
    if (IsMatrix(tensor) && tensor.layer < layout.num_layers) matrices += Elements(tensor);
  }
  TrainingMemory memory;
  memory.base = layout.ParameterCount() * element;
  const int64_t trainable = methods::TrainableParameters(tensors);
  memory.states = (stored + 3 * trainable + (spec.hyperparameters.keep_best ? stored : 0)) * kFp32;

  const bool drops = spec.method->dropout() > 0;
  const int64_t kv = 2 * layout.num_kv_heads * layout.head_dim;
  const int64_t only_keys = std::max<int64_t>(pass.places - pass.tokens, 0);
  int64_t largest = 0;
  for (int64_t layer = std::max(lowest, 0); layer < layout.num_layers; ++layer) {
    // Of the last layer only what the wanted rows need is computed.
    const bool is_last = layer + 1 == layout.num_layers;
    const int64_t rows = is_last ? pass.wanted : pass.tokens;
    const int64_t input = layout.hidden * numbers.residual_bytes(layout);
    const int64_t inputs = pass.tokens * input;
    Trained trained = TrainedIn(layout, layer, tensors, drops);
    if (layer > lowest) trained.first = Place::kInput;
    const int64_t keys = (pass.tokens - rows + only_keys) * kv * element;
    const int64_t kept =
        rows * KeptByLayer(layout, trained, numbers) + (pass.tokens - rows) * input + keys;
    const int64_t gradients =
        GradientsOfLayer(layout, rows, only_keys > 0 ? pass.places : 0, numbers);
    memory.activations += keeps_inputs ? inputs : kept;
    largest = std::max(largest, (keeps_inputs ? kept - inputs : 0) + gradients);
  }
  // Copies of what is trained in the type that passes compute in.
  if (numbers.is_bf16) memory.activations += matrices * element;
  const int64_t loss = LossBytes(spec, layout, pass.wanted, element);
  memory.scratch = std::max(largest, loss);
  if (lowest > 0) memory.evaluation = PassBytes(layout, {.tokens = pass.tokens}, numbers);
  if (pass.evaluated > 0) {
    const int64_t width = OutputWidth(spec, layout);
    const PassShape shape = {
        .tokens = pass.evaluated,
        .outputs = 2 * std::min(pass.evaluated, tasks::RowsAtOnce(spec.task.kind, width)),
        .width = width};
    memory.evaluation = std::max(memory.evaluation, PassBytes(layout, shape, numbers));
  }
  return memory;
}

int64_t SampleCacheBytes(const JobSpec& spec, const families::Layout& layout,
                         const std::vector<int64_t>& prompt_tokens, bool is_bf16) {
  int64_t all = 0, longest = 0;
  for (const int64_t prompt : prompt_tokens) {
    const int64_t tokens =
        std::min(prompt + spec.task.language.sample_tokens, layout.max_positions);
    const int64_t blocks = (tokens + kCacheBlockTokens - 1) / kCacheBlockTokens;
    all += blocks;
    longest = std::max(longest, blocks);
  }
  const int64_t block = layout.num_layers * kCacheBlockTokens * 2 * layout.num_kv_heads *
                        layout.head_dim * (is_bf16 ? 2 : kFp32);
  return std::max(longest * block, std::min(all * block, kMostSampleCacheBytes / block * block));
}

}  // namespace graft::spec
