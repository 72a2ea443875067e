#pragma once
/// A server of graft.v1 on a free port that answers what a test tells it, and keeps what it was
/// asked. Usage:
///   FakeServer server;
///   server.fail_first = 2;             // UNAVAILABLE with details, then the answer
///   Run({"jobs"}, {server.address()}, out, err);
///   EXPECT_EQ(server.created.spec().base(), "tiny");

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <grpcpp/server_builder.h>

#include "client/cli/run.h"
#include "common/base/ids.h"
#include "graft/v1/adapter.grpc.pb.h"
#include "graft/v1/base_model.grpc.pb.h"
#include "graft/v1/dataset.grpc.pb.h"
#include "graft/v1/finetuning.grpc.pb.h"
#include "graft/v1/inference.grpc.pb.h"
#include "graft/v1/worker.grpc.pb.h"
#include "proto/grpc_status.h"
#include "proto/grpc_trace.h"

namespace graft {

/// Fields are set before calls begin; what is kept is read after they ended.
class FakeServer final : public v1::FinetuningService::Service,
                         public v1::AdapterService::Service,
                         public v1::InferenceService::Service,
                         public v1::BaseModelService::Service,
                         public v1::DatasetService::Service,
                         public v1::WorkerService::Service {
 public:
  using Context = grpc::ServerContext;
  using Watches = std::vector<std::vector<v1::JobEvent>>;

  std::atomic<int> fail_first{0};  ///< So many calls are answered with `failure`.
  Status failure = UnavailableError("draining");
  std::chrono::milliseconds quiet{0};  ///< Before a watch breaks or ends.
  bool hang = false;                   ///< Calls wait until their deadline.
  int hang_after = -1;                 ///< Those behind the first so many do; -1: as `hang` says.
  int hang_above = 1 << 20;            ///< Those of Classify with more inputs do.
  v1::Job job;                         ///< What jobs' methods return.
  std::vector<v1::Worker> workers;     ///< What ListWorkers returns.
  v1::AdapterVersion version = Version();  ///< What ListVersions returns.
  Watches watches;                         ///< Of each WatchJob; all but the last break.

  std::atomic<int> calls{0};
  v1::CreateJobRequest created;
  std::vector<std::string> request_ids;
  std::vector<int64_t> after_events;
  std::vector<int> batches;  ///< Inputs of each Classify.
  std::vector<v1::GenerateRequest> generations;
  int fail_texts_after = -1;                ///< Parts of a text, then `failure`; -1: none fails.
  std::vector<std::string> without_effect;  ///< Settings, told with a text's first part.
  std::vector<std::string> text_parts{"to ", "be"};  ///< Of each text; a token each.
  std::string finish_reason = "stop";                ///< Of each.
  std::vector<v1::ScoreRequest> scored;
  std::vector<std::string> job_pages;  ///< Page tokens of ListJobs.
  std::vector<std::string> version_pages, version_filters, dataset_pages;
  std::string token, traceparent, uploaded, upload_name, shown_dataset;
  std::vector<v1::ImportAdapterRequest::Header> import_headers;
  std::vector<std::pair<std::string, std::string>> imported;  ///< By the last ImportAdapter.
  v1::SetAliasRequest promoted;
  v1::DatasetSpec checked, evaluated;

  /// `listen`: another address than a free port, such as unix:/path. `script` is `watches` for a
  /// server that is called as soon as it listens.
  explicit FakeServer(const std::string& listen = "127.0.0.1:0", Watches script = {})
      : watches(std::move(script)), address_(listen) {
    job.set_name("jobs/j1");
    job.set_state(v1::QUEUED);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<v1::FinetuningService::Service*>(this));
    builder.RegisterService(static_cast<v1::AdapterService::Service*>(this));
    builder.RegisterService(static_cast<v1::InferenceService::Service*>(this));
    builder.RegisterService(static_cast<v1::BaseModelService::Service*>(this));
    builder.RegisterService(static_cast<v1::DatasetService::Service*>(this));
    builder.RegisterService(static_cast<v1::WorkerService::Service*>(this));
    server_ = builder.BuildAndStart();
    if (listen.ends_with(":0")) address_ = "127.0.0.1:" + std::to_string(port_);
  }
  ~FakeServer() override { Stop(); }
  void Stop() {
    if (server_ != nullptr) server_->Shutdown();
    server_.reset();
  }
  const std::string& address() const { return address_; }

