#include <algorithm>
#include <cmath>

#include "common/base/utf8.h"
#include "common/templates/values/operations.h"
#include "common/templates/values/print.h"

namespace graft::templates {
namespace {

using Kind = Value::Kind;

/// Source: Python's json.encoder, with its C accelerator and without.
class Writer {
 public:
  Writer(Session& session, const JsonStyle& style, TextBuilder& out)
      : session_(session), style_(style), out_(out) {}

  Status Write(const Value& value) {
    GRAFT_RETURN_IF_ERROR(session_.Spend(1));
    switch (value.kind()) {
      case Kind::kText:
        return WriteText(value.text());
      case Kind::kSequence:
        if (value.sequence().form > Sequence::Form::kTuple) break;
        return WriteList(value.sequence());
      case Kind::kDict:
        return WriteDict(value.dict());
      default:
        if (!WriteScalar(value)) break;
        return out_.status();
    }
    return Failure("a " + std::string(TypeName(value)) + " can't become JSON");
  }

 private:
  bool WriteScalar(const Value& value) {
    switch (value.kind()) {
      case Kind::kNone:
        out_.Append("null");
        return true;
      case Kind::kBool:
        out_.Append(value.As<bool>() ? "true" : "false");
        return true;
      case Kind::kInteger:
        out_.Append(std::to_string(value.As<int64_t>()));
        return true;
      case Kind::kFloat: {
        const auto number = value.As<double>();
        out_.Append(std::isnan(number)   ? "NaN"
                    : std::isinf(number) ? (number < 0 ? "-Infinity" : "Infinity")
                                         : FloatText(number));
        return true;
      }
      default:
        return false;
    }
  }

  Status WriteText(std::string_view text) {
    GRAFT_RETURN_IF_ERROR(session_.SpendOnCharacters(text.size()));
    out_.Append('"');
    while (!text.empty()) {
      const Utf8Code code = FirstCode(text);
      WriteCharacter(code.code, text.substr(0, code.length));
      text.remove_prefix(code.length);
    }
    out_.Append('"');
    return out_.status();
  }

  void WriteCharacter(uint32_t code, std::string_view character) {
    constexpr std::string_view kShort = "\"\\\n\r\t\f\b";
    constexpr std::string_view kLetters = "\"\\nrtfb";
    const size_t known = code < 0x80 ? kShort.find(character[0]) : std::string_view::npos;
    if (known != std::string_view::npos) {
      out_.Append('\\');
      out_.Append(kLetters[known]);
    } else if (code < 0x20 || (style_.ensure_ascii && code > 0x7E)) {
      if (code >= 0x10000) {
        WriteEscape(0xD800 + ((code - 0x10000) >> 10));
        WriteEscape(0xDC00 + ((code - 0x10000) & 0x3FF));
      } else {
        WriteEscape(code);
      }
    } else {
      out_.Append(character);
    }
  }

  void WriteEscape(uint32_t unit) {
    out_.Append("\\u");
    for (int shift = 12; shift >= 0; shift -= 4)
      out_.Append("0123456789abcdef"[unit >> shift & 15]);
  }

  void NewLine() {
    if (!style_.indent.has_value()) return;
    out_.Append('\n');
    for (int i = 0; i < level_; ++i) out_.Append(*style_.indent);
  }

  Status WriteList(const Sequence& list) {
    if (list.items.empty()) {
      out_.Append("[]");
      return out_.status();
    }
    out_.Append('[');
    ++level_;
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_.Append(style_.item_separator);
      NewLine();
      GRAFT_RETURN_IF_ERROR(Write(list.items[i]));
    }
    --level_;
    NewLine();
    out_.Append(']');
    return out_.status();
  }

  Status WriteDict(const Dict& dict) {
    if (dict.items().empty()) {
      out_.Append("{}");
      return out_.status();
    }
    GRAFT_ASSIGN_OR_RETURN(const auto items, Sorted(dict));
    out_.Append('{');
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.Append(style_.item_separator);
      NewLine();
      GRAFT_RETURN_IF_ERROR(WriteKey(items[i]->first));
      out_.Append(style_.key_separator);
      GRAFT_RETURN_IF_ERROR(Write(items[i]->second));
    }
    --level_;
    NewLine();
    out_.Append('}');
    return out_.status();
  }

  Status WriteKey(const Value& key) {
    if (key.Is(Kind::kText)) return WriteText(key.text());
    out_.Append('"');
    WriteScalar(key);  // A dict has no other keys.
    out_.Append('"');
    return out_.status();
  }

  using Item = std::pair<Value, Value>;
  StatusOr<std::vector<const Item*>> Sorted(const Dict& dict) {
    std::vector<const Item*> items;
    items.reserve(dict.items().size());
    for (const Item& item : dict.items()) items.push_back(&item);
    if (!style_.sort_keys) return items;
    Status status;
    std::stable_sort(items.begin(), items.end(), [&](const Item* a, const Item* b) {
      if (!status.ok()) return false;
      const auto order = Order(session_, a->first, b->first);
      if (!order.ok()) status = order.status();
      return order.ok() && *order < 0;
    });
    GRAFT_RETURN_IF_ERROR(status);
    return items;
  }

  Session& session_;
  const JsonStyle& style_;
  TextBuilder& out_;
  int level_ = 0;
};

}  // namespace

Status AppendJson(Session& session, const Value& value, const JsonStyle& style, TextBuilder& out) {
  return Writer(session, style, out).Write(value);
}

}  // namespace graft::templates
