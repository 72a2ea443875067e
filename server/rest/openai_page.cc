#include "server/rest/openai_page.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "common/base/utf8.h"

namespace graft::server::rest {

StatusOr<bool> ReadPageParameter(std::string_view name, const std::string& value, size_t most,
                                 PageQuery& query) {
  if (name == "after") {
    query.after = value;
    return true;
  }
  if (name != "limit") return false;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, query.limit);
  if (error == std::errc() && stop == end && query.limit >= 1 && query.limit <= most) return true;
  return InvalidArgumentError(fmt::format("limit must be a number from 1 to {}", most)).At("limit");
}

Status NoSuchParameter(const std::string& name) {
  return InvalidArgumentError(Quoted(name, 100) + " is no parameter here").At(Printable(name));
}

Json Page(Json data, bool has_more) {
  Json page = {{"object", "list"}, {"has_more", has_more}};
  page["first_id"] = data.empty() ? Json(nullptr) : data.front()["id"];
  page["last_id"] = data.empty() ? Json(nullptr) : data.back()["id"];
  page["data"] = std::move(data);
  return page;
}

}  // namespace graft::server::rest
