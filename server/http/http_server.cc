#include "server/http/http_server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <sys/resource.h>

#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>

#include "common/base/guard.h"
#include "server/calls/background_task.h"
#include "server/http/connection.h"

namespace graft::server::http {

namespace asio = boost::asio;
using asio::ip::tcp;
namespace {
constexpr std::chrono::milliseconds kRound{100};

/// Half of the files that may be open are for others: gRPC's connections, the database, data.
size_t MostConnections(size_t wanted) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return wanted;
  return std::min<size_t>(wanted, std::max<size_t>(16, files.rlim_cur / 2));
}
}  // namespace
using boost::system::error_code;

namespace {
/// Who vanishes without a word is noticed, though nothing is to be sent: as gRPC's peers, after
/// some 80 s.
void KeepAlive(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  for (const auto& [option, value] :
       {std::pair(TCP_KEEPIDLE, 60), {TCP_KEEPINTVL, 10}, {TCP_KEEPCNT, 2}})
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value);
}
}  // namespace

struct HttpServer::Parts {
  Parts(Options options, calls::CallHost& host, std::vector<Route> routes)
      : site{host, Router(std::move(routes)), Authorities(std::move(options.names)), options.limits,
             ConnectionSet(MostConnections(options.limits.max_connections))} {}

  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> guard{io.get_executor()};
  Site site;
  tcp::acceptor acceptor{asio::make_strand(io)};
  std::vector<std::thread> threads;
  int port = 0;
  bool is_stopped = false;

  Status Listen(const std::string& host, int wanted);
  calls::Awaitable<void> Accept();
  void StartThreads(int count);
};

Status HttpServer::Parts::Listen(const std::string& host, int wanted) {
  error_code error;
  const std::string literal = host == "localhost" ? "127.0.0.1" : host;
  const auto address = asio::ip::make_address(literal, error);
  const tcp::endpoint endpoint(address, static_cast<uint16_t>(wanted));
  if (!error) acceptor.open(endpoint.protocol(), error);
  // After a restart the port may still have connections that wind down.
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) port = acceptor.local_endpoint(error).port();
  if (!error) return OkStatus();
  return UnavailableError(fmt::format(
      "cannot listen on {}:{}: {} (is the port taken? --http chooses another, port 0 a free one, "
      "none none)",
      host, wanted, error.message()));
}

calls::Awaitable<void> HttpServer::Parts::Accept() {
  while (acceptor.is_open()) {
    tcp::socket socket(asio::make_strand(io));
    auto [error] =
        co_await acceptor.async_accept(socket, asio::experimental::as_tuple(asio::use_awaitable));
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      // Too many open files, most of all: what is there ends first.
      co_await calls::SleepFor(std::chrono::milliseconds(50));
      continue;
    }
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    KeepAlive(socket);
    auto connection = MakeConnection(site, std::move(socket));
    if (site.connections.Add(connection)) connection->Start();
  }
}

void HttpServer::Parts::StartThreads(int count) {
  const auto failed = [](const Status& status) {
    spdlog::error("an HTTP handler failed: {}", status.message());
  };
  const auto run = [this, failed] {
    while (true) {
      const Status status = Contained([this] { io.run(); });
      if (status.ok()) return;
      static_cast<void>(Contained([&] { failed(status); }));
    }
  };
  for (int i = 0; i < count; ++i) threads.push_back(StartThread(run, failed));
}

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(Options options, calls::CallHost& host,
                                                        std::vector<Route> routes) {
  const std::string address = options.host;
  const int port = options.port;
  const int threads = options.threads;
  auto parts = std::make_unique<Parts>(std::move(options), host, std::move(routes));
  GRAFT_RETURN_IF_ERROR(parts->Listen(address, port));
  asio::co_spawn(
      parts->acceptor.get_executor(), [p = parts.get()] { return p->Accept(); }, asio::detached);
  parts->StartThreads(threads);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
}

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
HttpServer::~HttpServer() { Stop(std::chrono::milliseconds(0)); }

int HttpServer::port() const { return parts_->port; }

void HttpServer::Drain() {
  parts_->site.is_draining = true;
  asio::post(parts_->acceptor.get_executor(), [p = parts_.get()] {
    error_code ignored;
    p->acceptor.close(ignored);
  });
  parts_->site.connections.DrainAll();
}

void HttpServer::Stop(std::chrono::milliseconds grace) {
  if (std::exchange(parts_->is_stopped, true)) return;
  Drain();
  ConnectionSet& connections = parts_->site.connections;
  // Where one was accepted while the others were told, it is told with the next round.
  for (bool is_first = true; !connections.WaitUntilEmpty(is_first ? grace : kRound);
       is_first = false)
    connections.CloseAll();
  parts_->guard.reset();
  for (std::thread& thread : parts_->threads) thread.join();
}

}  // namespace graft::server::http
