#include "worker/engine/language_model.h"

#include <utility>

#include "worker/engine/requests.h"

namespace graft::worker::engine {

StatusOr<LanguageModel> FindLanguageModel(const std::string& base, const VersionId& version,
                                          AdapterCache& adapters, BaseCache& bases,
                                          at::ScalarType compute) {
  LanguageModel model;
  if (version.empty()) {
    GRAFT_ASSIGN_OR_RETURN(model.on, bases.Get(base, compute));
  } else {
    model.version = adapters.Find(version);
    if (model.version == nullptr) return NotResident();
    model.on = model.version->on;
    if (model.version->task->spec().kind != tasks::Kind::kCausalLanguageModeling) {
      return FailedPreconditionError("the adapter was trained to classify; it generates no text")
          .AddDetail({"NO_LANGUAGE_MODEL", "adapter", 0, {}, {}});
    }
  }
  if (model.on.base->layout().language_head.empty()) {
    return FailedPreconditionError("the base " + model.on.base->id() +
                                   " has no language head, so it generates no text")
        .AddDetail({"NO_LANGUAGE_HEAD", "base", 0, {}, {}});
  }
  return model;
}

}  // namespace graft::worker::engine
