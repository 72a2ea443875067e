#include "worker/engine/kernels/expand_rows.h"

#include <algorithm>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/index_put.h>

#include "worker/engine/device/autograd.h"

namespace graft::worker::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Rows of a thread's share, so that a few aren't worth waking another.
constexpr int64_t kLeastRows = 32;

/// The places of each row, rising: those of row r are places[offsets[r]] to places[offsets[r + 1]].
struct PlacesOfRows {
  PlacesOfRows(const int64_t* rows, int64_t count, int64_t num_rows)
      : offsets(static_cast<size_t>(num_rows) + 1), places(static_cast<size_t>(count)) {
    for (int64_t place = 0; place < count; ++place) ++offsets[static_cast<size_t>(rows[place]) + 1];
    for (size_t row = 1; row < offsets.size(); ++row) offsets[row] += offsets[row - 1];
    std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
    for (int64_t place = 0; place < count; ++place)
      places[static_cast<size_t>(next[static_cast<size_t>(rows[place])]++)] = place;
  }
  std::vector<int64_t> offsets, places;
};

template <typename T>
void SumPlaces(const PlacesOfRows& of, const T* grad, int64_t columns, T* out) {
  const auto num_rows = static_cast<int64_t>(of.offsets.size()) - 1;
  at::parallel_for(0, num_rows, kLeastRows, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(columns));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t first = of.offsets[static_cast<size_t>(row)];
      const int64_t last = of.offsets[static_cast<size_t>(row) + 1];
      T* to = out + row * columns;
      const auto from = [&](int64_t i) {
        return grad + of.places[static_cast<size_t>(i)] * columns;
      };
      if (last - first == 1) {
        std::copy_n(from(first), columns, to);
        continue;
      }
      std::ranges::fill(sum, 0.0F);
      for (int64_t i = first; i < last; ++i) {
        const T* place = from(i);
        for (int64_t c = 0; c < columns; ++c)
          sum[static_cast<size_t>(c)] += static_cast<float>(place[c]);
      }
      for (int64_t c = 0; c < columns; ++c) to[c] = static_cast<T>(sum[static_cast<size_t>(c)]);
    }
  });
}

at::Tensor SumOnCpu(const at::Tensor& grad, const at::Tensor& rows_P, int64_t num_rows) {
  const at::Tensor out = at::empty({num_rows, grad.size(1)}, grad.options());
  const PlacesOfRows of(rows_P.const_data_ptr<int64_t>(), rows_P.numel(), num_rows);
  if (grad.scalar_type() == at::kFloat) {
    SumPlaces(of, grad.const_data_ptr<float>(), grad.size(1), out.mutable_data_ptr<float>());
  } else {
    SumPlaces(of, grad.const_data_ptr<c10::BFloat16>(), grad.size(1),
              out.mutable_data_ptr<c10::BFloat16>());
  }
  return out;
}

/// Some columns at a time, so that not all places are widened at once.
at::Tensor SumOnGpu(const at::Tensor& grad, const at::Tensor& rows_P, int64_t num_rows) {
  constexpr int64_t kColumns = 128;
  const at::Tensor out = at::empty({num_rows, grad.size(1)}, grad.options());
  for (int64_t begin = 0; begin < grad.size(1); begin += kColumns) {
    const int64_t count = std::min(kColumns, grad.size(1) - begin);
    // A GPU adds up what is put at one index in a fixed order, unlike index_add.
    at::Tensor sum = at::zeros({num_rows, count}, grad.options().dtype(at::kFloat));
    at::index_put_(sum, {rows_P}, grad.narrow(1, begin, count).to(at::kFloat), /*accumulate=*/true);
    out.narrow(1, begin, count).copy_(sum);
  }
  return out;
}

class ExpandRowsFunction : public torch::autograd::Function<ExpandRowsFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& rows_P) {
    ctx->save_for_backward({rows_P});
    ctx->saved_data["rows"] = x.size(0);
    return x.index_select(0, rows_P);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::Tensor rows_P = ctx->get_saved_variables()[0];
    const at::Tensor grad = grads[0].contiguous();
    const int64_t num_rows = ctx->saved_data["rows"].toInt();
    if (grad.is_cpu()) return {SumOnCpu(grad, rows_P, num_rows), at::Tensor()};
    return {SumOnGpu(grad, rows_P, num_rows), at::Tensor()};
  }
};

}  // namespace

at::Tensor ExpandRows(const at::Tensor& x, const at::Tensor& rows_P) {
  return ExpandRowsFunction::apply(x, rows_P);
}

}  // namespace graft::worker::engine
