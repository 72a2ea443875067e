#include "worker/engine/kernels/low_rank.h"

#include <algorithm>
#include <vector>

#include <ATen/ops/stack.h>

#include "worker/engine/device/team.h"
#include "worker/engine/kernels/products.h"
#include "worker/engine/kernels/row_products.h"
#include "worker/engine/kernels/two_types.h"
#include "worker/engine/kernels/vectorised.h"

namespace graft::worker::engine {
namespace {

/// Of one task; adapters' weights are read once for them.
constexpr int64_t kRowsATask = 32;
/// Columns whose sums stay in registers.
constexpr int64_t kColumnsAtOnce = 64;

/// y += sum_r u[r] b[r], b's rows `stride` apart.
template <typename Y, typename T>
[[gnu::always_inline]] inline void Expand(Y* y, const float* u, const T* b, int64_t stride,
                                          int64_t rank, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += kColumnsAtOnce) {
    const int64_t count = std::min(kColumnsAtOnce, n - begin);
    float sums[kColumnsAtOnce] = {};
    for (int64_t r = 0; r < rank; ++r) {
      const T* row = b + r * stride + begin;
      const float share = u[r];
      if (count == kColumnsAtOnce) {
#pragma omp simd
        for (int64_t i = 0; i < kColumnsAtOnce; ++i) sums[i] += share * cpu::Load(row[i]);
      } else {
        for (int64_t i = 0; i < count; ++i) sums[i] += share * cpu::Load(row[i]);
      }
    }
#pragma omp simd
    for (int64_t i = 0; i < count; ++i)
      cpu::Store(&y[begin + i], cpu::Load(y[begin + i]) + sums[i]);
  }
}

GRAFT_VECTORISED void ExpandRow(float* y, const float* u, const float* b, int64_t stride,
                                int64_t rank, int64_t n) {
  Expand(y, u, b, stride, rank, n);
}
GRAFT_VECTORISED void ExpandRow(c10::BFloat16* y, const float* u, const c10::BFloat16* b,
                                int64_t stride, int64_t rank, int64_t n) {
  Expand(y, u, b, stride, rank, n);
}
GRAFT_VECTORISED void ExpandRow(float* y, const float* u, const c10::BFloat16* b, int64_t stride,
                                int64_t rank, int64_t n) {
  Expand(y, u, b, stride, rank, n);
}

struct Task {
  const LowRankGroup* group;
  int64_t begin, end;  ///< Rows.
};

template <typename Y, typename T>
void Run(const Task& task, const at::Tensor& y, const at::Tensor& x, cpu::ColumnsFunction shrink) {
  const LowRank& change = *task.group->change;
  const int64_t rank = change.a_RD.size(0), rows = task.end - task.begin;
  thread_local std::vector<float> u;
  u.resize(static_cast<size_t>(rows * rank));
  shrink({.x = x.const_data_ptr<T>() + task.begin * x.stride(0),
          .w = change.a_RD.const_data_ptr<T>(),
          .bias = nullptr,
          .y = u.data(),
          .x_stride = x.stride(0),
          .w_stride = change.a_RD.stride(0),
          .y_stride = rank,
          .rows = rows,
          .depth = x.size(1)},
         0, rank);
  const auto scaling = static_cast<float>(change.scaling);
  for (float& value : u) value *= scaling;
  Y* to = y.mutable_data_ptr<Y>() + task.begin * y.stride(0) + task.group->column_begin;
  for (int64_t row = 0; row < rows; ++row) {
    ExpandRow(to + row * y.stride(0), u.data() + row * rank, change.b_RF.const_data_ptr<T>(),
              change.b_RF.stride(0), rank, task.group->column_end - task.group->column_begin);
  }
}

/// The groups that one batched product takes, from `first` on: how many.
size_t Alike(std::span<const LowRankGroup> groups, size_t first) {
  const LowRankGroup& one = groups[first];
  const int64_t rows = one.row_end - one.row_begin;
  size_t end = first + 1;
  while (end < groups.size() && groups[end].row_begin == groups[end - 1].row_end &&
         groups[end].row_end - groups[end].row_begin == rows &&
         groups[end].column_begin == one.column_begin && groups[end].column_end == one.column_end &&
         groups[end].change->a_RD.size(0) == one.change->a_RD.size(0))
    ++end;
  return end - first;
}

void AddBatched(const at::Tensor& y, const at::Tensor& x, std::span<const LowRankGroup> groups) {
  const LowRankGroup& first = groups.front();
  const auto count = static_cast<int64_t>(groups.size());
  const int64_t rows = first.row_end - first.row_begin;
  const int64_t width = first.column_end - first.column_begin;
  std::vector<at::Tensor> a, b;
  const at::Tensor scalings = at::empty({count, 1, 1}, at::kFloat);
  for (const LowRankGroup& group : groups) {
    scalings.mutable_data_ptr<float>()[a.size()] = static_cast<float>(group.change->scaling);
    a.push_back(group.change->a_RD);
    b.push_back(group.change->b_RF);
  }
  const auto part = [&](const at::Tensor& of, int64_t column, int64_t columns) {
    return of.narrow(0, first.row_begin, count * rows)
        .narrow(1, column, columns)
        .unflatten(0, {count, rows});
  };
  const at::Tensor u = at::bmm(part(x, 0, x.size(1)), at::stack(a).transpose(1, 2)) *
                       scalings.to(x.device(), x.scalar_type());
  part(y, first.column_begin, width).add_(at::bmm(u, at::stack(b)));
}

}  // namespace

void AddLowRankByProducts(const at::Tensor& y, const at::Tensor& x,
                          std::span<const LowRankGroup> groups) {
  // Those of one slice of the columns lie together then.
  std::vector<LowRankGroup> sorted(groups.begin(), groups.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& left, const auto& right) {
    return left.column_begin < right.column_begin;
  });
  for (size_t i = 0; i < sorted.size();) {
    const size_t count = Alike(sorted, i);
    const LowRankGroup& group = sorted[i];
    if (count > 1) {
      AddBatched(y, x, std::span(sorted).subspan(i, count));
    } else {
      const int64_t rows = group.row_end - group.row_begin;
      const at::Tensor u = Product(x.narrow(0, group.row_begin, rows), group.change->a_RD.t());
      AddProduct(y.narrow(0, group.row_begin, rows)
                     .narrow(1, group.column_begin, group.column_end - group.column_begin),
                 u, group.change->b_RF, group.change->scaling);
    }
    i += count;
  }
}

void AddLowRank(const at::Tensor& y, const at::Tensor& x, std::span<const LowRankGroup> groups) {
  if (groups.empty()) return;
  const cpu::ColumnsFunction shrink =
      x.is_cpu() && x.stride(1) == 1 ? cpu::RowColumns(x.scalar_type(), at::kFloat) : nullptr;
  if (shrink == nullptr) return AddLowRankByProducts(y, x, groups);
  std::vector<Task> tasks;
  for (const LowRankGroup& group : groups) {
    for (int64_t row = group.row_begin; row < group.row_end; row += kRowsATask)
      tasks.push_back({&group, row, std::min(row + kRowsATask, group.row_end)});
  }
  cpu::ForEachChunk(static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    const Task& task = tasks[static_cast<size_t>(i)];
    cpu::WithTypes(y.scalar_type(), x.scalar_type(), [&](auto sum_tag, auto tag) {
      Run<decltype(sum_tag), decltype(tag)>(task, y, x, shrink);
    });
  });
}

}  // namespace graft::worker::engine
