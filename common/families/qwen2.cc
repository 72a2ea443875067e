#include "common/families/qwen2.h"

#include "common/families/config_reader.h"
#include "common/families/decoder.h"

namespace graft::families {

StatusOr<Layout> ReadQwen2Layout(const Json& config,
                                 const std::vector<std::string>& checkpoint_tensors) {
  DecoderOptions options{
      .family = "qwen2", .model_class = "Qwen2", .qkv_bias = true, .default_kv_heads = 32};
  GRAFT_ASSIGN_OR_RETURN(options.windows, ReadQwenWindows(config));
  GRAFT_ASSIGN_OR_RETURN(Layout layout, ReadDecoderLayout(config, checkpoint_tensors, options));
  layout.fingerprint_config["windows"] = options.windows;
  return layout;
}

}  // namespace graft::families
