#pragma once
/// graft.v1.BaseModelService: the frozen models, and which workers hold them.

#include "graft/v1/base_model.pb.h"
#include "server/background/backend.h"
#include "server/calls/call.h"

namespace graft::server::service {

class BaseModelService {
 public:
  explicit BaseModelService(background::Backend& backend) : backend_(backend) {}

  calls::Awaitable<StatusOr<graft::v1::ListBasesResponse>> ListBases(
      calls::CallContext&, const graft::v1::ListBasesRequest&);
  calls::Awaitable<StatusOr<graft::v1::BaseModel>> GetBase(calls::CallContext&,
                                                           const graft::v1::GetBaseRequest&);

 private:
  graft::v1::BaseModel Describe(const intake::Base& base);
  background::Backend& backend_;
};

}  // namespace graft::server::service
