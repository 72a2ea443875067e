#include "common/tokenizers/reading/fields.h"

#include "common/base/utf8.h"

namespace graft::tokenizers {

Status Bad(std::string_view file, const std::string& what) {
  return InvalidArgumentError(std::string(file) + ": " + what);
}

Status NotBuilt(std::string_view file, const std::string& part, const Json& type) {
  const std::string name =
      type.is_string() ? Quoted(type.get<std::string>()) : Printable(type.dump(-1, ' ', true));
  return UnimplementedError(std::string(file) + ": the " + part + " " + name + " isn't built");
}

Json Field(const Json& json, const char* name) {
  return json.is_object() ? json.value(name, Json()) : Json();
}

Status ReadFlag(std::string_view file, const Json& json, const char* name, bool* flag) {
  const Json value = Field(json, name);
  if (value.is_null()) return OkStatus();
  if (!value.is_boolean()) return Bad(file, std::string(name) + " must be true, false or null");
  *flag = value.get<bool>();
  return OkStatus();
}

StatusOr<int32_t> ReadId(std::string_view file, const Json& id, const std::string& of) {
  if (!id.is_number_unsigned() || id.get<uint64_t>() > static_cast<uint64_t>(kMaxId)) {
    return Bad(file,
               "the id of " + Quoted(of) + " isn't a number from 0 to " + std::to_string(kMaxId));
  }
  return id.get<int32_t>();
}

StatusOr<AddedToken> ReadToken(std::string_view file, const Json& json, TokenDefaults defaults) {
  const Json content = Field(json, "content");
  if (!content.is_string()) return Bad(file, "an added token lacks its content or id");
  AddedToken token;
  token.content = content.get<std::string>();
  token.special = defaults == TokenDefaults::kSpecial;
  const auto read = [&](const char* name, bool* flag) {
    const Status status = ReadFlag(file, json, name, flag);
    return status.ok() ? status
                       : InvalidArgumentError(status.message() + ", in the added token " +
                                              Quoted(token.content));
  };
  GRAFT_RETURN_IF_ERROR(read("special", &token.special));
  token.normalized = defaults != TokenDefaults::kAllFalse && !token.special;
  GRAFT_RETURN_IF_ERROR(read("normalized", &token.normalized));
  GRAFT_RETURN_IF_ERROR(read("single_word", &token.single_word));
  GRAFT_RETURN_IF_ERROR(read("lstrip", &token.lstrip));
  GRAFT_RETURN_IF_ERROR(read("rstrip", &token.rstrip));
  return token;
}

}  // namespace graft::tokenizers
