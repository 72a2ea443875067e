#include "client/cli/choices.h"

#include "common/base/utf8.h"

namespace graft::cli {

std::vector<std::string> FieldChoices(const google::protobuf::Descriptor& message) {
  std::vector<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) names.push_back(message.field(i)->name());
  return names;
}

std::vector<std::string> ValueChoices(const google::protobuf::EnumDescriptor& choices) {
  std::vector<std::string> names;
  for (int i = 0; i < choices.value_count(); ++i) {
    if (choices.value(i)->number() == 0) continue;  // X_UNSPECIFIED: the default.
    names.push_back(AsciiLower(choices.value(i)->name()));
  }
  return names;
}

}  // namespace graft::cli
