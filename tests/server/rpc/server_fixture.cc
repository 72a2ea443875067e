#include "server_fixture.h"

#include <fstream>
#include <future>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "proto/grpc_status.h"
#include "tiny_base.h"

namespace graft::server::rpc {

ServerFixture::ServerFixture() = default;
ServerFixture::~ServerFixture() = default;

void ServerFixture::SetUp() {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  folder_.emplace(std::move(*folder));
  MakeTinyBase(folder_->path() / "bases", "tiny");
  std::filesystem::create_directories(folder_->path() / "data");
  WriteData("train.csv",
            "text,label\ngood film,good\nbad film,bad\nvery good,good\nnot good,bad\n");
  Start();
}

void ServerFixture::Start() {
  store_.OnJobsChanged([this](const std::vector<core::JobKey>& keys) { changes_.Notify(keys); });
  limits_.poll = std::chrono::milliseconds(200);
  Configure();
  host_.emplace(runtime_, probe_, calls::MakeChain(chain_), tracer_);
  catalog_.emplace(folder_->path() / "bases", folder_->path() / "cache", read_base_);
  bases_.emplace(runtime_, *catalog_);
  sources_.emplace(roots_.value_or(std::vector{folder_->path() / "data"}), objects_);
  intake_.emplace(*sources_, objects_);
  hub_options_.check_base = [this](std::string id) { return bases_->Check(std::move(id)); };
  workers_.emplace(runtime_, probe_, hub_options_);
  workers_->set_expecting(expecting_);
  backend_.emplace(background::Backend{runtime_, probe_, store_, objects_, changes_, *workers_,
                                       *bases_, *sources_, *intake_, limits_, tracer_});
  services_.emplace(*backend_);
  validator_.emplace(*backend_, background::Validator::Options{"test-server"});
  housekeeping_options_.expire_every = std::chrono::milliseconds(20);
  housekeeping_.emplace(*backend_, housekeeping_options_);
  RpcServer::Options options;
  options.unix_socket = (folder_->path() / "server.sock").string();
  options.worker_token = worker_token_;
  auto server = RpcServer::Start(options, *host_, *services_);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = std::move(*server);
  server_->SetServing(true);
  validator_->Start();
  housekeeping_->Start();
  socket_ = "unix:" + options.unix_socket;
  channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                                 grpc::InsecureChannelCredentials());
  jobs_ = v1::FinetuningService::NewStub(channel_);
  adapters_ = v1::AdapterService::NewStub(channel_);
  inference_ = v1::InferenceService::NewStub(channel_);
  base_models_ = v1::BaseModelService::NewStub(channel_);
  datasets_ = v1::DatasetService::NewStub(channel_);
}

void ServerFixture::OnIo(const std::function<void()>& work) {
  std::promise<void> done;
  boost::asio::post(runtime_.io(), [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void ServerFixture::Drain() {
  OnIo([this] { host_->Drain(); });
}

void ServerFixture::Stop() {
  if (server_ == nullptr) return;
  Drain();
  server_->StopPublic(std::chrono::seconds(5));
  server_->StopInternal(std::chrono::seconds(5));
  validator_->Stop();
  housekeeping_->Stop();
  runtime_.Stop();
  server_.reset();
}

std::string ServerFixture::WriteData(const std::string& name, const std::string& text) {
  const auto path = folder_->path() / "data" / name;
  std::ofstream(path) << text;
  return "file://" + path.string();
}

v1::JobSpec ServerFixture::Spec() {
  v1::JobSpec spec;
  spec.set_base("tiny");
  spec.set_adapter("support");
  spec.mutable_method()->mutable_lora()->set_rank(2);
  spec.mutable_dataset()->set_train("file://" + (folder_->path() / "data/train.csv").string());
  return spec;
}

grpc::Status ServerFixture::Create(const v1::JobSpec& spec, v1::Job* job,
                                   const std::string& request_id) {
  grpc::ClientContext context;
  v1::CreateJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id);
  return jobs_->CreateJob(&context, request, job);
}

v1::Job ServerFixture::Get(const std::string& name) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_name(name);
  v1::Job job;
  const grpc::Status status = jobs_->GetJob(&context, request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

v1::Job ServerFixture::WaitFor(const std::string& name, v1::JobState state) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  v1::WatchJobRequest request;
  request.set_name(name);
  auto reader = jobs_->WatchJob(&context, request);
  bool reached = false;
  for (v1::JobEvent event; !reached && reader->Read(&event);) {
    reached = event.has_state_change() && event.state_change().to() == state;
  }
  context.TryCancel();
  (void)reader->Finish();
  EXPECT_TRUE(reached) << name << " never became " << v1::JobState_Name(state);
  return Get(name);
}

v1::Job ServerFixture::MakeVersion(FakeWorker& worker, char digit, bool promote) {
  v1::JobSpec spec = Spec();
  spec.set_promote(promote);
  v1::Job job;
  const grpc::Status created = Create(spec, &job);
  EXPECT_TRUE(created.ok()) << created.error_message();
  const grpc::Status done = worker.Succeed(worker.AcquireOne(), std::string(64, digit));
  EXPECT_TRUE(done.ok()) << done.error_message();
  return Get(job.name());
}

std::string FieldOf(const grpc::Status& status) {
  const Status converted = proto::FromGrpcStatus(status);
  return converted.details().empty() ? converted.message() : converted.details()[0].field;
}

}  // namespace graft::server::rpc
