/// A job's spans, from the call that makes it to its version, and W3C Trace Context over gRPC.

#include <set>

#include "server_fixture.h"
#include "tests/support/recording_sink.h"

namespace graft::server::rpc {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using tracing::Span;

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr const char* kSpan = "b7ad6b7169203331";

std::string Parent() { return std::string("00-") + kTrace + "-" + kSpan + "-01"; }

std::string Attribute(const Span& span, const std::string& name) {
  for (const tracing::Attribute& attribute : span.attributes) {
    const auto* text = std::get_if<std::string>(&attribute.value);
    if (attribute.name == name && text != nullptr) return *text;
  }
  return {};
}

class TraceTest : public ServerFixture {
 protected:
  void Configure() override { tracer_ = tracing::Tracer(sink_, {}); }

  /// Creates a job within the test's own trace; returns what the answer names as the call's span.
  v1::Job CreateTraced(tracing::SpanContext* span = nullptr) {
    grpc::ClientContext context;
    context.AddMetadata("traceparent", Parent());
    context.AddMetadata("tracestate", "vendor=1");
    v1::CreateJobRequest request;
    *request.mutable_spec() = Spec();
    v1::Job job;
    const grpc::Status created = jobs_->CreateJob(&context, request, &job);
    EXPECT_TRUE(created.ok()) << created.error_message();
    const auto& told = context.GetServerInitialMetadata();
    const auto found = told.find("traceparent");
    EXPECT_NE(found, told.end());
    if (span != nullptr && found != told.end())
      *span = tracing::ParseTraceparent({found->second.data(), found->second.size()});
    return job;
  }
  Span Must(const std::string& name) {
    const std::optional<Span> span = sink_->Find(name);
    EXPECT_TRUE(span.has_value()) << name;
    return span.value_or(Span());
  }
  /// Ends the server, so that all calls have told of their end.
  void End() { Stop(); }

  const std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
};

TEST_F(TraceTest, AJobIsOneTraceFromItsCallToItsVersion) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  tracing::SpanContext told;
  const v1::Job job = CreateTraced(&told);
  EXPECT_EQ(job.trace_id(), kTrace);
  const pb::Lease lease = worker.AcquireOne();
  ASSERT_TRUE(worker.Succeed(lease, std::string(64, 'a')).ok());
  EXPECT_EQ(Get(job.name()).trace_id(), kTrace);
  End();

  const Span create = Must("FinetuningService.CreateJob");
  EXPECT_EQ(create.parent_id, kSpan);
  EXPECT_EQ(create.context.span_id, told.span_id);
  EXPECT_EQ(Attribute(create, "graft.job"), lease.job_id());
  const Span validate = Must("validate job");
  const Span wait = Must("wait for a worker");
  const Span of_lease = Must("lease");
  for (const Span& span : {validate, wait, of_lease}) {
    EXPECT_EQ(span.parent_id, create.context.span_id) << span.name;
    EXPECT_LE(span.start, span.end) << span.name;
    EXPECT_EQ(Attribute(span, "graft.job"), lease.job_id()) << span.name;
  }
  const auto given = tracing::ParseTraceparent(lease.traceparent(), lease.tracestate());
  EXPECT_EQ(given.span_id, of_lease.context.span_id) << "its worker knows it before it is over";
  EXPECT_EQ(given.state, "vendor=1");
  EXPECT_EQ(Attribute(of_lease, "graft.worker"), "w1");
  EXPECT_EQ(Attribute(of_lease, "graft.end_reason"), "COMPLETED");
  EXPECT_FALSE(of_lease.has_failed);
  const Span complete = Must("Coordinator.CompleteLease");
  EXPECT_EQ(complete.parent_id, of_lease.context.span_id);
  const Span version = Must("version");
  EXPECT_EQ(version.parent_id, complete.context.span_id);
  EXPECT_EQ(Attribute(version, "graft.version"), "adapters/support/versions/1");
  for (const Span& span : sink_->spans()) {
    if (span.name.starts_with("FinetuningService.Get")) continue;
    EXPECT_EQ(span.context.trace_id, kTrace) << span.name;
    EXPECT_EQ(span.context.state, "vendor=1") << span.name;
  }
}

TEST_F(TraceTest, EachLeaseIsASpanAndALostOneHasFailed) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  (void)CreateTraced();
  const pb::Lease first = worker.AcquireOne();
  OnIo([this] { housekeeping_->WorkerDied("w1"); });
  worker.Register();
  const pb::Lease second = worker.AcquireOne();
  ASSERT_TRUE(worker.Succeed(second, std::string(64, 'a')).ok());
  ASSERT_TRUE(worker.Succeed(second, std::string(64, 'a')).ok()) << "told again";
  End();

  std::vector<Span> leases;
  std::set<std::string> ids;
  for (const Span& span : sink_->spans()) {
    if (span.name == "lease") leases.push_back(span);
    EXPECT_TRUE(ids.insert(span.context.span_id).second) << span.name;
  }
  ASSERT_THAT(leases, SizeIs(2));
  EXPECT_EQ(leases[0].context.span_id, tracing::ParseTraceparent(first.traceparent()).span_id);
  EXPECT_TRUE(leases[0].has_failed);
  EXPECT_EQ(Attribute(leases[0], "graft.end_reason"), "WORKER_DIED");
  EXPECT_FALSE(leases[1].has_failed);
  EXPECT_NE(first.traceparent(), second.traceparent());
}

