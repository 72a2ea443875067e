#include "server/rest/openai_names.h"

#include "common/base/rename_fields.h"

namespace graft::server::rest {
namespace {

std::string Renamed(const std::string& field) {
  if (field == "adapter" || field == "base") return "model";
  if (field == "chat.variables") return "chat_template_kwargs";
  if (field.starts_with("inputs")) return "input" + field.substr(6);
  for (const std::string_view prefix : {"generation.", "chat."}) {
    if (field.starts_with(prefix)) return field.substr(prefix.size());
  }
  return field;
}

}  // namespace

Status ByOpenAiNames(const Status& fault) { return RenameFields(fault, Renamed); }

}  // namespace graft::server::rest
