#include "worker/engine/kernels/row_products.h"

#include <algorithm>
#include <cstring>

#include "worker/engine/device/team.h"
#include "worker/engine/kernels/vectorised.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GRAFT_ROW_TILES 1
#include <immintrin.h>
#endif

namespace graft::worker::engine::cpu {
namespace {

/// An instruction set's.
struct Kernels {
  ColumnsFunction fp32 = nullptr, bf16 = nullptr, bf16_to_fp32 = nullptr;
};

/// With more rows than these other kernels may be faster.
constexpr int64_t kFewRows = 32;
/// Where they are no faster before: a step of generation, a prompt's chunk beside all that decode,
/// has no more, so that its rows' bits don't depend on who is beside them.
constexpr int64_t kRowsOfAStep = 320;
/// Of x, that a core's cache keeps beside W.
constexpr int64_t kBlockBytes = 256 << 10;
/// W's rows are fetched so long before they are used.
constexpr int64_t kRowsAhead = 16;
/// Columns that a thread takes at once are a multiple of this: whole tiles.
constexpr int64_t kWholeTiles = 16;
/// Shares for each thread: one that is slower takes fewer.
constexpr int64_t kSharesAThread = 4;
/// Of W in a share, at most.
constexpr int64_t kShareBytes = 512 << 10;

#ifdef GRAFT_ROW_TILES

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
namespace avx512 {

using Vector = __m512;
constexpr int kSums = 16;

[[gnu::always_inline]] inline Vector Zero() { return _mm512_setzero_ps(); }

[[gnu::always_inline]] inline Vector Halve(Vector even, Vector odd) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(even, odd, 0x88),
                       _mm512_shuffle_f32x4(even, odd, 0xDD));
}

/// Adds up each vector. Two vectors at a time become one of half as many parts of each.
[[gnu::always_inline]] inline void StoreSums(const Vector* partial, float* sums) {
  __m512 b[8], c[4];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const __m512 even = partial[2 * i], odd = partial[2 * i + 1];
    b[i] = _mm512_add_ps(_mm512_unpacklo_ps(even, odd), _mm512_unpackhi_ps(even, odd));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512d even = _mm512_castps_pd(b[2 * i]), odd = _mm512_castps_pd(b[2 * i + 1]);
    c[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(even, odd)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(even, odd)));
  }
  _mm512_storeu_ps(sums, Halve(Halve(c[0], c[1]), Halve(c[2], c[3])));
}

struct Fp32 {
  using Element = float;
  using Operand = __m512;
  static constexpr int kStep = 16;
  [[gnu::always_inline]] static Operand Load(const float* from) { return _mm512_loadu_ps(from); }
  [[gnu::always_inline]] static Vector MultiplyAdd(Operand a, Operand b, Vector sum) {
    return _mm512_fmadd_ps(a, b, sum);
  }
};

struct Bf16 {
  using Element = c10::BFloat16;
  using Operand = __m512bh;
  static constexpr int kStep = 32;
  [[gnu::always_inline]] static Operand Load(const c10::BFloat16* from) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from));
  }
  [[gnu::always_inline]] static Vector MultiplyAdd(Operand a, Operand b, Vector sum) {
    return _mm512_dpbf16_ps(sum, a, b);
  }
};

#include "worker/engine/kernels/row_tiles.inc"

constexpr Kernels kKernels = {Columns<Fp32, float>, Columns<Bf16, c10::BFloat16>,
                              Columns<Bf16, float>};

}  // namespace avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {

using Vector = __m256;
constexpr int kSums = 8;

[[gnu::always_inline]] inline Vector Zero() { return _mm256_setzero_ps(); }

[[gnu::always_inline]] inline void StoreSums(const Vector* partial, float* sums) {
  const __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(partial[0], partial[1]),
                                  _mm256_hadd_ps(partial[2], partial[3]));
  const __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(partial[4], partial[5]),
                                  _mm256_hadd_ps(partial[6], partial[7]));
  _mm256_storeu_ps(
      sums, _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)));
}

