#include "common/families/mistral.h"

#include "common/families/decoder.h"

namespace graft::families {

StatusOr<Layout> ReadMistralLayout(const Json& config,
                                   const std::vector<std::string>& checkpoint_tensors) {
  DecoderOptions options{.family = "mistral", .model_class = "Mistral", .default_kv_heads = 8};
  GRAFT_ASSIGN_OR_RETURN(const int64_t layers, ReadNumLayers(config));
  GRAFT_ASSIGN_OR_RETURN(options.windows,
                         ReadWindows(config, layers, /*used=*/true,
                                     std::vector<bool>(static_cast<size_t>(layers), true)));
  GRAFT_ASSIGN_OR_RETURN(Layout layout, ReadDecoderLayout(config, checkpoint_tensors, options));
  layout.fingerprint_config["windows"] = options.windows;
  return layout;
}

}  // namespace graft::families
