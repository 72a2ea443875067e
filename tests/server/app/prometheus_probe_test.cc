#include "server/app/prometheus_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

namespace graft::server::app {
namespace {

using testing::HasSubstr;

std::string Text(const PrometheusProbe& probe) {
  return prometheus::TextSerializer().Serialize(probe.registry()->Collect());
}

TEST(PrometheusProbeTest, EverySeriesOfAKnownKindIsThereFromTheStart) {
  const PrometheusProbe probe;
  const std::string text = Text(probe);

  for (const char* series :
       {"graft_jobs{state=\"QUEUED\"} 0", "graft_jobs{state=\"RUNNING\"} 0",
        "graft_workers{state=\"ready\"} 0", "graft_requests_waiting 0", "graft_requests_running 0",
        "graft_leases_expired_total 0", "graft_requests_rejected_total{reason=\"no_worker\"} 0",
        "graft_requests_rejected_total{reason=\"draining\"} 0",
        "graft_job_transitions_total{reason=\"BAD_DATA\",state=\"FAILED\"} 0",
        "graft_job_transitions_total{reason=\"TOO_MANY_ATTEMPTS\",state=\"FAILED\"} 0",
        "graft_job_duration_seconds_count{method=\"lora\"} 0", "graft_build_info{"}) {
    EXPECT_THAT(text, HasSubstr(series));
  }
}

TEST(PrometheusProbeTest, VerbsMoveTheirSeries) {
  PrometheusProbe probe;

  probe.CallFinished(calls::Protocol::kGrpc, "FinetuningService.GetJob", StatusCode::kNotFound,
                     0.002);
  probe.CallFinished(calls::Protocol::kGrpc, "FinetuningService.GetJob", StatusCode::kNotFound,
                     0.002);
  probe.JobTransition(core::JobState::kRunning, "LEASED");
  probe.JobStarted(3);
  probe.JobEnded("lora", 60);
  probe.LeaseExpired();
  probe.SetJobs(core::JobState::kQueued, 7);
  probe.SetBaseResident("minilm", 2);
  probe.InferenceRunning(1);
  probe.InferenceFinished(0.004);

  const std::string text = Text(probe);
  for (const char* series :
       {"graft_requests_total{code=\"NOT_FOUND\",protocol=\"grpc\",rpc=\"FinetuningService."
        "GetJob\"} 2",
        "graft_job_transitions_total{reason=\"LEASED\",state=\"RUNNING\"} 1",
        "graft_job_queue_seconds_sum 3", "graft_job_duration_seconds_count{method=\"lora\"} 1",
        "graft_leases_expired_total 1", "graft_jobs{state=\"QUEUED\"} 7",
        "graft_base_resident{base=\"minilm\"} 2", "graft_requests_running 1",
        "graft_e2e_request_latency_seconds_bucket{le=\"0.005\"} 1"}) {
    EXPECT_THAT(text, HasSubstr(series));
  }
}

TEST(PrometheusProbeTest, PortInUseIsAnErrorThatNamesIt) {
  const PrometheusProbe probe;
  auto first = ServeMetrics("127.0.0.1:0", probe);
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string address = "127.0.0.1:" + std::to_string((*first)->GetListeningPorts().front());

  auto second = ServeMetrics(address, probe);

  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.status().message(), HasSubstr(address));
}

}  // namespace
}  // namespace graft::server::app
