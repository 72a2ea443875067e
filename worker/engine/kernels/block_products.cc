#include "worker/engine/kernels/block_products.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <ATen/Parallel.h>

#include "worker/engine/kernels/thread_memory.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GRAFT_BLOCK_TILES 1
#include <immintrin.h>
#endif

namespace graft::worker::engine::cpu {

#ifdef GRAFT_BLOCK_TILES

namespace {

constexpr int kLanes = 16;   ///< Sums of a vector.
constexpr int kVectors = 3;  ///< Of a tile's row,
constexpr int kTileRows =
    8;  ///< so that its sums, 24 vectors, and a panel's three fit in registers.
constexpr int64_t kPanel = kLanes * kVectors;
/// Depth at once: such a panel, 192 KiB, stays in a core's cache while all rows pass.
constexpr int64_t kMostDepth = 2048;
/// Deeper ones are divided, and neighbouring panels of a part computed one after the other: b is
/// read in longer pieces, and a's part stays near.
constexpr int64_t kPartDepth = 1024;
constexpr int64_t kMostPanels = 6;
/// So long before their use rows of b are fetched.
constexpr int64_t kPairsAhead = 8;
/// Rows of a task.
constexpr int64_t kLeastRows = 64, kMostRows = 512;
constexpr int64_t kTasksAThread = 4;

/// Some columns of b, and some of its depth: [pairs, kPanel] pairs of numbers.
struct Panel {
  int64_t column, columns;  ///< `columns` of b, at most kPanel.
  int64_t from, depth;
  uint32_t* packed;
  int vectors() const { return static_cast<int>((columns + kLanes - 1) / kLanes); }
  int64_t pairs() const { return (depth + 1) / 2; }
};

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")

[[gnu::always_inline]] inline __mmask16 First(int64_t count) {
  return static_cast<__mmask16>((1U << std::clamp<int64_t>(count, 0, kLanes)) - 1);
}

/// A pair is two rows of b, one above the other.
void PackRows(const BlockProblem& p, const Panel& panel) {
  for (int64_t k = 0; k < panel.pairs(); ++k) {
    const c10::BFloat16* even = p.b + (panel.from + 2 * k) * p.b_stride + panel.column;
    const bool has_odd = 2 * k + 1 < panel.depth;
    // Rows lie far apart, where no processor looks for them by itself.
    for (int64_t row = kPairsAhead * 2; row < kPairsAhead * 2 + 2; ++row) {
      if (2 * k + row >= panel.depth) break;
      for (int64_t at = 0; at < panel.columns + 31; at += 32)
        _mm_prefetch(even + row * p.b_stride + std::min(at, panel.columns - 1), _MM_HINT_T0);
    }
    for (int v = 0; v < panel.vectors(); ++v) {
      const __mmask16 mask = First(panel.columns - v * kLanes);
      const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, even + v * kLanes));
      const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(
          has_odd ? mask : __mmask16{0}, even + (has_odd ? p.b_stride : 0) + v * kLanes));
      _mm512_store_si512(panel.packed + k * kPanel + v * kLanes,
                         _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
  }
}

/// Sixteen rows of sixteen pairs each, turned.
[[gnu::always_inline]] inline void Turn(__m512i* r) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  // Now r[4 i + j] holds, of the rows 4 i to 4 i + 3, pair j of each quarter.
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    t[j] = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
    t[4 + j] = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xDD);
    t[8 + j] = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
    t[12 + j] = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xDD);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    r[j] = _mm512_shuffle_i32x4(t[j], t[8 + j], 0x88);
    r[8 + j] = _mm512_shuffle_i32x4(t[j], t[8 + j], 0xDD);
    r[4 + j] = _mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0x88);
    r[12 + j] = _mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0xDD);
  }
}

