#pragma once
/// Bases as large as a test of memory needs them, of no meaning: their weights are zero, which take
/// as much as others.

#include <cstdint>
#include <filesystem>

namespace graft::worker::engine::testing {

struct ZeroBase {
  int64_t hidden = 128, inner = 352, vocabulary = 2048;
  int64_t heads = 8, kv_heads = 4, head_dim = 16;
  int64_t positions = 128;
};

/// Writes a base of the family of the golden one in `from`, with its layers and tokenizer, and of
/// these sizes. Throws if it can't.
void WriteZeroBase(const std::filesystem::path& from, const std::filesystem::path& folder,
                   const ZeroBase& sizes = {});

}  // namespace graft::worker::engine::testing
