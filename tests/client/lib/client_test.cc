#include "client/lib/client.h"

#include <optional>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../fake_server.h"
#include "common/base/file.h"

namespace graft::client {
namespace {

using namespace std::chrono_literals;
using Jobs = v1::FinetuningService::Stub;
using testing::ElementsAre;
using testing::HasSubstr;

ClientOptions Options(std::chrono::milliseconds timeout, int max_attempts) {
  ClientOptions options;
  options.timeout = timeout;
  options.max_attempts = max_attempts;
  return options;
}

ClientOptions At(const std::string& server) {
  ClientOptions options;
  options.server = server;
  return options;
}

/// Joins the parts of each file.
Client::FileParts Into(Client::Files& files) {
  return {.begin = [&] { files.clear(); },
          .add =
              [&](const std::string& file, const std::string& bytes) {
                files[file] += bytes;
                return OkStatus();
              }};
}

class ClientTest : public testing::Test {
 protected:
  void SetUp() override { Connect({}); }
  void Connect(ClientOptions options) {
    options.server = server_.address();
    auto client = Client::Create(options);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = std::move(*client);
  }
  StatusOr<v1::Job> GetJob() {
    v1::GetJobRequest request;
    request.set_name("jobs/j1");
    return client_->Call(client_->jobs(), &Jobs::GetJob, request);
  }
  Status Watch(std::vector<int64_t>* numbers, int64_t after = 0) {
    return client_->Watch("jobs/j1", after, [numbers](const v1::JobEvent& event) {
      numbers->push_back(event.number());
      return true;
    });
  }

  FakeServer server_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, AddressWithoutPortIsRefused) {
  for (const char* bad : {"", "localhost", "localhost:", ":7070", "localhost:http"}) {
    const auto client = Client::Create(At(bad));

    ASSERT_FALSE(client.ok()) << bad;
    EXPECT_THAT(client.status().message(), HasSubstr("HOST:PORT")) << bad;
  }
}

TEST_F(ClientTest, CallIsRepeatedWhileTheServerIsUnavailable) {
  server_.fail_first = 2;

  const auto job = GetJob();

  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->name(), "jobs/j1");
  EXPECT_EQ(server_.calls, 3);
}

TEST_F(ClientTest, ServerThatStartsMeanwhileIsFound) {
  server_.Stop();
  const auto away = client_->Call(client_->jobs(), &Jobs::GetJob, v1::GetJobRequest(), 50ms);
  ASSERT_TRUE(IsUnreachable(away.status()));
  const FakeServer late(server_.address());

  const auto job = GetJob();

  EXPECT_TRUE(job.ok()) << job.status();
}

TEST_F(ClientTest, RepeatedCreateKeepsItsRequestId) {
  server_.fail_first = 2;
  v1::CreateJobRequest request;
  request.set_request_id("once");

  const auto job = client_->Call(client_->jobs(), &Jobs::CreateJob, request);

  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(server_.request_ids, ElementsAre("once", "once", "once"));
}

TEST_F(ClientTest, CallIsGivenUpAfterTheStatedAttempts) {
  Connect(Options(30s, 2));
  server_.fail_first = 100;

  const auto job = GetJob();

  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(server_.calls, 2);
}

TEST_F(ClientTest, RefusalIsNotRepeatedAndKeepsItsDetails) {
  server_.fail_first = 100;
  server_.failure = InvalidArgumentError("line 3 is bad")
                        .AddDetail({"BAD_LINE", "dataset.train", 3, "text", "no text"});

  const auto job = GetJob();

  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.status(), server_.failure);
  EXPECT_EQ(server_.calls, 1);
}

TEST_F(ClientTest, CallEndsAtItsDeadline) {
  Connect(Options(200ms, 5));
  server_.hang = true;
  const auto begin = std::chrono::steady_clock::now();

  const auto job = GetJob();

  EXPECT_EQ(job.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 195ms);  // Deadlines are cut to milliseconds.
  EXPECT_LE(server_.calls, 1);
  EXPECT_EQ(job.status().message(),
            "deadline exceeded: no answer from " + server_.address() + " within 0.2 s");
}

