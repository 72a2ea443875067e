#include "common/templates/library/attributes.h"

#include <algorithm>

#include "common/templates/library/loop.h"
#include "common/templates/library/methods.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;
using Form = Sequence::Form;

bool Lists(std::string_view names, std::string_view name) {
  return names.find(" " + std::string(name) + " ") != std::string_view::npos;
}

const Native* FindMethod(std::span<const Native> methods, std::string_view name) {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const Native& method) { return method.name == name; });
  return found == methods.end() ? nullptr : &*found;
}

/// What a type has under a name.
struct Member {
  bool is_there = false;
  bool is_unsafe = false;
  const Native* method = nullptr;  ///< Null if it isn't built.
};

Member Look(std::span<const Native> methods, std::string_view missing, std::string_view unsafe,
            std::string_view name) {
  if (Lists(unsafe, name)) return {true, true, nullptr};
  const Native* method = FindMethod(methods, name);
  return {method != nullptr || Lists(missing, name), false, method};
}

Member MemberOf(const Value& value, std::string_view name) {
  switch (value.kind()) {
    case Kind::kText:
      return Look(TextMethods(), kMissingTextMethods, "", name);
    case Kind::kDict:
      return Look(DictMethods(), kMissingDictMethods, kUnsafeDictMethods, name);
    case Kind::kSequence: {
      const Form form = value.sequence().form;
      if (form == Form::kList) return Look(SequenceMethods(), "", kUnsafeListMethods, name);
      if (form == Form::kTuple && name == "copy") return {};
      if (form == Form::kTuple) return Look(SequenceMethods(), "", "", name);
      if (form == Form::kRange && name == "copy") return {};
      if (form == Form::kRange) return Look(SequenceMethods(), kMissingRangeAttributes, "", name);
      return Look({}, form == Form::kIterator ? " send throw close " : kMissingViewAttributes, "",
                  name);
    }
    case Kind::kBool:
    case Kind::kInteger:
    case Kind::kFloat:
      return Look({}, kMissingNumberAttributes, "", name);
    default:
      return {};
  }
}

/// value.name without a look at its items; Missing if there is none.
StatusOr<Value> MemberValue(Session& session, const Value& value, std::string_view name) {
  if (value.Is(Kind::kNamespace)) {
    const Value* found = value.As<std::shared_ptr<Namespace>>()->attributes.Find(name);
    return found != nullptr ? *found : Value();
  }
  if (value.Is(Kind::kLoop)) {
    GRAFT_ASSIGN_OR_RETURN(const auto found, LoopAttribute(session, value, name));
    return found.value_or(Value());
  }
  if (value.Is(Kind::kCallable)) return Failure("reads an attribute of a function");
  const Member member = MemberOf(value, name);
  if (!member.is_there) return Value();
  if (member.is_unsafe) return Value(Undefined());
  return MakeMethod(session, value, name, member.method);
}

/// The item, Missing if there is none.
StatusOr<Value> FindItem(Session& session, const Value& value, const Value& key) {
  if (value.Is(Kind::kDict)) {
    const Value* found = value.dict().Find(key);
    return found != nullptr ? *found : Value();
  }
  auto index = WholeNumber(key);
  const bool is_text = value.Is(Kind::kText);
  if (!index.has_value() || (!is_text && !value.Is(Kind::kSequence))) return Value();
  if (!is_text && value.sequence().form > Form::kRange) return Value();
  GRAFT_ASSIGN_OR_RETURN(const int64_t length, Length(session, value));
  if (*index < 0) *index += length;
  if (*index < 0 || *index >= length) return Value();
  if (!is_text) return value.sequence().items[static_cast<size_t>(*index)];
  return SliceOf(session, value, {*index, *index + 1, {}});
}

Value UndefinedOf(const std::string* name) { return Value(Undefined{name}); }

}  // namespace

StatusOr<Value> AttributeOf(Session& session, const Value& value, const std::string& name) {
  GRAFT_RETURN_IF_ERROR(session.Spend(1));
  if (value.Is(Kind::kUndefined)) return UndefinedFailure(value);
  GRAFT_ASSIGN_OR_RETURN(Value member, MemberValue(session, value, name));
  if (member.Is(Kind::kUndefined)) return UndefinedOf(&name);
  if (!member.Is(Kind::kMissing)) return member;
  if (value.Is(Kind::kDict)) {
    const Value* found = value.dict().Find(name);
    if (found != nullptr) return *found;
  }
  return UndefinedOf(&name);
}

StatusOr<Value> ItemOf(Session& session, const Value& value, const Value& key,
                       const std::string* name) {
  GRAFT_RETURN_IF_ERROR(session.Spend(1));
  if (value.Is(Kind::kUndefined)) return UndefinedFailure(value);
  GRAFT_ASSIGN_OR_RETURN(Value item, FindItem(session, value, key));
  if (!item.Is(Kind::kMissing)) return item;
  if (key.Is(Kind::kText)) {
    GRAFT_ASSIGN_OR_RETURN(Value member, MemberValue(session, value, key.text()));
    if (!member.Is(Kind::kMissing) && !member.Is(Kind::kUndefined)) return member;
  }
  return UndefinedOf(name);
}

bool IsMissingMethod(std::string_view name) {
  for (const std::string_view names :
       {kMissingTextMethods, kMissingDictMethods, kMissingNumberAttributes}) {
    if (Lists(names, name)) return true;
  }
  return name == "isdisjoint";
}

bool IsMethodName(std::string_view name) {
  for (const auto methods : {TextMethods(), SequenceMethods(), DictMethods()}) {
    if (FindMethod(methods, name) != nullptr) return true;
  }
  return Lists(kUnsafeListMethods, name) || Lists(kUnsafeDictMethods, name) || name == "cycle" ||
         name == "changed" || IsMissingMethod(name);
}

}  // namespace graft::templates
