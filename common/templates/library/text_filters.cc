#include <algorithm>

#include "common/templates/library/filters.h"
#include "common/templates/library/texts.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

template <Case to>
StatusOr<Value> InCaseFilter(Session& session, const Value& self, const Arguments&) {
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session, self));
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(text.text().size()));
  GRAFT_ASSIGN_OR_RETURN(std::string changed, InCase(text.text(), to));
  return MakeText(session, std::move(changed), text.is_safe_text());
}

StatusOr<Value> CapitalizeFilter(Session& session, const Value& self, const Arguments&) {
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session, self));
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(text.text().size()));
  GRAFT_ASSIGN_OR_RETURN(std::string changed, Capitalized(text.text()));
  return MakeText(session, std::move(changed), text.is_safe_text());
}

/// Each word begins in upper case; words end at white space, "-", "(", "{", "[" and "<".
StatusOr<Value> TitleFilter(Session& session, const Value& self, const Arguments&) {
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session, self));
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(4 * text.text().size()));
  TextBuilder out(session);
  bool in_word = false;
  for (std::string_view rest = text.text(); !rest.empty();) {
    const std::string_view character = rest.substr(0, CharacterBytes(rest));
    rest.remove_prefix(character.size());
    const bool ends_word =
        Strip(character, Side::kLeft, "-({[<").empty() || Strip(character, Side::kLeft).empty();
    GRAFT_ASSIGN_OR_RETURN(const std::string changed,
                           InCase(character, in_word && !ends_word ? Case::kLower : Case::kUpper));
    in_word = !ends_word;
    if (!out.Append(changed)) break;
  }
  return out.Finish();
}

StatusOr<Value> TrimFilter(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session, self));
  GRAFT_ASSIGN_OR_RETURN(const auto characters, TextArgument(arguments.Find(0), "chars"));
  GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(text.text().size()));
  if (characters.has_value())
    GRAFT_RETURN_IF_ERROR(session.Spend(text.text().size() * characters->size() / 32));
  return MakeText(session, std::string(Strip(text.text(), Side::kBoth, characters)),
                  text.is_safe_text());
}

StatusOr<Value> ReplaceFilter(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session, self));
  GRAFT_ASSIGN_OR_RETURN(const Value old, AsText(session, *arguments.Find(0)));
  GRAFT_ASSIGN_OR_RETURN(const Value with, AsText(session, *arguments.Find(1)));
  int64_t max = -1;
  if (const Value* count = arguments.Find(2); count != nullptr && !count->Is(Kind::kNone)) {
    GRAFT_ASSIGN_OR_RETURN(max, WholeArgument(*count, "count"));
  }
  return Replaced(session, text.text(), old.text(), with.text(), max);
}

StatusOr<Value> IndentFilter(Session& session, const Value& self, const Arguments& arguments) {
  if (self.Is(Kind::kUndefined)) return UndefinedFailure(self);
  if (!self.Is(Kind::kText) || self.is_safe_text()) return Failure("indents what is no plain text");
  const Value* width = arguments.Find(0);
  Value indent = ConstantText("    ");
  if (width != nullptr && width->Is(Kind::kText)) {
    indent = *width;
  } else if (width != nullptr) {
    GRAFT_ASSIGN_OR_RETURN(indent,
                           Calculate(session, Operator::kMultiply, ConstantText(" "), *width));
    if (!indent.Is(Kind::kText)) return Failure("indents by what is no number or text");
  }
  const bool blank = FlagArgument(arguments.Find(2));
  const std::string text = self.text() + "\n";
  GRAFT_RETURN_IF_ERROR(session.Spend(text.size()));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(room.Add(session, text.size() * (1 + sizeof(std::string_view))));
  TextBuilder out(session);
  bool is_first = true;
  for (const std::string_view line : SplitLines(text, false)) {
    if (!is_first) out.Append('\n');
    if (is_first ? FlagArgument(arguments.Find(1)) : blank || !line.empty()) {
      GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(indent.text().size()));
      out.Append(indent.text());
    }
    is_first = false;
    if (!out.Append(line)) break;
  }
  return out.Finish();
}

StatusOr<Value> StringFilter(Session& session, const Value& self, const Arguments&) {
  return AsText(session, self);
}

StatusOr<Value> SafeFilter(Session& session, const Value& self, const Arguments&) {
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session, self));
  return Value(Text{text.As<Text>().body, true});
}

StatusOr<Value> FormatFilter(Session& session, const Value& self, const Arguments& arguments) {
  if (!arguments.named.empty()) return Failure("format with named values isn't built");
  GRAFT_ASSIGN_OR_RETURN(const Value text, AsText(session, self));
  GRAFT_ASSIGN_OR_RETURN(const Value values, MakeTuple(session, arguments.positional));
  return FormatPercent(session, text, values);
}

StatusOr<Value> DefaultFilter(Session&, const Value& self, const Arguments& arguments) {
  if (self.Is(Kind::kUndefined) || (FlagArgument(arguments.Find(1)) && !Truth(self))) {
    const Value* fallback = arguments.Find(0);
    return fallback != nullptr ? *fallback : ConstantText("");
  }
  return self;
}

StatusOr<JsonStyle> StyleOf(Session& session, const Arguments& arguments) {
  JsonStyle style;
  style.ensure_ascii = FlagArgument(arguments.Find(0));
  style.sort_keys = FlagArgument(arguments.Find(3));
  if (const Value* indent = arguments.Find(1); indent != nullptr && !indent->Is(Kind::kNone)) {
    Value level = *indent;
    if (!indent->Is(Kind::kText)) {
      GRAFT_RETURN_IF_ERROR(WholeArgument(*indent, "indent").status());
      GRAFT_ASSIGN_OR_RETURN(level,
                             Calculate(session, Operator::kMultiply, ConstantText(" "), *indent));
    }
    style.indent = level.text();
    style.item_separator = ",";
  }
  if (const Value* given = arguments.Find(2); given != nullptr && !given->Is(Kind::kNone)) {
    GRAFT_ASSIGN_OR_RETURN(const auto separators, Items(session, *given));
    if (separators.size() != 2 || !separators[0].Is(Kind::kText) || !separators[1].Is(Kind::kText))
      return Failure("tojson's separators are two texts");
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  return style;
}

StatusOr<Value> ToJsonFilter(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const JsonStyle style, StyleOf(session, arguments));
  TextBuilder out(session);
  GRAFT_RETURN_IF_ERROR(AppendJson(session, self, style, out));
  return out.Finish();
}

constexpr Native kFilters[] = {
    {"capitalize", "", 0, CapitalizeFilter},
    {"d", "default_value boolean", 0, DefaultFilter},
    {"default", "default_value boolean", 0, DefaultFilter},
    {"format", "*", 0, FormatFilter},
    {"indent", "width first blank", 0, IndentFilter},
    {"lower", "", 0, InCaseFilter<Case::kLower>},
    {"replace", "old new count", 2, ReplaceFilter},
    {"safe", "", 0, SafeFilter},
    {"string", "", 0, StringFilter},
    {"title", "", 0, TitleFilter},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, ToJsonFilter},
    {"trim", "chars", 0, TrimFilter},
    {"upper", "", 0, InCaseFilter<Case::kUpper>},
};

}  // namespace

std::span<const Native> TextFilters() { return kFilters; }

}  // namespace graft::templates
