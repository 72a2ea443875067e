#include <algorithm>

#include "common/templates/library/methods.h"
#include "common/templates/values/operations.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

StatusOr<Value> Index(Session& session, const Value& self, const Arguments& arguments) {
  if (arguments.Find(1) != nullptr) return Failure("index() takes no positions here");
  const auto& items = self.sequence().items;
  for (size_t i = 0; i < items.size(); ++i) {
    GRAFT_ASSIGN_OR_RETURN(const bool equal, Equal(session, items[i], *arguments.Find(0)));
    if (equal) return Value(static_cast<int64_t>(i));
  }
  return Failure("index() looks for what isn't there");
}

StatusOr<Value> Count(Session& session, const Value& self, const Arguments& arguments) {
  int64_t count = 0;
  for (const Value& item : self.sequence().items) {
    GRAFT_ASSIGN_OR_RETURN(const bool equal, Equal(session, item, *arguments.Find(0)));
    count += equal ? 1 : 0;
  }
  return Value(count);
}

StatusOr<Value> Copy(Session&, const Value& self, const Arguments&) { return self; }

StatusOr<Value> Get(Session& session, const Value& self, const Arguments& arguments) {
  const Value& key = *arguments.Find(0);
  GRAFT_ASSIGN_OR_RETURN(const bool is_there, Contains(session, self, key));
  if (is_there) return *self.dict().Find(key);
  const Value* fallback = arguments.Find(1);
  return fallback != nullptr ? *fallback : Value(None());
}

template <Sequence::Form form>
StatusOr<Value> View(Session& session, const Value& self, const Arguments&) {
  const auto& entries = self.dict().items();
  GRAFT_RETURN_IF_ERROR(session.Spend(entries.size()));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(room.Add(session, entries.size() * sizeof(Value)));
  std::vector<Value> items;
  items.reserve(entries.size());
  for (const auto& [key, value] : entries) {
    if (form == Sequence::Form::kItems) {
      GRAFT_ASSIGN_OR_RETURN(Value pair, MakePair(session, key, value));
      items.push_back(std::move(pair));
    } else {
      items.push_back(form == Sequence::Form::kKeys ? key : value);
    }
  }
  return MakeSequence(session, form, std::move(items));
}

constexpr Native kSequenceMethods[] = {
    {"copy", "", 0, Copy},
    {"count", "value /", 1, Count},
    {"index", "value start /", 1, Index},
};

constexpr Native kDictMethods[] = {
    {"copy", "", 0, Copy},
    {"get", "key default /", 1, Get},
    {"items", "", 0, View<Sequence::Form::kItems>},
    {"keys", "", 0, View<Sequence::Form::kKeys>},
    {"values", "", 0, View<Sequence::Form::kValues>},
};

}  // namespace

std::span<const Native> SequenceMethods() { return kSequenceMethods; }
std::span<const Native> DictMethods() { return kDictMethods; }

}  // namespace graft::templates
