#include "common/families/qwen3.h"

#include "common/families/config_reader.h"
#include "common/families/decoder.h"

namespace graft::families {

StatusOr<Layout> ReadQwen3Layout(const Json& config,
                                 const std::vector<std::string>& checkpoint_tensors) {
  ConfigReader read(config);
  DecoderOptions options{.family = "qwen3",
                         .model_class = "Qwen3",
                         .head_norms = true,
                         .default_kv_heads = 32,
                         .default_head_dim = 128};
  options.qkv_bias = options.output_bias = read.Flag("attention_bias", false);
  GRAFT_RETURN_IF_ERROR(read.status());
  GRAFT_ASSIGN_OR_RETURN(options.windows, ReadQwenWindows(config));
  GRAFT_ASSIGN_OR_RETURN(Layout layout, ReadDecoderLayout(config, checkpoint_tensors, options));
  layout.fingerprint_config["attention_bias"] = options.qkv_bias;
  layout.fingerprint_config["windows"] = options.windows;
  return layout;
}

}  // namespace graft::families
