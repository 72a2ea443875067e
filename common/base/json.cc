#include "common/base/json.h"

#include <set>
#include <vector>

namespace graft {
namespace {

/// Builds the value through nlohmann's DOM parser and adds what it doesn't check: depth and
/// duplicate keys.
class Checker : public nlohmann::json_sax<Json> {
 public:
  explicit Checker(int max_depth) : max_depth_(max_depth) {}
  const std::string& error() const { return error_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return Push(); }
  bool key(string_t& key) override {
    if (keys_.back().insert(key).second) return true;
    error_ = "the key \"" + key.substr(0, 80) + "\" stands twice in one object";
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
                   const nlohmann::detail::exception&) override {
    error_ = "not valid JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  bool Push() {
    keys_.emplace_back();
    if (static_cast<int>(keys_.size()) <= max_depth_) return true;
    error_ = "nested deeper than " + std::to_string(max_depth_) + " levels";
    return false;
  }

  const int max_depth_;
  std::vector<std::set<std::string>> keys_;
  std::string error_;
};

}  // namespace

StatusOr<Json> ParseJson(std::string_view text, std::string_view what, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return InvalidArgumentError(std::string(what) + ": " + std::to_string(text.size()) +
                                " bytes of JSON, the limit is " + std::to_string(limits.max_bytes));
  }
  Checker checker(limits.max_depth);
  if (!Json::sax_parse(text, &checker))
    return InvalidArgumentError(std::string(what) + ": " + checker.error());
  return Json::parse(text);
}

}  // namespace graft
