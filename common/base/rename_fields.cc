#include "common/base/rename_fields.h"

#include <utility>

namespace graft {

Status RenameFields(const Status& status, std::string (*rename)(const std::string& field)) {
  Status renamed(status.code(), status.message());
  for (ErrorDetail detail : status.details()) {
    detail.field = rename(detail.field);
    renamed.AddDetail(std::move(detail));
  }
  return renamed;
}

}  // namespace graft
