#include "common/base/json.h"

#include <algorithm>
#include <set>
#include <vector>

#include "common/base/file.h"
#include "common/base/utf8.h"

namespace graft {
namespace {

enum class LargeWholes { kBecomeFloats, kAreRefused };

/// A first pass, before anything is built, for what nlohmann's parser doesn't check: depth, number
/// of values and duplicate keys.
class Checker : public nlohmann::json_sax<Json> {
 public:
  Checker(std::string_view text, const JsonLimits& limits, LargeWholes large)
      : text_(text), limits_(limits), large_(large) {}
  const std::string& error() const { return error_; }

  bool null() override { return Count(); }
  bool boolean(bool) override { return Count(); }
  bool number_integer(number_integer_t) override { return Count(); }
  bool number_unsigned(number_unsigned_t) override { return Count(); }
  bool number_float(number_float_t, const string_t& digits) override {
    const bool is_whole = digits.find_first_of(".eE") == std::string::npos;
    if (!is_whole || large_ == LargeWholes::kBecomeFloats) return Count();
    error_ = "the number " + Printable(digits) + " doesn't fit in 64 bits";
    return false;
  }
  bool string(string_t&) override { return Count(); }
  bool binary(binary_t&) override { return Count(); }
  bool start_object(std::size_t) override { return Push(); }
  bool key(string_t& key) override {
    if (keys_.back().insert(key).second) return true;
    error_ = "the key " + Quoted(key, 80) + " stands twice in one object";
    return false;
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override { return Push(); }
  bool end_array() override {
    keys_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& exception) override {
    constexpr int kNumberOverflow = 406;
    error_ = "not valid JSON at byte " + std::to_string(position);
    if (exception.id == kNumberOverflow) error_ += ", where a number is too large for 64 bits";
    if (std::string_view(exception.what()).find("invalid string: surrogate U+") !=
        std::string_view::npos) {
      error_ +=
          ", where \\u names half a character (a lone surrogate), as a cut text has it; write both "
          "halves or none";
    }
    const std::string_view rest =
        text_.substr(std::min(text_.size(), std::max<size_t>(position, 1) - 1));
    if (rest.starts_with("NaN") || rest.starts_with("Infinity"))
      error_ += ", where it says NaN or Infinity, which Python writes and JSON doesn't have";
    return false;
  }

 private:
  bool Count() {
    if (++num_values_ <= limits_.max_values) return true;
    error_ = "more than " + std::to_string(limits_.max_values) + " values";
    return false;
  }
  bool Push() {
    keys_.emplace_back();
    if (static_cast<int>(keys_.size()) <= limits_.max_depth) return Count();
    error_ = "nested deeper than " + std::to_string(limits_.max_depth) + " levels";
    return false;
  }

  const std::string_view text_;
  const JsonLimits limits_;
  const LargeWholes large_;
  std::vector<std::set<std::string>> keys_;
  size_t num_values_ = 0;
  std::string error_;
};

/// All that can be wrong with `text`.
Status Check(std::string_view text, std::string_view what, const JsonLimits& limits,
             LargeWholes large) {
  if (text.size() > limits.max_bytes) {
    return InvalidArgumentError(std::string(what) + ": " + std::to_string(text.size()) +
                                " bytes of JSON, the limit is " + std::to_string(limits.max_bytes));
  }
  // nlohmann's parser takes a NUL for the end of the text and would ignore what follows.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return InvalidArgumentError(std::string(what) + ": not valid JSON at byte " +
                                std::to_string(nul + 1));
  }
  Checker checker(text, limits, large);
  if (Json::sax_parse(text, &checker)) return OkStatus();
  const std::string_view stand_in = StandIn(text);
  return InvalidArgumentError(std::string(what) + (stand_in.empty() ? ": " + checker.error()
                                                                    : " " + std::string(stand_in)));
}

}  // namespace

StatusOr<Json> ParseJson(std::string_view text, std::string_view what, const JsonLimits& limits) {
  GRAFT_RETURN_IF_ERROR(Check(text, what, limits, LargeWholes::kBecomeFloats));
  return Json::parse(text);
}

StatusOr<OrderedJson> ParseOrderedJson(std::string_view text, std::string_view what,
                                       const JsonLimits& limits) {
  GRAFT_RETURN_IF_ERROR(Check(text, what, limits, LargeWholes::kAreRefused));
  return OrderedJson::parse(text);
}

}  // namespace graft
