#include "worker/engine/passes/probe.h"

#include <algorithm>
#include <cmath>

#include "common/base/random.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/device/host_values.h"
#include "worker/engine/passes/forward_pass.h"

namespace graft::worker::engine {
namespace {

constexpr uint64_t kSeed =
    20190202;  // arXiv:1902.00751's month; any number does, as long as it stays.
const std::vector<int64_t> kLengths = {3, 17, 8, 32};
/// Of a vocabulary's logits so many are kept, of tokens that the seed chooses.
constexpr int64_t kMostOutputs = 64;

at::Tensor SomeOutputs(const at::Tensor& logits_SC, uint64_t seed) {
  if (logits_SC.size(1) <= kMostOutputs) return logits_SC;
  PhiloxSequence random(seed, RandomStream::kProbe, 1);
  std::vector<uint32_t> columns;
  for (int64_t i = 0; i < kMostOutputs; ++i)
    columns.push_back(random.NextBelow(static_cast<uint32_t>(logits_SC.size(1))));
  return logits_SC.index_select(1, ToDevice<int64_t>(columns, logits_SC.device()));
}

StatusOr<std::vector<float>> ProbeLogits(const Model& model, const Base& base,
                                         const Adapter& adapter, uint64_t seed,
                                         const std::vector<int64_t>& lengths) {
  const at::NoGradGuard no_grad;
  PhiloxSequence random(seed, RandomStream::kProbe);
  std::vector<std::vector<int32_t>> ids(lengths.size());
  std::vector<int32_t> read(lengths.size());
  std::vector<Sequence> sequences;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const int64_t length = std::min(lengths[s], base.layout().max_positions);
    for (int64_t i = 0; i < length; ++i) {
      ids[s].push_back(
          static_cast<int32_t>(random.NextBelow(static_cast<uint32_t>(base.layout().vocab_size))));
    }
    read[s] = PooledPosition(length, base.layout().causal);
    Sequence& sequence = sequences.emplace_back();
    sequence.ids = ids[s].data();
    sequence.length = length;
    sequence.wanted = {&read[s], 1};
  }
  const ForwardPass pass = ForwardPass::Run(
      model, base, sequences, std::vector<const Adapter*>(sequences.size(), &adapter), [] {});
  const at::Tensor logits =
      SomeOutputs(HeadLogits(pass.hidden_RD, WeightSet(base, &adapter), adapter), seed)
          .cpu()
          .contiguous();
  std::vector<float> values(logits.const_data_ptr<float>(),
                            logits.const_data_ptr<float>() + logits.numel());
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    return FailedPreconditionError("the version's logits aren't finite on this base")
        .AddDetail({"NOT_FINITE", {}, 0, {}, {}});
  }
  return values;
}

}  // namespace

StatusOr<Json> MakeProbe(const Model& model, const Base& base, const Adapter& adapter) {
  GRAFT_ASSIGN_OR_RETURN(const std::vector<float> logits,
                         ProbeLogits(model, base, adapter, kSeed, kLengths));
  return Json{{"seed", kSeed}, {"lengths", kLengths}, {"logits", logits}};
}

Status CheckProbe(const Json& probe, const ResidentVersion& version) {
  const Base& base = *version.on.base;
  if (probe.is_null())
    return ProbeLogits(*version.on.model, base, *version.adapter, kSeed, kLengths).status();
  const Status malformed = InvalidArgumentError("graft.json: the probe is malformed");
  if (!probe.is_object() || !probe.contains("seed") || !probe.contains("lengths") ||
      !probe.contains("logits") || !probe["seed"].is_number_unsigned() ||
      !probe["lengths"].is_array() || !probe["logits"].is_array() || probe["lengths"].empty() ||
      probe["lengths"].size() > 64) {
    return malformed;
  }
  for (const Json& length : probe["lengths"]) {
    if (!length.is_number_unsigned() || length.get<uint64_t>() < 1 || length.get<uint64_t>() > 512)
      return malformed;
  }
  for (const Json& logit : probe["logits"]) {
    if (!logit.is_number()) return malformed;
  }
  const auto expected = probe["logits"].get<std::vector<float>>();
  GRAFT_ASSIGN_OR_RETURN(
      const std::vector<float> actual,
      ProbeLogits(*version.on.model, base, *version.adapter, probe["seed"].get<uint64_t>(),
                  probe["lengths"].get<std::vector<int64_t>>()));
  if (actual.size() != expected.size()) return malformed;
  double logits = 0, differences = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    logits += std::pow(expected[i], 2.0);
    differences += std::pow(expected[i] - actual[i], 2.0);
  }
  const auto count = static_cast<double>(std::max<size_t>(actual.size(), 1));
  const double apart = std::sqrt(differences / count);
  const double tolerance = base.compute() == at::kBFloat16 ? 5e-2 : 1e-4;
  if (apart <= tolerance * std::max(1.0, std::sqrt(logits / count))) return OkStatus();
  return FailedPreconditionError(
             "the version isn't what was trained: its probe's logits differ by " +
             std::to_string(apart) + " in the mean on this worker")
      .AddDetail({"PROBE_MISMATCH", {}, 0, {}, {}});
}

}  // namespace graft::worker::engine
