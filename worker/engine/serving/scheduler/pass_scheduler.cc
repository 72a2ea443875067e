#include "worker/engine/serving/scheduler/pass_scheduler.h"

#include <algorithm>
#include <utility>

namespace graft::worker::engine {
namespace {

/// Bases whose speed is remembered while nothing waits for them.
constexpr size_t kMostSizes = 64;

/// Turns of owners that a pass has room for.
constexpr int64_t kTurnsInAPass = 4;

/// Short requests that a pass has room for, unless it's a very small one.
constexpr int64_t kShortInAPass = 16;

}  // namespace

PassSize& PassScheduler::SizeOf(uint64_t base) {
  if (const auto found = sizes_.find(base); found != sizes_.end()) return found->second;
  if (sizes_.size() >= kMostSizes) {
    std::erase_if(sizes_, [&](const auto& entry) {
      return std::ranges::none_of(kinds_,
                                  [&](const Kind& kind) { return kind.id.base == entry.first; });
    });
  }
  return sizes_.emplace(base, limits_).first->second;
}

PassScheduler::Kinds::iterator PassScheduler::KindOf(const PassKind& id) {
  const auto found = std::ranges::find(kinds_, id, &Kind::id);
  return found != kinds_.end() ? found : kinds_.insert(kinds_.end(), {.id = id});
}

void PassScheduler::Add(uint64_t id, Request request) {
  WaitingRequest& waiting = requests_[id];
  waiting.id = id;
  waiting.owner = request.owner;
  waiting.lengths = std::move(request.lengths);
  waiting.kind = request.kind;
  const int64_t tokens = waiting.tokens_left();
  const int64_t pass = SizeOf(request.kind.base).tokens();
  const int64_t most_short =
      waiting.lengths.size() == 1 ? pass : std::max(pass / kShortInAPass, limits_.least);
  waiting.is_short = tokens <= most_short;
  Kind& kind = *KindOf(request.kind);
  (waiting.is_short ? kind.short_lane : kind.long_lane).Add(waiting);
  tokens_ += tokens;
}

void PassScheduler::Remove(uint64_t id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  const WaitingRequest& waiting = found->second;
  tokens_ -= waiting.tokens_left();
  const auto kind = KindOf(waiting.kind);
  (waiting.is_short ? kind->short_lane : kind->long_lane).Remove(waiting);
  if (kind->empty()) kinds_.erase(kind);
  requests_.erase(found);
}

PassScheduler::Kinds::iterator PassScheduler::PickKind() {
  const bool is_by_turn = std::exchange(short_was_first_, !short_was_first_);
  if (is_by_turn) return kinds_.begin();
  const auto with_short =
      std::ranges::find_if(kinds_, [](const Kind& kind) { return !kind.short_lane.empty(); });
  return with_short != kinds_.end() ? with_short : kinds_.begin();
}

void PassScheduler::Fill(Kind& kind, int64_t most, PassPlan& plan) {
  const int64_t full = SizeOf(kind.id.base).tokens();
  const int64_t room = std::min(full, most);
  const int64_t turn = std::max<int64_t>(full / kTurnsInAPass, 1);
  Lane* first = &kind.short_lane;
  Lane* second = &kind.long_lane;
  if (std::exchange(kind.long_is_due, false)) std::swap(first, second);
  const bool long_waits = !kind.long_lane.empty();
  if (!second->empty()) first->Take(room / 2, turn, /*may_exceed=*/true, plan.texts, plan.tokens);
  const auto is_short = [this](const ScheduledText& text) {
    return requests_.at(text.request).is_short;
  };
  for (Lane* lane : {second, first})
    lane->Take(room, turn, /*may_exceed=*/true, plan.texts, plan.tokens);
  kind.long_is_due = long_waits && std::ranges::all_of(plan.texts, is_short);
}

PassPlan PassScheduler::NextPass(int64_t most) {
  PassPlan plan;
  if (kinds_.empty()) return plan;
  const auto kind = PickKind();
  plan.kind = kind->id;
  Fill(*kind, most, plan);
  if (Complete(kind, plan)) kinds_.splice(kinds_.end(), kinds_, kind);
  return plan;
}

PassPlan PassScheduler::NextBetweenLayers() {
  // The kinds take turns here too, and keep their places for the passes behind.
  auto kind = std::ranges::find(kinds_, between_layers_, &Kind::id);
  for (size_t i = 0; i < kinds_.size(); ++i) {
    if (kind == kinds_.end() || ++kind == kinds_.end()) kind = kinds_.begin();
    PassPlan plan{.kind = kind->id, .texts = {}};
    const int64_t room = SizeOf(kind->id.base).tokens();
    kind->short_lane.Take(room, std::max<int64_t>(room / kTurnsInAPass, 1), /*may_exceed=*/false,
                          plan.texts, plan.tokens);
    if (plan.texts.empty()) continue;
    between_layers_ = kind->id;
    (void)Complete(kind, plan);
    return plan;
  }
  return {};
}

bool PassScheduler::Complete(Kinds::iterator kind, PassPlan& plan) {
  tokens_ -= plan.tokens;
  // In the end those of one owner lie together, each request's texts in their order.
  std::ranges::stable_sort(plan.texts, {}, [this](const ScheduledText& text) {
    return std::make_pair(requests_.at(text.request).owner, text.request);
  });
  for (const ScheduledText& text : plan.texts) {
    const auto request = requests_.find(text.request);
    if (text.index + 1 == request->second.lengths.size()) requests_.erase(request);
  }
  if (!kind->empty()) return true;
  kinds_.erase(kind);
  return false;
}

void PassScheduler::Ran(const PassPlan& plan, double seconds) {
  SizeOf(plan.kind.base).Ran(plan.tokens, seconds);
}

}  // namespace graft::worker::engine
