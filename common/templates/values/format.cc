#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/base/utf8.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

/// What stands on the right of %: a tuple's items one after the other, or a single value.
class PercentArguments {
 public:
  explicit PercentArguments(const Value& value)
      : value_(value), is_tuple_(value.IsSequence(Sequence::Form::kTuple)) {}

  StatusOr<Value> Next() {
    const size_t count = is_tuple_ ? value_.sequence().items.size() : 1;
    if (num_used_ == count) return Failure("formats with too few values");
    ++num_used_;
    return is_tuple_ ? value_.sequence().items[num_used_ - 1] : value_;
  }
  /// What Python calls a mapping may stay unused.
  bool IsUsedUp() const {
    if (is_tuple_) return num_used_ == value_.sequence().items.size();
    return num_used_ == 1 || value_.Is(Kind::kDict) || value_.Is(Kind::kUndefined) ||
           value_.IsSequence(Sequence::Form::kList) || value_.IsSequence(Sequence::Form::kRange);
  }

 private:
  const Value& value_;
  const bool is_tuple_;
  size_t num_used_ = 0;
};

Status AppendWhole(const Value& value, TextBuilder& out) {
  if (const auto whole = WholeNumber(value); whole.has_value()) {
    out.Append(std::to_string(*whole));
    return out.status();
  }
  if (!value.Is(Kind::kFloat)) return Failure("%d needs a number");
  const double number = std::trunc(value.As<double>());
  if (!(std::abs(number) < 9.2e18)) return Failure("%d needs a number that fits in 64 bits");
  out.Append(std::to_string(static_cast<int64_t>(number)));
  return out.status();
}

const Value* FindNamed(const std::vector<std::pair<std::string, Value>>& named,
                       std::string_view name) {
  const auto found = std::find_if(named.begin(), named.end(),
                                  [&](const auto& argument) { return argument.first == name; });
  return found == named.end() ? nullptr : &found->second;
}

bool IsDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

StatusOr<Value> FormatPercent(Session& session, const Value& format, const Value& arguments) {
  if (format.is_safe_text()) return Failure("formats a safe text, which isn't built");
  PercentArguments values(arguments);
  TextBuilder out(session);
  const std::string_view text = format.text();
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(text.size()));
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out.Append(text[at]);
      continue;
    }
    const char what = ++at < text.size() ? text[at] : '\0';
    if (what == '%') {
      out.Append('%');
      continue;
    }
    if (what != 's' && what != 'r' && what != 'd' && what != 'i')
      return Failure("of %'s formats there are %s, %r, %d, %i and %% here");
    GRAFT_ASSIGN_OR_RETURN(const Value value, values.Next());
    GRAFT_RETURN_IF_ERROR(what == 's'   ? AppendText(session, value, out)
                          : what == 'r' ? AppendRepr(session, value, out)
                                        : AppendWhole(value, out));
  }
  if (!values.IsUsedUp()) return Failure("formats with too many values");
  return out.Finish();
}

StatusOr<Value> FormatBraces(Session& session, const Value& format,
                             const std::vector<Value>& positional,
                             const std::vector<std::pair<std::string, Value>>& named) {
  if (format.is_safe_text()) return Failure("formats a safe text, which isn't built");
  TextBuilder out(session);
  std::string_view text = format.text();
  GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(text.size()));
  size_t next = 0;
  bool counts = false, names_numbers = false;
  while (!text.empty()) {
    const size_t brace = std::min(text.find_first_of("{}"), text.size());
    out.Append(text.substr(0, brace));
    text.remove_prefix(brace);
    if (text.empty()) break;
    if (text.size() > 1 && text[1] == text[0]) {
      out.Append(text[0]);
      text.remove_prefix(2);
      continue;
    }
    const size_t end = text.find('}');
    if (text[0] == '}' || end == std::string_view::npos)
      return Failure("format() meets a single brace");
    const std::string_view field = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    const Value* value = nullptr;
    if (field.find_first_of("!:.[{") != std::string_view::npos)
      return Failure("of format()'s fields there are {}, {0} and {name} here");
    if (field.empty() || IsDigits(field)) {
      size_t index = next++;
      (field.empty() ? counts : names_numbers) = true;
      if (counts && names_numbers) return Failure("format() mixes {} and {0}");
      if (!field.empty() &&
          std::from_chars(field.data(), field.data() + field.size(), index).ec != std::errc())
        index = positional.size();
      if (index < positional.size()) value = &positional[index];
    } else {
      value = FindNamed(named, field);
    }
    if (value == nullptr) return Failure("format() has no value for {" + Printable(field) + "}");
    GRAFT_RETURN_IF_ERROR(AppendText(session, *value, out));
  }
  return out.Finish();
}

}  // namespace graft::templates
