/// Attention over packed sequences, forward and backward, against plain loops in double precision.

#include "worker/engine/kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "worker/engine/adapters/initialise.h"

namespace graft::worker::engine {
namespace {

constexpr int64_t kHeads = 3;
constexpr int64_t kHeadDim = 12;
constexpr int64_t kWidth = kHeads * kHeadDim;

/// Mixed lengths: a single row, odd ones, and both sides of the 256-row tile.
const std::vector<int64_t> kLengths = {5, 1, 257, 32, 300, 1, 256, 17};

PackedBatch BatchOf(const std::vector<int64_t>& lengths) {
  static const std::vector<int32_t> ids(1024);
  std::vector<Sequence> sequences;
  for (size_t s = 0; s < lengths.size(); ++s)
    sequences.push_back({ids.data(), nullptr, lengths[s], s});
  return Pack(sequences, std::vector<const Adapter*>(lengths.size(), nullptr), at::kCPU);
}

at::Tensor Random(std::vector<int64_t> shape, uint64_t index, at::ScalarType type) {
  const at::Tensor tensor = at::empty(shape, at::kFloat);
  FillNormal(tensor, 1.5, 0, 3, index);
  return tensor.to(type);
}

/// Attention of `queries` rows from `q_begin` over `keys` rows from `k_begin`, all heads, with the
/// gradient for d_out. All tensors are double; q, dq and out have a row a query; k, v, dk and dv a
/// row a token.
struct Reference {
  at::Tensor q, k, v, d_out, out, dq, dk, dv;

  void Run(int64_t q_begin, int64_t queries, int64_t k_begin, int64_t keys) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(kHeadDim));
    const auto q_ = q.accessor<double, 2>(), k_ = k.accessor<double, 2>(),
               v_ = v.accessor<double, 2>();
    const auto g_ = d_out.accessor<double, 2>();
    auto out_ = out.accessor<double, 2>(), dq_ = dq.accessor<double, 2>();
    auto dk_ = dk.accessor<double, 2>(), dv_ = dv.accessor<double, 2>();
    for (int64_t c = 0; c < kWidth; c += kHeadDim) {
      for (int64_t i = q_begin; i < q_begin + queries; ++i) {
        std::vector<double> p(keys), dp(keys);
        double sum = 0, dot = 0;
        for (int64_t j = 0; j < keys; ++j) {
          double s = 0;
          for (int64_t h = c; h < c + kHeadDim; ++h) s += q_[i][h] * k_[k_begin + j][h];
          sum += p[j] = std::exp(scale * s);
        }
        for (int64_t j = 0; j < keys; ++j) {
          p[j] /= sum;
          for (int64_t h = c; h < c + kHeadDim; ++h) {
            out_[i][h] += p[j] * v_[k_begin + j][h];
            dp[j] += g_[i][h] * v_[k_begin + j][h];
            dv_[k_begin + j][h] += p[j] * g_[i][h];
          }
          dot += p[j] * dp[j];
        }
        for (int64_t j = 0; j < keys; ++j) {
          const double ds = scale * p[j] * (dp[j] - dot);
          for (int64_t h = c; h < c + kHeadDim; ++h) {
            dq_[i][h] += ds * k_[k_begin + j][h];
            dk_[k_begin + j][h] += ds * q_[i][h];
          }
        }
      }
    }
  }
};

Reference MakeReference(const at::Tensor& q, const at::Tensor& kv, const at::Tensor& d_out) {
  const at::Tensor kv_64 = kv.to(at::kDouble);
  Reference r;
  r.q = q.to(at::kDouble);
  r.k = kv_64.narrow(1, 0, kWidth);
  r.v = kv_64.narrow(1, kWidth, kWidth);
  r.d_out = d_out.to(at::kDouble);
  r.out = at::zeros_like(r.d_out);
  r.dq = at::zeros_like(r.q);
  r.dk = at::zeros(r.k.sizes(), at::kDouble);
  r.dv = at::zeros(r.k.sizes(), at::kDouble);
  return r;
}

void ExpectClose(const at::Tensor& actual, const at::Tensor& expected, at::ScalarType type,
                 const char* what) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_EQ(actual.scalar_type(), type);
  // Without optimisation sums over hundreds of keys run one after the other, and round more.
  const double tolerance = type == at::kFloat ? 5e-6 : 2e-2;
  const double error = (actual.to(at::kDouble) - expected).abs().max().item<double>();
  EXPECT_LE(error, tolerance * expected.abs().max().item<double>()) << what;
}

class AttentionTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(AttentionTest, EverySequenceAttendsToItselfAlone) {
  const PackedBatch batch = BatchOf(kLengths);
  at::Tensor qkv = Random({batch.num_rows(), 3 * kWidth}, 1, GetParam());
  const at::Tensor d_out = Random({batch.num_rows(), kWidth}, 2, GetParam());
  Reference expected =
      MakeReference(qkv.narrow(1, 0, kWidth), qkv.narrow(1, kWidth, 2 * kWidth), d_out);
  for (int64_t s = 0; s < batch.num_sequences(); ++s) {
    expected.Run(batch.offsets[s], batch.length(s), batch.offsets[s], batch.length(s));
  }
  qkv.requires_grad_(true);

  const at::Tensor out = Attend(qkv, batch, kHeads);
  out.backward(d_out);

  ExpectClose(out.detach(), expected.out, GetParam(), "out");
  ExpectClose(qkv.grad().narrow(1, 0, kWidth), expected.dq, GetParam(), "dq");
  ExpectClose(qkv.grad().narrow(1, kWidth, kWidth), expected.dk, GetParam(), "dk");
  ExpectClose(qkv.grad().narrow(1, 2 * kWidth, kWidth), expected.dv, GetParam(), "dv");
}

TEST_P(AttentionTest, PooledIsTheFirstRowOfEachSequence) {
  const PackedBatch batch = BatchOf(kLengths);
  at::Tensor q = Random({batch.num_sequences(), kWidth}, 3, GetParam());
  at::Tensor kv = Random({batch.num_rows(), 2 * kWidth}, 4, GetParam());
  const at::Tensor d_out = Random({batch.num_sequences(), kWidth}, 5, GetParam());
  Reference expected = MakeReference(q, kv, d_out);
  for (int64_t s = 0; s < batch.num_sequences(); ++s)
    expected.Run(s, 1, batch.offsets[s], batch.length(s));
  q.requires_grad_(true);
  kv.requires_grad_(true);

  const at::Tensor out = AttendPooled(q, kv, batch, kHeads);
  out.backward(d_out);

  ExpectClose(out.detach(), expected.out, GetParam(), "out");
  ExpectClose(q.grad(), expected.dq, GetParam(), "dq");
  ExpectClose(kv.grad().narrow(1, 0, kWidth), expected.dk, GetParam(), "dk");
  ExpectClose(kv.grad().narrow(1, kWidth, kWidth), expected.dv, GetParam(), "dv");
}

TEST_P(AttentionTest, ANanStaysInItsSequence) {
  const PackedBatch batch = BatchOf({7, 20, 3});
  at::Tensor qkv = Random({30, 3 * kWidth}, 6, GetParam());
  qkv[10][0].fill_(NAN);

  const at::Tensor out = Attend(qkv, batch, kHeads);

  EXPECT_TRUE(at::isfinite(out.narrow(0, 0, 7)).all().item<bool>());
  EXPECT_TRUE(at::isfinite(out.narrow(0, 27, 3)).all().item<bool>());
  EXPECT_TRUE(out[10][0].isnan().item<bool>());
}

TEST_P(AttentionTest, ThreadsDontChangeTheResult) {
  const PackedBatch batch = BatchOf(kLengths);
  const at::Tensor qkv = Random({batch.num_rows(), 3 * kWidth}, 7, GetParam());
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = Attend(qkv, batch, kHeads);
  at::set_num_threads(3);

  const at::Tensor shared = Attend(qkv, batch, kHeads);

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
  at::Tensor qkv = Random({kRows, 3 * kWidth}, 8, at::kFloat);
  const at::Tensor d_out = Random({kRows, kWidth}, 9, at::kFloat);
  Reference expected =
      MakeReference(qkv.narrow(1, 0, kWidth), qkv.narrow(1, kWidth, 2 * kWidth), d_out);
  expected.Run(0, kRows, 0, kRows);
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

INSTANTIATE_TEST_SUITE_P(Types, AttentionTest, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& param) { return std::string(c10::toString(param.param)); });

}  // namespace
}  // namespace graft::worker::engine