/// A pair is two neighbours in a row of b.
void PackColumns(const BlockProblem& p, const Panel& panel) {
  for (int v = 0; v < panel.vectors(); ++v) {
    const int64_t rows = std::min<int64_t>(kLanes, panel.columns - v * kLanes);
    const c10::BFloat16* from = p.b + (panel.column + v * kLanes) * p.b_stride + panel.from;
    for (int64_t k = 0; k < panel.pairs(); k += kLanes) {
      const int64_t count = panel.depth - 2 * k;  // Numbers that are left.
      const __mmask32 mask = count >= 2 * kLanes ? ~__mmask32{0} : (__mmask32{1} << count) - 1;
      __m512i r[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        r[i] = i < rows ? _mm512_maskz_loadu_epi16(mask, from + i * p.b_stride + 2 * k)
                        : _mm512_setzero_si512();
      }
      Turn(r);
      const int64_t pairs = std::min<int64_t>(kLanes, panel.pairs() - k);
      for (int64_t i = 0; i < pairs; ++i)
        _mm512_store_si512(panel.packed + (k + i) * kPanel + v * kLanes, r[i]);
    }
  }
}

[[gnu::always_inline]] inline __m512 Widen(__m256i bf16) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}

/// Rounds the sums into c: columns [column, column + 16) of a row, those of `mask`.
[[gnu::always_inline]] inline void Keep(const BlockProblem& p, int64_t row, int64_t column,
                                        __mmask16 mask, __m512 sum) {
  if (p.alpha != 1) sum = _mm512_mul_ps(sum, _mm512_set1_ps(p.alpha));
  if (p.bias != nullptr)
    sum = _mm512_add_ps(sum, Widen(_mm256_maskz_loadu_epi16(mask, p.bias + column)));
  const int64_t at = row * p.c_stride + column;
  if (p.wide) {
    float* c = static_cast<float*>(p.c) + at;
    if (p.adds) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, c));
    return _mm512_mask_storeu_ps(c, mask, sum);
  }
  c10::BFloat16* c = static_cast<c10::BFloat16*>(p.c) + at;
  if (p.adds) sum = _mm512_add_ps(sum, Widen(_mm256_maskz_loadu_epi16(mask, c)));
  _mm256_mask_storeu_epi16(c, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sum)));
}

/// kRows rows of a times a panel. `sums` [kRows, kPanel] holds what comes from the depth in front
/// of the panel's and takes what goes behind it; the last part goes to c.
template <int kRows, int kWide>
[[gnu::always_inline]] inline void Tile(const BlockProblem& p, const Panel& panel, int64_t row,
                                        float* sums) {
  __m512 sum[kRows][kWide];
  const bool is_first = panel.from == 0, is_last = panel.from + panel.depth == p.depth;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kWide; ++v)
      sum[r][v] = is_first ? _mm512_setzero_ps() : _mm512_load_ps(sums + r * kPanel + v * kLanes);
  }
  const c10::BFloat16* a = p.a + row * p.a_stride + panel.from;
  const auto step = [&](int64_t k, auto pair) __attribute__((always_inline)) {
    __m512bh b[kWide];
#pragma GCC unroll 3
    for (int v = 0; v < kWide; ++v)
      b[v] = reinterpret_cast<__m512bh>(_mm512_load_si512(panel.packed + k * kPanel + v * kLanes));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto of_row = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair(r)));
#pragma GCC unroll 3
      for (int v = 0; v < kWide; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], of_row, b[v]);
    }
  };
  const int64_t whole = panel.depth / 2;
  for (int64_t k = 0; k < whole; ++k) {
    step(
        k, [&](int r) __attribute__((always_inline)) {
          int32_t pair;
          std::memcpy(&pair, a + r * p.a_stride + 2 * k, sizeof(pair));
          return pair;
        });
  }
  if (panel.depth % 2 != 0) {
    step(
        whole, [&](int r) __attribute__((always_inline)) {
          return int32_t{a[r * p.a_stride + 2 * whole].x};
        });
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kWide; ++v) {
      if (is_last) {
        Keep(p, row + r, panel.column + v * kLanes, First(panel.columns - v * kLanes), sum[r][v]);
      } else {
        _mm512_store_ps(sums + r * kPanel + v * kLanes, sum[r][v]);
      }
    }
  }
}

template <int kWide>
void Rows(const BlockProblem& p, const Panel& panel, int64_t begin, int64_t end, float* sums) {
  int64_t row = begin;
  for (; row + kTileRows <= end; row += kTileRows)
    Tile<kTileRows, kWide>(p, panel, row, sums + (row - begin) * kPanel);
  float* rest = sums + (row - begin) * kPanel;
  if (end - row >= 4) {
    Tile<4, kWide>(p, panel, row, rest);
    row += 4, rest += 4 * kPanel;
  }
  if (end - row >= 2) {
    Tile<2, kWide>(p, panel, row, rest);
    row += 2, rest += 2 * kPanel;
  }
  if (end - row == 1) Tile<1, kWide>(p, panel, row, rest);
}

