#include "worker/engine/kernels/bottlenecks.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include <ATen/ops/baddbmm.h>
#include <ATen/ops/stack.h>

#include "worker/engine/device/team.h"
#include "worker/engine/kernels/activation.h"
#include "worker/engine/kernels/row_products.h"
#include "worker/engine/kernels/two_types.h"
#include "worker/engine/kernels/vectorised.h"

namespace graft::worker::engine {
namespace {

/// Of one task; adapters' weights are read once for them.
constexpr int64_t kRowsATask = 32;
constexpr int64_t kColumnsATask = 256;
/// libtorch computes whole vectors in one way and what is left over in another: rows of the middle
/// are filled up to whole ones, and go through its activations a part at a time that it doesn't
/// divide further, so that a number's place never matters.
constexpr int64_t kWholeVectors = 32;
constexpr int64_t kActivatedAtOnce = 1 << 14;

template <typename T>
[[gnu::always_inline]] inline void AddTimes(float* sums, const T* term, float times, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) sums[i] += times * cpu::Load(term[i]);
}
template <typename T>
[[gnu::always_inline]] inline void StoreAll(T* y, const float* sums, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) cpu::Store(&y[i], sums[i]);
}

GRAFT_VECTORISED void AddRow(float* sums, const float* term, float times, int64_t n) {
  AddTimes(sums, term, times, n);
}
GRAFT_VECTORISED void AddRow(float* sums, const c10::BFloat16* term, float times, int64_t n) {
  AddTimes(sums, term, times, n);
}
GRAFT_VECTORISED void StoreRow(float* y, const float* sums, int64_t n) { StoreAll(y, sums, n); }
GRAFT_VECTORISED void StoreRow(c10::BFloat16* y, const float* sums, int64_t n) {
  StoreAll(y, sums, n);
}

/// A group's place in the middle: between its two layers.
struct Place {
  const BottleneckGroup* group;
  int64_t begin, stride;

  int64_t rows() const { return group->row_end - group->row_begin; }
  int64_t end() const { return begin + rows() * stride; }
  std::string_view activation() const { return group->change->activation; }
};

struct Task {
  const Place* place;
  int64_t row_begin, row_end;
  int64_t column_begin, column_end;

  int64_t rows() const { return row_end - row_begin; }
  /// Of the middle, where its first row begins.
  int64_t middle() const {
    return place->begin + (row_begin - place->group->row_begin) * place->stride;
  }
};

/// One group behind the other, those of one activation together.
std::vector<Place> PlacesOf(std::span<const BottleneckGroup> groups) {
  std::vector<Place> places;
  for (const BottleneckGroup& group : groups) {
    const int64_t size = group.change->down_ZD.size(0);
    places.push_back({&group, 0, (size + kWholeVectors - 1) / kWholeVectors * kWholeVectors});
  }
  std::stable_sort(places.begin(), places.end(), [](const Place& left, const Place& right) {
    return left.activation() < right.activation();
  });
  for (size_t i = 1; i < places.size(); ++i) places[i].begin = places[i - 1].end();
  return places;
}

/// `width` says how many columns a change's product has.
template <typename Width>
std::vector<Task> TasksOf(const std::vector<Place>& places, const Width& width) {
  std::vector<Task> tasks;
  for (const Place& place : places) {
    const BottleneckGroup& group = *place.group;
    const int64_t columns = width(*group.change);
    for (int64_t row = group.row_begin; row < group.row_end; row += kRowsATask) {
      for (int64_t column = 0; column < columns; column += kColumnsATask)
        tasks.push_back({&place, row, std::min(row + kRowsATask, group.row_end), column,
                         std::min(column + kColumnsATask, columns)});
    }
  }
  return tasks;
}

