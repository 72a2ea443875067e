#include "http_fixture.h"

#include <stdexcept>

#include <fmt/format.h>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

namespace graft::server::http {
namespace {

using calls::Awaitable;
using calls::CallContext;

struct Counted {
  explicit Counted(std::atomic<int>& of) : count(of) { ++count; }
  ~Counted() { --count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  std::atomic<int>& count;
};

Awaitable<Status> Hello(CallContext&, const Request&, Responder& out) {
  out.Send({200, "text/plain", {}}, "hello");
  co_return OkStatus();
}

Awaitable<Status> Echo(CallContext&, const Request& request, Responder& out) {
  out.Send({}, request.body);
  co_return OkStatus();
}

Awaitable<Status> Model(CallContext&, const Request& request, Responder& out) {
  out.Send({200, "text/plain", {}}, request.arguments.at("model"));
  co_return OkStatus();
}

Awaitable<Status> Broken(CallContext&, const Request&, Responder& out) {
  out.Begin({200, kEventStream, {}});
  co_await out.Write(DataEvent("one"));
  co_return UnavailableError("the worker went away");
}

Awaitable<Status> Throw(CallContext&, const Request&, Responder&) {
  throw std::runtime_error("a secret");
  co_return OkStatus();
}

Awaitable<Status> Torn(CallContext&, const Request&, Responder& out) {
  out.Begin({200, "application/octet-stream", {}});
  co_await out.Write("half");
  co_return DataLossError("the file is damaged");
}

}  // namespace

HttpFixture::HttpFixture() = default;
HttpFixture::~HttpFixture() = default;

std::vector<Route> HttpFixture::Routes() {
  auto events = [this](CallContext&, const Request&, Responder& out) -> Awaitable<Status> {
    const Counted counted(waiting_);
    out.Begin({200, kEventStream, {}});
    for (int i = 0; i < events_; ++i) {
      if (!co_await out.Write(DataEvent(std::string(event_bytes_, 'x'))))
        co_return CancelledError("the reader went away");
      ++written_;
    }
    co_return OkStatus();
  };
  auto count = [this](CallContext&, const Request& request, Responder& out) -> Awaitable<Status> {
    const Counted counted(waiting_);
    size_t bytes = 0;
    while (true) {
      GRAFT_CO_ASSIGN_OR_RETURN(const std::string piece, co_await request.stream->Read());
      if (piece.empty()) break;
      bytes += piece.size();
    }
    out.Send({}, std::to_string(bytes));
    co_return OkStatus();
  };
  auto wait = [this](CallContext&, const Request&, Responder&) -> Awaitable<Status> {
    const Counted counted(waiting_);
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                    std::chrono::hours(24));
    co_await timer.async_wait(boost::asio::use_awaitable);
    co_return OkStatus();
  };
  return {{"GET", "/hello", BodyForm::kNone, &small_, Hello},
          {"DELETE", "/hello", BodyForm::kNone, &small_, Hello},
          {"POST", "/echo", BodyForm::kJson, &small_, Echo},
          {"POST", "/count", BodyForm::kStream, &small_, count},
          {"GET", "/events", BodyForm::kNone, &inference_, events},
          {"GET", "/wait", BodyForm::kNone, &inference_, wait},
          {"GET", "/broken", BodyForm::kNone, &inference_, Broken},
          {"GET", "/torn", BodyForm::kNone, &small_, Torn},
          {"GET", "/throw", BodyForm::kNone, &small_, Throw},
          {"GET", "/models/{model}", BodyForm::kNone, &small_, Model}};
}

void HttpFixture::SetUp() {
  HttpServer::Options options;
  options.names = {"graft.example.com"};
  options.limits = TestLimits();
  auto server = HttpServer::Start(std::move(options), host_, Routes());
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = std::move(*server);
}

void HttpFixture::TearDown() {
  server_->Stop(std::chrono::milliseconds(0));
  runtime_.Stop();
}

RawClient::Response HttpFixture::Ask(const std::string& bytes) {
  RawClient client = Connect();
  client.Send(bytes);
  return client.Read(bytes.starts_with("HEAD "));
}

std::string HttpFixture::Get(const std::string& target, const std::string& fields) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", target, fields);
}

std::string HttpFixture::Post(const std::string& target, const std::string& body,
                              const std::string& fields) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{}",
                     target, fields, body.size(), body);
}

}  // namespace graft::server::http
