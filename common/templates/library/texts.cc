#include "common/templates/library/texts.h"

#include "common/templates/values/text.h"

namespace graft::templates {
namespace {

StatusOr<Value> Interleaved(Session& session, std::string_view text, std::string_view with,
                            int64_t max) {
  TextBuilder out(session);
  for (int64_t i = 0; max < 0 || i < max; ++i) {
    GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(with.size()));
    if (!out.Append(with)) break;
    if (text.empty()) break;
    const size_t length = CharacterBytes(text);
    out.Append(text.substr(0, length));
    text.remove_prefix(length);
  }
  out.Append(text);
  return out.Finish();
}

}  // namespace

StatusOr<Value> Replaced(Session& session, std::string_view text, std::string_view old,
                         std::string_view with, int64_t max) {
  GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(text.size() + old.size()));
  if (old.empty()) return Interleaved(session, text, with, max);
  TextBuilder out(session);
  size_t begin = 0;
  for (int64_t i = 0; max < 0 || i < max; ++i) {
    const size_t at = Find(text, old, begin);
    if (at == std::string_view::npos) break;
    GRAFT_RETURN_IF_ERROR(session.SpendOnBytes(with.size()));
    out.Append(text.substr(begin, at - begin));
    if (!out.Append(with)) break;
    begin = at + old.size();
  }
  out.Append(text.substr(begin));
  return out.Finish();
}

}  // namespace graft::templates