TEST_F(ClientTest, ADeadlineTellsWhatTheServerSaidBefore) {
  Connect(Options(1s, 5));
  server_.fail_first = 1;
  server_.hang_after = 1;
  server_.failure =
      UnavailableError("no worker has the base late in its folder").AddDetail({"X", {}, 0, {}, {}});

  const auto job = GetJob();

  EXPECT_EQ(job.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(job.status().message(), HasSubstr("within 1 s; before, it said: no worker has the "
                                                "base late in its folder"));
}

TEST_F(ClientTest, AServersOwnWordsOnADeadlineArePassedOn) {
  server_.fail_first = 1;
  server_.failure =
      DeadlineExceededError("deadline exceeded after 3.0 s while waiting for a worker");

  EXPECT_EQ(GetJob().status().message(), server_.failure.message());
}

TEST_F(ClientTest, RetriesStayWithinTheDeadline) {
  Connect(Options(1s, 1000));
  server_.fail_first = 1'000'000;

  const auto job = GetJob();

  ASSERT_FALSE(job.ok());
  EXPECT_GE(server_.calls, 2);
  EXPECT_LE(server_.calls, 4);  // After 0, 100, 300 and 700 ms.
}

TEST_F(ClientTest, AbsentServerIsToldFromOneThatRefuses) {
  Connect(Options(2s, 2));
  server_.Stop();

  const auto job = GetJob();

  ASSERT_FALSE(job.ok());
  EXPECT_TRUE(IsUnreachable(job.status())) << job.status();
  EXPECT_THAT(job.status().message(), HasSubstr(server_.address()));
}

TEST_F(ClientTest, DrainingServerIsNotUnreachable) {
  Connect(Options(30s, 1));
  server_.fail_first = 1;
  server_.failure = UnavailableError("draining").AddDetail({"DRAINING", {}, 0, {}, {}});

  const auto job = GetJob();

  EXPECT_EQ(job.status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(IsUnreachable(job.status()));
}

TEST_F(ClientTest, TokenIsSentAsBearer) {
  ClientOptions options;
  options.token = "secret";
  Connect(options);

  ASSERT_TRUE(GetJob().ok());

  EXPECT_EQ(server_.token, "Bearer secret");
}

TEST_F(ClientTest, BrokenWatchGoesOnBehindTheLastEvent) {
  server_.watches = {{ProgressEvent(4, 1, 9), ProgressEvent(5, 2, 9)},
                     {},
                     {StateEvent(6, v1::RUNNING, v1::SUCCEEDED, "COMPLETED")}};
  std::vector<int64_t> numbers;

  const Status status = Watch(&numbers, 3);

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(numbers, ElementsAre(4, 5, 6));
  EXPECT_THAT(server_.after_events, ElementsAre(3, 5, 5));
}

TEST_F(ClientTest, PatienceBeginsWhenAQuietStreamBreaks) {
  server_.watches = {{ProgressEvent(1, 1, 9)},
                     {StateEvent(2, v1::RUNNING, v1::SUCCEEDED, "COMPLETED")}};
  server_.quiet = 60ms;  // Longer than the patience.
  std::vector<int64_t> numbers;

  const Status status = client_->Watch("jobs/j1", 0,
                                       [&](const v1::JobEvent& event) {
                                         numbers.push_back(event.number());
                                         return true;
                                       },
                                       {.patience = 20ms, .on_away = {}});

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(numbers, ElementsAre(1, 2));
}

TEST_F(ClientTest, WatchGivesUpAServerThatWasNeverReachedAsACallDoes) {
  Connect(Options(30s, 2));
  server_.Stop();
  bool told = false;
  const auto begin = std::chrono::steady_clock::now();

  const Status status =
      client_->Watch("jobs/j1", 0, [](const v1::JobEvent&) { return true; },
                     {.patience = 1min, .on_away = [&](const Status&) { told = true; }});

  EXPECT_TRUE(IsUnreachable(status)) << status;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
  EXPECT_FALSE(told);
}

TEST(WatchTest, TellsOnceThatTheServerWentAwayAndGoesOn) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string address = "unix:" + (folder->path() / "socket").string();
  std::optional<FakeServer> early(std::in_place, address,
                                  FakeServer::Watches{{ProgressEvent(1, 1, 9)}, {}});
  const v1::JobEvent last = StateEvent(2, v1::RUNNING, v1::SUCCEEDED, "COMPLETED");
  std::optional<FakeServer> late;
  ClientOptions options = At(address);
  options.max_attempts = 1;  // No limit once the server was reached.
  const auto client = Client::Create(options);
  ASSERT_TRUE(client.ok()) << client.status();
  std::vector<int64_t> numbers;
  int told = 0;

  WatchOptions watch;
  watch.on_away = [&](const Status& away) {
    EXPECT_TRUE(IsUnreachable(away)) << away;
    if (++told == 1) late.emplace(address, FakeServer::Watches{{last}});
  };
  const auto on_event = [&](const v1::JobEvent& event) {
    numbers.push_back(event.number());
    early.reset();
    return true;
  };

  const Status status = (*client)->Watch("jobs/j1", 0, on_event, watch);

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(numbers, ElementsAre(1, 2));
  EXPECT_EQ(told, 1);
}

TEST_F(ClientTest, WatchEndsWhenTheListenerHasSeenEnough) {
  server_.watches = {{ProgressEvent(1, 1, 9), ProgressEvent(2, 2, 9), ProgressEvent(3, 3, 9)}};
  int seen = 0;

  const Status status =
      client_->Watch("jobs/j1", 0, [&](const v1::JobEvent&) { return ++seen < 2; });

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, 2);
}

