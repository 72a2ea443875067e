#include "worker/engine/model/pass.h"

#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {
namespace {

struct Range {
  int64_t begin, length;
};

Range RowRange(const Segment& segment, Pass::Rows rows) {
  return rows == Pass::Rows::kTokens
             ? Range{segment.row_begin, segment.row_end - segment.row_begin}
             : Range{segment.sequence_begin, segment.sequence_end - segment.sequence_begin};
}

}  // namespace

RowContext Pass::Context(const Segment& segment, Rows rows) const {
  return {.training = options_.training,
          .seed = options_.seed,
          .step = options_.step,
          .offsets = &batch_.offsets,
          .examples = &batch_.examples,
          .sequence_begin = segment.sequence_begin,
          .sequence_end = segment.sequence_end,
          .pooled = rows == Rows::kPooled};
}

at::Tensor Pass::Linear(const LinearSite& site, const at::Tensor& x, Rows rows) const {
  at::Tensor y = engine::Linear(x, weights_.Get(site.weight), weights_.Get(site.bias));
  if (batch_.segments.size() == 1) {
    const Segment& only = batch_.segments.front();
    if (only.adapter == nullptr || !only.adapter->WrapsLinear(site)) return y;
    return only.adapter->ApplyLinear(site, x, y, Context(only, rows));
  }
  // Owners never meet in one product over adapter weights: a slice of rows each.
  std::vector<at::Tensor> parts;
  bool changed = false;
  for (const Segment& segment : batch_.segments) {
    const Range range = RowRange(segment, rows);
    at::Tensor part = y.narrow(0, range.begin, range.length);
    if (segment.adapter != nullptr && segment.adapter->WrapsLinear(site)) {
      // A copy under autograd: an in-place change of a slice would tie the owners' graphs together.
      if (at::GradMode::is_enabled()) part = part.clone();
      const at::Tensor out = segment.adapter->ApplyLinear(
          site, x.narrow(0, range.begin, range.length), part, Context(segment, rows));
      changed |= !out.is_alias_of(y);
      part = out;
    }
    parts.push_back(std::move(part));
  }
  return changed ? at::cat(parts, 0) : y;
}

at::Tensor Pass::Sublayer(size_t sublayer, const at::Tensor& x_in, const at::Tensor& d,
                          const Adapter::Norm& norm, Rows rows) const {
  bool wrapped = false;
  for (const Segment& segment : batch_.segments) {
    wrapped |= segment.adapter != nullptr && segment.adapter->WrapsSublayer(sublayer);
  }
  if (!wrapped) return norm(x_in + d);
  if (batch_.segments.size() == 1) {
    const Segment& only = batch_.segments.front();
    return only.adapter->ApplySublayer(sublayer, x_in, d, norm, Context(only, rows));
  }
  std::vector<at::Tensor> parts;
  for (const Segment& segment : batch_.segments) {
    const Range range = RowRange(segment, rows);
    const at::Tensor x_part = x_in.narrow(0, range.begin, range.length);
    const at::Tensor d_part = d.narrow(0, range.begin, range.length);
    const bool wraps = segment.adapter != nullptr && segment.adapter->WrapsSublayer(sublayer);
    parts.push_back(wraps ? segment.adapter->ApplySublayer(sublayer, x_part, d_part, norm,
                                                           Context(segment, rows))
                          : norm(x_part + d_part));
  }
  return at::cat(parts, 0);
}

}  // namespace graft::worker::engine
