#pragma once
/// Faults that the services find, told by the names that OpenAI's requests have for the fields.
/// Thread safety: free functions.

#include "common/base/status.h"

namespace graft::server::rest {

/// "generation.top_p" is top_p, "chat.messages[0]" is messages[0], "adapter" is model.
Status ByOpenAiNames(const Status& fault);

}  // namespace graft::server::rest
