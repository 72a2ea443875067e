#pragma once
/// How long texts are to the tokenizer of a folder.

#include "common/base/json.h"

namespace graft::tokenizers {

/// The tokens that tokenizer_config.json leaves of a text; 0 if it sets no limit, for which
/// transformers writes 1e30. `max_len` is the old name of `model_max_length`. Requires: an object.
inline int ModelMaxLength(const Json& tokenizer_config) {
  for (const char* name : {"model_max_length", "max_len"}) {
    const Json length = tokenizer_config.value(name, Json());
    if (length.is_null()) continue;
    return length.is_number_integer() && length > 0 && length < 1 << 20 ? length.get<int>() : 0;
  }
  return 0;
}

}  // namespace graft::tokenizers
