#include "server/http/connection.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>

#include "common/base/guard.h"
#include "common/base/ids.h"
#include "common/tracing/trace_context.h"
#include "server/http/errors.h"
#include "server/http/exchange.h"
#include "server/http/target.h"
#include "server/http/wire.h"

namespace graft::server::http {
namespace {

using std::chrono::steady_clock;

/// What is refused before it is a method's counts under this name.
constexpr std::string_view kNoMethod = "none";

/// A request that may become a call.
struct Incoming {
  Head head;
  Match match;
  Request request;
};

bool WantsToStay(const Head& head) {
  if (head.Says("connection", "close")) return false;
  return head.version == 11 || head.Says("connection", "keep-alive");
}

tracing::SpanContext TraceOf(const Head& head) {
  if (head.Count(tracing::kTraceparent) != 1) return {};
  std::string state;
  for (const auto& [name, value] : head.fields) {
    if (!SameWord(name, tracing::kTracestate)) continue;
    tracing::AppendTracestate(value, state);
  }
  return tracing::ParseTraceparent(head.Find(tracing::kTraceparent), state);
}

bool IsJson(std::string_view content_type) {
  return SameWord(content_type.substr(0, std::min(content_type.find(';'), content_type.size())),
                  "application/json");
}

/// Of each body so many bytes are free: who holds what there is of the others back keeps nobody
/// from asking something small.
constexpr int64_t kFreeBytes = 64 << 10;

/// Counts the bytes of a body that is held whole, while it lives.
class Held {
 public:
  explicit Held(Site& site) : site_(site) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { site_.buffered -= counted_; }
  /// False if all of them together are too many.
  bool Add(size_t bytes) {
    bytes_ += static_cast<int64_t>(bytes);
    const int64_t more = std::max<int64_t>(0, bytes_ - kFreeBytes) - counted_;
    counted_ += more;
    return more == 0 || (site_.buffered += more) <= site_.limits.max_buffered;
  }

 private:
  Site& site_;
  int64_t bytes_ = 0;
  int64_t counted_ = 0;
};

class ServedConnection final : public Connection {
 public:
  ServedConnection(Site& site, asio::ip::tcp::socket socket)
      : site_(site), executor_(socket.get_executor()), wire_(std::move(socket), site.limits) {}

  void Start() override {
    asio::co_spawn(
        executor_, [self = Self()] { return self->Run(); },
        [self = Self()](const std::exception_ptr& error) {
          if (error != nullptr) self->Broke(error);
          self->site_.connections.Remove(self.get());
        });
  }
  void Drain() override {
    asio::post(executor_, [self = Self()] {
      if (self->is_idle_) self->wire_.Close();
    });
  }
  void Close() override {
    asio::post(executor_, [self = Self()] {
      if (self->call_ != nullptr) self->call_->Cancel();
      self->wire_.Close();
    });
  }

 private:
  using Received = std::variant<Incoming, Refusal, Gone>;

  std::shared_ptr<ServedConnection> Self() {
    return std::static_pointer_cast<ServedConnection>(shared_from_this());
  }
  void Broke(const std::exception_ptr& error);
  calls::Awaitable<void> Run();
  /// Reads a request and answers it; false if it was the connection's last.
  calls::Awaitable<bool> ServeOne();
  std::variant<Match, Refusal> Admit(const Head& head, Request& request) const;
  std::optional<Refusal> CheckBody(const Head& head, const Route& route) const;
  /// Until the request can be handled; `form` is filled on the way.
  calls::Awaitable<Received> Receive(Held& held, AnswerForm& form);
  calls::Awaitable<std::optional<Refusal>> ReceiveBody(Held& held, std::string& body);
  /// Runs the call and writes its answer; false if the connection is of no use any more.
  calls::Awaitable<bool> Handle(Incoming& incoming, AnswerForm& form);
  /// What is wrong with the body as HTTP, if that is why it has no end.
  calls::Awaitable<std::optional<Refusal>> FeedBody(Exchange& exchange);
  /// Nobody wants the rest of the answer: the handler may still be at work, and is told.
  calls::Awaitable<void> GiveUp(Exchange& exchange);
  /// `refusal` takes the place of an error that came of it.
  calls::Awaitable<bool> WriteAnswer(Exchange& exchange, const std::optional<Refusal>& refusal,
                                     AnswerForm& form);
  calls::Awaitable<bool> Refuse(const Refusal& refusal, AnswerForm form);

