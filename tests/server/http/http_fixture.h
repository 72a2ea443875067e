#pragma once
/// A real HTTP server on a free port with a few routes of the test's own: for what all requests
/// share, whatever they ask for.

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "raw_client.h"
#include "server/calls/chain.h"
#include "server/http/http_server.h"
#include "tests/server/support/recording_probe.h"
#include "tests/support/recording_sink.h"

namespace graft::server::http {

class HttpFixture : public ::testing::Test {
 protected:
  /// GET /hello -> "hello"; POST /echo -> the JSON body; POST /count -> the body's bytes, read as a
  /// stream; GET /events -> `events_` server-sent events of `event_bytes_` each, for inference;
  /// GET /wait -> for inference, goes on until it is interrupted; GET /broken -> one event, then
  /// Unavailable; GET /torn -> some bytes, then DataLoss;
  /// GET /throw -> an exception; GET /models/{model} -> the model; DELETE
  /// /hello.
  HttpFixture();
  ~HttpFixture() override;
  virtual Limits TestLimits() { return {}; }
  void SetUp() override;
  void TearDown() override;

  RawClient Connect() { return RawClient(server_->port()); }
  /// One request on a connection of its own.
  RawClient::Response Ask(const std::string& bytes);
  /// "GET /hello HTTP/1.1" with a Host.
  static std::string Get(const std::string& target, const std::string& fields = "");
  static std::string Post(const std::string& target, const std::string& body,
                          const std::string& fields = "Content-Type: application/json\r\n");

  calls::Runtime runtime_;
  RecordingProbe probe_;
  const std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  calls::CallHost host_{runtime_, probe_, calls::MakeChain({}), tracing::Tracer(sink_, {})};
  calls::CallOptions small_{"Test.Small"};
  calls::CallOptions inference_{"Test.Inference", std::chrono::minutes(5), calls::Role::kUser,
                                calls::OnDrain::kFinish, calls::Cost::kInference};
  std::atomic<int> events_ = 3;
  std::atomic<size_t> event_bytes_ = 10;
  std::atomic<int> written_ = 0;  ///< Of the events.
  std::atomic<int> waiting_ = 0;  ///< Handlers of /count, /events and /wait under way.
  std::unique_ptr<HttpServer> server_;

 private:
  std::vector<Route> Routes();
};

}  // namespace graft::server::http