struct Fp32 {
  using Element = float;
  using Operand = __m256;
  static constexpr int kStep = 8;
  [[gnu::always_inline]] static Operand Load(const float* from) { return _mm256_loadu_ps(from); }
  [[gnu::always_inline]] static Vector MultiplyAdd(Operand a, Operand b, Vector sum) {
    return _mm256_fmadd_ps(a, b, sum);
  }
};

/// Widened: a bf16 number is the upper half of an fp32 one.
struct Bf16 {
  using Element = c10::BFloat16;
  struct Operand {
    __m256 even, odd;
  };
  static constexpr int kStep = 16;
  [[gnu::always_inline]] static Operand Load(const c10::BFloat16* from) {
    const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)))};
  }
  [[gnu::always_inline]] static Vector MultiplyAdd(Operand a, Operand b, Vector sum) {
    return _mm256_fmadd_ps(a.odd, b.odd, _mm256_fmadd_ps(a.even, b.even, sum));
  }
};

#include "worker/engine/kernels/row_tiles.inc"

constexpr Kernels kKernels = {Columns<Fp32, float>, Columns<Bf16, c10::BFloat16>,
                              Columns<Bf16, float>};

}  // namespace avx2
#pragma GCC pop_options

const Kernels& Best() {
  static const Kernels best = [] {
    if (__builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
        __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0)
      return avx512::kKernels;
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
      return avx2::kKernels;
    return Kernels{};
  }();
  return best;
}

/// AMX multiplies far more bf16 at a time than the tiles here; libtorch's fp32 takes as long as
/// they do, or a little longer, on this one's kind.
bool IsFastWithManyRows() {
  static const bool is = __builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx512bf16") != 0;
  return is;
}

#else

Kernels Best() { return {}; }
bool IsFastWithManyRows() { return false; }

#endif

int64_t ColumnsAtOnce(int64_t width, int64_t row_bytes) {
  const int64_t even = width / (kSharesAThread * at::get_num_threads());
  const int64_t most = std::min(even, kShareBytes / row_bytes);
  return std::max(kWholeTiles, (most + kWholeTiles - 1) / kWholeTiles * kWholeTiles);
}

}  // namespace

ColumnsFunction RowColumns(at::ScalarType operands, at::ScalarType out) {
  const Kernels& kernels = Best();
  if (operands == at::kFloat) return out == at::kFloat ? kernels.fp32 : nullptr;
  if (operands != at::kBFloat16) return nullptr;
  return out == at::kFloat ? kernels.bf16_to_fp32 : kernels.bf16;
}

bool TakesRowProducts(const at::Tensor& x, const at::Tensor& weight) {
  const at::ScalarType type = x.scalar_type();
  if (!x.is_cpu() || RowColumns(type, type) == nullptr) return false;
  if (x.dim() != 2 || x.stride(1) != 1 || weight.stride(1) != 1) return false;
  return x.size(0) <= (IsFastWithManyRows() ? kRowsOfAStep : kFewRows);
}

at::Tensor RowProducts(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       at::ScalarType out) {
  const at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options().dtype(out));
  const RowProblem problem = {.x = x.const_data_ptr(),
                              .w = weight.const_data_ptr(),
                              .bias = bias.defined() ? bias.const_data_ptr() : nullptr,
                              .y = y.mutable_data_ptr(),
                              .x_stride = x.stride(0),
                              .w_stride = weight.stride(0),
                              .y_stride = y.stride(0),
                              .rows = x.size(0),
                              .depth = x.size(1)};
  const ColumnsFunction columns = RowColumns(x.scalar_type(), out);
  const int64_t width = weight.size(0);
  const int64_t share = ColumnsAtOnce(width, weight.stride(0) * weight.element_size());
  ForEachChunk((width + share - 1) / share,
               [&](int64_t i) { columns(problem, i * share, std::min((i + 1) * share, width)); });
  return y;
}

}  // namespace graft::worker::engine::cpu
