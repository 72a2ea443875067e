#pragma once
/// graft.v1.InferenceService: answers from adapters. A name is resolved to a version once, when the
/// request is admitted; whatever is promoted meanwhile, the request ends on that version.

#include "graft/v1/inference.pb.h"
#include "server/core/rows.h"
#include "server/rpc/backend.h"
#include "server/rpc/call.h"
#include "server/rpc/reactors.h"

namespace graft::server::rpc {

class InferenceService {
 public:
  explicit InferenceService(Backend& backend) : backend_(backend) {}

  Awaitable<StatusOr<graft::v1::ClassifyResponse>> Classify(CallContext&,
                                                            const graft::v1::ClassifyRequest&);
  Awaitable<StatusOr<graft::v1::EmbedResponse>> Embed(CallContext&, const graft::v1::EmbedRequest&);
  Awaitable<Status> Generate(CallContext&, const graft::v1::GenerateRequest&,
                             StreamWriter<graft::v1::GenerateResponse>&);
  Awaitable<StatusOr<graft::v1::ScoreResponse>> Score(CallContext&, const graft::v1::ScoreRequest&);

 private:
  class Admission;
  StatusOr<Admission> Admit();

  Backend& backend_;
  int num_calls_ = 0;  ///< Admitted and not yet answered.
};

}  // namespace graft::server::rpc
