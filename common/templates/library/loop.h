#pragma once
/// The `loop` of a {% for %}: where it is, and what comes next.
/// Thread safety: confined to one rendering.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/templates/values/value.h"

namespace graft::templates {

struct LoopState {
  /// Gives the next item that the loop's own `if` lets through; false at the end. Empty once the
  /// loop has been left.
  std::function<StatusOr<bool>(Value*)> next;
  /// Where it is known without looking ahead.
  std::optional<int64_t> known_length;

  int64_t index0 = -1;
  Value current, before;    ///< Missing if there is none.
  std::deque<Value> ahead;  ///< Items that were looked at before their turn.
  std::optional<std::vector<Value>> last_changed;

  /// Drops what could hold the loop itself. Call it when the loop is left.
  void Leave();
  /// Moves to the next item; false at the end.
  StatusOr<bool> Advance();
  /// Null if there is none.
  StatusOr<const Value*> Peek();
  /// Errors: Failure if the loop has been left, and those of its `if`.
  StatusOr<int64_t> Length();
};

/// loop.<name>; nothing if a loop has no such attribute.
StatusOr<std::optional<Value>> LoopAttribute(Session& session, const Value& loop,
                                             std::string_view name);

}  // namespace graft::templates
