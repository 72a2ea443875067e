#pragma once
/// Strict reads of a JSON object's fields: types, ranges, and no field left unread.

#include <charconv>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace graft {

/// Collects the first fault, with its field path under `prefix`. Read every field, then call
/// Finish. Thread safety: confined to one thread. Borrows the JSON.
class Fields {
 public:
  Fields(const Json& json, std::string prefix) : json_(json), prefix_(std::move(prefix)) {
    if (!json_.is_object()) Fail("", "must be an object");
  }

  bool Has(const char* name) {
    read_.insert(name);
    return json_.is_object() && json_.contains(name) && !json_[name].is_null();
  }
  /// A whole number in [low, high]. Protobuf's JSON writes 64-bit ones as strings, so those are
  /// read too.
  int64_t Integer(const char* name, int64_t low, int64_t high, int64_t fallback) {
    if (!Has(name)) return fallback;
    const Json& value = json_[name];
    int64_t number = 0;
    bool whole = value.is_number_integer();
    if (whole) {
      whole =
          !value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
      if (whole) number = value.get<int64_t>();
    } else if (value.is_string()) {
      whole = ParseWhole(value.get_ref<const std::string&>(), number);
    } else if (value.is_number_float()) {
      const auto real = value.get<double>();
      whole = real == std::floor(real) && std::abs(real) < 9e15;
      if (whole) number = static_cast<int64_t>(real);
    }
    if (!whole || number < low || number > high) {
      Fail(name,
           "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
      return fallback;
    }
    return number;
  }
  uint64_t Unsigned64(const char* name, uint64_t fallback) {
    if (!Has(name)) return fallback;
    const Json& value = json_[name];
    if (value.is_number_unsigned()) return value.get<uint64_t>();
    if (value.is_number_integer() && value.get<int64_t>() >= 0) return value.get<uint64_t>();
    uint64_t number = 0;
    if (value.is_string() && ParseWhole(value.get_ref<const std::string&>(), number)) return number;
    Fail(name, "must be a whole number from 0 to 2^64-1");
    return fallback;
  }
  enum class Bounds { kClosed, kOpenLow, kOpenHigh };
  double Number(const char* name, double low, double high, double fallback,
                Bounds bounds = Bounds::kClosed) {
    if (!Has(name)) return fallback;
    const Json& value = json_[name];
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    const bool inside = number >= low && number <= high &&
                        !(bounds == Bounds::kOpenLow && number == low) &&
                        !(bounds == Bounds::kOpenHigh && number == high);
    if (!inside) {  // Also NaN, which compares false.
      Fail(name, std::string("must be a number in ") + (bounds == Bounds::kOpenLow ? "(" : "[") +
                     Short(low) + ", " + Short(high) + (bounds == Bounds::kOpenHigh ? ")" : "]"));
      return fallback;
    }
    return number;
  }
  bool Flag(const char* name, bool fallback) {
    if (!Has(name)) return fallback;
    if (!json_[name].is_boolean()) {
      Fail(name, "must be true or false");
      return fallback;
    }
    return json_[name].get<bool>();
  }
  std::string Text(const char* name, size_t max_bytes, const std::string& fallback = {}) {
    if (!Has(name)) return fallback;
    const Json& value = json_[name];
    if (!value.is_string() || value.get_ref<const std::string&>().size() > max_bytes) {
      Fail(name, "must be a text of at most " + std::to_string(max_bytes) + " bytes");
      return fallback;
    }
    return value.get<std::string>();
  }
  std::vector<std::string> Texts(const char* name, size_t max_count, size_t max_bytes) {
    std::vector<std::string> texts;
    if (!Has(name)) return texts;
    const Json& value = json_[name];
    bool good = value.is_array() && value.size() <= max_count;
    for (size_t i = 0; good && i < value.size(); ++i) {
      good = value[i].is_string() && value[i].get_ref<const std::string&>().size() <= max_bytes;
      if (good) texts.push_back(value[i].get<std::string>());
    }
    if (!good) {
      Fail(name, "must be a list of at most " + std::to_string(max_count) + " texts of at most " +
                     std::to_string(max_bytes) + " bytes");
      texts.clear();
    }
    return texts;
  }
  /// One of `names`, by its position and in any case; protobuf's X_UNSPECIFIED (any name ending so)
  /// is the fallback.
  size_t Choice(const char* name, const std::vector<std::string>& names, size_t fallback) {
    std::string list;
    if (Has(name) && !json_[name].is_string()) {
      for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
      Fail(name, "must be a text, one of " + list);
      return fallback;
    }
    const std::string text = Text(name, 64);
    const std::string lower = AsciiLower(text);
    if (lower.empty() || lower.ends_with("_unspecified")) return fallback;
    for (size_t i = 0; i < names.size(); ++i) {
      if (AsciiLower(names[i]) == lower) return i;
      list += (i > 0 ? ", " : "") + names[i];
    }
    Fail(name, "is " + Quoted(text) + "; use one of " + list);
    return fallback;
  }

  void Fail(const std::string& name, const std::string& what) {
    if (!status_.ok()) return;
    const std::string field = prefix_.empty() ? name
                              : name.empty()  ? prefix_
                                              : prefix_ + "." + name;
    status_ = InvalidArgumentError(field + " " + what).At(field);
  }
  const Json& raw(const char* name) const { return json_[name]; }
  /// The first fault; an unknown field is one too.
  Status Finish() {
    for (auto item = json_.begin(); status_.ok() && json_.is_object() && item != json_.end();
         ++item) {
      if (read_.contains(item.key())) continue;
      std::string known;
      for (const std::string& name : read_) known += (known.empty() ? "" : ", ") + name;
      Fail(Printable(item.key()), "is not a field here; there are " + known);
    }
    return status_;
  }

 private:
  /// True if all of `text` is one decimal number that fits.
  template <typename T>
  static bool ParseWhole(const std::string& text, T& number) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && rest == end;
  }
  static std::string Short(double value) {
    std::string text = Json(value).dump();
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
  }

  const Json& json_;
  const std::string prefix_;
  std::set<std::string> read_;
  Status status_;
};

}  // namespace graft
