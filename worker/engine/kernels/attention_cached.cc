#include "worker/engine/kernels/attention_cached.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "worker/engine/device/team.h"
#include "worker/engine/kernels/attention_cpu.h"
#include "worker/engine/kernels/attention_rows.h"
#include "worker/engine/kernels/row_products.h"
#include "worker/engine/kernels/vectorised.h"

namespace graft::worker::engine {
namespace {

/// Rows of scores of one task: some queries of the heads that share keys and values.
constexpr int64_t kRowsATask = 32;
/// Scores of one task where four queries have no more: 4 MiB, for each thread has room for a task.
constexpr int64_t kScoresATask = 1 << 20;
/// Columns whose sums stay in registers, for four rows at once.
constexpr int64_t kColumnsAtOnce = 64;
/// Rows of scores begin at multiples of 64 bytes.
constexpr int64_t kAlign = 16;

/// Numbers from one row of scores of so many keys to the next.
int64_t StrideOf(int64_t keys) { return (keys + kAlign - 1) / kAlign * kAlign; }

/// Most queries of one task in a sequence of so many keys: a multiple of four.
int64_t QueriesATask(const AttentionShape& shape, int64_t keys) {
  const int64_t share = shape.heads / shape.kv_heads;
  const int64_t rows = std::min(kRowsATask, kScoresATask / StrideOf(keys));
  return std::max<int64_t>(4, rows / share / 4 * 4);
}

/// Most scores of one task of the sequence.
int64_t ScoresATask(const CachedSequence& sequence, const AttentionShape& shape) {
  const int64_t queries = std::min(sequence.queries, QueriesATask(shape, sequence.keys));
  const int64_t seen =
      shape.window > 0 ? std::min(sequence.keys, shape.window + queries - 1) : sequence.keys;
  return shape.heads / shape.kv_heads * queries * StrideOf(seen);
}

/// out[r] = sum of p[r][j] v[rows[j]] over the keys, one behind the other, for `kRows` rows.
template <int kRows, typename T>
[[gnu::always_inline]] inline void Mix(const float* const* p, const T* v, const int64_t* rows,
                                       int64_t stride, int64_t keys, int64_t n, T* const* out) {
  for (int64_t begin = 0; begin < n; begin += kColumnsAtOnce) {
    const int64_t count = std::min(kColumnsAtOnce, n - begin);
    float sums[kRows][kColumnsAtOnce] = {};
    for (int64_t j = 0; j < keys; ++j) {
      const T* of_key = v + rows[j] * stride + begin;
      for (int r = 0; r < kRows; ++r) {
        const float share = p[r][j];
        if (count == kColumnsAtOnce) {
#pragma omp simd
          for (int64_t i = 0; i < kColumnsAtOnce; ++i) sums[r][i] += share * cpu::Load(of_key[i]);
        } else {
          for (int64_t i = 0; i < count; ++i) sums[r][i] += share * cpu::Load(of_key[i]);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) cpu::Store(&out[r][begin + i], sums[r][i]);
    }
  }
}

GRAFT_VECTORISED void MixOne(const float* const* p, const float* v, const int64_t* rows,
                             int64_t stride, int64_t keys, int64_t n, float* const* out) {
  Mix<1>(p, v, rows, stride, keys, n, out);
}
GRAFT_VECTORISED void MixOne(const float* const* p, const c10::BFloat16* v, const int64_t* rows,
                             int64_t stride, int64_t keys, int64_t n, c10::BFloat16* const* out) {
  Mix<1>(p, v, rows, stride, keys, n, out);
}
GRAFT_VECTORISED void MixFour(const float* const* p, const float* v, const int64_t* rows,
                              int64_t stride, int64_t keys, int64_t n, float* const* out) {
  Mix<4>(p, v, rows, stride, keys, n, out);
}
GRAFT_VECTORISED void MixFour(const float* const* p, const c10::BFloat16* v, const int64_t* rows,
                              int64_t stride, int64_t keys, int64_t n, c10::BFloat16* const* out) {
  Mix<4>(p, v, rows, stride, keys, n, out);
}

/// Queries [first, first + count) of a sequence, in the heads that share keys and values.
struct Task {
  int64_t sequence, kv_head, first, count;
};

/// One call's operands.
template <typename T>
class Attention {
 public:
  Attention(const at::Tensor& q, const at::Tensor& cache, const RowSet& queries,
            const CachedKeys& cached, const AttentionShape& shape, const at::Tensor& out,
            cpu::ColumnsFunction columns)
      : queries_(queries),
        cached_(cached),
        shape_(shape),
        share_(shape.heads / shape.kv_heads),
        columns_(columns),
        q_(q.const_data_ptr<T>()),
        cache_(cache.const_data_ptr<T>()),
        rows_(cached.rows_K.const_data_ptr<int64_t>()),
        out_(out.mutable_data_ptr<T>()),
        q_stride_(q.stride(0)),
        cache_stride_(cache.stride(0)),
        out_stride_(out.stride(0)) {}

  std::vector<Task> Tasks() const {
    std::vector<Task> tasks;
    for (int64_t s = 0; s < queries_.num_sequences(); ++s) {
      const int64_t most = QueriesATask(shape_, cached_.keys.length(s));
      for (int64_t first = 0; first < queries_.length(s); first += most) {
        const int64_t count = std::min(most, queries_.length(s) - first);
        for (int64_t head = 0; head < shape_.kv_heads; ++head)
          tasks.push_back({s, head, first, count});
      }
    }
    return tasks;
  }

  /// Most scores of one task.
  int64_t MostScores() const {
    int64_t most = 0;
    for (int64_t s = 0; s < queries_.num_sequences(); ++s)
      most = std::max(most, ScoresATask({queries_.length(s), cached_.keys.length(s)}, shape_));
    return most;
  }

  /// `scores`: room for a task's, on a line's beginning.
  void Run(const Task& task, float* scores) const {
    // All keys that a query of the task sees; each of them its own part.
    const cpu::KeyRange first = Seen(task, 0), last = Seen(task, task.count - 1);
    const int64_t keys = last.end - first.begin;
    const int64_t stride = StrideOf(keys);
    const int64_t* rows =
        rows_ + cached_.keys.offsets[static_cast<size_t>(task.sequence)] + first.begin;
    Score(task, rows, keys, scores, stride);
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape_.head_dim)));
    for (int64_t i = 0; i < share_ * task.count; ++i) {
      const cpu::KeyRange seen = Seen(task, i % task.count);
      float* row = scores + i * stride;
      cpu::SoftmaxRow(row + seen.begin - first.begin, seen.end - seen.begin, scale);
      std::fill(row, row + seen.begin - first.begin, 0.0F);
      std::fill(row + seen.end - first.begin, row + keys, 0.0F);
    }
    MixAll(task, rows, keys, scores, stride);
  }

