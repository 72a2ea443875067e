#include "worker/engine/kernels/dropout.h"

#include "common/base/random.h"

namespace graft::worker::engine {

at::Tensor Dropout(const at::Tensor& x, double p, uint64_t seed,
                   const std::vector<uint64_t>& streams) {
  const int64_t width = x.size(1);
  at::Tensor mask = at::empty({x.size(0), width}, at::kFloat);
  auto* out = mask.mutable_data_ptr<float>();
  const auto keep = static_cast<float>(1.0 / (1.0 - p));
  const auto threshold = static_cast<float>(p);
  at::parallel_for(0, x.size(0), 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      PhiloxSequence random(seed, RandomStream::kDropout, streams[static_cast<size_t>(row)]);
      float* values = out + row * width;
      for (int64_t c = 0; c < width; ++c) values[c] = random.NextFloat() < threshold ? 0.0F : keep;
    }
  });
  return x * mask.to(x.device()).to(x.scalar_type());
}

}  // namespace graft::worker::engine
