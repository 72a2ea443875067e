#pragma once
/// Metaspace's fields, which a pre-tokenizer and a decoder share.
/// Source: huggingface/tokenizers, pre_tokenizers/metaspace.rs.

#include <string>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/tokenizers/components/pre_tokenizer.h"

namespace graft::tokenizers {

struct MetaspaceFields {
  std::string mark;
  PrependScheme scheme = PrependScheme::kAlways;
  bool split = true;
};

/// `part` says whose fields they are. Errors: InvalidArgument.
StatusOr<MetaspaceFields> ReadMetaspace(const Json& json, const std::string& part);

}  // namespace graft::tokenizers
