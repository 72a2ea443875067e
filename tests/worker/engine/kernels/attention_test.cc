/// Attention over packed sequences, forward and backward, against plain loops in double precision.

#include "worker/engine/kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "worker/engine/adapters/initialise.h"

namespace graft::worker::engine {
namespace {

constexpr int64_t kHeadDim = 12;

/// Mixed lengths: a single row, odd ones, and both sides of the 256-row tile.
std::vector<int64_t> LengthsTo(int64_t longest) { return {5, 1, 257, 32, longest, 1, 256, 17}; }

RowSet AllRows(const std::vector<int64_t>& lengths) {
  RowSet rows;
  for (const int64_t length : lengths) {
    rows.offsets.push_back(rows.size() + length);
    rows.longest = std::max(rows.longest, length);
  }
  return rows;
}

/// The rows of `all` at the positions that `pick` gives for a sequence's length.
RowSet Some(const RowSet& all, const std::function<std::vector<int64_t>(int64_t length)>& pick) {
  RowSet rows;
  for (int64_t s = 0; s < all.num_sequences(); ++s) {
    const std::vector<int64_t> positions = pick(all.length(s));
    rows.positions.insert(rows.positions.end(), positions.begin(), positions.end());
    rows.offsets.push_back(static_cast<int64_t>(rows.positions.size()));
    rows.longest = std::max(rows.longest, rows.length(s));
  }
  return rows;
}

at::Tensor Random(std::vector<int64_t> shape, uint64_t index, at::ScalarType type) {
  const at::Tensor tensor = at::empty(shape, at::kFloat);
  FillNormal(tensor, 1.5, 0, 3, index);
  return tensor.to(type);
}

/// Attention and its gradients for d_out, by loops. All tensors are double; q, dq and out have a
/// row a query; k, v, dk and dv a row a token.
struct Reference {
  at::Tensor q, k, v, d_out, out, dq, dk, dv;

  Reference(const AttentionShape& shape, const at::Tensor& q_in, const at::Tensor& kv,
            const at::Tensor& d_out_in) {
    const int64_t width = shape.kv_heads * shape.head_dim;
    q = q_in.to(at::kDouble);
    k = kv.to(at::kDouble).narrow(1, 0, width);
    v = kv.to(at::kDouble).narrow(1, width, width);
    d_out = d_out_in.to(at::kDouble);
    out = at::zeros_like(d_out);
    dq = at::zeros_like(q);
    dk = at::zeros(k.sizes(), at::kDouble);
    dv = at::zeros(k.sizes(), at::kDouble);
  }

  void Run(const AttentionShape& shape, const RowSet& queries, const RowSet& keys) {
    for (int64_t s = 0; s < keys.num_sequences(); ++s) {
      for (int64_t i = 0; i < queries.length(s); ++i) {
        for (int64_t head = 0; head < shape.heads; ++head) {
          const int64_t position = queries.position(s, i);
          const int64_t last = shape.causal ? position : keys.length(s) - 1;
          const int64_t first =
              shape.window > 0 ? std::max<int64_t>(0, position - shape.window + 1) : 0;
          RunOne(shape, head, queries.offsets[s] + i, keys.offsets[s] + first, last - first + 1);
        }
      }
    }
  }

 private:
  void RunOne(const AttentionShape& shape, int64_t head, int64_t row, int64_t k_row, int64_t n) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
    const int64_t c = head * shape.head_dim;
    const int64_t kc = head / (shape.heads / shape.kv_heads) * shape.head_dim;
    const auto q_ = q.accessor<double, 2>(), k_ = k.accessor<double, 2>(),
               v_ = v.accessor<double, 2>(), g_ = d_out.accessor<double, 2>();
    auto out_ = out.accessor<double, 2>(), dq_ = dq.accessor<double, 2>();
    auto dk_ = dk.accessor<double, 2>(), dv_ = dv.accessor<double, 2>();
    std::vector<double> p(n), dp(n);
    double sum = 0, dot = 0;
    for (int64_t j = 0; j < n; ++j) {
      double score = 0;
      for (int64_t h = 0; h < shape.head_dim; ++h) score += q_[row][c + h] * k_[k_row + j][kc + h];
      sum += p[j] = std::exp(scale * score);
    }
    for (int64_t j = 0; j < n; ++j) {
      p[j] /= sum;
      for (int64_t h = 0; h < shape.head_dim; ++h) {
        out_[row][c + h] += p[j] * v_[k_row + j][kc + h];
        dp[j] += g_[row][c + h] * v_[k_row + j][kc + h];
        dv_[k_row + j][kc + h] += p[j] * g_[row][c + h];
      }
      dot += p[j] * dp[j];
    }
    for (int64_t j = 0; j < n; ++j) {
      const double ds = scale * p[j] * (dp[j] - dot);
      for (int64_t h = 0; h < shape.head_dim; ++h) {
        dq_[row][c + h] += ds * k_[k_row + j][kc + h];
        dk_[k_row + j][kc + h] += ds * q_[row][c + h];
      }
    }
  }
};

void ExpectClose(const at::Tensor& actual, const at::Tensor& expected, at::ScalarType type,
                 const char* what) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_EQ(actual.scalar_type(), type);
  // Without optimisation sums over hundreds of keys run one after the other, and round more.
  const double tolerance = type == at::kFloat ? 5e-6 : 2e-2;
  const double error = (actual.to(at::kDouble) - expected).abs().max().item<double>();
  EXPECT_LE(error, tolerance * expected.abs().max().item<double>()) << what;
}

