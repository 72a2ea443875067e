#pragma once
/// Adapters that the service's benches import: small LoRA folders over a BERT base.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "client/lib/client.h"

namespace graft::bench {

/// What an imported adapter is called and how it is imported; see ImportAdapterRequest.Header.
struct LoraToImport {
  std::string adapter;
  std::vector<float> bias = {1, -1};  ///< Its logits, whatever the text.
  bool promote = true;
  int max_length = 0;  ///< 0: the server's default.
};

/// Imports it over the base in the folder `base`; returns the bytes of its tensors. Ends the
/// process if that fails.
int64_t ImportLora(client::Client& client, const std::filesystem::path& base,
                   const LoraToImport& lora);

}  // namespace graft::bench
