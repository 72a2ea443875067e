#include <algorithm>

#include "common/base/utf8.h"
#include "common/templates/library/native.h"
#include "common/templates/library/strftime.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

StatusOr<Value> RangeFunction(Session& session, const Value&, const Arguments& arguments) {
  int64_t numbers[3] = {0, 0, 1};
  size_t count = 0;
  for (; count < 3 && arguments.Find(count) != nullptr; ++count) {
    GRAFT_ASSIGN_OR_RETURN(numbers[count],
                           WholeArgument(*arguments.Find(count), "a range's bound"));
  }
  if (count == 1) return MakeRange(session, 0, numbers[0], 1);
  return MakeRange(session, numbers[0], numbers[1], numbers[2]);
}

/// dict(mapping or pairs, name=value, ...).
StatusOr<Dict> DictOf(Session& session, const Arguments& arguments) {
  if (arguments.positional.size() > 1) return Failure("dict() takes at most one value");
  Dict dict;
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional[0];
    GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, from));
    for (const Value& item : items) {
      if (from.Is(Kind::kDict)) {
        GRAFT_RETURN_IF_ERROR(dict.Set(&session, item, *from.dict().Find(item)));
        continue;
      }
      GRAFT_ASSIGN_OR_RETURN(const auto pair, Items(session, item));
      if (pair.size() != 2) return Failure("dict() takes pairs");
      GRAFT_RETURN_IF_ERROR(dict.Set(&session, pair[0], pair[1]));
    }
  }
  for (const auto& [name, value] : arguments.named)
    GRAFT_RETURN_IF_ERROR(dict.Set(&session, ConstantText(name), value));
  return dict;
}

StatusOr<Value> DictFunction(Session& session, const Value&, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(Dict dict, DictOf(session, arguments));
  return MakeDict(std::move(dict));
}

StatusOr<Value> NamespaceFunction(Session& session, const Value&, const Arguments& arguments) {
  auto made = std::make_shared<Namespace>();
  GRAFT_ASSIGN_OR_RETURN(made->attributes, DictOf(session, arguments));
  for (const auto& item : made->attributes.items()) {
    if (item.first.Is(Kind::kText) && item.first.text().starts_with('_'))
      return Failure("a namespace has no names that begin with an underscore");
  }
  GRAFT_RETURN_IF_ERROR(session.Claim(2 * sizeof(Namespace)));  // Kept until the end.
  session.Keep(made);
  return Value(std::move(made));
}

StatusOr<Value> RaiseFunction(Session& session, const Value&, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const Value message, AsText(session, *arguments.Find(0)));
  return InvalidArgumentError("the template refuses this conversation: " +
                              Quoted(message.text(), 400))
      .At("chat_template", "TEMPLATE_REFUSED");
}

StatusOr<Value> TimeFunction(Session& session, const Value&, const Arguments& arguments) {
  const Value& format = *arguments.Find(0);
  if (!format.Is(Kind::kText)) return Failure("strftime_now() takes a text");
  if (!session.now().has_value())
    return Failure("asks for the date, and none is given to render it with");
  GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(16 * format.text().size()));
  GRAFT_ASSIGN_OR_RETURN(std::string text, FormatTime(format.text(), *session.now()));
  return MakeText(session, std::move(text));
}

constexpr Native kFunctions[] = {
    {"dict", "*", 0, DictFunction},
    {"namespace", "*", 0, NamespaceFunction},
    {"raise_exception", "message", 1, RaiseFunction},
    {"range", "start stop step /", 1, RangeFunction},
    {"strftime_now", "format", 1, TimeFunction},
};

}  // namespace

const Native* FindFunction(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [&](const Native& function) { return function.name == name; });
  return found == std::end(kFunctions) ? nullptr : found;
}

bool IsMissingFunction(std::string_view name) {
  return name == "cycler" || name == "joiner" || name == "lipsum" || name == "self";
}

}  // namespace graft::templates