  grpc::Status CreateJob(Context* context, const v1::CreateJobRequest* request,
                         v1::Job* reply) override {
    created = *request;
    request_ids.push_back(request->request_id());
    *reply = job;
    *reply->mutable_spec() = request->spec();
    return Answer(context);
  }
  grpc::Status GetJob(Context* context, const v1::GetJobRequest*, v1::Job* reply) override {
    *reply = job;
    return Answer(context);
  }
  grpc::Status CancelJob(Context* context, const v1::CancelJobRequest*, v1::Job* reply) override {
    *reply = job;
    return Answer(context);
  }
  grpc::Status PauseJob(Context* context, const v1::PauseJobRequest*, v1::Job* reply) override {
    *reply = job;
    return Answer(context);
  }
  grpc::Status ResumeJob(Context* context, const v1::ResumeJobRequest*, v1::Job* reply) override {
    *reply = job;
    return Answer(context);
  }
  grpc::Status DeleteJob(Context* context, const v1::DeleteJobRequest*,
                         v1::DeleteJobResponse*) override {
    return Answer(context);
  }
  grpc::Status ListJobs(Context* context, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* reply) override {
    job_pages.push_back(request->page_token());
    *reply->add_jobs() = job;
    reply->set_total_size(2);
    if (request->page_token().empty()) reply->set_next_page_token("page 2");
    return Answer(context);
  }
  grpc::Status EstimateJob(Context* context, const v1::EstimateJobRequest*,
                           v1::EstimateJobResponse* reply) override {
    reply->mutable_facts()->set_total_steps(12);
    return Answer(context);
  }
  grpc::Status WatchJob(Context* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::JobEvent>* writer) override {
    after_events.push_back(request->after_event());
    if (fail_first > 0) return Answer(context);
    const size_t turn = num_watches_++;
    if (turn < watches.size()) {
      for (const v1::JobEvent& event : watches[turn]) writer->Write(event);
    }
    const auto until = std::chrono::steady_clock::now() + quiet;
    while (std::chrono::steady_clock::now() < until && !context->IsCancelled()) {
    }
    if (turn + 1 < watches.size()) return {grpc::StatusCode::UNAVAILABLE, "broken"};
    return Answer(context);
  }
  grpc::Status ListAdapters(Context* context, const v1::ListAdaptersRequest*,
                            v1::ListAdaptersResponse* reply) override {
    *reply->add_adapters() = Adapter();
    return Answer(context);
  }
  grpc::Status GetAdapter(Context* context, const v1::GetAdapterRequest*,
                          v1::Adapter* reply) override {
    *reply = Adapter();
    return Answer(context);
  }
  grpc::Status ListVersions(Context* context, const v1::ListVersionsRequest* request,
                            v1::ListVersionsResponse* reply) override {
    version_pages.push_back(request->page_token());
    version_filters.push_back(request->filter());
    *reply->add_versions() = version;
    if (request->page_token().empty()) reply->set_next_page_token("page 2");
    return Answer(context);
  }
  grpc::Status SetAlias(Context* context, const v1::SetAliasRequest* request,
                        v1::Adapter* reply) override {
    promoted = *request;
    *reply = Adapter();
    return Answer(context);
  }
  grpc::Status Rollback(Context* context, const v1::RollbackRequest*, v1::Adapter* reply) override {
    *reply = Adapter();
    return Answer(context);
  }
  grpc::Status EvaluateVersion(Context* context, const v1::EvaluateVersionRequest* request,
                               v1::EvaluateVersionResponse* reply) override {
    evaluated = request->dataset();
    reply->mutable_evaluation()->set_accuracy(0.5);
    return Answer(context);
  }
  grpc::Status ImportAdapter(Context* context, grpc::ServerReader<v1::ImportAdapterRequest>* reader,
                             v1::AdapterVersion* reply) override {
    v1::ImportAdapterRequest message;
    imported.clear();
    while (reader->Read(&message)) {
      if (message.has_header()) import_headers.push_back(message.header());
      if (!message.has_file()) continue;
      if (imported.empty() || imported.back().first != message.file().name())
        imported.emplace_back(message.file().name(), "");
      imported.back().second += message.file().chunk();
    }
    *reply = Version();
    return Answer(context);
  }
  grpc::Status ExportAdapter(Context* context, const v1::ExportAdapterRequest*,
                             grpc::ServerWriter<v1::ExportAdapterResponse>* writer) override {
    v1::ExportAdapterResponse part;
    *part.mutable_version() = Version();
    writer->Write(part);
    for (const char* chunk : {"{\"a\"", ": 1}"}) {
      part.mutable_file()->set_name(export_name);
      part.mutable_file()->set_chunk(chunk);
      writer->Write(part);
      while (hold_exports && !context->IsCancelled()) {
      }
    }
    return Answer(context);
  }
  grpc::Status Classify(Context* context, const v1::ClassifyRequest* request,
                        v1::ClassifyResponse* reply) override {
    batches.push_back(request->inputs_size());
    while (request->inputs_size() > hang_above && !context->IsCancelled()) {
    }
    for (int i = 0; i < request->inputs_size(); ++i) {
      auto& prediction = *reply->add_predictions();
      for (const auto& [label, probability] : {std::pair{"bad", 0.25}, {"good", 0.75}}) {
        auto& entry = *prediction.add_probabilities();
        entry.set_label(label);
        entry.set_probability(probability);
      }
    }
    return Answer(context);
  }
  grpc::Status Embed(Context* context, const v1::EmbedRequest*, v1::EmbedResponse* reply) override {
    reply->add_embeddings()->add_values(0.5F);
    return Answer(context);
  }
  grpc::Status Score(Context* context, const v1::ScoreRequest* request,
                     v1::ScoreResponse* reply) override {
    scored.push_back(*request);
    for (int i = 0; i < request->inputs_size(); ++i) {
      auto& score = *reply->add_scores();
      score.set_log_probability(-1.5);
      score.add_tokens()->set_text("a");
      auto& second = *score.add_tokens();
      second.set_text("b");
      second.set_log_probability(-1.5);
    }
    return Answer(context);
  }
  grpc::Status Generate(Context* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override {
    generations.push_back(*request);
    if (fail_first > 0) return Answer(context);
    int parts = 0;
    for (size_t i = 0; i < text_parts.size(); ++i) {
      for (int index = 0; index < std::max(1, request->generation().n()); ++index) {
        if (parts++ == fail_texts_after) return proto::ToGrpcStatus(failure);
        v1::GenerateResponse part;
        part.set_index(index);
        part.set_text(text_parts[i]);
        if (parts == 1)
          part.mutable_settings_without_effect()->Add(without_effect.begin(), without_effect.end());
        part.set_generated_tokens(static_cast<int64_t>(i) + 1);
        if (i + 1 == text_parts.size()) part.set_finish_reason(finish_reason);
        writer->Write(part);
      }
    }
    return Answer(context);
  }
  grpc::Status ListBases(Context* context, const v1::ListBasesRequest*,
                         v1::ListBasesResponse* reply) override {
    reply->add_bases()->set_name("bases/tiny");
    auto& broken = *reply->add_bases();
    broken.set_name("bases/broken");
    broken.set_error("it was cut");
    return Answer(context);
  }
  grpc::Status ListWorkers(Context* context, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse* reply) override {
    for (const v1::Worker& worker : workers) *reply->add_workers() = worker;
    return Answer(context);
  }
  grpc::Status CheckDataset(Context* context, const v1::CheckDatasetRequest* request,
                            v1::CheckDatasetResponse* reply) override {
    checked = request->dataset();
    reply->set_usable(usable);
    reply->set_summary("2 train examples");
    *reply->mutable_errors() = faults.details();
    reply->set_omitted_errors(faults.omitted_details());
    return Answer(context);
  }
  grpc::Status ListDatasets(Context* context, const v1::ListDatasetsRequest* request,
                            v1::ListDatasetsResponse* reply) override {
    dataset_pages.push_back(request->page_token());
    *reply->add_datasets() = Dataset();
    if (request->page_token().empty()) reply->set_next_page_token("page 2");
    return Answer(context);
  }
  grpc::Status GetDataset(Context* context, const v1::GetDatasetRequest* request,
                          v1::Dataset* reply) override {
    shown_dataset = request->name();
    *reply = Dataset();
    return Answer(context);
  }
  grpc::Status UploadDataset(Context* context, grpc::ServerReader<v1::UploadDatasetRequest>* reader,
                             v1::Dataset* reply) override {
    v1::UploadDatasetRequest message;
    uploaded.clear();
    while (reader->Read(&message)) {
      if (message.has_header()) upload_name = message.header().file_name();
      uploaded += message.chunk();
    }
    reply->set_uri("graft://datasets/abc");
    reply->set_bytes(static_cast<int64_t>(uploaded.size()));
    return Answer(context);
  }

  std::string export_name = "adapter_config.json";
  std::atomic<bool> hold_exports{false};  ///< They send a part of a file and wait. Set at any time.
  bool usable = true;
  v1::ErrorInfo faults;  ///< What CheckDataset finds.

 private:
  grpc::Status Answer(Context* context) {
    ++calls;
    if (const auto found = context->client_metadata().find("authorization");
        found != context->client_metadata().end()) {
      token.assign(found->second.data(), found->second.size());
    }
    traceparent = tracing::Traceparent(proto::TraceOf(context->client_metadata()));
    const bool hangs = hang || (hang_after >= 0 && calls > hang_after);
    while (hangs && !context->IsCancelled()) {
    }
    if (fail_first-- > 0) return proto::ToGrpcStatus(failure);
    return grpc::Status::OK;
  }
  /// Uploaded just now.
  static v1::Dataset Dataset() {
    v1::Dataset dataset;
    dataset.set_name("datasets/abc");
    dataset.set_uri("graft://datasets/abc/train.csv");
    dataset.set_file_name("train.csv");
    dataset.set_bytes(120);
    dataset.mutable_create_time()->set_seconds(SystemClock().Now() / 1'000'000);
    return dataset;
  }
  static v1::Adapter Adapter() {
    v1::Adapter adapter;
    adapter.set_name("adapters/support");
    adapter.set_base("tiny");
    (*adapter.mutable_aliases())["live"] = 2;
    return adapter;
  }
  static v1::AdapterVersion Version() {
    v1::AdapterVersion version;
    version.set_name("adapters/support/versions/2");
    version.set_sha256(std::string(64, 'a'));
    return version;
  }

  std::string address_;
  int port_ = 0;
  size_t num_watches_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

/// What one command line did.
struct Outcome {
  int code = -1;
  std::string out, err;
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
};

inline Outcome RunCli(const std::string& address, const std::vector<std::string>& arguments,
                      bool terminal = false) {
  std::ostringstream out, err;
  const int code = cli::Run(arguments, {address, "", terminal, terminal}, out, err);
  return {code, out.str(), err.str()};
}

inline v1::JobEvent StateEvent(int64_t number, v1::JobState from, v1::JobState to,
                               const std::string& reason) {
  v1::JobEvent event;
  event.set_number(number);
  event.mutable_state_change()->set_from(from);
  event.mutable_state_change()->set_to(to);
  event.mutable_state_change()->set_reason(reason);
  return event;
}

/// "the data is bad", with one fault in a column and three more that were left out.
inline v1::ErrorInfo DataFault() {
  v1::ErrorInfo error;
  error.set_message("the data is bad");
  auto& detail = *error.add_details();
  detail.set_reason("EMPTY_TEXT");
  detail.set_field("dataset.train");
  detail.set_line(7);
  detail.set_column("text");
  detail.set_message("no text");
  error.set_omitted_details(3);
  return error;
}

inline v1::JobEvent ProgressEvent(int64_t number, int64_t step, int64_t total) {
  v1::JobEvent event;
  event.set_number(number);
  auto& progress = *event.mutable_progress();
  progress.set_step(step);
  progress.set_total_steps(total);
  progress.set_loss(0.5);
  progress.set_tokens_per_second(1000);
  progress.set_eta_seconds(75);
  return event;
}

}  // namespace graft