/// A task's rows of `x` as the network reads them, and their stride: themselves, or rounded in the
/// thread's own memory until its next call.
template <typename T, typename End>
std::pair<const T*, int64_t> RowsRead(const Task& task, const at::Tensor& x) {
  const End* rows = x.const_data_ptr<End>() + task.row_begin * x.stride(0);
  if constexpr (std::is_same_v<T, End>) {
    return {rows, x.stride(0)};
  } else {
    thread_local std::vector<T> narrow;
    const int64_t width = x.size(1);
    narrow.resize(static_cast<size_t>(task.rows() * width));
    for (int64_t row = 0; row < task.rows(); ++row)
      StoreRow(narrow.data() + row * width, rows + row * x.stride(0), width);
    return {narrow.data(), width};
  }
}

template <typename T, typename End>
void Shrink(const Task& task, const SublayerEnd& end, float* middle, cpu::ColumnsFunction columns) {
  const Bottleneck& change = *task.place->group->change;
  const auto [x, x_stride] = RowsRead<T, End>(task, end[change.reads]);
  columns({.x = x,
           .w = change.down_ZD.const_data_ptr<T>(),
           .bias = change.down_bias_Z.const_data_ptr<T>(),
           .y = middle + task.middle(),
           .x_stride = x_stride,
           .w_stride = change.down_ZD.stride(0),
           .y_stride = task.place->stride,
           .rows = task.rows(),
           .depth = change.down_ZD.size(1)},
          task.column_begin, task.column_end);
}

/// The middle's activations, in the type that the upper layer reads.
at::Tensor Activated(const at::Tensor& middle, const std::vector<Place>& places,
                     at::ScalarType type) {
  const at::Tensor activated = at::empty(middle.sizes(), middle.options().dtype(type));
  for (size_t i = 0; i < places.size();) {
    size_t end = i;
    while (end < places.size() && places[end].activation() == places[i].activation()) ++end;
    const int64_t last = places[end - 1].end();
    for (int64_t begin = places[i].begin; begin < last; begin += kActivatedAtOnce) {
      const int64_t count = std::min(kActivatedAtOnce, last - begin);
      activated.narrow(0, begin, count)
          .copy_(Activate(middle.narrow(0, begin, count), places[i].activation()));
    }
    i = end;
  }
  return activated;
}

template <typename T, typename End>
void Widen(const Task& task, const SublayerEnd& end, const T* middle, const at::Tensor& y,
           cpu::ColumnsFunction columns) {
  const Bottleneck& change = *task.place->group->change;
  const int64_t width = task.column_end - task.column_begin;
  thread_local std::vector<float> sums;
  sums.resize(static_cast<size_t>(task.rows() * width));
  columns({.x = middle + task.middle(),
           .w = change.up_DZ.const_data_ptr<T>() + task.column_begin * change.up_DZ.stride(0),
           .bias = change.up_bias_D.const_data_ptr<T>() + task.column_begin,
           .y = sums.data(),
           .x_stride = task.place->stride,
           .w_stride = change.up_DZ.stride(0),
           .y_stride = width,
           .rows = task.rows(),
           .depth = change.up_DZ.size(1)},
          0, width);
  for (int64_t row = 0; row < task.rows(); ++row) {
    float* of_row = sums.data() + row * width;
    const auto at = [&](int64_t stride) {
      return (task.row_begin + row) * stride + task.column_begin;
    };
    for (size_t i = 0; i < end.size(); ++i) {
      if (change.adds[i] != 0)
        AddRow(of_row, end[i].const_data_ptr<End>() + at(end[i].stride(0)), change.adds[i], width);
    }
    StoreRow(y.mutable_data_ptr<End>() + at(y.stride(0)), of_row, width);
  }
}