const AttentionShape kPlain = {.heads = 3, .kv_heads = 3, .head_dim = kHeadDim};
const AttentionShape kShapes[] = {
    kPlain,
    {.heads = 3, .kv_heads = 3, .head_dim = kHeadDim, .causal = true},
    {.heads = 6, .kv_heads = 2, .head_dim = kHeadDim, .causal = true},
    {.heads = 6, .kv_heads = 1, .head_dim = kHeadDim},
    {.heads = 4, .kv_heads = 2, .head_dim = kHeadDim, .causal = true, .window = 9},
    {.heads = 10, .kv_heads = 5, .head_dim = kHeadDim, .causal = true, .window = 2},
};

/// Short sequences of bf16 have kernels of their own on some processors.
using Case = std::tuple<at::ScalarType, AttentionShape, /*longest=*/int64_t>;

class AttentionTest : public ::testing::TestWithParam<Case> {
 protected:
  at::ScalarType type() const { return std::get<0>(GetParam()); }
  const AttentionShape& shape() const { return std::get<1>(GetParam()); }
  int64_t width() const { return shape().heads * kHeadDim; }
  int64_t kv_width() const { return shape().kv_heads * kHeadDim; }

  /// Attends for some rows of sequences, and compares with loops.
  void ExpectSomeRowsAttend(const RowSet& queries) {
    at::Tensor q = Random({queries.size(), width()}, 3, type());
    at::Tensor kv = Random({keys_.size(), 2 * kv_width()}, 4, type());
    const at::Tensor d_out = Random({queries.size(), width()}, 5, type());
    Reference expected(shape(), q, kv, d_out);
    expected.Run(shape(), queries, keys_);
    q.requires_grad_(true);
    kv.requires_grad_(true);

    const at::Tensor out = Attend(q, kv, queries, keys_, shape());
    out.backward(d_out);

    ExpectClose(out.detach(), expected.out, type(), "out");
    ExpectClose(q.grad(), expected.dq, type(), "dq");
    ExpectClose(kv.grad().narrow(1, 0, kv_width()), expected.dk, type(), "dk");
    ExpectClose(kv.grad().narrow(1, kv_width(), kv_width()), expected.dv, type(), "dv");
  }

  const RowSet keys_ = AllRows(LengthsTo(std::get<2>(GetParam())));
};

TEST_P(AttentionTest, EverySequenceAttendsToItselfAlone) {
  at::Tensor qkv = Random({keys_.size(), width() + 2 * kv_width()}, 1, type());
  const at::Tensor d_out = Random({keys_.size(), width()}, 2, type());
  Reference expected(shape(), qkv.narrow(1, 0, width()), qkv.narrow(1, width(), 2 * kv_width()),
                     d_out);
  expected.Run(shape(), keys_, keys_);
  qkv.requires_grad_(true);

  const at::Tensor out = Attend(qkv, keys_, shape());
  out.backward(d_out);

  ExpectClose(out.detach(), expected.out, type(), "out");
  ExpectClose(qkv.grad().narrow(1, 0, width()), expected.dq, type(), "dq");
  ExpectClose(qkv.grad().narrow(1, width(), kv_width()), expected.dk, type(), "dk");
  ExpectClose(qkv.grad().narrow(1, width() + kv_width(), kv_width()), expected.dv, type(), "dv");
}

TEST_P(AttentionTest, TheFirstRowOfEachSequenceAttends) {
  ExpectSomeRowsAttend(Some(keys_, [](int64_t) { return std::vector<int64_t>{0}; }));
}

