#include "common/templates/values/session.h"

#include "common/templates/values/value.h"

namespace graft::templates {

Status Failure(const std::string& what) {
  return InvalidArgumentError(what).At("chat_template", "TEMPLATE_FAILED");
}

Status LimitFailure(const std::string& what) {
  return InvalidArgumentError(what).At("chat_template", "TEMPLATE_LIMIT");
}

Session::~Session() {
  for (const auto& kept : namespaces_) kept->attributes.Clear();
}

Status Session::Spend(uint64_t steps) {
  if (steps <= limits_.max_steps - spent_) {
    spent_ += steps;
    return OkStatus();
  }
  spent_ = limits_.max_steps;
  return LimitFailure("takes more than " + std::to_string(limits_.max_steps) + " steps");
}

Status Session::Claim(size_t bytes) {
  if (bytes > limits_.max_value_bytes - claimed_) {
    return LimitFailure("makes values of more than " + std::to_string(limits_.max_value_bytes) +
                        " bytes");
  }
  claimed_ += bytes;
  return OkStatus();
}

Status Session::CheckDepth(int depth) const {
  if (depth <= limits_.max_value_depth) return OkStatus();
  return LimitFailure("nests lists and dicts deeper than " +
                      std::to_string(limits_.max_value_depth) + " levels");
}

}  // namespace graft::templates
