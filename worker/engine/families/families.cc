#include "worker/engine/families/families.h"

#include "worker/engine/families/decoder.h"
#include "worker/engine/families/encoder.h"

namespace graft::worker::engine {

// The one list of the engine's families.
StatusOr<std::unique_ptr<Model>> MakeModel(const Base& base) {
  const std::string& family = base.layout().family;
  if (family == "bert" || family == "distilbert") return std::make_unique<EncoderModel>(base);
  for (const char* decoder : {"llama", "mistral", "qwen2", "qwen3"}) {
    if (family == decoder) return std::make_unique<DecoderModel>(base);
  }
  return UnimplementedError("this worker has no model of family " + family);
}

}  // namespace graft::worker::engine
