#pragma once
/// Fields of untrusted JSON; errors name file and field.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/tokenizers/added_tokens.h"

namespace graft::tokenizers {

constexpr int32_t kMaxId = 1 << 24;

/// InvalidArgument: "<file>: <what>".
Status Bad(std::string_view file, const std::string& what);
/// Unimplemented: "<file>: the <part> <type> isn't built".
Status NotBuilt(std::string_view file, const std::string& part, const Json& type);

/// A field of an object, null if there is none or `json` is no object.
Json Field(const Json& json, const char* name);

/// Reads true or false into `flag`; leaves it as it is if the field is absent or null.
/// Errors: InvalidArgument.
Status ReadFlag(std::string_view file, const Json& json, const char* name, bool* flag);

/// Errors: InvalidArgument unless `id` is a whole number from 0 to kMaxId.
StatusOr<int32_t> ReadId(std::string_view file, const Json& id, const std::string& of);

/// What a token is that doesn't say so: in tokenizer.json every flag is written; elsewhere one that
/// isn't special is matched in normalized text.
enum class TokenDefaults { kAllFalse, kNormalized, kSpecial };

/// Reads content and flags of a token as the library writes it, all but its id.
/// Errors: InvalidArgument.
StatusOr<AddedToken> ReadToken(std::string_view file, const Json& json, TokenDefaults defaults);

}  // namespace graft::tokenizers
