#pragma once
/// What a generation is asked for, inside the engine, and the bounds of all of them.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/caches/base_cache.h"
#include "worker/engine/serving/generation/settings.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

/// One request; its n sequences end one by one.
struct GenerationWork {
  /// Null: the plain base. Keeps the version that it is of.
  std::shared_ptr<const Adapter> adapter;
  LoadedBase on;
  std::vector<int32_t> prompt;
  /// The text goes on where the prompt's ends, with the space between them. Else it begins anew, as
  /// an answer does.
  bool continues_prompt = false;
  generation::GenerationSettings settings;  ///< Checked; with a seed.
  Abandoned abandoned;
  /// Called on the engine's thread for each piece, then `done` once; they must only hand over.
  std::function<void(GeneratedPiece)> on_piece;
  std::function<void(Status)> done;
};

/// Bounds of the memory and of a step.
struct GenerationLimits {
  /// Of keys and values, a base; less where the device has less, but for a whole context as far as
  /// this goes. Where it is less than a context's, no text over the base is as long as that.
  int64_t cache_bytes = int64_t{1} << 30;
  int64_t block_tokens = 16;
  int64_t chunk_tokens = 256;
  int64_t max_sequences = generation::kMostSequences;
  size_t max_waiting = 1024;  ///< Requests that aren't over.
};

}  // namespace graft::worker::engine
