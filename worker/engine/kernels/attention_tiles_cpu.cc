#include "worker/engine/kernels/attention_tiles_cpu.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "worker/engine/kernels/attention_cpu.h"
#include "worker/engine/kernels/attention_rows.h"
#include "worker/engine/kernels/block_products.h"
#include "worker/engine/kernels/thread_memory.h"

namespace graft::worker::engine::cpu {
namespace {

/// With longer ones the library's products are worth their set-up.
constexpr int64_t kLongest = 512;
/// Queries of a head whose scores are worked on at once.
constexpr int64_t kTileRows = 128;

/// All heads of one sequence that share a key-value head.
struct Group {
  int64_t sequence, kv_head;
};

/// Where the parts of a thread's memory for a tile lie, in bytes from its beginning: [rows, keys]
/// of each, and what its products need.
class TileOffsets {
  int64_t bytes_ = 0;  // In front of those that count on it.

 public:
  TileOffsets(int64_t keys, int64_t head_dim)
      : scores(Add(kTileRows * keys * kWide)),
        grads(Add(kTileRows * keys * kWide)),
        p(Add(kTileRows * keys * kNarrow)),
        turned(Add(kTileRows * keys * kNarrow)),
        d_k(Add(keys * head_dim * kWide)),
        d_v(Add(keys * head_dim * kWide)),
        scratch(Add(ScratchBytes(keys, head_dim))) {}

  int64_t bytes() const { return bytes_; }

  const int64_t scores, grads, p, turned, d_k, d_v, scratch;

 private:
  static constexpr int64_t kWide = sizeof(float), kNarrow = sizeof(c10::BFloat16);

  static int64_t ScratchBytes(int64_t keys, int64_t head_dim) {
    const int64_t depth = std::max({head_dim, keys, kTileRows});
    return BlockScratch({.rows = std::max(keys, kTileRows), .depth = depth, .width = depth});
  }
  /// The next part's place, on a line's beginning.
  int64_t Add(int64_t bytes) {
    constexpr int64_t kLine = 64;
    return std::exchange(bytes_, bytes_ + (bytes + kLine - 1) / kLine * kLine);
  }
};

/// A thread's memory for a tile.
struct Tiles {
  Tiles(const TileOffsets& at, std::byte* begin)
      : scores(reinterpret_cast<float*>(begin + at.scores)),
        grads(reinterpret_cast<float*>(begin + at.grads)),
        p(reinterpret_cast<c10::BFloat16*>(begin + at.p)),
        turned(reinterpret_cast<c10::BFloat16*>(begin + at.turned)),
        d_k(reinterpret_cast<float*>(begin + at.d_k)),
        d_v(reinterpret_cast<float*>(begin + at.d_v)),
        scratch(reinterpret_cast<float*>(begin + at.scratch)) {}

  float *const scores, *const grads;
  c10::BFloat16 *const p, *const turned;
  float *const d_k, *const d_v;  ///< [keys, H], summed over tiles and heads.
  float* const scratch;
};

/// Calls body(group, tiles) for every group, those of the longest sequences first, shared out among
/// the threads as they get free. What a group computes doesn't depend on who does it.
template <typename Body>
void ForEachGroup(const RowSet& keys, const AttentionShape& shape, const Body& body) {
  std::vector<int64_t> order(static_cast<size_t>(keys.num_sequences()));
  for (size_t s = 0; s < order.size(); ++s) order[s] = static_cast<int64_t>(s);
  std::ranges::stable_sort(order,
                           [&](int64_t a, int64_t b) { return keys.length(a) > keys.length(b); });
  const int64_t tasks = keys.num_sequences() * shape.kv_heads;
  std::atomic<int64_t> next{0};
  const TileOffsets offsets(keys.longest, shape.head_dim);
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    const Tiles tiles(offsets, static_cast<std::byte*>(ThreadMemory(offsets.bytes())));
    for (int64_t task = next++; task < tasks; task = next++)
      body(Group{order[static_cast<size_t>(task / shape.kv_heads)], task % shape.kv_heads}, tiles);
  });
}

/// Some queries of one head, and the keys [begin, end) that they see between them.
struct Tile {
  int64_t row, rows, begin, end, head;
  int64_t keys() const { return end - begin; }
};

