#pragma once
/// Typed, bounded reads of a config.json's fields, collecting the first fault.

#include <string>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace graft::families {

/// Thread safety: confined to one thread. Read all fields, then look at status().
class ConfigReader {
 public:
  explicit ConfigReader(const Json& config) : config_(config) {}

  /// A whole number in [low, high]; `fallback` if the field is absent (a negative fallback:
  /// required).
  int64_t Integer(const char* name, int64_t low, int64_t high, int64_t fallback = -1) {
    if (Absent(name)) {
      if (fallback < 0) Fail(std::string(name) + " is missing");
      return fallback;
    }
    const Json& value = config_[name];
    if (!value.is_number_integer() || value.get<int64_t>() < low || value.get<int64_t>() > high) {
      Fail(std::string(name) + " must be a whole number from " + std::to_string(low) + " to " +
           std::to_string(high));
      return low;
    }
    return value.get<int64_t>();
  }
  double Number(const char* name, double low, double high, double fallback) {
    if (Absent(name)) return fallback;
    const Json& value = config_[name];
    if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high)) {
      Fail(std::string(name) + " is out of range");
      return fallback;
    }
    return value.get<double>();
  }
  std::string Text(const char* name, const std::string& fallback) {
    if (Absent(name)) return fallback;
    if (!config_[name].is_string()) {
      Fail(std::string(name) + " must be a string");
      return fallback;
    }
    return config_[name].get<std::string>();
  }
  bool Flag(const char* name, bool fallback) {
    if (Absent(name)) return fallback;
    if (!config_[name].is_boolean()) {
      Fail(std::string(name) + " must be true or false");
      return fallback;
    }
    return config_[name].get<bool>();
  }
  void Fail(const std::string& what) {
    if (status_.ok()) status_ = InvalidArgumentError("config.json: " + what);
  }
  const Status& status() const { return status_; }

 private:
  bool Absent(const char* name) const { return !config_.contains(name) || config_[name].is_null(); }

  const Json& config_;
  Status status_;
};

/// Unimplemented unless `activation` is one that the engine computes.
inline Status CheckActivation(const std::string& activation) {
  for (const char* known : {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}) {
    if (activation == known) return OkStatus();
  }
  return UnimplementedError("config.json: the activation " + Quoted(activation) +
                            " isn't built; gelu, gelu_new, gelu_pytorch_tanh, relu and silu are");
}

}  // namespace graft::families