 private:
  cpu::KeyRange Seen(const Task& task, int64_t i) const {
    return {shape_, queries_.position(task.sequence, task.first + i),
            cached_.keys.length(task.sequence)};
  }
  /// The row of q or of the output of the task's i-th query.
  int64_t RowOf(const Task& task, int64_t i) const {
    return queries_.offsets[static_cast<size_t>(task.sequence)] + task.first + i;
  }
  int64_t ColumnOf(const Task& task, int64_t head) const {
    return (task.kv_head * share_ + head) * shape_.head_dim;
  }

  /// Scores [share, count, keys] of the keys in `rows`; those that lie behind one another are one
  /// product's.
  void Score(const Task& task, const int64_t* rows, int64_t keys, float* scores,
             int64_t stride) const {
    const auto product = [&](int64_t head, int64_t x_stride, int64_t count, int64_t begin,
                             int64_t end) {
      columns_({.x = q_ + RowOf(task, 0) * q_stride_ + ColumnOf(task, head),
                .w = cache_ + rows[begin] * cache_stride_ + task.kv_head * shape_.head_dim,
                .bias = nullptr,
                .y = scores + head * task.count * stride + begin,
                .x_stride = x_stride,
                .w_stride = cache_stride_,
                .y_stride = stride,
                .rows = count,
                .depth = shape_.head_dim},
               0, end - begin);
    };
    for (int64_t begin = 0; begin < keys;) {
      int64_t end = begin + 1;
      while (end < keys && rows[end] == rows[end - 1] + 1) ++end;
      if (task.count == 1) {
        product(0, shape_.head_dim, share_, begin, end);
      } else {
        for (int64_t head = 0; head < share_; ++head)
          product(head, q_stride_, task.count, begin, end);
      }
      begin = end;
    }
  }

