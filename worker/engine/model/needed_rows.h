#pragma once
/// The rows of causal sequences that training has to compute. A row depends on its token and those
/// in front of it alone, so that
///   * of sequences that begin alike, such as conversations of one system message, the beginning is
///     computed once, its gradient being the sum over them; and
///   * what stands behind the last output that is read isn't computed.
/// Outputs and gradients are those of all rows, but for the order of their sums.

#include <vector>

#include "worker/engine/model/batch.h"

namespace graft::worker::engine {

/// As Pack, of these rows. Rows that are read keep their own: beginnings end in front of them.
/// Requires: the model is causal, its tokens have no types, nothing is dropped at random, and no
/// sequence has a past.
PackedBatch PackNeeded(const std::vector<Sequence>& sequences, const std::vector<Owner>& owners,
                       at::Device device);

}  // namespace graft::worker::engine