TEST_P(AttentionTest, TheLastRowOfEachSequenceAttends) {
  ExpectSomeRowsAttend(Some(keys_, [](int64_t n) { return std::vector<int64_t>{n - 1}; }));
}

TEST_P(AttentionTest, ScatteredRowsAttend) {
  ExpectSomeRowsAttend(Some(keys_, [](int64_t n) {
    std::vector<int64_t> positions;
    for (int64_t i = n % 3; i < n; i += 1 + i % 4) positions.push_back(i);
    if (positions.empty()) positions.push_back(0);
    return positions;
  }));
}

TEST_P(AttentionTest, ANanStaysInItsSequence) {
  at::Tensor qkv = Random({30, width() + 2 * kv_width()}, 6, type());
  qkv[10][0].fill_(NAN);

  const at::Tensor out = Attend(qkv, AllRows({7, 20, 3}), shape());

  EXPECT_TRUE(at::isfinite(out.narrow(0, 0, 7)).all().item<bool>());
  EXPECT_TRUE(at::isfinite(out.narrow(0, 27, 3)).all().item<bool>());
  EXPECT_TRUE(out[10][0].isnan().item<bool>());
}

TEST_P(AttentionTest, ThreadsDontChangeTheResult) {
  const at::Tensor qkv = Random({keys_.size(), width() + 2 * kv_width()}, 7, type());
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = Attend(qkv, keys_, shape());
  at::set_num_threads(3);

  const at::Tensor shared = Attend(qkv, keys_, shape());

  at::set_num_threads(threads);
  EXPECT_TRUE(alone.equal(shared));
}

TEST(AttendAlignedTest, HeadsOfAnySizeGetTheResultOfAlignedOnes) {
  constexpr int64_t kRows = 6;
  const auto attend = [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         double scale) {
    EXPECT_EQ(q.size(2) % 8, 0);
    const at::Tensor scores = at::bmm(q.transpose(0, 1), k.permute({1, 2, 0})) * scale;
    return at::bmm(at::softmax(scores, -1), v.transpose(0, 1)).transpose(0, 1);
  };
  constexpr int64_t kHeads = 3, kWidth = kHeads * kHeadDim;
  at::Tensor qkv = Random({kRows, 3 * kWidth}, 8, at::kFloat);
  const at::Tensor d_out = Random({kRows, kWidth}, 9, at::kFloat);
  Reference expected(kPlain, qkv.narrow(1, 0, kWidth), qkv.narrow(1, kWidth, 2 * kWidth), d_out);
  expected.Run(kPlain, AllRows({kRows}), AllRows({kRows}));
  qkv.requires_grad_(true);
  const at::Tensor parts = qkv.view({kRows, 3, kHeads, kHeadDim});

  const at::Tensor out =
      AttendAligned(parts.select(1, 0), parts.select(1, 1), parts.select(1, 2), attend)
          .reshape({kRows, kWidth});
  out.backward(d_out);

  ExpectClose(out.detach(), expected.out, at::kFloat, "out");
  ExpectClose(qkv.grad().narrow(1, 0, kWidth), expected.dq, at::kFloat, "dq");
  ExpectClose(qkv.grad().narrow(1, kWidth, kWidth), expected.dk, at::kFloat, "dk");
  ExpectClose(qkv.grad().narrow(1, 2 * kWidth, kWidth), expected.dv, at::kFloat, "dv");
}

TEST(AttendAlignedTest, AlignedHeadsAreHandedOnAsTheyAre) {
  const at::Tensor q = Random({5, 48}, 10, at::kFloat).view({5, 3, 16});

  AttendAligned(q, q, q, [&](const at::Tensor& q_in, const at::Tensor&, const at::Tensor&, double) {
    EXPECT_TRUE(q_in.is_same(q));
    return q_in;
  });
}

std::string NameOf(const ::testing::TestParamInfo<Case>& info) {
  const auto& [type, shape, longest] = info.param;
  return c10::toString(type) + std::string("_") + std::to_string(shape.heads) + "_" +
         std::to_string(shape.kv_heads) + (shape.causal ? "_causal" : "") +
         (shape.window > 0 ? "_window" + std::to_string(shape.window) : "") + "_to" +
         std::to_string(longest);
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionTest,
                         ::testing::Combine(::testing::Values(at::kFloat, at::kBFloat16),
                                            ::testing::ValuesIn(kShapes),
                                            ::testing::Values(300, 600)),
                         NameOf);

}  // namespace
}  // namespace graft::worker::engine
