#include "worker/engine/model/pass.h"

#include <algorithm>

#include "worker/engine/device/host_values.h"
#include "worker/engine/kernels/expand_rows.h"
#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {

at::Tensor Pass::Embed(const Weight& table) const {
  return at::embedding(weights_.Get(table), batch_.token_ids_T);
}

bool Pass::AddLowRanks(const LinearSite& site, const at::Tensor& x, const RowSet& rows,
                       const at::Tensor& y) const {
  bool others = false;
  std::vector<LowRankGroup> groups;
  for (const Segment& segment : batch_.segments) {
    const RowOwner* owner = segment.owner.adapter;
    if (owner == nullptr || !owner->WrapsLinear(site)) continue;
    const size_t before = groups.size();
    for (const LinearSite::Slice& slice : site.slices) {
      const LowRank* change = owner->LowRankOf(slice.linear);
      if (change == nullptr) continue;
      groups.push_back({.row_begin = rows.offsets[static_cast<size_t>(segment.sequence_begin)],
                        .row_end = rows.offsets[static_cast<size_t>(segment.sequence_end)],
                        .column_begin = slice.begin,
                        .column_end = slice.end,
                        .change = change});
    }
    others |= groups.size() == before;
  }
  AddLowRank(y, x, groups);
  return others;
}

at::Tensor Pass::Linear(const LinearSite& site, const at::Tensor& x, const RowSet& rows,
                        at::ScalarType type) const {
  at::Tensor y = engine::Linear(x, weights_.Get(site.weight), weights_.Get(site.bias), type);
  const bool serves = !at::GradMode::is_enabled();
  if (serves && !AddLowRanks(site, x, rows, y)) return y;
  const auto wraps = [&](const Segment& segment) {
    if (segment.owner.adapter == nullptr || !segment.owner.adapter->WrapsLinear(site)) return false;
    const auto is_added = [&](const LinearSite::Slice& slice) {
      return segment.owner.adapter->LowRankOf(slice.linear) != nullptr;
    };
    return !serves || std::ranges::none_of(site.slices, is_added);
  };
  const auto apply = [&](const Segment& segment, const at::Tensor& x_part, at::Tensor y_part) {
    const RowContext context = batch_.Context(segment, rows);
    return segment.owner.adapter->ApplyLinear({site, x_part, weights_, context}, std::move(y_part));
  };
  if (batch_.segments.size() == 1) {
    const Segment& only = batch_.segments.front();
    return wraps(only) ? apply(only, x, y) : y;
  }
  // Owners never meet in one product over adapter weights: a slice of rows each.
  std::vector<at::Tensor> parts;
  bool changed = false;
  for (const Segment& segment : batch_.segments) {
    at::Tensor part = PackedBatch::RowsOf(segment, rows, y);
    if (wraps(segment)) {
      // A copy under autograd: an in-place change of a slice would tie the owners' graphs together.
      if (at::GradMode::is_enabled()) part = part.clone();
      const at::Tensor out = apply(segment, PackedBatch::RowsOf(segment, rows, x), part);
      changed |= !out.is_alias_of(y);
      part = out;
    }
    parts.push_back(std::move(part));
  }
  return changed ? at::cat(parts, 0) : y;
}

namespace {

at::Tensor RowsOf(const BottleneckGroup& group, const at::Tensor& x) {
  return x.narrow(0, group.row_begin, group.row_end - group.row_begin);
}

/// `out` with what groups made of `sum` in it: neighbours, of one form, together.
at::Tensor Finish(std::span<const BottleneckGroup> groups, const at::Tensor& sum, const Norm& norm,
                  const at::Tensor& out) {
  for (size_t i = 0; i < groups.size();) {
    BottleneckGroup run = groups[i];
    for (++i; i < groups.size() && groups[i].row_begin == run.row_end &&
              groups[i].change->norm_after == run.change->norm_after;
         ++i)
      run.row_end = groups[i].row_end;
    const at::Tensor made = RowsOf(run, sum);
    const at::Tensor finished = run.change->norm_after ? norm(made) : made;
    if (made.size(0) == out.size(0)) return finished;
    RowsOf(run, out).copy_(finished);
  }
  return out;
}

}  // namespace

at::Tensor Pass::ApplySublayer(const Segment& segment, size_t sublayer, const at::Tensor& x_in,
                               const at::Tensor& d, const Norm& norm, const RowSet& rows) const {
  const at::Tensor x_part = PackedBatch::RowsOf(segment, rows, x_in);
  const at::Tensor d_part = PackedBatch::RowsOf(segment, rows, d);
  const RowOwner* owner = segment.owner.adapter;
  if (owner == nullptr || !owner->WrapsSublayer(sublayer)) return norm(x_part + d_part);
  const RowContext context = batch_.Context(segment, rows);
  return owner->ApplySublayer({sublayer, x_part, d_part, norm, weights_.base().compute(), context});
}

