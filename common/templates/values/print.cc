#include "common/templates/values/print.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "common/base/utf8.h"
#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

/// Source: Python's str.__repr__.
void AppendTextRepr(std::string_view text, TextBuilder& out) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out.Append(quote);
  while (!text.empty()) {
    const Utf8Code code = FirstCode(text);
    const std::string_view character = text.substr(0, code.length);
    text.remove_prefix(code.length);
    if (character[0] == quote || character[0] == '\\') {
      out.Append('\\');
      out.Append(character);
    } else if (IsPrintable(code.code)) {
      out.Append(character);
    } else if (code.code == '\n') {
      out.Append("\\n");
    } else if (code.code == '\r') {
      out.Append("\\r");
    } else if (code.code == '\t') {
      out.Append("\\t");
    } else {
      std::array<char, 16> escape{};
      const char* format = code.code < 0x100     ? "\\x%02x"
                           : code.code < 0x10000 ? "\\u%04x"
                                                 : "\\U%08x";
      std::snprintf(escape.data(), escape.size(), format, code.code);
      out.Append(escape.data());
    }
  }
  out.Append(quote);
}

Status AppendItems(Session& session, const Sequence& sequence, TextBuilder& out) {
  bool first = true;
  for (const Value& item : sequence.items) {
    if (!first) out.Append(", ");
    first = false;
    GRAFT_RETURN_IF_ERROR(AppendRepr(session, item, out));
  }
  return OkStatus();
}

Status AppendSequence(Session& session, const Value& value, TextBuilder& out) {
  using Form = Sequence::Form;
  const Sequence& sequence = value.sequence();
  switch (sequence.form) {
    case Form::kList:
      out.Append('[');
      GRAFT_RETURN_IF_ERROR(AppendItems(session, sequence, out));
      out.Append(']');
      return out.status();
    case Form::kTuple:
      out.Append('(');
      GRAFT_RETURN_IF_ERROR(AppendItems(session, sequence, out));
      out.Append(sequence.items.size() == 1 ? ",)" : ")");
      return out.status();
    case Form::kRange:
      out.Append("range(" + std::to_string(sequence.start) + ", " + std::to_string(sequence.stop));
      out.Append(sequence.step == 1 ? ")" : ", " + std::to_string(sequence.step) + ")");
      return out.status();
    case Form::kIterator:
      return Failure("prints an iterator; make a list of it");
    default:
      out.Append(TypeName(value));
      out.Append("([");
      GRAFT_RETURN_IF_ERROR(AppendItems(session, sequence, out));
      out.Append("])");
      return out.status();
  }
}

Status AppendDict(Session& session, const Dict& dict, TextBuilder& out) {
  out.Append('{');
  bool first = true;
  for (const auto& [key, value] : dict.items()) {
    if (!first) out.Append(", ");
    first = false;
    GRAFT_RETURN_IF_ERROR(AppendRepr(session, key, out));
    out.Append(": ");
    GRAFT_RETURN_IF_ERROR(AppendRepr(session, value, out));
  }
  out.Append('}');
  return out.status();
}

}  // namespace

std::string FloatText(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::array<char, 40> buffer{};
  const auto end =
      std::to_chars(buffer.begin(), buffer.end(), number, std::chars_format::scientific).ptr;
  std::string text(buffer.begin(), end);
  // d.ddde+dd: Python takes the same digits and writes the point itself unless that is far away.
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) return text;
  const std::string sign = number < 0 || std::signbit(number) ? "-" : "";
  std::string digits = text.substr(sign.size(), e - sign.size());
  if (digits.size() > 1) digits.erase(1, 1);
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto point = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= point) return sign + digits + std::string(point - digits.size(), '0') + ".0";
  return sign + digits.insert(point, ".");
}

Status AppendRepr(Session& session, const Value& value, TextBuilder& out) {
  GRAFT_RETURN_IF_ERROR(session.Spend(1));
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      out.Append("Undefined");
      return out.status();
    case Kind::kNone:
      out.Append("None");
      return out.status();
    case Kind::kBool:
      out.Append(value.As<bool>() ? "True" : "False");
      return out.status();
    case Kind::kInteger:
      out.Append(std::to_string(value.As<int64_t>()));
      return out.status();
    case Kind::kFloat:
      out.Append(FloatText(value.As<double>()));
      return out.status();
    case Kind::kText:
      if (value.is_safe_text()) return Failure("prints a safe text in a list, which isn't built");
      GRAFT_RETURN_IF_ERROR(session.SpendOnCharacters(value.text().size()));
      AppendTextRepr(value.text(), out);
      return out.status();
    case Kind::kSequence:
      return AppendSequence(session, value, out);
    case Kind::kDict:
      return AppendDict(session, value.dict(), out);
    default:
      return Failure("prints a " + std::string(TypeName(value)));
  }
}

Status AppendText(Session& session, const Value& value, TextBuilder& out) {
  if (value.Is(Kind::kUndefined)) return OkStatus();
  if (!value.Is(Kind::kText)) return AppendRepr(session, value, out);
  GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(value.text().size()));
  out.Append(value.text());
  return out.status();
}

StatusOr<Value> AsText(Session& session, const Value& value) {
  if (value.Is(Kind::kText)) return value;
  TextBuilder out(session);
  GRAFT_RETURN_IF_ERROR(AppendText(session, value, out));
  return out.Finish();
}

}  // namespace graft::templates