TEST_F(ClientTest, WatchOfAnUnknownJobIsNotTakenUpAgain) {
  server_.fail_first = 1;
  server_.failure = NotFoundError("there is no job j1");
  std::vector<int64_t> numbers;

  const Status status = Watch(&numbers);

  EXPECT_EQ(status, server_.failure);
  EXPECT_THAT(server_.after_events, ElementsAre(0));
}

TEST_F(ClientTest, UploadSendsTheNameAndEveryByte) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  std::string bytes(700'000, 'x');
  bytes += "end";
  const auto path = folder->path() / "train.csv";
  ASSERT_TRUE(WriteFileDurably(path, bytes).ok());
  int64_t sent = 0;

  const auto dataset = client_->Upload(path, [&](int64_t now) { sent = now; });

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(server_.upload_name, "train.csv");
  EXPECT_EQ(server_.uploaded, bytes);
  EXPECT_EQ(sent, 700'003);
}

TEST_F(ClientTest, UploadIsRepeatedFromTheStartOfTheFile) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string bytes(300'000, 'x');
  const auto path = folder->path() / "train.csv";
  ASSERT_TRUE(WriteFileDurably(path, bytes).ok());
  server_.fail_first = 2;
  std::vector<int64_t> sent;

  const auto dataset = client_->Upload(path, [&](int64_t now) { sent.push_back(now); });

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(server_.calls, 3);
  EXPECT_EQ(server_.uploaded, bytes);
  EXPECT_THAT(sent, ElementsAre(262'144, 300'000, 262'144, 300'000, 262'144, 300'000));
}

TEST_F(ClientTest, RefusedUploadIsNotRepeated) {
  auto folder = TempFolder::Create();
  ASSERT_TRUE(folder.ok());
  const auto path = folder->path() / "train.csv";
  ASSERT_TRUE(WriteFileDurably(path, "text,label\n").ok());
  server_.fail_first = 1;
  server_.failure = ResourceExhaustedError("the disk is full");

  EXPECT_EQ(client_->Upload(path).status(), server_.failure);
  EXPECT_EQ(server_.calls, 1);
}

TEST_F(ClientTest, StreamsEndAtTheirOwnDeadline) {
  ClientOptions options;
  options.stream_timeout = 200ms;
  Connect(options);
  server_.hang = true;
  Client::Files files;

  EXPECT_EQ(client_->Import({}, {{"a.json", "{}"}}).status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(client_->Export("support", false, Into(files)).status().code(),
            StatusCode::kDeadlineExceeded);
}

TEST_F(ClientTest, FileThatIsNoneIsALocalFault) {
  for (const char* path : {"/nonexistent/train.csv", "/"}) {
    const auto dataset = client_->Upload(path);

    ASSERT_FALSE(dataset.ok());
    EXPECT_TRUE(IsLocal(dataset.status())) << dataset.status();
  }
  EXPECT_EQ(server_.calls, 0);
}

TEST_F(ClientTest, ImportSendsEachFileInChunksThatFollow) {
  const Client::Files files = {
      {"a.json", "{}"}, {"b.safetensors", std::string(600'000, 'b')}, {"empty", ""}};

  const auto version = client_->Import({}, files);

  ASSERT_TRUE(version.ok()) << version.status();
  ASSERT_EQ(server_.imported.size(), 3U);
  EXPECT_EQ(Client::Files(server_.imported.begin(), server_.imported.end()), files);
}

TEST_F(ClientTest, RepeatedImportSendsAllAgainUnderOneRequestId) {
  const Client::Files files = {{"a.json", "{}"}, {"b.json", "[]"}};
  server_.fail_first = 2;

  const auto version = client_->Import({}, files);

  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(Client::Files(server_.imported.begin(), server_.imported.end()), files);
  ASSERT_EQ(server_.import_headers.size(), 3U);
  const std::string id = server_.import_headers[0].request_id();
  EXPECT_FALSE(id.empty());
  for (const auto& header : server_.import_headers) EXPECT_EQ(header.request_id(), id);
}

TEST_F(ClientTest, ImportKeepsTheRequestIdOfItsCaller) {
  v1::ImportAdapterRequest::Header header;
  header.set_request_id("mine");

  ASSERT_TRUE(client_->Import(header, {{"a.json", "{}"}}).ok());

  EXPECT_EQ(server_.import_headers.at(0).request_id(), "mine");
}

TEST_F(ClientTest, ExportJoinsTheChunksOfItsLastTryAlone) {
  Client::Files files = {{"old.json", "{}"}};
  server_.fail_first = 2;

  const auto version = client_->Export("support", false, Into(files));

  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->name(), "adapters/support/versions/2");
  EXPECT_THAT(files, ElementsAre(std::pair("adapter_config.json", "{\"a\": 1}")));
}

TEST_F(ClientTest, AnExportThatCannotBeTakenEndsWithItsReason) {
  int begun = 0;
  const auto version = client_->Export(
      "support", false,
      {.begin = [&] { ++begun; },
       .add = [](const std::string&,
                 const std::string&) { return ResourceExhaustedError("the disk is full"); }});

  EXPECT_EQ(version.status(), ResourceExhaustedError("the disk is full"));
  EXPECT_EQ(begun, 1);
}

TEST_F(ClientTest, ATextThatItsReaderEndsIsNotAskedForAgain) {
  server_.fail_first = 1;  // The first call's fault mustn't be taken for the second's end.
  int parts = 0;

  const Status status =
      client_->Generate({}, [&](const v1::GenerateResponse&) { return ++parts < 1; });

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(parts, 1);
  EXPECT_EQ(server_.generations.size(), 2U);
}

}  // namespace
}  // namespace graft::client
