#include "worker/engine/families/encoder.h"
#include "worker/engine/families/model.h"

namespace graft::worker::engine {

// The one list of the engine's families.
StatusOr<std::unique_ptr<Model>> MakeModel(const families::Layout& layout) {
  if (layout.family == "bert" || layout.family == "distilbert")
    return std::make_unique<EncoderModel>(layout);
  return UnimplementedError("this worker has no model of family " + layout.family);
}

}  // namespace graft::worker::engine
