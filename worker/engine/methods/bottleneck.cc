#include "worker/engine/methods/bottleneck.h"

#include <cmath>

#include "worker/engine/adapters/initialise.h"
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
  const auto& [sublayer, x_in, d, norm, rows] = call;
  const std::string& prefix = prefixes_[sublayer];
  const auto project = [&](const at::Tensor& x, const char* layer) {
    return Linear(x, parameters_.Get(prefix + layer + ".weight").to(x.scalar_type()),
                  parameters_.Get(prefix + layer + ".bias").to(x.scalar_type()));
  };
  const bool normed = spec_->placement() == methods::BottleneckPlacement::kPfeiffer;
  const at::Tensor h = normed ? norm(x_in + d) : spec_->parallel() ? x_in : d;
  at::Tensor a = project(Activate(project(h, "adapter_down"), spec_->activation()), "adapter_up");
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

}  // namespace graft::worker::engine
