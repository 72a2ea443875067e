#include "common/methods/foreign_config.h"

namespace graft::methods {
namespace {

Status OfTheFile(const Status& status, const std::string& method,
                 const std::vector<ReadAs>& fields) {
  const std::string path = "method." + method + ".";
  const std::string& message = status.message();
  if (!message.starts_with(path)) return status;
  const auto begin = message.begin() + static_cast<ptrdiff_t>(path.size());
  const auto end =
      std::find_if(begin, message.end(), [](char c) { return c == ' ' || c == ':' || c == '.'; });
  std::string name(begin, end);
  for (const auto& [theirs, ours] : fields) {
    if (ours != name) continue;
    name = theirs;
    break;
  }
  return BadConfig(name + std::string(end, message.end()));
}

}  // namespace

StatusOr<std::shared_ptr<const MethodSpec>> ResolveRead(
    const StatusOr<std::shared_ptr<const MethodSpec>>& parsed, const std::string& name,
    const std::vector<ReadAs>& fields, const families::Layout& layout) {
  const StatusOr<std::shared_ptr<const MethodSpec>> made =
      parsed.ok() ? (*parsed)->Resolve(layout) : parsed;
  if (!made.ok()) return OfTheFile(made.status(), name, fields);
  return made;
}

}  // namespace graft::methods
