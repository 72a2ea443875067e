#include <algorithm>

#include "common/templates/library/methods.h"
#include "common/templates/library/texts.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

/// What every method here asks first.
Status Check(Session& session, const Value& self) {
  if (self.is_safe_text()) return Failure("calls a method of a safe text, which isn't built");
  return session.SpendOnBytes(2 * self.text().size());
}

template <Side side>
StatusOr<Value> StripMethod(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_ASSIGN_OR_RETURN(const auto characters,
                         TextArgument(arguments.Find(0), "what is stripped"));
  if (characters.has_value())
    GRAFT_RETURN_IF_ERROR(session.Spend(self.text().size() * characters->size() / 32));
  return MakeText(session, std::string(Strip(self.text(), side, characters)));
}

/// Texts for parts of one.
StatusOr<Value> ListOfParts(Session& session, const std::vector<std::string_view>& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) {
    GRAFT_ASSIGN_OR_RETURN(Value text, MakeText(session, std::string(part)));
    items.push_back(std::move(text));
  }
  return MakeList(session, std::move(items));
}

/// Room for the parts themselves, while a list is made of them.
Status ClaimParts(Session& session, size_t most, Claimed& room) {
  GRAFT_RETURN_IF_ERROR(session.Spend(2 * most));
  return room.Add(session, most * (sizeof(std::string_view) + sizeof(Value)));
}

template <bool from_right>
StatusOr<Value> SplitMethod(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_ASSIGN_OR_RETURN(const auto separator, TextArgument(arguments.Find(0), "the separator"));
  SplitOptions options{-1, from_right};
  if (const Value* max = arguments.Find(1); max != nullptr) {
    GRAFT_ASSIGN_OR_RETURN(options.max, WholeArgument(*max, "maxsplit"));
  }
  const std::string& text = self.text();
  Claimed room;
  if (!separator.has_value()) {
    GRAFT_RETURN_IF_ERROR(ClaimParts(session, text.size() / 2 + 1, room));
    return ListOfParts(session, SplitAtSpace(text, options));
  }
  if (separator->empty()) return Failure("splits at an empty separator");
  GRAFT_RETURN_IF_ERROR(ClaimParts(session, Occurrences(text, *separator) + 1, room));
  return ListOfParts(session, templates::Split(text, *separator, options));
}

StatusOr<Value> SplitLinesMethod(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  Claimed room;
  GRAFT_RETURN_IF_ERROR(ClaimParts(session, self.text().size(), room));
  return ListOfParts(session, SplitLines(self.text(), FlagArgument(arguments.Find(0))));
}

template <bool from_right>
StatusOr<Value> Partition(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_ASSIGN_OR_RETURN(const auto given, TextArgument(arguments.Find(0), "the separator"));
  if (!given.has_value() || given->empty()) return Failure("partitions at an empty separator");
  const std::string_view text = self.text();
  const size_t at = from_right ? FindLast(text, *given) : Find(text, *given);
  std::vector<std::string_view> parts = {text.substr(0, at), *given, {}};
  if (at != std::string_view::npos) {
    parts[2] = text.substr(at + given->size());
  } else {
    parts = from_right ? std::vector<std::string_view>{{}, {}, text}
                       : std::vector<std::string_view>{text, {}, {}};
  }
  GRAFT_ASSIGN_OR_RETURN(const Value list, ListOfParts(session, parts));
  return MakeTuple(session, list.sequence().items);
}

/// The part of a text that start and end leave, as find and its like take them; nothing if start is
/// behind the end. `*skipped` counts the characters in front of it.
StatusOr<std::optional<std::string_view>> Window(std::string_view text, const Arguments& arguments,
                                                 int64_t* skipped) {
  const auto length = static_cast<int64_t>(NumCodes(text));
  int64_t bounds[2] = {0, length};
  for (size_t i = 0; i < 2; ++i) {
    const Value* given = arguments.Find(i + 1);
    if (given == nullptr || given->Is(Kind::kNone)) continue;
    GRAFT_ASSIGN_OR_RETURN(bounds[i], WholeArgument(*given, "a position"));
    if (bounds[i] < 0) bounds[i] = std::max<int64_t>(bounds[i] + length, 0);
  }
  bounds[1] = std::min(bounds[1], length);
  if (bounds[0] > bounds[1]) return std::optional<std::string_view>();
  *skipped = bounds[0];
  const size_t begin = ByteOf(text, static_cast<size_t>(bounds[0]));
  const size_t end = begin + ByteOf(text.substr(begin), static_cast<size_t>(bounds[1] - bounds[0]));
  return std::optional<std::string_view>(text.substr(begin, end - begin));
}

