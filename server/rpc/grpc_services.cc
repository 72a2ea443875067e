#include "server/rpc/grpc_services.h"

#include <utility>

#include "graft/internal/v1/coordinator.grpc.pb.h"
#include "graft/v1/adapter.grpc.pb.h"
#include "graft/v1/base_model.grpc.pb.h"
#include "graft/v1/dataset.grpc.pb.h"
#include "graft/v1/finetuning.grpc.pb.h"
#include "graft/v1/inference.grpc.pb.h"
#include "graft/v1/worker.grpc.pb.h"
#include "server/rpc/reactors.h"
#include "server/service/call_table.h"

namespace graft::server::rpc {
namespace {

namespace v1 = graft::v1;
namespace internal_v1 = graft::internal::v1;
using Context = grpc::CallbackServerContext;
using service::OptionsOf;

// One line a method, as the 40 of them differ in names only.
#define GRAFT_UNARY(Service, Method, Request, Response)                                  \
  grpc::ServerUnaryReactor* Method(Context* c, const Request* q, Response* r) override { \
    return Unary<Request, Response>(                                                     \
        host_, OptionsOf(Service "." #Method), c, q, r,                                  \
        [&s = service_](calls::CallContext& call, const Request& request) {              \
          return s.Method(call, request);                                                \
        },                                                                               \
        access_);                                                                        \
  }
#define GRAFT_SERVER_STREAM(Service, Method, Request, Response)                       \
  grpc::ServerWriteReactor<Response>* Method(Context* c, const Request* q) override { \
    return ServerStream<Request, Response>(                                           \
        host_, OptionsOf(Service "." #Method), c, q,                                  \
        [&s = service_](calls::CallContext& call, const Request& request,             \
                        calls::StreamWriter<Response>& writer) {                      \
          return s.Method(call, request, writer);                                     \
        },                                                                            \
        access_);                                                                     \
  }
#define GRAFT_CLIENT_STREAM(Service, Method, Request, Response)                           \
  grpc::ServerReadReactor<Request>* Method(Context* c, Response* r) override {            \
    return ClientStream<Request, Response>(                                               \
        host_, OptionsOf(Service "." #Method), c, r,                                      \
        [&s = service_](calls::CallContext& call, calls::StreamReader<Request>& reader) { \
          return s.Method(call, reader);                                                  \
        },                                                                                \
        access_);                                                                         \
  }

/// What the classes share: a generated service over a plain one.
template <typename Generated, typename Plain>
class Over : public Generated {
 public:
  /// `access`: who are workers; null: nobody.
  Over(calls::CallHost& host, Plain& service, const calls::WorkerAccess* access = nullptr)
      : host_(host), service_(service), access_(access) {}

 protected:
  calls::CallHost& host_;
  Plain& service_;
  const calls::WorkerAccess* const access_;
};

class Finetuning final
    : public Over<v1::FinetuningService::CallbackService, service::FinetuningService> {
 public:
  using Over::Over;
#define METHOD(Method, Request, Response) \
  GRAFT_UNARY("FinetuningService", Method, v1::Request, v1::Response)
  METHOD(CreateJob, CreateJobRequest, Job)
  METHOD(GetJob, GetJobRequest, Job)
  METHOD(ListJobs, ListJobsRequest, ListJobsResponse)
  METHOD(CancelJob, CancelJobRequest, Job)
  METHOD(PauseJob, PauseJobRequest, Job)
  METHOD(ResumeJob, ResumeJobRequest, Job)
  METHOD(DeleteJob, DeleteJobRequest, DeleteJobResponse)
  METHOD(EstimateJob, EstimateJobRequest, EstimateJobResponse)
  METHOD(ListJobEvents, ListJobEventsRequest, ListJobEventsResponse)
#undef METHOD
  GRAFT_SERVER_STREAM("FinetuningService", WatchJob, v1::WatchJobRequest, v1::JobEvent)
};

class Adapters final : public Over<v1::AdapterService::CallbackService, service::AdapterService> {
 public:
  using Over::Over;
#define METHOD(Method, Request, Response) \
  GRAFT_UNARY("AdapterService", Method, v1::Request, v1::Response)
  METHOD(ListAdapters, ListAdaptersRequest, ListAdaptersResponse)
  METHOD(GetAdapter, GetAdapterRequest, Adapter)
  METHOD(ListVersions, ListVersionsRequest, ListVersionsResponse)
  METHOD(EvaluateVersion, EvaluateVersionRequest, EvaluateVersionResponse)
  METHOD(SetAlias, SetAliasRequest, Adapter)
  METHOD(Rollback, RollbackRequest, Adapter)
  METHOD(DeleteVersion, DeleteVersionRequest, DeleteVersionResponse)
  METHOD(DeleteAdapter, DeleteAdapterRequest, DeleteAdapterResponse)
  METHOD(WarmAdapter, WarmAdapterRequest, WarmAdapterResponse)
  METHOD(PinAdapter, PinAdapterRequest, PinAdapterResponse)
#undef METHOD
  GRAFT_CLIENT_STREAM("AdapterService", ImportAdapter, v1::ImportAdapterRequest, v1::AdapterVersion)
  GRAFT_SERVER_STREAM("AdapterService", ExportAdapter, v1::ExportAdapterRequest,
                      v1::ExportAdapterResponse)
};

class Inference final
    : public Over<v1::InferenceService::CallbackService, service::InferenceService> {
 public:
  using Over::Over;
  GRAFT_UNARY("InferenceService", Classify, v1::ClassifyRequest, v1::ClassifyResponse)
  GRAFT_UNARY("InferenceService", Embed, v1::EmbedRequest, v1::EmbedResponse)
  GRAFT_UNARY("InferenceService", Score, v1::ScoreRequest, v1::ScoreResponse)
  GRAFT_SERVER_STREAM("InferenceService", Generate, v1::GenerateRequest, v1::GenerateResponse)
};

class Bases final : public Over<v1::BaseModelService::CallbackService, service::BaseModelService> {
 public:
  using Over::Over;
  GRAFT_UNARY("BaseModelService", ListBases, v1::ListBasesRequest, v1::ListBasesResponse)
  GRAFT_UNARY("BaseModelService", GetBase, v1::GetBaseRequest, v1::BaseModel)
};

class Datasets final : public Over<v1::DatasetService::CallbackService, service::DatasetService> {
 public:
  using Over::Over;
#define METHOD(Method, Request, Response) \
  GRAFT_UNARY("DatasetService", Method, v1::Request, v1::Response)
  METHOD(ListDatasets, ListDatasetsRequest, ListDatasetsResponse)
  METHOD(GetDataset, GetDatasetRequest, Dataset)
  METHOD(CheckDataset, CheckDatasetRequest, CheckDatasetResponse)
  METHOD(DeleteDataset, DeleteDatasetRequest, DeleteDatasetResponse)
#undef METHOD
  GRAFT_CLIENT_STREAM("DatasetService", UploadDataset, v1::UploadDatasetRequest, v1::Dataset)
  GRAFT_SERVER_STREAM("DatasetService", ReadDataset, v1::ReadDatasetRequest,
                      v1::ReadDatasetResponse)
};

class Workers final : public Over<v1::WorkerService::CallbackService, service::WorkerService> {
 public:
  using Over::Over;
  GRAFT_UNARY("WorkerService", ListWorkers, v1::ListWorkersRequest, v1::ListWorkersResponse)
};

class Coordinator final
    : public Over<internal_v1::Coordinator::CallbackService, service::CoordinatorService> {
 public:
  Coordinator(calls::CallHost& host, service::CoordinatorService& service,
              calls::WorkerAccess access)
      : Over(host, service, &own_access_), own_access_(std::move(access)) {}

#define METHOD(Method) \
  GRAFT_UNARY("Coordinator", Method, internal_v1::Method##Request, internal_v1::Method##Response)
  METHOD(Register)
  METHOD(AcquireLeases)
  METHOD(RenewLeases)
  METHOD(KeepCheckpoint)
  METHOD(CompleteLease)
#undef METHOD
  GRAFT_SERVER_STREAM("Coordinator", GetObject, internal_v1::GetObjectRequest,
                      internal_v1::ObjectChunk)
  GRAFT_CLIENT_STREAM("Coordinator", PutObject, internal_v1::PutObjectRequest,
                      internal_v1::PutObjectResponse)

 private:
  const calls::WorkerAccess own_access_;
};

#undef GRAFT_UNARY
#undef GRAFT_SERVER_STREAM
#undef GRAFT_CLIENT_STREAM

}  // namespace

std::vector<std::unique_ptr<grpc::Service>> MakePublicServices(calls::CallHost& host,
                                                               service::Services& services) {
  std::vector<std::unique_ptr<grpc::Service>> made;
  made.push_back(std::make_unique<Finetuning>(host, services.finetuning));
  made.push_back(std::make_unique<Adapters>(host, services.adapters));
  made.push_back(std::make_unique<Inference>(host, services.inference));
  made.push_back(std::make_unique<Bases>(host, services.bases));
  made.push_back(std::make_unique<Datasets>(host, services.datasets));
  made.push_back(std::make_unique<Workers>(host, services.workers));
  return made;
}

std::unique_ptr<grpc::Service> MakeCoordinator(calls::CallHost& host, service::Services& services,
                                               calls::WorkerAccess access) {
  return std::make_unique<Coordinator>(host, services.coordinator, std::move(access));
}

}  // namespace graft::server::rpc
