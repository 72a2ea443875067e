#include <charconv>

#include "common/base/utf8.h"
#include "common/templates/library/attributes.h"
#include "common/templates/library/filters.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

/// The arguments behind the first `count`.
Arguments Behind(const Arguments& arguments, size_t count) {
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<std::ptrdiff_t>(count));
  return rest;
}

/// map(attribute=..., default=...) or map("filter", ...).
StatusOr<Value> MapFilter(Session& session, const Value& self, const Arguments& arguments) {
  std::vector<Value> mapped;
  if (!Truth(self)) return MakeIterator(session, std::move(mapped));
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, self));
  const Value* attribute = nullptr;
  const Value* fallback = nullptr;
  bool knows_all = true;
  for (const auto& [name, value] : arguments.named) {
    if (name == "attribute") attribute = &value;
    if (name == "default") fallback = &value;
    knows_all = knows_all && (name == "attribute" || name == "default");
  }
  const bool by_attribute = arguments.positional.empty() && attribute != nullptr;
  if (by_attribute && !knows_all) return Failure("map takes attribute and default");
  if (!by_attribute && arguments.positional.empty()) return Failure("map needs a filter's name");
  GRAFT_ASSIGN_OR_RETURN(const AttributePath path,
                         AttributePath::Of(by_attribute ? attribute : nullptr));
  mapped.reserve(items.size());
  for (const Value& item : items) {
    StatusOr<Value> value =
        by_attribute ? path.Read(session, item, fallback)
                     : ApplyFilter(session, arguments.positional[0], item, Behind(arguments, 1));
    GRAFT_RETURN_IF_ERROR(value.status());
    mapped.push_back(std::move(*value));
  }
  return MakeIterator(session, std::move(mapped));
}

/// Those items for which a test, of them or of an attribute of theirs, says `wanted`.
template <bool wanted, bool of_attribute>
StatusOr<Value> SelectFilter(Session& session, const Value& self, const Arguments& arguments) {
  std::vector<Value> selected;
  if (!Truth(self)) return MakeIterator(session, std::move(selected));
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, self));
  constexpr size_t kTest = of_attribute ? 1 : 0;
  if (arguments.positional.size() < kTest) return Failure("this filter needs an attribute");
  GRAFT_ASSIGN_OR_RETURN(const AttributePath path,
                         AttributePath::Of(of_attribute ? &arguments.positional[0] : nullptr));
  const bool has_test = arguments.positional.size() > kTest;
  for (const Value& item : items) {
    GRAFT_ASSIGN_OR_RETURN(const Value value, path.Read(session, item));
    bool passes = Truth(value);
    if (has_test) {
      GRAFT_ASSIGN_OR_RETURN(passes, ApplyTest(session, arguments.positional[kTest], value,
                                               Behind(arguments, kTest + 1)));
    }
    if (passes == wanted) selected.push_back(item);
  }
  return MakeIterator(session, std::move(selected));
}

constexpr Native kFilters[] = {
    {"map", "*", 0, MapFilter},
    {"reject", "*", 0, SelectFilter<false, false>},
    {"rejectattr", "*", 0, SelectFilter<false, true>},
    {"select", "*", 0, SelectFilter<true, false>},
    {"selectattr", "*", 0, SelectFilter<true, true>},
};

}  // namespace

StatusOr<AttributePath> AttributePath::Of(const Value* attribute) {
  AttributePath path;
  if (attribute == nullptr || attribute->Is(Kind::kNone)) return path;
  if (!attribute->Is(Kind::kText)) {
    path.parts_.push_back(*attribute);
    return path;
  }
  for (const std::string_view part : Split(attribute->text(), ".", {})) {
    int64_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_index =
        error == std::errc() && end == part.data() + part.size() && index >= 0 && part[0] != '-';
    path.parts_.push_back(is_index ? Value(index) : ConstantText(std::string(part)));
  }
  return path;
}

StatusOr<Value> AttributePath::Read(Session& session, const Value& item,
                                    const Value* fallback) const {
  Value value = item;
  for (const Value& part : parts_) {
    GRAFT_ASSIGN_OR_RETURN(value, ItemOf(session, value, part));
    if (value.Is(Kind::kUndefined) && fallback != nullptr && !fallback->Is(Kind::kNone))
      value = *fallback;
  }
  return value;
}

std::span<const Native> SelectionFilters() { return kFilters; }

}  // namespace graft::templates
