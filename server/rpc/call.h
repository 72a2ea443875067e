#pragma once
/// What every RPC has in common. A method is a coroutine of a plain service class:
///   Awaitable<StatusOr<Response>> GetJob(CallContext&, const GetJobRequest&);
/// the templates in reactors.h make gRPC reactors of such coroutines. They run on the io thread; an
/// exception becomes INTERNAL, and each call is finished once.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include <grpcpp/server_context.h>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/base/status.h"
#include "server/rpc/await.h"
#include "server/rpc/probe.h"
#include "server/rpc/runtime.h"

namespace graft::server::rpc {

/// What a method may know of its caller.
struct CallContext {
  std::string tenant;
  /// A moment before the caller's, so that the reason arrives in time; or the server's cap if that
  /// comes first.
  std::chrono::system_clock::time_point deadline;
  bool draining = false;  ///< The server had begun to drain when the call came.
  /// "a worker that has the base x": what the call waits for now. It stands in the message if the
  /// deadline comes first; empty if there is nothing to say.
  mutable std::string waiting_for;

  std::chrono::milliseconds TimeLeft() const;
};

/// How calls of one method are treated.
struct CallOptions {
  std::string_view rpc;  ///< "FinetuningService.GetJob"; a literal.
  std::chrono::milliseconds max_duration = std::chrono::seconds(60);
  bool ends_on_drain =
      false;  ///< Streams and long polls: UNAVAILABLE as soon as the server drains.
  bool runs_while_draining =
      false;  ///< Otherwise a call that comes while the server drains is UNAVAILABLE at once.
};

class CallState;

/// Every call in flight, and what they share. Outlives all of them.
/// Thread safety: confined to the io thread, except where it says otherwise.
class CallHost {
 public:
  CallHost(Runtime& runtime, Probe& probe) : runtime_(runtime), probe_(probe) {}

  Runtime& runtime() { return runtime_; }  ///< Thread-safe.
  Probe& probe() { return probe_; }        ///< Thread-safe.
  bool draining() const { return draining_; }
  /// Ends calls with `ends_on_drain` and refuses new ones.
  void Drain();

 private:
  friend class CallState;
  Runtime& runtime_;
  Probe& probe_;
  bool draining_ = false;
  std::unordered_set<CallState*> calls_;
};

/// One call in flight: its clock, its cancellation, its end.
class CallState : public std::enable_shared_from_this<CallState> {
 public:
  CallState(CallHost& host, const CallOptions& options,
            const grpc::CallbackServerContext& grpc_context);

  using Body = std::function<Awaitable<Status>(CallContext&)>;
  /// Runs `body` on the io thread, then `finish` there, exactly once. Any thread.
  void Start(Body body, std::function<void(grpc::Status)> finish);
  /// The caller went away. Any thread.
  void Cancel();
  Runtime& runtime() { return host_.runtime(); }
  /// Interrupted because the server drains. On the io thread.
  bool draining() const { return interrupt_ == Interrupt::kDrain; }

 private:
  friend class CallHost;
  enum class Interrupt { kNone, kCancelled, kDeadline, kDrain };

  void Run(Body body, std::function<void(grpc::Status)> finish);
  void InterruptWith(Interrupt reason);
  Status Outcome(std::exception_ptr error, Status status) const;
  Status Late() const;

  CallHost& host_;
  const CallOptions options_;
  CallContext context_;
  const std::chrono::steady_clock::time_point begin_;
  asio::cancellation_signal signal_;
  asio::steady_timer timer_;
  Interrupt interrupt_ = Interrupt::kNone;
};

}  // namespace graft::server::rpc
