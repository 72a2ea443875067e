#include "common/templates/library/loop.h"

#include "common/templates/library/native.h"
#include "common/templates/values/operations.h"

namespace graft::templates {
namespace {

LoopState& StateOf(const Value& loop) { return *loop.As<std::shared_ptr<LoopState>>(); }

StatusOr<Value> Cycle(Session&, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty() || !arguments.named.empty())
    return Failure("loop.cycle() takes what it cycles through");
  const auto count = static_cast<int64_t>(arguments.positional.size());
  const int64_t index = (StateOf(self).index0 % count + count) % count;
  return arguments.positional[static_cast<size_t>(index)];
}

StatusOr<Value> Changed(Session& session, const Value& self, const Arguments& arguments) {
  if (!arguments.named.empty()) return Failure("loop.changed() has no named arguments");
  LoopState& loop = StateOf(self);
  const auto& before = loop.last_changed;
  bool is_same = before.has_value() && before->size() == arguments.positional.size();
  for (size_t i = 0; is_same && i < before->size(); ++i) {
    GRAFT_ASSIGN_OR_RETURN(is_same, Equal(session, (*before)[i], arguments.positional[i]));
  }
  loop.last_changed = arguments.positional;
  return Value(!is_same);
}

constexpr Native kCycle = {"cycle", "*", 0, Cycle};
constexpr Native kChanged = {"changed", "*", 0, Changed};

}  // namespace

void LoopState::Leave() {
  next = nullptr;
  current = before = Missing();
  ahead.clear();
  last_changed.reset();
}

StatusOr<bool> LoopState::Advance() {
  Value item;
  if (!ahead.empty()) {
    item = std::move(ahead.front());
    ahead.pop_front();
  } else {
    GRAFT_ASSIGN_OR_RETURN(const bool is_there, next(&item));
    if (!is_there) return false;
  }
  ++index0;
  before = std::exchange(current, std::move(item));
  return true;
}

StatusOr<const Value*> LoopState::Peek() {
  if (!next) return Failure("asks a loop that was left for its items");
  if (!ahead.empty()) return &ahead.front();
  Value item;
  GRAFT_ASSIGN_OR_RETURN(const bool is_there, next(&item));
  if (!is_there) return nullptr;
  ahead.push_back(std::move(item));
  return &ahead.front();
}

StatusOr<int64_t> LoopState::Length() {
  if (known_length.has_value()) return *known_length;
  if (!next) return Failure("asks a loop that was left for its length");
  for (Value item;;) {
    GRAFT_ASSIGN_OR_RETURN(const bool is_there, next(&item));
    if (!is_there) break;
    ahead.push_back(std::move(item));
  }
  known_length = index0 + 1 + static_cast<int64_t>(ahead.size());
  return *known_length;
}

StatusOr<std::optional<Value>> LoopAttribute(Session& session, const Value& loop,
                                             std::string_view name) {
  LoopState& state = StateOf(loop);
  using Found = std::optional<Value>;
  if (name == "index0") return Found(state.index0);
  if (name == "index") return Found(state.index0 + 1);
  if (name == "first") return Found(state.index0 == 0);
  if (name == "depth") return Found(int64_t{1});  // Deeper only in recursive loops.
  if (name == "depth0") return Found(int64_t{0});
  if (name == "cycle" || name == "changed") {
    const Native& method = name == "cycle" ? kCycle : kChanged;
    GRAFT_ASSIGN_OR_RETURN(Value bound, MakeMethod(session, loop, name, &method));
    return Found(std::move(bound));
  }
  if (name == "previtem") {
    if (!state.next) return Failure("asks a loop that was left for its items");
    const bool is_there = state.index0 != 0 && !state.before.Is(Value::Kind::kMissing);
    return Found(is_there ? state.before : Value(Undefined()));
  }
  if (name == "last" || name == "nextitem") {
    GRAFT_ASSIGN_OR_RETURN(const Value* next, state.Peek());
    if (name == "last") return Found(next == nullptr);
    return Found(next != nullptr ? *next : Value(Undefined()));
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    GRAFT_ASSIGN_OR_RETURN(const int64_t length, state.Length());
    return Found(name == "length"     ? length
                 : name == "revindex" ? length - state.index0
                                      : length - state.index0 - 1);
  }
  return Found();
}

}  // namespace graft::templates