at::Tensor Pass::ServeSublayer(size_t sublayer, const at::Tensor& x_in, const at::Tensor& d,
                               const Norm& norm, const RowSet& rows) const {
  // By when they are computed, in front of the norm or behind it; and those of other forms.
  std::vector<BottleneckGroup> before, unnormed, after;
  std::vector<const Segment*> others;
  for (const Segment& segment : batch_.segments) {
    const RowOwner* owner = segment.owner.adapter;
    if (owner == nullptr || !owner->WrapsSublayer(sublayer)) continue;
    const Bottleneck* change = owner->BottleneckOf(sublayer);
    if (change == nullptr) {
      others.push_back(&segment);
      continue;
    }
    const BottleneckGroup group = {
        .row_begin = rows.offsets[static_cast<size_t>(segment.sequence_begin)],
        .row_end = rows.offsets[static_cast<size_t>(segment.sequence_end)],
        .change = change};
    (change->waits_for_norm() ? after : before).push_back(group);
    if (!change->waits_for_norm() && !change->norm_after) unnormed.push_back(group);
  }
  const at::Tensor sum = x_in + d;
  ApplyBottlenecks(sum, {x_in, d, {}}, before);
  at::Tensor out = norm(sum);
  ApplyBottlenecks(sum, {x_in, d, out}, after);
  // Of a family that norms in front, both are one.
  if (!out.is_alias_of(sum)) out = Finish(after, sum, norm, Finish(unnormed, sum, norm, out));
  for (const Segment* segment : others) {
    PackedBatch::RowsOf(*segment, rows, out)
        .copy_(ApplySublayer(*segment, sublayer, x_in, d, norm, rows));
  }
  return out;
}

at::Tensor Pass::Sublayer(size_t sublayer, const at::Tensor& x_in, const at::Tensor& d,
                          const Norm& norm, const RowSet& rows) const {
  const auto wraps = [&](const Segment& segment) {
    return segment.owner.adapter != nullptr && segment.owner.adapter->WrapsSublayer(sublayer);
  };
  if (std::ranges::none_of(batch_.segments, wraps)) return norm(x_in + d);
  const bool is_alone = batch_.segments.size() == 1;
  const RowOwner* first = batch_.segments.front().owner.adapter;
  if (is_alone && first->BottleneckOf(sublayer) == nullptr)
    return ApplySublayer(batch_.segments.front(), sublayer, x_in, d, norm, rows);
  if (!at::GradMode::is_enabled()) return ServeSublayer(sublayer, x_in, d, norm, rows);
  std::vector<at::Tensor> parts;
  for (const Segment& segment : batch_.segments)
    parts.push_back(ApplySublayer(segment, sublayer, x_in, d, norm, rows));
  return at::cat(parts, 0);
}

at::Tensor Pass::Attend(int64_t layer, const at::Tensor& qkv, const AttentionShape& shape) const {
  if (!batch_.cached && !batch_.shared) return engine::Attend(qkv, batch_.tokens, shape);
  const int64_t width = shape.heads * shape.head_dim;
  const at::Tensor q = qkv.narrow(1, 0, width), kv = qkv.narrow(1, width, qkv.size(1) - width);
  if (batch_.shared) return AttendShared(q, kv, batch_.shared->tokens, shape);
  return AttendCached(layer, q, kv, batch_.tokens, shape);
}

at::Tensor Pass::AttendWanted(int64_t layer, const at::Tensor& q, const at::Tensor& kv,
                              const AttentionShape& shape) const {
  if (batch_.shared) return AttendShared(q, kv, batch_.shared->wanted, shape);
  if (!batch_.cached) return engine::Attend(q, kv, batch_.wanted, batch_.tokens, shape);
  return AttendCached(layer, q, kv, batch_.wanted, shape);
}

at::Tensor Pass::AttendShared(const at::Tensor& q, const at::Tensor& kv, const RowSet& rows,
                              const AttentionShape& shape) const {
  const SharedRows& shared = *batch_.shared;
  // Of its own memory: what is kept for backward shall not hold the keys and values, too.
  return engine::Attend(q.contiguous(), ExpandRows(kv, shared.rows_P), rows, shared.places, shape);
}

at::Tensor Pass::AttendCached(int64_t layer, const at::Tensor& q, const at::Tensor& kv,
                              const RowSet& rows, const AttentionShape& shape) const {
  const CachedBatch& cached = *batch_.cached;
  at::Tensor cache = cached.cache->layer(layer);
  cache.index_copy_(0, cached.of.own_rows_T, kv);
  return engine::AttendCached(q, cache, rows, cached.of, shape);
}

const Rotation& Pass::RotationOf(const families::Rope& rope, const RowSet& rows) const {
  for (const OfRows& known : rotations_) {
    if (known.rope == &rope && known.rows == &rows) return known.rotation;
  }
  const at::NoGradGuard no_grad;
  const at::Tensor positions =
      rows.all() ? batch_.position_ids_T : batch_.position_ids_T.index_select(0, rows.index_R);
  const at::Tensor frequencies = ToDevice<float>(rope.inverse_frequencies, positions.device());
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(1) * frequencies;
  rotations_.push_back({&rope, &rows, {angles.cos() * rope.scale, angles.sin() * rope.scale}});
  return rotations_.back().rotation;
}

}  // namespace graft::worker::engine
