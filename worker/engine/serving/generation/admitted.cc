#include "worker/engine/serving/generation/admitted.h"

#include <algorithm>

namespace graft::worker::engine::generation {

void Admitted::Add(Sequence sequence) {
  sequences_.emplace(Age{++last_admission_, 0}, std::move(sequence));
}

Admitted::Map::iterator Admitted::FirstNotRunning() {
  return std::ranges::find_if(sequences_,
                              [](const auto& entry) { return !entry.second.is_running; });
}

int64_t Admitted::width() const {
  int64_t width = 0;
  for (const auto& [age, sequence] : sequences_) width += sequence.is_running ? sequence.width : 0;
  return width;
}

int64_t Admitted::SoonNeeded(const Sequence& sequence, int64_t held) const {
  return blocks_.BlocksOf(sequence.most_stored()) > held ? sequence.width : sequence.width - 1;
}

bool Admitted::Start(Sequence& sequence) {
  const int64_t needed = blocks_.BlocksOf(sequence.known());
  int64_t running = 0, soon = SoonNeeded(sequence, needed);
  for (const auto& [age, other] : sequences_) {
    if (!other.is_running) break;
    running += other.width;
    soon += SoonNeeded(other, static_cast<int64_t>(other.table.blocks().size()));
  }
  if (running > 0 &&
      (running + sequence.width > max_sequences_ || needed + soon > blocks_.free_blocks()))
    return false;
  std::vector<BlockCopy> none;
  sequence.is_running = blocks_.Append(sequence.table, sequence.known(), none);
  return sequence.is_running;
}

bool Admitted::Grow(Sequence& sequence, StepPlan& plan) {
  // None if the last chunk of what is computed again is one token: that has its room.
  const int64_t tokens = sequence.known() - sequence.table.tokens();
  while (!blocks_.Append(sequence.table, tokens, plan.copies)) {
    const auto newest = std::find_if(sequences_.rbegin(), sequences_.rend(),
                                     [](const auto& entry) { return entry.second.is_running; });
    Sequence& victim = newest->second;
    blocks_.Free(victim.table);
    victim.computed = 0;
    victim.is_running = false;
    plan.preempted.push_back(victim.id);
    if (&victim == &sequence) return false;
  }
  return true;
}

void Admitted::Fork(Map::iterator parent) {
  Sequence& sequence = parent->second;
  const int32_t width = std::exchange(sequence.width, 1);
  for (int32_t index = 1; index < width; ++index) {
    Sequence fork{.id = {sequence.id.request, index},
                  .owner = sequence.owner,
                  .prompt_tokens = sequence.prompt_tokens,
                  .max_new_tokens = sequence.max_new_tokens,
                  .generated = sequence.generated,
                  .computed = sequence.computed,
                  .is_running = true,
                  .table = blocks_.Fork(sequence.table)};
    sequences_.emplace(Age{parent->first.first, index}, std::move(fork));
  }
}

}  // namespace graft::worker::engine::generation