/// What has to be a text; a method of a text is looking for it.
StatusOr<std::string_view> Sought(const Arguments& arguments) {
  GRAFT_ASSIGN_OR_RETURN(const auto what, TextArgument(arguments.Find(0), "what is looked for"));
  if (!what.has_value()) return Failure("what is looked for must be a text");
  return *what;
}

enum class Absent { kMinusOne, kFails };
template <bool from_right, Absent absent>
StatusOr<Value> FindMethodOf(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_ASSIGN_OR_RETURN(const std::string_view what, Sought(arguments));
  int64_t skipped = 0;
  GRAFT_ASSIGN_OR_RETURN(const auto window, Window(self.text(), arguments, &skipped));
  size_t at = std::string_view::npos;
  if (window.has_value()) at = from_right ? FindLast(*window, what) : Find(*window, what);
  if (at != std::string_view::npos)
    return Value(skipped + static_cast<int64_t>(NumCodes(window->substr(0, at))));
  if (absent == Absent::kFails) return Failure("looks for a text that isn't there");
  return Value(int64_t{-1});
}

StatusOr<Value> CountMethod(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_ASSIGN_OR_RETURN(const std::string_view what, Sought(arguments));
  int64_t skipped = 0;
  GRAFT_ASSIGN_OR_RETURN(const auto window, Window(self.text(), arguments, &skipped));
  if (!window.has_value()) return Value(int64_t{0});
  return Value(
      static_cast<int64_t>(what.empty() ? NumCodes(*window) + 1 : Occurrences(*window, what)));
}

template <bool at_end>
StatusOr<Value> StandsAt(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  int64_t skipped = 0;
  GRAFT_ASSIGN_OR_RETURN(const auto window, Window(self.text(), arguments, &skipped));
  const Value& given = *arguments.Find(0);
  std::vector<Value> choices = {given};
  if (given.IsSequence(Sequence::Form::kTuple)) choices = given.sequence().items;
  GRAFT_RETURN_IF_ERROR(session.Spend(choices.size()));
  for (const Value& choice : choices) {
    if (!choice.Is(Kind::kText)) return Failure("a text begins or ends with a text only");
    GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(choice.text().size()));
    if (window.has_value() &&
        (at_end ? window->ends_with(choice.text()) : window->starts_with(choice.text())))
      return Value(true);
  }
  return Value(false);
}

template <bool at_end>
StatusOr<Value> RemoveAt(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_ASSIGN_OR_RETURN(const std::string_view what, Sought(arguments));
  std::string_view text = self.text();
  if (at_end && text.ends_with(what)) text.remove_suffix(what.size());
  if (!at_end && text.starts_with(what)) text.remove_prefix(what.size());
  return MakeText(session, std::string(text));
}

StatusOr<Value> ReplaceMethod(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  for (size_t i = 0; i < 2; ++i) {
    if (!arguments.Find(i)->Is(Kind::kText)) return Failure("replace() takes two texts");
  }
  int64_t max = -1;
  if (const Value* count = arguments.Find(2); count != nullptr) {
    GRAFT_ASSIGN_OR_RETURN(max, WholeArgument(*count, "count"));
  }
  return Replaced(session, self.text(), arguments.Find(0)->text(), arguments.Find(1)->text(), max);
}

StatusOr<Value> JoinMethod(Session& session, const Value& self, const Arguments& arguments) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_ASSIGN_OR_RETURN(const auto items, Items(session, *arguments.Find(0)));
  TextBuilder out(session);
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].Is(Kind::kText)) return Failure("join() takes texts only");
    GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(items[i].text().size() + self.text().size()));
    if (i > 0) out.Append(self.text());
    if (!out.Append(items[i].text())) break;
  }
  return out.Finish();
}

StatusOr<Value> FormatMethod(Session& session, const Value& self, const Arguments& arguments) {
  return FormatBraces(session, self, arguments.positional, arguments.named);
}

template <Case to>
StatusOr<Value> CaseMethod(Session& session, const Value& self, const Arguments&) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(self.text().size()));
  GRAFT_ASSIGN_OR_RETURN(std::string text, InCase(self.text(), to));
  return MakeText(session, std::move(text));
}