template <typename T, typename End>
void Run(const at::Tensor& y, const SublayerEnd& end, std::span<const BottleneckGroup> groups,
         cpu::ColumnsFunction columns) {
  const std::vector<Place> places = PlacesOf(groups);
  const at::Tensor middle = at::zeros({places.back().end()}, at::kFloat);
  const std::vector<Task> down =
      TasksOf(places, [](const Bottleneck& change) { return change.down_ZD.size(0); });
  auto* middle_data = middle.mutable_data_ptr<float>();
  cpu::ForEachChunk(static_cast<int64_t>(down.size()), [&](int64_t i) {
    Shrink<T, End>(down[static_cast<size_t>(i)], end, middle_data, columns);
  });
  const at::Tensor activated =
      Activated(middle, places, groups.front().change->up_DZ.scalar_type());
  const T* activated_data = activated.const_data_ptr<T>();
  const std::vector<Task> up =
      TasksOf(places, [](const Bottleneck& change) { return change.up_DZ.size(0); });
  cpu::ForEachChunk(static_cast<int64_t>(up.size()), [&](int64_t i) {
    Widen<T, End>(up[static_cast<size_t>(i)], end, activated_data, y, columns);
  });
}

bool SameForm(const Bottleneck& left, const Bottleneck& right) {
  return left.down_ZD.size(0) == right.down_ZD.size(0) && left.activation == right.activation &&
         left.reads == right.reads && left.adds == right.adds;
}

/// The groups that one batched product takes, from `first` on: how many.
size_t Alike(std::span<const BottleneckGroup> groups, size_t first) {
  const BottleneckGroup& one = groups[first];
  size_t end = first + 1;
  while (end < groups.size() && groups[end].row_begin == groups[end - 1].row_end &&
         groups[end].row_end - groups[end].row_begin == one.row_end - one.row_begin &&
         SameForm(*groups[end].change, *one.change))
    ++end;
  return end - first;
}

void ApplyBatched(const at::Tensor& y, const SublayerEnd& end,
                  std::span<const BottleneckGroup> groups) {
  const BottleneckGroup& first = groups.front();
  const Bottleneck& form = *first.change;
  const auto count = static_cast<int64_t>(groups.size());
  const int64_t rows = first.row_end - first.row_begin;
  const auto part = [&](const at::Tensor& of) {
    return of.narrow(0, first.row_begin, count * rows).unflatten(0, {count, rows});
  };
  const auto project = [&](const at::Tensor& x, at::Tensor Bottleneck::*weight,
                           at::Tensor Bottleneck::*bias) {
    std::vector<at::Tensor> weights, biases;
    for (const BottleneckGroup& group : groups) {
      weights.push_back(group.change->*weight);
      biases.push_back(group.change->*bias);
    }
    return at::baddbmm(at::stack(biases).unsqueeze(1), x, at::stack(weights).transpose(1, 2));
  };
  const at::Tensor read = part(end[form.reads]).to(form.down_ZD.scalar_type());
  const at::Tensor middle = project(read, &Bottleneck::down_ZD, &Bottleneck::down_bias_Z);
  at::Tensor sum =
      project(Activate(middle, form.activation), &Bottleneck::up_DZ, &Bottleneck::up_bias_D)
          .to(y.scalar_type());
  for (size_t i = 0; i < end.size(); ++i) {
    if (form.adds[i] != 0) sum.add_(part(end[i]), form.adds[i]);
  }
  part(y).copy_(sum);
}

}  // namespace

void ApplyBottlenecksByProducts(const at::Tensor& y, const SublayerEnd& end,
                                std::span<const BottleneckGroup> groups) {
  for (size_t i = 0; i < groups.size();) {
    const size_t count = Alike(groups, i);
    ApplyBatched(y, end, groups.subspan(i, count));
    i += count;
  }
}

void ApplyBottlenecks(const at::Tensor& y, const SublayerEnd& end,
                      std::span<const BottleneckGroup> groups) {
  if (groups.empty()) return;
  const at::ScalarType type = groups.front().change->up_DZ.scalar_type();
  const cpu::ColumnsFunction columns = y.is_cpu() ? cpu::RowColumns(type, at::kFloat) : nullptr;
  if (columns == nullptr) return ApplyBottlenecksByProducts(y, end, groups);
  cpu::WithTypes(y.scalar_type(), type, [&](auto end_tag, auto tag) {
    Run<decltype(tag), decltype(end_tag)>(y, end, groups, columns);
  });
}

}  // namespace graft::worker::engine