  void MixAll(const Task& task, const int64_t* rows, int64_t keys, const float* scores,
              int64_t stride) const {
    const T* values = cache_ + (shape_.kv_heads + task.kv_head) * shape_.head_dim;
    const int64_t all = share_ * task.count;
    std::array<const float*, 4> p;
    std::array<T*, 4> out;
    for (int64_t begin = 0; begin < all; begin += 4) {
      // Where four rows are more than there are, the last is computed again.
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t row = std::min(begin + i, all - 1);
        p[static_cast<size_t>(i)] = scores + row * stride;
        out[static_cast<size_t>(i)] =
            out_ + RowOf(task, row % task.count) * out_stride_ + ColumnOf(task, row / task.count);
      }
      if (begin + 1 == all) {
        MixOne(p.data(), values, rows, cache_stride_, keys, shape_.head_dim, out.data());
      } else {
        MixFour(p.data(), values, rows, cache_stride_, keys, shape_.head_dim, out.data());
      }
    }
  }

  const RowSet& queries_;
  const CachedKeys& cached_;
  const AttentionShape& shape_;
  const int64_t share_;  ///< Query heads of a key-value head.
  const cpu::ColumnsFunction columns_;
  const T *q_, *cache_;
  const int64_t* rows_;
  T* out_;
  const int64_t q_stride_, cache_stride_, out_stride_;
};

template <typename T>
void AttendRows(const Attention<T>& attention) {
  const std::vector<Task> tasks = attention.Tasks();
  const int64_t most = attention.MostScores();
  const at::Tensor scores = at::empty({cpu::MostThreads(), most}, at::kFloat);
  auto* begin = scores.mutable_data_ptr<float>();
  cpu::ForEachChunk(static_cast<int64_t>(tasks.size()), [&](int64_t i, int64_t thread) {
    attention.Run(tasks[static_cast<size_t>(i)], begin + thread * most);
  });
}

}  // namespace

int64_t CachedAttentionBytes(const std::vector<CachedSequence>& sequences,
                             const AttentionShape& shape, at::ScalarType type, at::Device device) {
  int64_t most = 0, keys = 0;
  for (const CachedSequence& sequence : sequences) {
    most = std::max(most, ScoresATask(sequence, shape));
    keys += sequence.keys;
  }
  const bool reads_in_place = device.is_cpu() && cpu::RowColumns(type, at::kFloat) != nullptr;
  if (reads_in_place) return cpu::MostThreads() * most * static_cast<int64_t>(sizeof(float));
  return keys * 2 * shape.kv_heads * shape.head_dim * static_cast<int64_t>(c10::elementSize(type));
}

at::Tensor AttendCached(const at::Tensor& q, const at::Tensor& cache, const RowSet& queries,
                        const CachedKeys& cached, const AttentionShape& shape) {
  const cpu::ColumnsFunction columns =
      q.is_cpu() && q.stride(1) == 1 ? cpu::RowColumns(q.scalar_type(), at::kFloat) : nullptr;
  if (columns == nullptr)
    return Attend(q.contiguous(), cache.index_select(0, cached.rows_K), queries, cached.keys,
                  shape);
  const at::Tensor out = at::empty({q.size(0), shape.heads * shape.head_dim}, q.options());
  if (q.scalar_type() == at::kBFloat16) {
    AttendRows(Attention<c10::BFloat16>(q, cache, queries, cached, shape, out, columns));
  } else {
    AttendRows(Attention<float>(q, cache, queries, cached, shape, out, columns));
  }
  return out;
}

}  // namespace graft::worker::engine