StatusOr<Value> CapitalizeMethod(Session& session, const Value& self, const Arguments&) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(self.text().size()));
  GRAFT_ASSIGN_OR_RETURN(std::string text, Capitalized(self.text()));
  return MakeText(session, std::move(text));
}

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return IsUpper(c) || IsLower(c); }

Status CheckAscii(const Value& self) {
  if (IsAscii(self.text())) return OkStatus();
  return Failure("asks for the kind of letters that aren't ASCII's, which isn't built");
}

StatusOr<Value> TitleMethod(Session& session, const Value& self, const Arguments&) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_RETURN_IF_ERROR(CheckAscii(self));
  std::string text = self.text();
  bool in_word = false;
  for (char& c : text) {
    if (in_word ? IsUpper(c) : IsLower(c)) c = static_cast<char>(c ^ 0x20);
    in_word = IsLetter(c);
  }
  return MakeText(session, std::move(text));
}

template <bool (*is_member)(char)>
StatusOr<Value> IsAll(Session& session, const Value& self, const Arguments&) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_RETURN_IF_ERROR(CheckAscii(self));
  const std::string& text = self.text();
  return Value(!text.empty() && std::all_of(text.begin(), text.end(), is_member));
}

bool IsLetterOrDigit(char c) { return IsLetter(c) || IsDigit(c); }

/// True if there are letters, all of that case.
template <bool (*is_in_case)(char)>
StatusOr<Value> IsInCase(Session& session, const Value& self, const Arguments&) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  GRAFT_RETURN_IF_ERROR(CheckAscii(self));
  const std::string& text = self.text();
  return Value(
      std::any_of(text.begin(), text.end(), is_in_case) &&
      std::none_of(text.begin(), text.end(), [](char c) { return IsLetter(c) && !is_in_case(c); }));
}

StatusOr<Value> IsSpaceMethod(Session& session, const Value& self, const Arguments&) {
  GRAFT_RETURN_IF_ERROR(Check(session, self));
  return Value(!self.text().empty() && Strip(self.text(), Side::kLeft).empty());
}

constexpr Native kMethods[] = {
    {"capitalize", "", 0, CapitalizeMethod},
    {"count", "sub start end /", 1, CountMethod},
    {"endswith", "suffix start end /", 1, StandsAt<true>},
    {"find", "sub start end /", 1, FindMethodOf<false, Absent::kMinusOne>},
    {"format", "*", 0, FormatMethod},
    {"index", "sub start end /", 1, FindMethodOf<false, Absent::kFails>},
    {"isalnum", "", 0, IsAll<IsLetterOrDigit>},
    {"isalpha", "", 0, IsAll<IsLetter>},
    {"isdecimal", "", 0, IsAll<IsDigit>},
    {"isdigit", "", 0, IsAll<IsDigit>},
    {"islower", "", 0, IsInCase<IsLower>},
    {"isnumeric", "", 0, IsAll<IsDigit>},
    {"isspace", "", 0, IsSpaceMethod},
    {"isupper", "", 0, IsInCase<IsUpper>},
    {"join", "iterable /", 1, JoinMethod},
    {"lower", "", 0, CaseMethod<Case::kLower>},
    {"lstrip", "chars /", 0, StripMethod<Side::kLeft>},
    {"partition", "sep /", 1, Partition<false>},
    {"removeprefix", "prefix /", 1, RemoveAt<false>},
    {"removesuffix", "suffix /", 1, RemoveAt<true>},
    {"replace", "old new count /", 2, ReplaceMethod},
    {"rfind", "sub start end /", 1, FindMethodOf<true, Absent::kMinusOne>},
    {"rindex", "sub start end /", 1, FindMethodOf<true, Absent::kFails>},
    {"rpartition", "sep /", 1, Partition<true>},
    {"rsplit", "sep maxsplit", 0, SplitMethod<true>},
    {"rstrip", "chars /", 0, StripMethod<Side::kRight>},
    {"split", "sep maxsplit", 0, SplitMethod<false>},
    {"splitlines", "keepends", 0, SplitLinesMethod},
    {"startswith", "prefix start end /", 1, StandsAt<false>},
    {"strip", "chars /", 0, StripMethod<Side::kBoth>},
    {"title", "", 0, TitleMethod},
    {"upper", "", 0, CaseMethod<Case::kUpper>},
};

}  // namespace

std::span<const Native> TextMethods() { return kMethods; }

}  // namespace graft::templates
