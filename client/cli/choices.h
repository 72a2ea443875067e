#pragma once
/// Names that the API gives to choose among, as flags take them; so what it gains is known to
/// completion at once.

#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>

namespace graft::cli {

/// The fields of `message`, such as the methods that there are.
std::vector<std::string> FieldChoices(const google::protobuf::Descriptor& message);
/// The values of `choices` in lower case, without the one that stands for none.
std::vector<std::string> ValueChoices(const google::protobuf::EnumDescriptor& choices);

}  // namespace graft::cli