#pragma GCC pop_options

int64_t DepthAtOnce(const BlockProblem& p) {
  // Even, so that no pair is divided.
  return p.depth > kMostDepth ? kPartDepth : (p.depth + 1) / 2 * 2;
}

bool IsDivided(const BlockProblem& p) { return DepthAtOnce(p) < p.depth; }

int64_t PanelElements(const BlockProblem& p) { return DepthAtOnce(p) / 2 * kPanel; }

/// Rows [begin, end) of the columns [column, last), whole panels but for the last.
void ComputePanels(const BlockProblem& p, int64_t column, int64_t last, int64_t begin, int64_t end,
                   uint32_t* scratch) {
  const int64_t most = DepthAtOnce(p);
  for (int64_t from = 0; from < p.depth; from += most) {
    auto* sums = reinterpret_cast<float*>(scratch + PanelElements(p));
    for (int64_t at = column; at < last; at += kPanel) {
      const Panel panel{at, std::min(kPanel, last - at), from, std::min(most, p.depth - from),
                        scratch};
      if (p.transposed) {
        PackColumns(p, panel);
      } else {
        PackRows(p, panel);
      }
      if (panel.vectors() == 3) Rows<3>(p, panel, begin, end, sums);
      if (panel.vectors() == 2) Rows<2>(p, panel, begin, end, sums);
      if (panel.vectors() == 1) Rows<1>(p, panel, begin, end, sums);
      if (IsDivided(p)) sums += (end - begin) * kPanel;
    }
  }
}

int64_t ScratchBytes(const BlockProblem& p, int64_t rows, int64_t panels) {
  // Sums also of what isn't divided have an address, though nothing is kept there.
  return (PanelElements(p) + (IsDivided(p) ? rows * panels * kPanel : 0)) * 4;
}

}  // namespace

bool HasBlockProducts() {
  static const bool has =
      __builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx512bf16") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0;
  return has;
}

void BlockProduct(const BlockProblem& problem) {
  const int64_t panels = (problem.width + kPanel - 1) / kPanel;
  // Each block lays out its panels anew, so there are no more than it takes to share out the work.
  const int64_t wanted = kTasksAThread * at::get_num_threads() / panels;
  const int64_t shares = std::clamp(wanted, (problem.rows + kMostRows - 1) / kMostRows,
                                    (problem.rows + kLeastRows - 1) / kLeastRows);
  const int64_t rows =
      ((problem.rows + shares - 1) / shares + kTileRows - 1) / kTileRows * kTileRows;
  const int64_t blocks = (problem.rows + rows - 1) / rows;
  const int64_t together =
      IsDivided(problem)
          ? std::clamp<int64_t>(panels * blocks / (2 * at::get_num_threads()), 1, kMostPanels)
          : 1;
  const int64_t groups = (panels + together - 1) / together;
  std::atomic<int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    auto* scratch = static_cast<uint32_t*>(ThreadMemory(ScratchBytes(problem, rows, together)));
    for (int64_t task = next++; task < groups * blocks; task = next++) {
      const int64_t begin = task / groups * rows, column = task % groups * together * kPanel;
      ComputePanels(problem, column, std::min(column + together * kPanel, problem.width), begin,
                    std::min(begin + rows, problem.rows), scratch);
    }
  });
}

int64_t BlockScratch(const BlockProblem& problem) {
  return ScratchBytes(problem, problem.rows, (problem.width + kPanel - 1) / kPanel);
}

void BlockProductHere(const BlockProblem& problem, void* scratch) {
  ComputePanels(problem, 0, problem.width, 0, problem.rows, static_cast<uint32_t*>(scratch));
}

#else

bool HasBlockProducts() { return false; }
void BlockProduct(const BlockProblem&) {}
int64_t BlockScratch(const BlockProblem&) { return 0; }
void BlockProductHere(const BlockProblem&, void*) {}

#endif

}  // namespace graft::worker::engine::cpu