/// Calls body(tile) for the tiles of a group, head by head.
template <typename Body>
void ForEachTile(const Group& group, const RowSet& queries, const RowSet& keys,
                 const AttentionShape& shape, const Body& body) {
  const int64_t s = group.sequence, share = shape.heads / shape.kv_heads;
  for (int64_t head = group.kv_head * share; head < (group.kv_head + 1) * share; ++head) {
    for (int64_t row = 0; row < queries.length(s); row += kTileRows) {
      const int64_t rows = std::min(kTileRows, queries.length(s) - row);
      body(Tile{row, rows, KeyRange(shape, queries.position(s, row), keys.length(s)).begin,
                KeyRange(shape, queries.position(s, row + rows - 1), keys.length(s)).end, head});
    }
  }
}

/// Where a tile's operands lie.
struct Places {
  Places(const Group& group, const Tile& tile, const RowSet& queries, const RowSet& keys,
         const AttentionShape& shape)
      : query((queries.offsets[static_cast<size_t>(group.sequence)] + tile.row)),
        key(keys.offsets[static_cast<size_t>(group.sequence)] + tile.begin),
        q_column(tile.head * shape.head_dim),
        kv_column(group.kv_head * shape.head_dim) {}
  c10::BFloat16* Query(const HeadColumns& x) const { return x.data + query * x.stride + q_column; }
  c10::BFloat16* Key(const HeadColumns& x) const { return x.data + key * x.stride + kv_column; }

  int64_t query, key, q_column, kv_column;
};

/// c = x y^T, of two rows of heads. Shapes: c [tile's rows, tile's keys].
void Scores(const c10::BFloat16* x, int64_t x_stride, const c10::BFloat16* y, int64_t y_stride,
            const Tile& tile, int64_t head_dim, float* c, float* scratch) {
  BlockProductHere({.a = x,
                    .b = y,
                    .c = c,
                    .a_stride = x_stride,
                    .b_stride = y_stride,
                    .c_stride = tile.keys(),
                    .rows = tile.rows,
                    .depth = head_dim,
                    .width = tile.keys(),
                    .transposed = true,
                    .wide = true},
                   scratch);
}

/// c = a b, or c += a b in fp32, of scores and rows of heads.
void Weighted(const c10::BFloat16* a, int64_t rows, int64_t depth, const c10::BFloat16* b,
              int64_t b_stride, int64_t head_dim, void* c, int64_t c_stride, bool adds,
              float* scratch) {
  BlockProductHere({.a = a,
                    .b = b,
                    .c = c,
                    .a_stride = depth,
                    .b_stride = b_stride,
                    .c_stride = c_stride,
                    .rows = rows,
                    .depth = depth,
                    .width = head_dim,
                    .wide = adds,
                    .adds = adds},
                   scratch);
}

/// Calls body(row of scores, keys that its query sees, its place in lse) for each row of a tile.
template <typename Body>
void ForEachRow(const Group& group, const Tile& tile, const RowSet& queries, const RowSet& keys,
                const AttentionShape& shape, const Body& body) {
  const int64_t s = group.sequence;
  for (int64_t i = 0; i < tile.rows; ++i) {
    KeyRange seen(shape, queries.position(s, tile.row + i), keys.length(s));
    seen.begin -= tile.begin, seen.end -= tile.begin;
    body(i, seen,
         tile.head * queries.size() + queries.offsets[static_cast<size_t>(s)] + tile.row + i);
  }
}

/// to[j, i] = from[i, j], rounded. Shapes: from [rows, n].
void TurnNarrow(const float* from, int64_t rows, int64_t n, c10::BFloat16* to) {
  constexpr int64_t kBlock = 16;
  for (int64_t i = 0; i < rows; i += kBlock) {
    const int64_t end = std::min(i + kBlock, rows);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t row = i; row < end; ++row) to[j * rows + row] = from[row * n + j];
    }
  }
}

}  // namespace

bool TakesTiles(const at::Tensor& q, const RowSet& keys, const AttentionShape& shape) {
  return q.scalar_type() == at::kBFloat16 && HasBlockProducts() && keys.longest <= kLongest &&
         shape.head_dim <= kLongest;
}

