#include "common/templates/evaluation/evaluator.h"
#include "common/templates/library/loop.h"
#include "common/templates/values/operations.h"

namespace graft::templates {

/// One {% for %}: hands out the items that its filter lets through, one at a time.
class Evaluator::LoopRun {
 public:
  LoopRun(Evaluator& evaluator, const ForStatement& loop, Frame& outer,
          std::shared_ptr<const Sequence> items)
      : evaluator_(evaluator), loop_(loop), outer_(outer), items_(std::move(items)) {}

  /// False at the end.
  StatusOr<bool> Next(Value* item) {
    const bool is_iterator = items_->form == Sequence::Form::kIterator;
    for (;;) {
      size_t& at = is_iterator ? items_->taken : at_;
      if (at == items_->items.size()) return false;
      *item = items_->items[at++];
      if (loop_.filter == nullptr) return true;
      GRAFT_ASSIGN_OR_RETURN(const bool passes, Passes(*item));
      if (passes) return true;
    }
  }

  std::optional<int64_t> KnownLength() const {
    if (loop_.filter != nullptr || items_->form == Sequence::Form::kIterator) return {};
    return static_cast<int64_t>(items_->items.size());
  }

 private:
  StatusOr<bool> Passes(const Value& item) {
    Frame frame;
    frame.outer = &outer_;
    const Alive alive(evaluator_, frame);
    frame.slots.resize(loop_.filter_frame.loads.size());
    GRAFT_RETURN_IF_ERROR(evaluator_.Enter(loop_.filter_frame, frame));
    GRAFT_RETURN_IF_ERROR(evaluator_.Assign(loop_.filter_target, item, frame));
    GRAFT_ASSIGN_OR_RETURN(const Value passes, evaluator_.Evaluate(*loop_.filter, frame));
    return Truth(passes);
  }

  Evaluator& evaluator_;
  const ForStatement& loop_;
  Frame& outer_;
  const std::shared_ptr<const Sequence> items_;
  size_t at_ = 0;
};

namespace {

/// Empties the loop's state however it is left.
class Leaving {
 public:
  explicit Leaving(LoopState& state) : state_(state) {}
  Leaving(const Leaving&) = delete;
  Leaving& operator=(const Leaving&) = delete;
  ~Leaving() { state_.Leave(); }

 private:
  LoopState& state_;
};

}  // namespace

StatusOr<Evaluator::Flow> Evaluator::Do(const ForStatement& loop, Frame& frame) {
  GRAFT_ASSIGN_OR_RETURN(const Value value, Evaluate(*loop.items, frame));
  GRAFT_ASSIGN_OR_RETURN(auto items, Iterated(session_, value));
  LoopRun run(*this, loop, frame, std::move(items));
  const auto state = std::make_shared<LoopState>();
  state->next = [&run](Value* item) { return run.Next(item); };
  state->known_length = run.KnownLength();
  const Leaving leaving(*state);

  Frame body;
  body.outer = &frame;
  const Alive alive(*this, body);
  body.slots.resize(loop.body_frame.loads.size());
  bool was_completed = false;  // As jinja2 has it, an iteration that `continue` ended is none.
  for (;;) {
    GRAFT_ASSIGN_OR_RETURN(const bool is_there, state->Advance());
    if (!is_there) break;
    body.serial = ++last_serial_;
    GRAFT_RETURN_IF_ERROR(Enter(loop.body_frame, body));
    if (loop.loop.has_value()) body.slots[*loop.loop] = state;
    GRAFT_RETURN_IF_ERROR(Assign(loop.target, state->current, body));
    GRAFT_ASSIGN_OR_RETURN(const Flow flow, Execute(loop.body, body));
    if (flow == Flow::kBreak) break;
    was_completed = was_completed || flow == Flow::kNext;
  }
  if (was_completed || loop.otherwise.empty()) return Flow::kNext;

  Frame otherwise;
  otherwise.outer = &frame;
  const Alive otherwise_alive(*this, otherwise);
  otherwise.slots.resize(loop.otherwise_frame.loads.size());
  GRAFT_RETURN_IF_ERROR(Enter(loop.otherwise_frame, otherwise));
  return Execute(loop.otherwise, otherwise);
}

}  // namespace graft::templates
