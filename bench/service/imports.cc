#include "bench/service/imports.h"

#include "bench/service/measures.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/safetensors/safetensors.h"
#include "tests/support/lora_folder.h"

namespace graft::bench {

int64_t ImportLora(client::Client& client, const std::filesystem::path& base,
                   const LoraToImport& lora) {
  const auto config = Must(ParseJson(Must(ReadFile(base / "config.json", 1 << 20)), "config.json"));
  const auto files = testing::ConstantLora(config["num_hidden_layers"].get<int>(),
                                           config["hidden_size"].get<int>(), 8, lora.bias);
  v1::ImportAdapterRequest::Header header;
  header.set_base(base.filename());
  header.set_adapter(lora.adapter);
  header.set_promote(lora.promote);
  header.set_max_length(lora.max_length);
  header.add_label_names("no");
  header.add_label_names("yes");
  Must(client.Import(header, files));
  int64_t bytes = 0;
  const auto view =
      Must(safetensors::View::Parse(files.at("adapter_model.safetensors"), "weights"));
  for (const auto& tensor : view.tensors()) bytes += static_cast<int64_t>(tensor.data.size());
  return bytes;
}

}  // namespace graft::bench
