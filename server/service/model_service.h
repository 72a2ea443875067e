#pragma once
/// What a client calls its model: a base, or an adapter's version. The two share one name space.
/// Where one came to have the other's name, the plain name is refused and "support@live" still
/// means the adapter.

#include <memory>
#include <string>

#include "common/tokenizers/tokenizer.h"
#include "server/background/backend.h"
#include "server/calls/call.h"
#include "server/core/rows.h"

namespace graft::server::service {

/// One of the two is set.
struct Model {
  std::string adapter;  ///< As it was named: "support", "support@3".
  std::string base;
};

/// Names it in a request that takes an adapter or a base.
template <typename Request>
void NameIn(const Model& model, Request& request) {
  if (model.base.empty()) {
    request.set_adapter(model.adapter);
  } else {
    request.set_base(model.base);
  }
}

class ModelService {
 public:
  explicit ModelService(background::Backend& backend) : backend_(backend) {}

  /// Errors, at "model": NotFound with reason MODEL_NOT_FOUND; FailedPrecondition if both a base
  /// and an adapter have the name.
  calls::Awaitable<StatusOr<Model>> Find(const calls::CallContext& context, std::string name);
  /// The version that an adapter's name means. Errors: as core::ResolveVersion.
  calls::Awaitable<StatusOr<core::Version>> FindVersion(const calls::CallContext& context,
                                                        std::string name);
  /// Whether a base writes text. Errors: as BaseFinder::Find, at "model".
  calls::Awaitable<StatusOr<bool>> IsLanguageModel(const calls::CallContext& context,
                                                   std::string base);
  /// The tokenizer of a base. Errors: as BaseFinder::Find.
  calls::Awaitable<StatusOr<std::shared_ptr<const tokenizers::Tokenizer>>> TokenizerOf(
      const calls::CallContext& context, std::string base);

 private:
  calls::Awaitable<StatusOr<bool>> HasAdapter(const calls::CallContext& context, std::string id);

  background::Backend& backend_;
};

}  // namespace graft::server::service
