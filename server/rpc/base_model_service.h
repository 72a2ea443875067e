#pragma once
/// graft.v1.BaseModelService: the frozen models, and which workers hold them.

#include "graft/v1/base_model.pb.h"
#include "server/rpc/backend.h"
#include "server/rpc/call.h"

namespace graft::server::rpc {

class BaseModelService {
 public:
  explicit BaseModelService(Backend& backend) : backend_(backend) {}

  Awaitable<StatusOr<graft::v1::ListBasesResponse>> ListBases(CallContext&,
                                                              const graft::v1::ListBasesRequest&);
  Awaitable<StatusOr<graft::v1::BaseModel>> GetBase(CallContext&, const graft::v1::GetBaseRequest&);

 private:
  graft::v1::BaseModel Describe(const intake::Base& base);
  Backend& backend_;
};

}  // namespace graft::server::rpc
