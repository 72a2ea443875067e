#pragma once
/// JSON, bounded. The library is nlohmann::json (header only); this adds limits for text that we
/// don't trust.

#include <string>
#include <string_view>

#include "common/base/json_library.h"
#include "common/base/status.h"

namespace graft {

using Json = nlohmann::json;
/// Keeps the order of keys, for files whose reader or diff cares.
using OrderedJson = nlohmann::ordered_json;

struct JsonLimits {
  size_t max_bytes = size_t{256} << 20;  ///< Of the text.
  int max_depth = 64;                    ///< Of nested arrays and objects.
  size_t max_values = 16'000'000;  ///< Of all kinds together; bounds the memory of the result.
};

/// Parses one JSON value that spans all of `text`, but for white space and a byte order mark in
/// front. `what` names it in errors ("adapter_config.json").
/// Errors: InvalidArgument if malformed, not UTF-8, too deep, too large or with too many values,
/// with the byte where it broke; InvalidArgument on a duplicate key, since readers differ in which
/// one wins.
StatusOr<Json> ParseJson(std::string_view text, std::string_view what,
                         const JsonLimits& limits = {});
/// The same, as the text has it: keys of objects stay in their order, and a whole number that
/// doesn't fit in 64 bits, which ParseJson makes a float, is an error.
StatusOr<OrderedJson> ParseOrderedJson(std::string_view text, std::string_view what,
                                       const JsonLimits& limits = {});

}  // namespace graft
