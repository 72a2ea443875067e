#pragma once
/// What a request for text names: a plain base or a version on one. Private to the engine.

#include <memory>
#include <string>

#include "worker/engine/caches/adapter_cache.h"
#include "worker/engine/caches/base_cache.h"

namespace graft::worker::engine {

struct LanguageModel {
  std::shared_ptr<const ResidentVersion> version;  ///< Null: the plain base.
  LoadedBase on;
};

/// Finds `version`, or `base` in `compute` if that is empty, loading the base if need be.
/// Errors: NotFound with reason VERSION_NOT_RESIDENT; FailedPrecondition with reason
/// NO_LANGUAGE_HEAD or NO_LANGUAGE_MODEL if it generates no text; as BaseCache::Get.
StatusOr<LanguageModel> FindLanguageModel(const std::string& base, const VersionId& version,
                                          AdapterCache& adapters, BaseCache& bases,
                                          at::ScalarType compute);

}  // namespace graft::worker::engine