void AttendTiles(const AttentionColumns& in, const RowSet& queries, const RowSet& keys,
                 const AttentionShape& shape, const HeadColumns& out, float* lse) {
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  ForEachGroup(keys, shape, [&](const Group& group, const Tiles& own) {
    ForEachTile(group, queries, keys, shape, [&](const Tile& tile) {
      const Places at(group, tile, queries, keys, shape);
      Scores(at.Query(in.q), in.q.stride, at.Key(in.k), in.k.stride, tile, shape.head_dim,
             own.scores, own.scratch);
      ForEachRow(group, tile, queries, keys, shape,
                 [&](int64_t i, const KeyRange& seen, int64_t place) {
                   float* row = own.scores + i * tile.keys();
                   lse[place] = SoftmaxRow(row + seen.begin, seen.end - seen.begin, scale);
                   std::fill(row, row + seen.begin, 0.0F);
                   std::fill(row + seen.end, row + tile.keys(), 0.0F);
                 });
      NarrowRow(own.scores, own.p, tile.rows * tile.keys());
      Weighted(own.p, tile.rows, tile.keys(), at.Key(in.v), in.v.stride, shape.head_dim,
               at.Query(out), out.stride, /*adds=*/false, own.scratch);
    });
  });
}

void AttendTilesBackward(const AttentionColumns& in, const RowSet& queries, const RowSet& keys,
                         const AttentionShape& shape, const HeadColumns& d_out, const float* lse,
                         const AttentionColumns& d_in) {
  const int64_t size = shape.head_dim;
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(size)));
  ForEachGroup(keys, shape, [&](const Group& group, const Tiles& own) {
    const int64_t all = keys.length(group.sequence);
    std::fill(own.d_k, own.d_k + all * size, 0.0F);
    std::fill(own.d_v, own.d_v + all * size, 0.0F);
    ForEachTile(group, queries, keys, shape, [&](const Tile& tile) {
      const Places at(group, tile, queries, keys, shape);
      const int64_t n = tile.keys();
      Scores(at.Query(in.q), in.q.stride, at.Key(in.k), in.k.stride, tile, size, own.scores,
             own.scratch);
      Scores(at.Query(d_out), d_out.stride, at.Key(in.v), in.v.stride, tile, size, own.grads,
             own.scratch);
      ForEachRow(group, tile, queries, keys, shape,
                 [&](int64_t i, const KeyRange& seen, int64_t place) {
                   float *p = own.scores + i * n, *grad = own.grads + i * n;
                   SoftmaxBackwardRow(p + seen.begin, grad + seen.begin, seen.end - seen.begin,
                                      scale, lse[place]);
                   for (float* row : {p, grad}) {
                     std::fill(row, row + seen.begin, 0.0F);
                     std::fill(row + seen.end, row + n, 0.0F);
                   }
                 });
      NarrowRow(own.grads, own.p, tile.rows * n);
      Weighted(own.p, tile.rows, n, at.Key(in.k), in.k.stride, size, at.Query(d_in.q),
               d_in.q.stride, /*adds=*/false, own.scratch);
      TurnNarrow(own.grads, tile.rows, n, own.turned);
      Weighted(own.turned, n, tile.rows, at.Query(in.q), in.q.stride, size,
               own.d_k + tile.begin * size, size, /*adds=*/true, own.scratch);
      TurnNarrow(own.scores, tile.rows, n, own.turned);
      Weighted(own.turned, n, tile.rows, at.Query(d_out), d_out.stride, size,
               own.d_v + tile.begin * size, size, /*adds=*/true, own.scratch);
    });
    const int64_t first = keys.offsets[static_cast<size_t>(group.sequence)];
    for (int64_t row = 0; row < all; ++row) {
      const auto to = [&](const HeadColumns& x) {
        return x.data + (first + row) * x.stride + group.kv_head * size;
      };
      NarrowRow(own.d_k + row * size, to(d_in.k), size);
      NarrowRow(own.d_v + row * size, to(d_in.v), size);
    }
  });
}

}  // namespace graft::worker::engine::cpu
