#include "server/rpc/grpc_services.h"

#include <utility>

#include <openssl/crypto.h>

#include "graft/internal/v1/coordinator.grpc.pb.h"
#include "graft/v1/adapter.grpc.pb.h"
#include "graft/v1/base_model.grpc.pb.h"
#include "graft/v1/dataset.grpc.pb.h"
#include "graft/v1/finetuning.grpc.pb.h"
#include "graft/v1/inference.grpc.pb.h"
#include "server/rpc/reactors.h"

namespace graft::server::rpc {
namespace {

namespace v1 = graft::v1;
namespace internal_v1 = graft::internal::v1;
using Context = grpc::CallbackServerContext;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// Calls that read a whole data set or wait for workers to load something.
constexpr auto kLong = minutes(30);
constexpr auto kEndless = hours(24 * 365);

// One line a method, as the 40 of them differ in names only.
#define GRAFT_UNARY(Type, service, Method, Request, Response, duration)                         \
  grpc::ServerUnaryReactor* Method(Context* c, const Request* q, Response* r) override {        \
    return Unary<Request, Response>(host_, {Type "." #Method, duration}, c, q, r,               \
                                    [&s = service](CallContext& call, const Request& request) { \
                                      return s.Method(call, request);                           \
                                    });                                                         \
  }

class Finetuning final : public v1::FinetuningService::CallbackService {
 public:
  Finetuning(CallHost& host, rpc::FinetuningService& service) : host_(host), service_(service) {}
#define METHOD(Method, Request, Response, duration) \
  GRAFT_UNARY("FinetuningService", service_, Method, v1::Request, v1::Response, duration)
  METHOD(CreateJob, CreateJobRequest, Job, kLong)
  METHOD(GetJob, GetJobRequest, Job, seconds(60))
  METHOD(ListJobs, ListJobsRequest, ListJobsResponse, seconds(60))
  METHOD(CancelJob, CancelJobRequest, Job, seconds(60))
  METHOD(PauseJob, PauseJobRequest, Job, seconds(60))
  METHOD(ResumeJob, ResumeJobRequest, Job, seconds(60))
  METHOD(DeleteJob, DeleteJobRequest, DeleteJobResponse, seconds(60))
  METHOD(EstimateJob, EstimateJobRequest, EstimateJobResponse, kLong)
#undef METHOD
  grpc::ServerWriteReactor<v1::JobEvent>* WatchJob(Context* c,
                                                   const v1::WatchJobRequest* q) override {
    const CallOptions options{"FinetuningService.WatchJob", kEndless, /*ends_on_drain=*/true};
    return ServerStream<v1::WatchJobRequest, v1::JobEvent>(
        host_, options, c, q,
        [&s = service_](CallContext& call, const v1::WatchJobRequest& request,
                        StreamWriter<v1::JobEvent>& writer) {
          return s.WatchJob(call, request, writer);
        });
  }

 private:
  CallHost& host_;
  rpc::FinetuningService& service_;
};

class Adapters final : public v1::AdapterService::CallbackService {
 public:
  Adapters(CallHost& host, rpc::AdapterService& service) : host_(host), service_(service) {}
#define METHOD(Method, Request, Response, duration) \
  GRAFT_UNARY("AdapterService", service_, Method, v1::Request, v1::Response, duration)
  METHOD(ListAdapters, ListAdaptersRequest, ListAdaptersResponse, seconds(60))
  METHOD(GetAdapter, GetAdapterRequest, Adapter, seconds(60))
  METHOD(ListVersions, ListVersionsRequest, ListVersionsResponse, seconds(60))
  METHOD(EvaluateVersion, EvaluateVersionRequest, EvaluateVersionResponse, kLong)
  METHOD(SetAlias, SetAliasRequest, Adapter, minutes(5))
  METHOD(Rollback, RollbackRequest, Adapter, minutes(5))
  METHOD(DeleteVersion, DeleteVersionRequest, DeleteVersionResponse, seconds(60))
  METHOD(DeleteAdapter, DeleteAdapterRequest, DeleteAdapterResponse, seconds(60))
  METHOD(WarmAdapter, WarmAdapterRequest, WarmAdapterResponse, minutes(5))
  METHOD(PinAdapter, PinAdapterRequest, PinAdapterResponse, seconds(60))
#undef METHOD
  grpc::ServerReadReactor<v1::ImportAdapterRequest>* ImportAdapter(Context* c,
                                                                   v1::AdapterVersion* r) override {
    return ClientStream<v1::ImportAdapterRequest, v1::AdapterVersion>(
        host_, {"AdapterService.ImportAdapter", kLong}, c, r,
        [&s = service_](CallContext& call, StreamReader<v1::ImportAdapterRequest>& reader) {
          return s.ImportAdapter(call, reader);
        });
  }
  grpc::ServerWriteReactor<v1::ExportAdapterResponse>* ExportAdapter(
      Context* c, const v1::ExportAdapterRequest* q) override {
    return ServerStream<v1::ExportAdapterRequest, v1::ExportAdapterResponse>(
        host_, {"AdapterService.ExportAdapter", kLong}, c, q,
        [&s = service_](CallContext& call, const v1::ExportAdapterRequest& request,
                        StreamWriter<v1::ExportAdapterResponse>& writer) {
          return s.ExportAdapter(call, request, writer);
        });
  }

 private:
  CallHost& host_;
  rpc::AdapterService& service_;
};

class Inference final : public v1::InferenceService::CallbackService {
 public:
  Inference(CallHost& host, rpc::InferenceService& service) : host_(host), service_(service) {}
#define METHOD(Method, Request, Response, duration) \
  GRAFT_UNARY("InferenceService", service_, Method, v1::Request, v1::Response, duration)
  METHOD(Classify, ClassifyRequest, ClassifyResponse, minutes(5))
  METHOD(Embed, EmbedRequest, EmbedResponse, minutes(5))
  METHOD(Score, ScoreRequest, ScoreResponse, minutes(5))
#undef METHOD
  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(Context* c,
                                                           const v1::GenerateRequest* q) override {
    return ServerStream<v1::GenerateRequest, v1::GenerateResponse>(
        host_, {"InferenceService.Generate", minutes(30)}, c, q,
        [&s = service_](CallContext& call, const v1::GenerateRequest& request,
                        StreamWriter<v1::GenerateResponse>& writer) {
          return s.Generate(call, request, writer);
        });
  }

 private:
  CallHost& host_;
  rpc::InferenceService& service_;
};

class Bases final : public v1::BaseModelService::CallbackService {
 public:
  Bases(CallHost& host, rpc::BaseModelService& service) : host_(host), service_(service) {}
#define METHOD(Method, Request, Response, duration) \
  GRAFT_UNARY("BaseModelService", service_, Method, v1::Request, v1::Response, duration)
  METHOD(ListBases, ListBasesRequest, ListBasesResponse, minutes(10))
  METHOD(GetBase, GetBaseRequest, BaseModel, minutes(10))
#undef METHOD

 private:
  CallHost& host_;
  rpc::BaseModelService& service_;
};

class Datasets final : public v1::DatasetService::CallbackService {
 public:
  Datasets(CallHost& host, rpc::DatasetService& service) : host_(host), service_(service) {}
#define METHOD(Method, Request, Response, duration) \
  GRAFT_UNARY("DatasetService", service_, Method, v1::Request, v1::Response, duration)
  METHOD(CheckDataset, CheckDatasetRequest, CheckDatasetResponse, kLong)
  METHOD(DeleteDataset, DeleteDatasetRequest, DeleteDatasetResponse, seconds(60))
#undef METHOD
  grpc::ServerReadReactor<v1::UploadDatasetRequest>* UploadDataset(Context* c,
                                                                   v1::Dataset* r) override {
    return ClientStream<v1::UploadDatasetRequest, v1::Dataset>(
        host_, {"DatasetService.UploadDataset", hours(4)}, c, r,
        [&s = service_](CallContext& call, StreamReader<v1::UploadDatasetRequest>& reader) {
          return s.UploadDataset(call, reader);
        });
  }

 private:
  CallHost& host_;
  rpc::DatasetService& service_;
};

#undef GRAFT_UNARY

/// Equal, without telling by the time taken where they differ.
bool SameSecret(const std::string& a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

class Coordinator final : public internal_v1::Coordinator::CallbackService {
 public:
  Coordinator(CallHost& host, CoordinatorService& service, WorkerAccess access)
      : host_(host), service_(service), access_(std::move(access)) {}

  // Workers finish their work while the server drains: only the poll for new work ends.
#define METHOD(Method, duration, ends_on_drain, runs_while_draining)                      \
  grpc::ServerUnaryReactor* Method(Context* c, const internal_v1::Method##Request* q,     \
                                   internal_v1::Method##Response* r) override {           \
    using Request = internal_v1::Method##Request;                                         \
    using Response = internal_v1::Method##Response;                                       \
    const CallOptions options{"Coordinator." #Method, duration, ends_on_drain,            \
                              runs_while_draining};                                       \
    return Unary<Request, Response>(                                                      \
        host_, options, c, q, r,                                                          \
        [&s = service_, allowed = Check(*c)](CallContext& call, const Request& request) { \
          return allowed.ok() ? s.Method(call, request) : Refuse<Response>(allowed);      \
        });                                                                               \
  }
  METHOD(Register, seconds(60), false, true)
  METHOD(AcquireLeases, minutes(10), true, false)
  METHOD(RenewLeases, seconds(60), false, true)
  METHOD(CompleteLease, seconds(60), false, true)
#undef METHOD

  grpc::ServerWriteReactor<internal_v1::ObjectChunk>* GetObject(
      Context* c, const internal_v1::GetObjectRequest* q) override {
    const CallOptions options{"Coordinator.GetObject", kLong, false, true};
    return ServerStream<internal_v1::GetObjectRequest, internal_v1::ObjectChunk>(
        host_, options, c, q,
        [&s = service_, allowed = Check(*c)](CallContext& call,
                                             const internal_v1::GetObjectRequest& request,
                                             StreamWriter<internal_v1::ObjectChunk>& writer) {
          return allowed.ok() ? s.GetObject(call, request, writer) : RefuseStream(allowed);
        });
  }
  grpc::ServerReadReactor<internal_v1::PutObjectRequest>* PutObject(
      Context* c, internal_v1::PutObjectResponse* r) override {
    const CallOptions options{"Coordinator.PutObject", kLong, false, true};
    return ClientStream<internal_v1::PutObjectRequest, internal_v1::PutObjectResponse>(
        host_, options, c, r,
        [&s = service_, allowed = Check(*c)](CallContext& call,
                                             StreamReader<internal_v1::PutObjectRequest>& reader) {
          return allowed.ok() ? s.PutObject(call, reader)
                              : Refuse<internal_v1::PutObjectResponse>(allowed);
        });
  }

 private:
  template <typename Response>
  static Awaitable<StatusOr<Response>> Refuse(Status status) {
    co_return status;
  }
  static Awaitable<Status> RefuseStream(Status status) { co_return status; }

  Status Check(const Context& context) const {
    if (access_.everyone) return OkStatus();
    constexpr std::string_view kBearer = "Bearer ";
    const auto [begin, end] = context.client_metadata().equal_range("authorization");
    for (auto it = begin; it != end; ++it) {
      const std::string_view value(it->second.data(), it->second.size());
      if (value.starts_with(kBearer) && !access_.token.empty() &&
          SameSecret(access_.token, value.substr(kBearer.size()))) {
        return OkStatus();
      }
    }
    return PermissionDeniedError(
        access_.token.empty()
            ? "workers may not dial in on this port: the server has no worker token "
              "(GRAFT_WORKER_TOKEN)"
            : "the worker token is missing or wrong (GRAFT_WORKER_TOKEN on both sides)");
  }

  CallHost& host_;
  CoordinatorService& service_;
  const WorkerAccess access_;
};

}  // namespace

std::vector<std::unique_ptr<grpc::Service>> MakePublicServices(CallHost& host, Services& services) {
  std::vector<std::unique_ptr<grpc::Service>> made;
  made.push_back(std::make_unique<Finetuning>(host, services.finetuning));
  made.push_back(std::make_unique<Adapters>(host, services.adapters));
  made.push_back(std::make_unique<Inference>(host, services.inference));
  made.push_back(std::make_unique<Bases>(host, services.bases));
  made.push_back(std::make_unique<Datasets>(host, services.datasets));
  return made;
}

std::unique_ptr<grpc::Service> MakeCoordinator(CallHost& host, Services& services,
                                               WorkerAccess access) {
  return std::make_unique<Coordinator>(host, services.coordinator, std::move(access));
}

}  // namespace graft::server::rpc
