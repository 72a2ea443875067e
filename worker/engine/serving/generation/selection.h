#pragma once
/// Finds the largest scores of a row without sorting it.
/// Thread safety: pure functions; the scratch is the caller's and grows to the row's length once.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace graft::worker::engine::generation {

/// A row's scores, and the largest of each block of them (vocabulary_row.h). No NaN is among them.
struct ScoredRow {
  std::span<const float> scores;
  std::span<const float> maxima;
};

/// A token that may be chosen.
struct Candidate {
  int32_t token = 0;
  float score = 0;
  float weight = 0;  ///< Its probability, but for a factor that all share.
};

/// The largest score; -inf if there is none.
float Largest(const ScoredRow& row);

/// The k-th largest score, equal ones counted each. Looks at the blocks that can hold it: for a
/// small k at a few times k scores.
/// Requires: 1 <= k <= row.scores.size().
float KthLargest(const ScoredRow& row, size_t k, std::vector<float>& scratch);

/// Sets `found` to the tokens with scores of at least `least`, by number, without weights.
void Gather(const ScoredRow& row, float least, std::vector<Candidate>& found);

/// Keeps the fewest candidates of the largest scores whose weights come to at least `mass`, one at
/// least; all if they don't. Of equal scores the lowest numbers are kept. Linear in the candidates
/// on average; their order stays. Requires: there is one.
void KeepMass(double mass, std::vector<Candidate>& candidates, std::vector<Candidate>& scratch);

}  // namespace graft::worker::engine::generation