  Site& site_;
  const asio::any_io_executor executor_;
  Wire wire_;
  std::shared_ptr<calls::CallState> call_;  ///< The one that runs.
  bool is_idle_ = false;                    ///< It waits for a request's head.
};

void ServedConnection::Broke(const std::exception_ptr& error) {
  const Status status = Contained([&] { std::rethrow_exception(error); });
  spdlog::error("an HTTP connection failed: {}", status.message());
  wire_.StopWatching();
  wire_.Abort();
  if (call_ != nullptr) call_->Cancel();
}

calls::Awaitable<void> ServedConnection::Run() {
  bool goes_on = true;
  while (goes_on) goes_on = co_await ServeOne();
  wire_.Close();
}

std::variant<Match, Refusal> ServedConnection::Admit(const Head& head, Request& request) const {
  if (std::optional<Refusal> refusal = CheckHead(head)) return *refusal;
  std::optional<std::string_view> origin;
  if (head.Count("origin") > 0) origin = head.Find("origin");
  if (std::optional<Refusal> refusal =
          site_.authorities.Check(head.Find("host"), origin, wire_.LocalAddress()))
    return *refusal;
  StatusOr<Target> target = ParseTarget(head.target);
  if (!target.ok()) return Refusal{400, target.status().message(), "invalid_url", {}};
  std::variant<Match, Refusal> found = site_.router.Find(head.method, target->segments);
  if (const auto* match = std::get_if<Match>(&found)) {
    request.method = match->route->method;
    request.arguments = match->arguments;
    request.query = std::move(target->query);
    request.content_type = std::string(head.Find("content-type"));
    request.last_event_id = std::string(head.Find("last-event-id"));
    if (std::optional<Refusal> refusal = CheckBody(head, *match->route)) return *refusal;
  }
  return found;
}

std::optional<Refusal> ServedConnection::CheckBody(const Head& head, const Route& route) const {
  if (!wire_.HasBody()) return std::nullopt;
  if (head.Count("content-encoding") > 0)
    return Refusal{
        415, "bodies are read as they are: no Content-Encoding", "unsupported_media_type", {}};
  switch (route.body) {
    case BodyForm::kNone:
      return Refusal{400, "this request takes no body", "unexpected_body", {}};
    case BodyForm::kStream:
      return std::nullopt;
    case BodyForm::kJson:
      break;
  }
  if (!IsJson(head.Find("content-type")))
    return Refusal{415,
                   "the body must be JSON, with Content-Type: application/json",
                   "unsupported_media_type",
                   {}};
  const std::optional<uint64_t> declared = wire_.DeclaredBytes();
  if (declared && *declared > static_cast<uint64_t>(site_.limits.max_json_body))
    return Refusal{413,
                   fmt::format("a JSON body may have up to {} bytes", site_.limits.max_json_body),
                   "body_too_large",
                   {}};
  return std::nullopt;
}

calls::Awaitable<std::optional<Refusal>> ServedConnection::ReceiveBody(Held& held,
                                                                       std::string& body) {
  const auto until = steady_clock::now() + site_.limits.json_body;
  while (true) {
    auto piece = co_await wire_.ReadBody(until);
    if (auto* refusal = std::get_if<Refusal>(&piece)) co_return std::move(*refusal);
    const auto* bytes = std::get_if<std::string>(&piece);
    if (bytes == nullptr) co_return Refusal{400, "the body broke off", "malformed_request", {}};
    if (bytes->empty()) co_return std::nullopt;
    if (body.size() + bytes->size() > static_cast<size_t>(site_.limits.max_json_body)) {
      co_return Refusal{
          413,
          fmt::format("a JSON body may have up to {} bytes", site_.limits.max_json_body),
          "body_too_large",
          {}};
    }
    if (!held.Add(bytes->size()))
      co_return Refusal{
          503, "too many large requests are on their way; try again in a moment", "overloaded", {}};
    body += *bytes;
  }
}

calls::Awaitable<ServedConnection::Received> ServedConnection::Receive(Held& held,
                                                                       AnswerForm& form) {
  is_idle_ = true;
  site_.connections.Waits(this);
  auto read = co_await wire_.ReadHead();
  is_idle_ = false;
  form.request_id = "req_" + NewId(SystemClock().Now());
  form.closes = true;
  if (std::holds_alternative<Gone>(read)) co_return Gone{};
  if (auto* refusal = std::get_if<Refusal>(&read)) co_return std::move(*refusal);
  Incoming incoming;
  incoming.head = std::move(std::get<Head>(read));
  form.version = incoming.head.version;
  form.is_head = incoming.head.method == "HEAD";
  auto admitted = Admit(incoming.head, incoming.request);
  if (auto* refusal = std::get_if<Refusal>(&admitted)) {
    // What was read to its end leaves the connection as it was, where there is no doubt of that.
    const bool is_clear =
        refusal->status == 403 || refusal->status == 404 || refusal->status == 405;
    form.closes = wire_.HasBody() || !is_clear || !WantsToStay(incoming.head);
    co_return std::move(*refusal);
  }
  incoming.match = std::move(std::get<Match>(admitted));
  // RFC 9110 section 10.1.1: a client of HTTP/1.0 doesn't know the answer.
  if (wire_.HasBody() && incoming.head.Count("expect") > 0 && form.version == 11) {
    const bool is_told = co_await wire_.WriteContinue();
    if (!is_told) co_return Gone{};
  }
  if (wire_.HasBody() && incoming.match.route->body == BodyForm::kJson) {
    std::optional<Refusal> refusal = co_await ReceiveBody(held, incoming.request.body);
    if (refusal) co_return std::move(*refusal);
  }
  form.closes = !WantsToStay(incoming.head);
  co_return incoming;
}

calls::Awaitable<bool> ServedConnection::ServeOne() {
  if (site_.is_draining) co_return false;
  Held held(site_);
  AnswerForm form;
  auto received = co_await Receive(held, form);
  if (std::holds_alternative<Gone>(received)) co_return false;
  if (const auto* refusal = std::get_if<Refusal>(&received))
    co_return co_await Refuse(*refusal, form);
  const bool goes_on = co_await Handle(std::get<Incoming>(received), form);
  if (goes_on && !form.closes) co_return true;
  if (goes_on) co_await wire_.CloseGently();
  co_return false;
}

calls::Awaitable<bool> ServedConnection::Refuse(const Refusal& refusal, AnswerForm form) {
  site_.host.probe().CallFinished(calls::Protocol::kHttp, kNoMethod, CodeOf(refusal), 0);
  AnswerHead head = ErrorHead(refusal.status);
  if (!refusal.allow.empty()) head.headers.emplace_back("Allow", refusal.allow);
  if (!co_await wire_.WriteWhole(head, ErrorBody(refusal), form)) co_return false;
  if (form.closes) co_await wire_.CloseGently();
  co_return !form.closes;
}

calls::Awaitable<std::optional<Refusal>> ServedConnection::FeedBody(Exchange& exchange) {
  while (wire_.HasBody()) {
    auto piece = co_await wire_.ReadBody(steady_clock::time_point::max());
    auto* bytes = std::get_if<std::string>(&piece);
    if (bytes == nullptr) {
      exchange.EndBody(false);
      if (auto* refusal = std::get_if<Refusal>(&piece)) co_return std::move(*refusal);
      co_return std::nullopt;
    }
    if (bytes->empty()) break;
    const bool goes_on = co_await exchange.Feed(std::move(*bytes));
    if (!goes_on) co_return std::nullopt;
  }
  exchange.EndBody(true);
  co_return std::nullopt;
}

calls::Awaitable<bool> ServedConnection::Handle(Incoming& incoming, AnswerForm& form) {
  // Until here it waited: a body that doesn't come may not keep others out.
  site_.connections.Works(this);
  const Route& route = *incoming.match.route;
  const auto io = site_.host.runtime().io().get_executor();
  auto exchange = std::make_shared<Exchange>(io, executor_);
  if (route.body == BodyForm::kStream) incoming.request.stream = exchange.get();
  calls::Arrival arrival;
  arrival.protocol = calls::Protocol::kHttp;
  arrival.request_id = form.request_id;
  arrival.http_method = route.method;
  arrival.http_route = route.pattern;
  arrival.trace = TraceOf(incoming.head);
  call_ = std::make_shared<calls::CallState>(site_.host, *route.options, std::move(arrival));
  form.traceparent = tracing::Traceparent(call_->trace());
  auto request = std::make_shared<const Request>(std::move(incoming.request));
  call_->Start([&route, request, exchange](
                   calls::CallContext& call) { return route.handler(call, *request, *exchange); },
               [exchange](Status status) { exchange->Finish(std::move(status)); });
  std::optional<Refusal> refusal;
  if (route.body == BodyForm::kStream) refusal = co_await FeedBody(*exchange);
  // One that computes for nobody ends; what costs little is answered to a client that only closed
  // its own direction.
  const bool watches = wire_.IsRead() && (route.options->cost == calls::Cost::kInference ||
                                          route.options->on_drain == calls::OnDrain::kEnd);
  if (watches) wire_.WatchForEnd([call = call_, self = Self()] { call->Cancel(); });
  form.closes |= !wire_.IsRead();
  const bool written = co_await WriteAnswer(*exchange, refusal, form);
  if (watches) wire_.StopWatching();
  if (!written) {
    wire_.Abort();
    co_await GiveUp(*exchange);
  }
  call_ = nullptr;
  co_return written;
}

calls::Awaitable<void> ServedConnection::GiveUp(Exchange& exchange) {
  exchange.Close();
  call_->Cancel();
  std::string rest = co_await exchange.Next();
  while (!rest.empty()) rest = co_await exchange.Next();
}

calls::Awaitable<bool> ServedConnection::WriteAnswer(Exchange& exchange,
                                                     const std::optional<Refusal>& refusal,
                                                     AnswerForm& form) {
  std::string piece = co_await exchange.Next();
  form.closes |= site_.is_draining;
  if (piece.empty()) {
    const Status status = exchange.status();
    if (!status.ok() && refusal) {
      co_return co_await wire_.WriteWhole(ErrorHead(refusal->status), ErrorBody(*refusal), form);
    }
    if (!status.ok()) {
      co_return co_await wire_.WriteWhole(ErrorHead(status), ErrorBody(status), form);
    }
    const AnswerHead head = exchange.head().value_or(AnswerHead{});
    co_return co_await wire_.WriteWhole(head, exchange.TakeBody(), form);
  }
  const AnswerHead head = exchange.head().value_or(AnswerHead{});
  form.closes |= form.version == 10;
  if (!co_await wire_.BeginPieces(head, form)) co_return false;
  if (form.is_head) {
    co_await GiveUp(exchange);
    co_return true;
  }
  while (!piece.empty()) {
    const bool is_written = co_await wire_.WritePiece(piece);
    if (!is_written) co_return false;
    piece = co_await exchange.Next();
  }
  const Status status = exchange.status();
  if (!status.ok()) {
    // A stream of bytes that breaks off must not look whole.
    if (head.content_type != kEventStream) co_return false;
    if (!co_await wire_.WritePiece(DataEvent(ErrorBody(status)))) co_return false;
  }
  co_return co_await wire_.EndPieces();
}

}  // namespace

std::shared_ptr<Connection> MakeConnection(Site& site, asio::ip::tcp::socket socket) {
  return std::make_shared<ServedConnection>(site, std::move(socket));
}

}  // namespace graft::server::http
