#include "worker/engine/kernels/dropout.h"

#include "common/base/random.h"

namespace graft::worker::engine {

at::Tensor Dropout(const at::Tensor& x, double p, uint64_t site, const RowContext& rows) {
  const int64_t width = x.size(1);
  at::Tensor mask = at::empty({x.size(0), width}, at::kFloat);
  auto* out = mask.mutable_data_ptr<float>();
  const auto keep = static_cast<float>(1.0 / (1.0 - p));
  const auto threshold = static_cast<float>(p);
  const std::vector<int64_t>& offsets = *rows.offsets;
  int64_t row = 0;
  for (int64_t s = rows.sequence_begin; s < rows.sequence_end; ++s) {
    const int64_t length = rows.pooled ? 1 : offsets[s + 1] - offsets[s];
    const uint64_t example = (*rows.examples)[s];
    at::parallel_for(0, length, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        // One sequence of numbers a row: the step rides in the seed, example and position in the
        // substream.
        PhiloxSequence random(
            rows.seed ^ (static_cast<uint64_t>(rows.step) * 0x9E3779B97F4A7C15ULL + site),
            RandomStream::kDropout, example << 20 | static_cast<uint64_t>(i));
        float* values = out + (row + i) * width;
        for (int64_t c = 0; c < width; ++c)
          values[c] = random.NextFloat() < threshold ? 0.0F : keep;
      }
    });
    row += length;
  }
  return x * mask.to(x.device()).to(x.scalar_type());
}

}  // namespace graft::worker::engine
