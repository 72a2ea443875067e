#include <algorithm>

#include "common/templates/library/attributes.h"
#include "common/templates/library/filters.h"
#include "common/templates/library/loop.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;
using Form = Sequence::Form;

StatusOr<Value> LengthFilter(Session& session, const Value& self, const Arguments&) {
  if (self.Is(Kind::kLoop)) {
    GRAFT_ASSIGN_OR_RETURN(const int64_t length, self.As<std::shared_ptr<LoopState>>()->Length());
    return Value(length);
  }
  GRAFT_ASSIGN_OR_RETURN(const int64_t length, Length(session, self));
  return Value(length);
}

StatusOr<Value> ListFilter(Session& session, const Value& self, const Arguments&) {
  GRAFT_ASSIGN_OR_RETURN(auto items, Items(session, self));
  return MakeList(session, std::move(items));
}

/// The first character of a text (0), or the last (-1).
StatusOr<Value> EndOf(Session& session, const Value& text, int64_t index) {
  if (text.text().empty()) return Value(Undefined());
  return ItemOf(session, text, Value(index));
}

StatusOr<Value> FirstFilter(Session& session, const Value& self, const Arguments&) {
  if (self.Is(Kind::kText)) return EndOf(session, self, 0);
  GRAFT_ASSIGN_OR_RETURN(const auto sequence, Iterated(session, self));
  if (sequence->taken == sequence->items.size()) return Value(Undefined());
  const size_t at = sequence->taken;
  if (sequence->form == Form::kIterator) ++sequence->taken;
  return sequence->items[at];
}

StatusOr<Value> LastFilter(Session& session, const Value& self, const Arguments&) {
  if (self.IsSequence(Form::kIterator)) return Failure("an iterator has no last item");
  if (self.Is(Kind::kText)) return EndOf(session, self, -1);
  GRAFT_ASSIGN_OR_RETURN(const auto sequence, Iterated(session, self));
  return sequence->items.empty() ? Value(Undefined()) : sequence->items.back();
}

StatusOr<Value> ReverseFilter(Session& session, const Value& self, const Arguments&) {
  if (self.Is(Kind::kText)) return SliceOf(session, self, {{}, {}, -1});
  GRAFT_ASSIGN_OR_RETURN(auto items, Items(session, self));
  std::reverse(items.begin(), items.end());
  return self.IsSequence(Form::kIterator) ? MakeList(session, std::move(items))
                                          : MakeIterator(session, std::move(items));
}

StatusOr<Value> JoinFilter(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const AttributePath path, AttributePath::Of(arguments.Find(1)));
  const Value* given = arguments.Find(0);
  GRAFT_ASSIGN_OR_RETURN(const Value separator,
                         AsText(session, given != nullptr ? *given : ConstantText("")));
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, self));
  TextBuilder out(session);
  bool is_first = true;
  for (const Value& item : items) {
    GRAFT_ASSIGN_OR_RETURN(const Value value, path.Read(session, item));
    if (!is_first) GRAFT_RETURN_IF_ERROR(AppendText(session, separator, out));
    is_first = false;
    GRAFT_RETURN_IF_ERROR(AppendText(session, value, out));
  }
  return out.Finish();
}

StatusOr<Value> SumFilter(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const AttributePath path, AttributePath::Of(arguments.Find(0)));
  Value sum = arguments.Find(1) != nullptr ? *arguments.Find(1) : Value(int64_t{0});
  if (sum.Is(Kind::kText)) return Failure("sums up texts; join them");
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, self));
  for (const Value& item : items) {
    GRAFT_ASSIGN_OR_RETURN(const Value value, path.Read(session, item));
    GRAFT_ASSIGN_OR_RETURN(sum, Calculate(session, Operator::kAdd, sum, value));
  }
  return sum;
}

StatusOr<Value> ItemsFilter(Session& session, const Value& self, const Arguments&) {
  std::vector<Value> pairs;
  if (self.Is(Kind::kUndefined)) return MakeIterator(session, std::move(pairs));
  if (!self.Is(Kind::kDict)) return Failure("a " + std::string(TypeName(self)) + " has no items");
  GRAFT_RETURN_IF_ERROR(session.Spend(self.dict().items().size()));
  for (const auto& [key, value] : self.dict().items()) {
    GRAFT_ASSIGN_OR_RETURN(Value pair, MakePair(session, key, value));
    pairs.push_back(std::move(pair));
  }
  return MakeIterator(session, std::move(pairs));
}

StatusOr<Value> BatchFilter(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const int64_t size, WholeArgument(*arguments.Find(0), "linecount"));
  if (size < 1) return Failure("a batch has at least one item");
  const Value* fill = arguments.Find(1);
  if (fill != nullptr && fill->Is(Kind::kNone)) fill = nullptr;
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, self));
  std::vector<Value> batches;
  for (size_t begin = 0; begin < items.size(); begin += static_cast<size_t>(size)) {
    const size_t end = std::min(items.size(), begin + static_cast<size_t>(size));
    std::vector<Value> batch(items.begin() + static_cast<std::ptrdiff_t>(begin),
                             items.begin() + static_cast<std::ptrdiff_t>(end));
    if (fill != nullptr && end - begin < static_cast<size_t>(size)) {
      const size_t missing = static_cast<size_t>(size) - (end - begin);
      GRAFT_RETURN_IF_ERROR(session.Spend(missing));
      Claimed room;
      GRAFT_RETURN_IF_ERROR(room.Add(session, missing * sizeof(Value)));
      batch.resize(static_cast<size_t>(size), *fill);
    }
    GRAFT_ASSIGN_OR_RETURN(Value list, MakeList(session, std::move(batch)));
    batches.push_back(std::move(list));
    if (static_cast<size_t>(size) >= items.size()) break;
  }
  return MakeIterator(session, std::move(batches));
}

constexpr Native kFilters[] = {
    {"batch", "linecount fill_with", 1, BatchFilter},
    {"count", "", 0, LengthFilter},
    {"first", "", 0, FirstFilter},
    {"items", "", 0, ItemsFilter},
    {"join", "d attribute", 0, JoinFilter},
    {"last", "", 0, LastFilter},
    {"length", "", 0, LengthFilter},
    {"list", "", 0, ListFilter},
    {"reverse", "", 0, ReverseFilter},
    {"sum", "attribute start", 0, SumFilter},
};

}  // namespace

std::span<const Native> SequenceFilters() { return kFilters; }

}  // namespace graft::templates
