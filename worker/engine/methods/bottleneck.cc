#include "worker/engine/methods/bottleneck.h"

#include <algorithm>
#include <cmath>

#include "worker/engine/adapters/initialise.h"
#include "worker/engine/adapters/serving_copies.h"
#include "worker/engine/kernels/activation.h"
#include "worker/engine/kernels/dropout.h"
#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {

BottleneckAdapter::BottleneckAdapter(std::shared_ptr<const methods::BottleneckSpec> spec,
                                     const families::Layout& layout, tasks::TaskSpec task,
                                     at::Device device)
    : Adapter(spec, layout, std::move(task), device), spec_(std::move(spec)) {
  for (const families::Sublayer& sublayer : layout.sublayers) {
    prefixes_.push_back(spec_->Wraps(sublayer) ? methods::BottleneckSpec::Prefix(sublayer)
                                               : std::string());
  }
}

void BottleneckAdapter::Initialise(uint64_t seed) {
  for (size_t i = 0; i < prefixes_.size(); ++i) {
    if (prefixes_[i].empty()) continue;
    if (spec_->trained_scaling() != methods::TrainedScaling::kNone)
      parameters_.Get(prefixes_[i] + "scaling").detach().fill_(1);
    uint64_t index = i * 4;
    for (const char* layer : {"adapter_down", "adapter_up"}) {
      const at::Tensor& weight = parameters_.Get(prefixes_[i] + layer + ".weight");
      const at::Tensor& bias = parameters_.Get(prefixes_[i] + layer + ".bias");
      if (spec_->residual()) {
        FillNormal(weight, spec_->init_std(), 2, seed, index);
        bias.detach().zero_();
      } else {
        const double bound = 1.0 / std::sqrt(static_cast<double>(weight.size(1)));
        FillUniform(weight, -bound, bound, seed, index);
        FillUniform(bias, -bound, bound, seed, index + 1);
      }
      index += 2;
    }
  }
}

at::Tensor BottleneckAdapter::ApplySublayer(const SublayerCall& call) const {
  const auto& [sublayer, x_in, d, norm, compute, rows] = call;
  const std::string& prefix = prefixes_[sublayer];
  const auto project = [&](const at::Tensor& x, const char* layer, at::ScalarType to) {
    return Linear(x.to(compute), parameters_.Get(prefix + layer + ".weight").to(compute),
                  parameters_.Get(prefix + layer + ".bias").to(compute), to);
  };
  const bool normed = spec_->placement() == methods::BottleneckPlacement::kPfeiffer;
  const at::Tensor h = normed ? norm(x_in + d) : spec_->parallel() ? x_in : d;
  const at::Tensor middle = Activate(project(h, "adapter_down", compute), spec_->activation());
  at::Tensor a = project(middle, "adapter_up", d.scalar_type());
  if (spec_->scaling() != 1) a = a * spec_->scaling();
  if (spec_->trained_scaling() != methods::TrainedScaling::kNone)
    a = a * parameters_.Get(prefix + "scaling").to(a.scalar_type());
  if (rows.training && spec_->dropout() > 0)
    a = Dropout(a, spec_->dropout(), rows.DropoutSeed(1'000'000 + sublayer), rows.DropoutStreams());
  if (!spec_->residual()) return norm(x_in + a);
  // The skip is d, not h, also where the adapter reads the normed sum (AdapterHub's
  // residual_before_ln), unless an imported adapter says otherwise.
  if (spec_->skip() == methods::BottleneckSkip::kProjection)
    return spec_->norm_after() ? norm(x_in + d + a) : d + a;
  const at::Tensor y = (spec_->skip() == methods::BottleneckSkip::kNorm ? h : x_in + d) + a;
  return spec_->norm_after() ? norm(x_in + y) : y;
}

Bottleneck BottleneckAdapter::NetworkOf(const std::string& prefix) const {
  const auto get = [&](const char* name) { return parameters_.Get(prefix + name).detach(); };
  Bottleneck network{.down_ZD = get("adapter_down.weight"),
                     .down_bias_Z = get("adapter_down.bias"),
                     .up_DZ = get("adapter_up.weight") * spec_->scaling(),
                     .up_bias_D = get("adapter_up.bias") * spec_->scaling(),
                     .activation = spec_->activation(),
                     .norm_after = spec_->norm_after()};
  if (spec_->trained_scaling() != methods::TrainedScaling::kNone) {
    network.up_DZ = network.up_DZ * get("scaling").unsqueeze(1);
    network.up_bias_D = network.up_bias_D * get("scaling");
  }
  const bool normed = spec_->placement() == methods::BottleneckPlacement::kPfeiffer;
  network.reads = normed ? kEndNormed : spec_->parallel() ? kEndInput : kEndOutput;
  // ApplySublayer's sums.
  network.adds[kEndInput] = spec_->norm_after() ? 1 : 0;
  if (!spec_->residual()) return network;
  const bool skips_norm = spec_->skip() == methods::BottleneckSkip::kNorm;
  network.adds[skips_norm ? kEndNormed : kEndOutput] = 1;
  if (spec_->skip() == methods::BottleneckSkip::kSum) network.adds[kEndInput] += 1;
  return network;
}

void BottleneckAdapter::PrepareServing(at::ScalarType compute) {
  const at::NoGradGuard no_grad;
  Adapter::PrepareServing(compute);
  std::vector<at::Tensor*> tensors;
  serving_.resize(prefixes_.size());
  for (size_t i = 0; i < prefixes_.size(); ++i) {
    if (prefixes_[i].empty()) continue;
    Bottleneck& network = serving_[i] = NetworkOf(prefixes_[i]);
    tensors.insert(tensors.end(),
                   {&network.down_ZD, &network.down_bias_Z, &network.up_DZ, &network.up_bias_D});
  }
  if (!tensors.empty()) serving_P_ = CopyForServing(tensors, compute);
  parameters_.Keep([&](const methods::TensorSpec& spec) {
    return std::ranges::none_of(prefixes_, [&](const std::string& prefix) {
      return !prefix.empty() && spec.name.starts_with(prefix);
    });
  });
}

Adapter::Bytes BottleneckAdapter::bytes() const {
  Bytes bytes = Adapter::bytes();
  if (serving_P_.defined()) bytes.buffers += static_cast<int64_t>(serving_P_.nbytes());
  for (const Bottleneck& network : serving_) {
    for (const at::Tensor* tensor :
         {&network.down_ZD, &network.down_bias_Z, &network.up_DZ, &network.up_bias_D})
      bytes.tensors += tensor->defined() ? static_cast<int64_t>(tensor->nbytes()) : 0;
  }
  return bytes;
}

}  // namespace graft::worker::engine
