#pragma once
/// Products of bf16 matrices of many rows, by kernels of graft's own: what training computes, and
/// what long passes that serve want in fp32. The
/// second operand is laid out for the instruction at hand while it is read, a panel at a time, so
/// that nothing is kept beside the weights and nothing depends on earlier calls.
///
/// Each result is a sum in an order that depends on the inner size alone. Thread safety: pure
/// functions. Source: the blocking of Goto and van de Geijn, Anatomy of High-Performance Matrix
/// Multiplication, 2008.

#include <cstdint>

#include <c10/util/BFloat16.h>

namespace graft::worker::engine::cpu {

/// Whether this processor has the instructions, and nothing faster: AVX512-BF16 without AMX.
bool HasBlockProducts();

/// c = alpha a b + bias, or c += alpha a b. Strides in elements.
struct BlockProblem {
  const c10::BFloat16* a = nullptr;     ///< [rows, depth], a row's numbers side by side.
  const c10::BFloat16* b = nullptr;     ///< [depth, width]; transposed: [width, depth].
  const c10::BFloat16* bias = nullptr;  ///< [width]; null: none. Not with `adds`.
  void* c = nullptr;                    ///< [rows, width], bf16 or fp32.
  int64_t a_stride = 0, b_stride = 0, c_stride = 0;
  int64_t rows = 0, depth = 0, width = 0;
  float alpha = 1;
  bool transposed = false;  ///< b is the other way round.
  bool wide = false;        ///< c is fp32.
  bool adds = false;        ///< To what c holds.
};

/// On all of libtorch's threads. Products are exact, sums in fp32; each result is rounded once.
/// Requires: HasBlockProducts; no size 0.
void BlockProduct(const BlockProblem& problem);

/// The same on the calling thread, for kernels that have products inside. `scratch`:
/// BlockScratch(problem) bytes, aligned to 64.
void BlockProductHere(const BlockProblem& problem, void* scratch);
int64_t BlockScratch(const BlockProblem& problem);

}  // namespace graft::worker::engine::cpu
