#include "worker/engine/methods/methods.h"

#include "common/methods/bottleneck.h"
#include "common/methods/lora.h"
#include "worker/engine/methods/bottleneck.h"
#include "worker/engine/methods/lora.h"
#include "worker/engine/methods/overlay.h"

namespace graft::worker::engine {

// The one list of the engine's methods.
StatusOr<std::unique_ptr<Adapter>> MakeAdapter(std::shared_ptr<const methods::MethodSpec> method,
                                               const families::Layout& layout, tasks::TaskSpec task,
                                               at::Device device) {
  const std::string_view name = method->name();
  if (name == "lora") {
    return std::make_unique<LoraAdapter>(std::static_pointer_cast<const methods::LoraSpec>(method),
                                         layout, std::move(task), device);
  }
  if (name == "bottleneck") {
    return std::make_unique<BottleneckAdapter>(
        std::static_pointer_cast<const methods::BottleneckSpec>(method), layout, std::move(task),
        device);
  }
  if (name == "last_layers" || name == "full") {
    return std::make_unique<OverlayAdapter>(std::move(method), layout, std::move(task), device);
  }
  return UnimplementedError("this worker can't train or serve the method " + std::string(name));
}

}  // namespace graft::worker::engine
