#pragma once
/// One connection: reads requests, runs each as a call, writes the answers, in order.

#include <atomic>
#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "server/calls/call.h"
#include "server/http/authority.h"
#include "server/http/connection_set.h"
#include "server/http/http_server.h"
#include "server/http/router.h"

namespace graft::server::http {

/// What connections share.
struct Site {
  calls::CallHost& host;
  const Router router;
  const Authorities authorities;
  const Limits limits;
  ConnectionSet connections;
  std::atomic<int64_t> buffered = 0;  ///< Bytes of bodies that are held whole, but for small ones.
  std::atomic<bool> is_draining = false;
};

/// Runs on the socket's executor, a strand. Keeps `site`, which outlives it.
std::shared_ptr<Connection> MakeConnection(Site& site, boost::asio::ip::tcp::socket socket);

}  // namespace graft::server::http
