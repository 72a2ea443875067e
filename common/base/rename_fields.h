#pragma once
/// Field paths of an error that is passed on.

#include <string>

#include "common/base/status.h"

namespace graft {

/// Returns `status` with the field of each detail as `rename` gives it for the field that it had:
/// who passes an error on says where the fault lies in what he was asked himself.
Status RenameFields(const Status& status, std::string (*rename)(const std::string& field));

}  // namespace graft
