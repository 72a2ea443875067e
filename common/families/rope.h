#pragma once
/// Reads a config.json's rotary position embeddings.
/// Source: transformers' modeling_rope_utils.py: rope_theta with rope_scaling (4), or
/// rope_parameters (5).

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/families/layout.h"

namespace graft::families {

/// The longest context in tokens that a base may have, however it is stretched.
inline constexpr int64_t kMostPositions = 1 << 24;

/// What the positions are, and what a longer context would be counted by.
struct RopeReading {
  Rope rope;
  int64_t max_positions = 0;  ///< Longest sequence in tokens.
  Json canonical;             ///< All that the frequencies depend on: enters the fingerprint.
};

/// `max_positions` is config.json's max_position_embeddings.
/// Errors: Unimplemented for a kind that isn't built (names it and lists what is); InvalidArgument
/// if a field is missing, unknown, of a wrong type or out of range.
StatusOr<RopeReading> ReadRope(const Json& config, int64_t head_dim, int64_t max_positions);

/// Sets `config`'s rope_theta and rope_scaling, of which ReadRope gives `canonical` again. Version
/// 5 of transformers reads them too; rope_parameters beside them would be a second statement of the
/// same. Requires: `canonical` is a RopeReading's.
void WriteRope(const Json& canonical, Json& config);

}  // namespace graft::families
