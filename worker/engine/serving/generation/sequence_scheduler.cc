#include "worker/engine/serving/generation/sequence_scheduler.h"

#include <algorithm>
#include <string>
#include <utility>

namespace graft::worker::engine::generation {
namespace {

Status Refused(const char* field, const char* reason, const std::string& message) {
  return InvalidArgumentError(message).At(field, reason);
}

std::string Text(int64_t number) { return std::to_string(number); }

/// `held`: tokens that prompt and text may have together. `otherwise`: what else helps, or nothing.
Status TooLong(const SequenceRequest& request, int64_t held, const std::string& what,
               const char* reason, const std::string& otherwise = {}) {
  const std::string has = "the prompt has " + Text(request.prompt_tokens) + " tokens";
  if (request.prompt_tokens >= held) {
    return Refused("prompt", reason,
                   has + ", and " + what + " has room for " + Text(held) +
                       " with the text; shorten the prompt" + otherwise);
  }
  return Refused("max_tokens", reason,
                 has + " and max_tokens asks for up to " + Text(request.max_new_tokens) +
                     " more, but " + what + " has room for " + Text(held) +
                     "; shorten the prompt or ask for at most " +
                     Text(held - request.prompt_tokens) + otherwise);
}

}  // namespace

SequenceScheduler::SequenceScheduler(const Limits& limits)
    : limits_(limits), admitted_(limits.num_blocks, limits.block_tokens, limits.max_sequences) {}

StatusOr<SequenceScheduler> SequenceScheduler::Create(const Limits& limits) {
  const int64_t least =
      std::min({limits.context_tokens, int64_t{limits.num_blocks}, limits.block_tokens,
                limits.chunk_tokens, limits.step_tokens, limits.max_sequences});
  if (least < 1) return InvalidArgumentError("each limit of generation must be at least 1");
  if (limits.step_tokens - limits.chunk_tokens < limits.max_sequences) {
    return InvalidArgumentError("a step of " + Text(limits.step_tokens) +
                                " tokens doesn't hold a chunk of " + Text(limits.chunk_tokens) +
                                " beside one token of each of " + Text(limits.max_sequences) +
                                " sequences; raise step_tokens to their sum");
  }
  return SequenceScheduler(limits);
}

Status SequenceScheduler::CheckFits(const SequenceRequest& request) const {
  if (request.prompt_tokens < 1) {
    return Refused("prompt", "PROMPT_EMPTY",
                   "the prompt has no tokens; give at least one to continue from");
  }
  if (request.max_new_tokens < 1)
    return Refused("max_tokens", "INVALID_FIELD", "max_tokens must be at least 1");
  if (request.n < 1 || request.n > limits_.max_sequences) {
    return Refused("n", "INVALID_FIELD",
                   "n is " + Text(request.n) + "; it must be from 1 to " +
                       Text(limits_.max_sequences) + ", the sequences that run at once");
  }
  const int64_t context = limits_.context_tokens;
  if (request.prompt_tokens >= context || request.max_new_tokens > context - request.prompt_tokens)
    return TooLong(request, context, "the context", "CONTEXT_EXCEEDED");
  if (request.prompt_tokens + request.max_new_tokens > CacheTokens()) {
    return TooLong(request, CacheTokens(), "the key-value cache", "KV_CACHE_EXCEEDED",
                   ", or start the worker with more --kv-memory");
  }
  return OkStatus();
}

int64_t SequenceScheduler::MostNewTokens(int64_t prompt_tokens) const {
  return std::min(limits_.context_tokens, CacheTokens()) - prompt_tokens;
}

Status SequenceScheduler::Add(const SequenceRequest& request) {
  GRAFT_RETURN_IF_ERROR(CheckFits(request));
  waiting_[request.id] = request;
  (IsShort(request.prompt_tokens) ? short_lane_ : long_lane_).Add(request.owner, request.id);
  return OkStatus();
}

void SequenceScheduler::Cancel(uint64_t request) {
  admitted_.Remove([&](const Sequence& sequence) { return sequence.id.request == request; });
  const auto found = waiting_.find(request);
  if (found == waiting_.end()) return;
  (IsShort(found->second.prompt_tokens) ? short_lane_ : long_lane_)
      .Remove(found->second.owner, request);
  waiting_.erase(found);
}

void SequenceScheduler::Finish(const SequenceId& id) {
  admitted_.Remove([&](const Sequence& sequence) { return sequence.id == id; });
}

void SequenceScheduler::Decode(StepPlan& plan) {
  for (auto& [age, sequence] : admitted_.sequences()) {
    if (!sequence.is_running) break;
    if (!sequence.is_decoding() || !admitted_.Grow(sequence, plan)) continue;
    plan.rows.push_back({.sequence = sequence.id,
                         .owner = sequence.owner,
                         .begin = sequence.computed++,
                         .tokens = 1,
                         .table = &sequence.table,
                         .samples = 1,
                         .is_decode = true});
    ++sequence.generated;
    ++plan.tokens;
  }
}

void SequenceScheduler::PrefillOne(Admitted::Map::iterator entry, StepPlan& plan) {
  Sequence& sequence = entry->second;
  const int64_t tokens = std::min({sequence.left(), limits_.chunk_tokens, Room(plan)});
  if (tokens <= 0) return;
  const bool is_last = tokens == sequence.left();
  plan.rows.push_back({.sequence = sequence.id,
                       .owner = sequence.owner,
                       .begin = sequence.computed,
                       .tokens = tokens,
                       .table = &sequence.table,
                       .samples = is_last ? sequence.width : 0,
                       .is_decode = false});
  plan.tokens += tokens;
  sequence.computed += tokens;
  if (!is_last) return;
  ++sequence.generated;
  admitted_.Fork(entry);
}

void SequenceScheduler::Prefill(bool only_short, StepPlan& plan) {
  Admitted::Map& sequences = admitted_.sequences();
  for (auto entry = sequences.begin(); entry != sequences.end(); ++entry) {
    const Sequence& sequence = entry->second;
    if (!sequence.is_running) break;
    if (sequence.is_decoding()) continue;
    if (!only_short || IsShort(sequence.left())) PrefillOne(entry, plan);
  }
}

void SequenceScheduler::Admit(WaitingLane& lane, StepPlan& plan) {
  while (Room(plan) > 0) {
    if (const auto first = admitted_.FirstNotRunning(); first != admitted_.sequences().end()) {
      if (!admitted_.Start(first->second)) return;
      if (&lane == &long_lane_ || IsShort(first->second.left())) PrefillOne(first, plan);
      continue;
    }
    if (lane.empty() || admitted_.width() >= limits_.max_sequences) return;
    const auto request = waiting_.extract(lane.Take());
    admitted_.Add({.id = {request.mapped().id, 0},
                   .owner = request.mapped().owner,
                   .prompt_tokens = request.mapped().prompt_tokens,
                   .max_new_tokens = request.mapped().max_new_tokens,
                   .width = request.mapped().n,
                   .table = {}});
  }
}

StepPlan SequenceScheduler::NextStep() {
  ++step_;
  admitted_.Remove([](const Sequence& sequence) { return sequence.is_done(); });
  StepPlan plan;
  Decode(plan);
  const bool short_is_first = step_ % 2 == 1;
  if (short_is_first) {
    Prefill(/*only_short=*/true, plan);
    Admit(short_lane_, plan);
  }
  Prefill(/*only_short=*/false, plan);
  Admit(long_lane_, plan);
  Admit(short_lane_, plan);
  std::ranges::sort(plan.rows, {},
                    [](const PlannedRows& rows) { return std::pair(rows.owner, rows.sequence); });
  return plan;
}

}  // namespace graft::worker::engine::generation
