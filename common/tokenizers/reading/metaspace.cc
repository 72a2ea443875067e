#include "common/tokenizers/reading/metaspace.h"

#include "common/base/utf8.h"
#include "common/tokenizers/reading/parts.h"

namespace graft::tokenizers {

StatusOr<MetaspaceFields> ReadMetaspace(const Json& json, const std::string& part) {
  const std::string of = " of the " + part + " \"Metaspace\" ";
  MetaspaceFields out;
  const Json mark = Field(json, "replacement");
  if (mark.is_string()) out.mark = mark.get<std::string>();
  if (out.mark.empty() || FirstCode(out.mark).length != out.mark.size()) {
    return Bad(kTokenizerJson, "the replacement" + of + "isn't one character");
  }
  const Json scheme = Field(json, "prepend_scheme");
  if (scheme == "first") {
    out.scheme = PrependScheme::kFirst;
  } else if (scheme == "never") {
    out.scheme = PrependScheme::kNever;
  } else if (scheme != "always" && !scheme.is_null()) {
    return Bad(kTokenizerJson, "the prepend_scheme" + of + "isn't first, always or never");
  }
  if (Field(json, "add_prefix_space") == false && out.scheme != PrependScheme::kNever) {
    return Bad(kTokenizerJson, "add_prefix_space" + of + "contradicts its prepend_scheme");
  }
  GRAFT_RETURN_IF_ERROR(ReadFlag(kTokenizerJson, json, "split", &out.split));
  return out;
}

}  // namespace graft::tokenizers
