#include <algorithm>

#include "common/templates/library/filters.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

struct Keyed {
  Value key, item;
};

/// Sorts stably, from the last to the first if `reverse`. Errors: Failure if two keys have no
/// order.
StatusOr<Value> Sorted(Session& session, std::vector<Keyed> entries, bool reverse) {
  Status status;
  std::stable_sort(entries.begin(), entries.end(), [&](const Keyed& a, const Keyed& b) {
    if (!status.ok()) return false;
    const auto order = reverse ? Order(session, b.key, a.key) : Order(session, a.key, b.key);
    if (!order.ok()) status = order.status();
    return order.ok() && *order < 0;
  });
  GRAFT_RETURN_IF_ERROR(status);
  std::vector<Value> items;
  items.reserve(entries.size());
  for (Keyed& entry : entries) items.push_back(std::move(entry.item));
  return MakeList(session, std::move(items));
}

StatusOr<Value> SortFilter(Session& session, const Value& self, const Arguments& arguments) {
  const bool by_case = FlagArgument(arguments.Find(1));
  std::vector<AttributePath> paths;
  const Value* attribute = arguments.Find(2);
  if (attribute != nullptr && attribute->Is(Kind::kText)) {
    for (const std::string_view part : Split(attribute->text(), ",", {})) {
      const Value name = ConstantText(std::string(part));
      GRAFT_ASSIGN_OR_RETURN(AttributePath path, AttributePath::Of(&name));
      paths.push_back(std::move(path));
    }
  } else {
    GRAFT_ASSIGN_OR_RETURN(AttributePath path, AttributePath::Of(attribute));
    paths.push_back(std::move(path));
  }
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, self));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(room.Add(session, 2 * items.size() * sizeof(Keyed)));
  std::vector<Keyed> entries;
  entries.reserve(items.size());
  for (const Value& item : items) {
    std::vector<Value> keys;
    for (const AttributePath& path : paths) {
      GRAFT_ASSIGN_OR_RETURN(Value key, path.Read(session, item));
      if (!by_case) {
        GRAFT_ASSIGN_OR_RETURN(key, IgnoringCase(session, key));
      }
      keys.push_back(std::move(key));
    }
    GRAFT_ASSIGN_OR_RETURN(Value key, MakeList(session, std::move(keys)));
    entries.push_back({std::move(key), item});
  }
  return Sorted(session, std::move(entries), FlagArgument(arguments.Find(0)));
}

StatusOr<Value> DictSortFilter(Session& session, const Value& self, const Arguments& arguments) {
  if (self.Is(Kind::kUndefined)) return UndefinedFailure(self);
  if (!self.Is(Kind::kDict)) return Failure("dictsort needs a dict");
  GRAFT_ASSIGN_OR_RETURN(const auto by, TextArgument(arguments.Find(1), "by"));
  if (by.has_value() && *by != "key" && *by != "value")
    return Failure("dictsort sorts by key or value");
  std::vector<Keyed> entries;
  for (const auto& [name, value] : self.dict().items()) {
    GRAFT_ASSIGN_OR_RETURN(Value pair, MakePair(session, name, value));
    Value key = by == "value" ? value : name;
    if (!FlagArgument(arguments.Find(0))) {
      GRAFT_ASSIGN_OR_RETURN(key, IgnoringCase(session, key));
    }
    entries.push_back({std::move(key), std::move(pair)});
  }
  return Sorted(session, std::move(entries), FlagArgument(arguments.Find(2)));
}

StatusOr<Value> UniqueFilter(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const AttributePath path, AttributePath::Of(arguments.Find(1)));
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, self));
  std::vector<Value> seen;
  std::vector<Value> unique;
  for (const Value& item : items) {
    GRAFT_ASSIGN_OR_RETURN(Value key, path.Read(session, item));
    if (!FlagArgument(arguments.Find(0))) {
      GRAFT_ASSIGN_OR_RETURN(key, IgnoringCase(session, key));
    }
    GRAFT_RETURN_IF_ERROR(CheckHashable(session, key));
    bool is_new = true;
    for (size_t i = 0; is_new && i < seen.size(); ++i) {
      GRAFT_ASSIGN_OR_RETURN(const bool equal, Equal(session, seen[i], key));
      is_new = !equal;
    }
    if (!is_new) continue;
    seen.push_back(std::move(key));
    unique.push_back(item);
  }
  return MakeIterator(session, std::move(unique));
}

/// The first of the least items, or of the greatest.
template <bool greatest>
StatusOr<Value> ExtremeFilter(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const AttributePath path, AttributePath::Of(arguments.Find(1)));
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, self));
  Value best{Undefined()};
  Value best_key;
  for (const Value& item : items) {
    GRAFT_ASSIGN_OR_RETURN(Value key, path.Read(session, item));
    if (!FlagArgument(arguments.Find(0))) {
      GRAFT_ASSIGN_OR_RETURN(key, IgnoringCase(session, key));
    }
    if (!best_key.Is(Kind::kMissing)) {
      GRAFT_ASSIGN_OR_RETURN(
          const bool is_better,
          Compare(session, greatest ? Comparison::kGreater : Comparison::kLess, key, best_key));
      if (!is_better) continue;
    }
    best = item;
    best_key = std::move(key);
  }
  return best;
}

constexpr Native kFilters[] = {
    {"dictsort", "case_sensitive by reverse", 0, DictSortFilter},
    {"max", "case_sensitive attribute", 0, ExtremeFilter<true>},
    {"min", "case_sensitive attribute", 0, ExtremeFilter<false>},
    {"sort", "reverse case_sensitive attribute", 0, SortFilter},
    {"unique", "case_sensitive attribute", 0, UniqueFilter},
};

}  // namespace

StatusOr<Value> IgnoringCase(Session& session, const Value& value) {
  if (!value.Is(Kind::kText)) return value;
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(value.text().size()));
  GRAFT_ASSIGN_OR_RETURN(std::string lowered, InCase(value.text(), Case::kLower));
  return MakeText(session, std::move(lowered));
}

std::span<const Native> SortingFilters() { return kFilters; }

}  // namespace graft::templates
