#include "common/families/llama.h"

#include "common/families/config_reader.h"
#include "common/families/decoder.h"

namespace graft::families {

StatusOr<Layout> ReadLlamaLayout(const Json& config,
                                 const std::vector<std::string>& checkpoint_tensors) {
  ConfigReader read(config);
  DecoderOptions options{.family = "llama", .model_class = "Llama"};
  options.qkv_bias = options.output_bias = read.Flag("attention_bias", false);
  options.mlp_bias = read.Flag("mlp_bias", false);
  // Written for other programs: transformers' rotation is of halves whatever it says.
  if (read.Flag("rope_interleaved", false)) read.Fail("rope_interleaved isn't built");
  GRAFT_RETURN_IF_ERROR(read.status());
  GRAFT_ASSIGN_OR_RETURN(Layout layout, ReadDecoderLayout(config, checkpoint_tensors, options));
  layout.fingerprint_config["attention_bias"] = options.qkv_bias;
  layout.fingerprint_config["mlp_bias"] = options.mlp_bias;
  return layout;
}

}  // namespace graft::families