TEST_F(TraceTest, ARequestIsLinkedToWhatMadeItsVersionAndTellsOfItsFirstToken) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  worker.Hold({"tiny"});
  (void)CreateTraced();
  ASSERT_TRUE(worker.Succeed(worker.AcquireOne(), std::string(64, 'a')).ok());
  std::string passed_on;
  worker.on_generate = [&](grpc::ServerContext& context, const pb::EngineGenerateRequest&,
                           grpc::ServerWriter<pb::EngineGenerateResponse>& writer) {
    const auto found = context.client_metadata().find("traceparent");
    if (found != context.client_metadata().end())
      passed_on.assign(found->second.data(), found->second.size());
    writer.Write(TextPart("a"));
    writer.Write(TextPart("b", "stop"));
    return grpc::Status::OK;
  };
  grpc::ClientContext context;
  v1::GenerateRequest request;
  request.set_adapter("support@1");
  request.set_prompt("x");
  const auto reader = inference_->Generate(&context, request);
  for (v1::GenerateResponse part; reader->Read(&part);) continue;
  ASSERT_TRUE(reader->Finish().ok());
  End();

  const Span version = Must("version");
  const Span generate = Must("InferenceService.Generate");
  EXPECT_EQ(generate.parent_id, "");
  EXPECT_NE(generate.context.trace_id, kTrace);
  const Span ask = Must("ask worker");
  EXPECT_EQ(ask.parent_id, generate.context.span_id);
  EXPECT_EQ(ask.kind, tracing::SpanKind::kClient);
  EXPECT_EQ(Attribute(ask, "graft.worker"), "w1");
  EXPECT_EQ(passed_on, tracing::Traceparent(ask.context));
  ASSERT_THAT(generate.links, SizeIs(1));
  EXPECT_EQ(generate.links[0].trace_id, kTrace);
  EXPECT_EQ(generate.links[0].span_id, version.context.span_id);
  std::vector<std::string> events;
  for (const tracing::SpanEvent& event : generate.events) events.push_back(event.name);
  EXPECT_THAT(events, testing::ElementsAre("first token"));
}

TEST_F(TraceTest, AKeptCheckpointIsAVersionOfItsOwn) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::JobSpec spec = Spec();
  spec.mutable_hyperparameters()->set_keep_checkpoints(2);
  v1::Job job;
  ASSERT_TRUE(Create(spec, &job).ok());
  const pb::Lease lease = worker.AcquireOne();
  const auto checkpoint = worker.Checkpoint(lease, 7, std::string(64, 'a'));
  const auto trace = tracing::ParseTraceparent(lease.traceparent());
  ASSERT_TRUE(worker.Keep(checkpoint, trace).ok());
  ASSERT_TRUE(worker.Keep(checkpoint, trace).ok()) << "told again";
  End();

  std::vector<Span> versions;
  for (const Span& span : sink_->spans()) {
    if (span.name == "version") versions.push_back(span);
  }
  ASSERT_THAT(versions, SizeIs(1));
  EXPECT_EQ(Attribute(versions[0], "graft.version"), "adapters/support/versions/1");
  EXPECT_FALSE(versions[0].has_failed);
}

TEST_F(TraceTest, AJobThatEndsInTheQueueTellsHowLongItWaited) {
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  (void)WaitFor(job.name(), v1::QUEUED);
  grpc::ClientContext context;
  v1::CancelJobRequest request;
  request.set_name(job.name());
  v1::Job cancelled;
  ASSERT_TRUE(jobs_->CancelJob(&context, request, &cancelled).ok());
  End();

  EXPECT_EQ(Attribute(Must("wait for a worker"), "graft.state"), "CANCELLED");
  EXPECT_FALSE(Must("wait for a worker").has_failed);
}

TEST_F(TraceTest, HeartbeatsAndPollsAreNoTraces) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  worker.Hold({"tiny"});
  pb::AcquireLeasesResponse response;
  ASSERT_TRUE(worker.Acquire(1, &response).ok());
  End();
  EXPECT_THAT(sink_->spans(), IsEmpty());
}

/// As a server without a collector.
class UntracedTest : public TraceTest {
 protected:
  void Configure() override {}
};

TEST_F(UntracedTest, AClientsTraceIsKeptWithTheJobAndPassedOn) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  tracing::SpanContext told;
  EXPECT_EQ(CreateTraced(&told).trace_id(), kTrace);
  EXPECT_EQ(tracing::Traceparent(told), Parent());
  // Nobody tells of a lease's span here: what is below it is below the client's.
  EXPECT_EQ(worker.AcquireOne().traceparent(), Parent());
  EXPECT_THAT(sink_->spans(), IsEmpty());
}

TEST_F(UntracedTest, WithoutOneThereIsNone) {
  FakeWorker worker(socket_, "w1", {"tiny"});
  worker.Register();
  v1::Job job;
  ASSERT_TRUE(Create(Spec(), &job).ok());
  EXPECT_EQ(job.trace_id(), "");
  EXPECT_EQ(worker.AcquireOne().traceparent(), "");
}

}  // namespace
}  // namespace graft::server::rpc
