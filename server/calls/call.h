#pragma once
/// One call in flight, by whichever protocol it came: its clock, its cancellation, its end. A
/// method is a coroutine of a plain service class:
///   Awaitable<StatusOr<Response>> GetJob(CallContext&, const GetJobRequest&);
/// Coroutines run on the io thread, behind the links of chain.h; each call is finished once.

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <boost/asio/cancellation_signal.hpp>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/tracing/tracer.h"
#include "server/calls/await.h"
#include "server/calls/probe.h"
#include "server/calls/runtime.h"

namespace graft::server::calls {

/// Who may call a method.
enum class Role { kUser, kWorker };

/// What a drain does to a method's calls.
enum class OnDrain {
  kFinish,  ///< Those in flight go on; new ones are refused.
  kEnd,     ///< Those in flight end at once: streams and long polls.
  kRun,     ///< New ones run too.
};

/// What a call takes of what is scarce.
enum class Cost { kSmall, kInference };

/// When a call is a span.
enum class Traced {
  kAlways,
  kInTraces,  ///< Only of a trace that its caller began: what comes every second by itself.
};

/// How calls of one method are treated.
struct CallOptions {
  std::string_view rpc;  ///< "FinetuningService.GetJob"; a literal.
  std::chrono::milliseconds max_duration = std::chrono::seconds(60);
  Role role = Role::kUser;
  OnDrain on_drain = OnDrain::kFinish;
  Cost cost = Cost::kSmall;
  Traced traced = Traced::kAlways;
};

/// What a protocol knows of a call that arrives.
struct Arrival {
  Protocol protocol = Protocol::kGrpc;
  std::string request_id;  ///< What the caller was told of the request; empty: nothing.
  std::string http_method, http_route;  ///< "GET", "/v1/jobs/{job}"; of HTTP's.
  /// The caller's; "never" is any moment that is far off.
  std::chrono::system_clock::time_point deadline = std::chrono::system_clock::time_point::max();
  std::string tenant{kDefaultTenant};
  tracing::SpanContext trace = {};  ///< The caller's.
  /// Of methods of Role::kWorker: OK if the caller is one of the workers, else why it isn't taken
  /// for one.
  Status worker_access = PermissionDeniedError("only workers may call this");
};

/// What a method may know of its caller.
struct CallContext {
  std::string tenant;
  /// A moment before the caller's, so that the reason arrives in time; or the server's cap if that
  /// comes first.
  std::chrono::system_clock::time_point deadline;
  /// "a worker that has the base x": what the call waits for now. It stands in the message if the
  /// deadline comes first; empty if there is nothing to say.
  mutable std::string waiting_for;
  /// The call's own; what is done for it is below it. In no trace: neither caller nor server
  /// traces.
  mutable tracing::ActiveSpan span;

  std::chrono::milliseconds TimeLeft() const;
};

class CallState;
class Link;
using Chain = std::vector<std::unique_ptr<Link>>;

/// Every call in flight, and what they share. Outlives all of them.
/// Thread safety: confined to the io thread, except where it says otherwise.
class CallHost {
 public:
  /// `chain`: what stands in front of every call, the outermost link first. See MakeChain.
  CallHost(Runtime& runtime, Probe& probe, Chain chain, tracing::Tracer tracer = {});
  ~CallHost();
  CallHost(const CallHost&) = delete;
  CallHost& operator=(const CallHost&) = delete;

  Runtime& runtime() { return runtime_; }  ///< Thread-safe.
  Probe& probe() { return probe_; }        ///< Thread-safe.
  const tracing::Tracer& tracer() const { return tracer_; }
  bool draining() const { return draining_; }
  /// Ends calls of methods that end on a drain, and refuses new ones.
  void Drain();

 private:
  friend class CallState;
  Runtime& runtime_;
  Probe& probe_;
  const Chain chain_;
  const tracing::Tracer tracer_;
  std::unordered_set<CallState*> calls_;
  bool draining_ = false;
};

/// Why a call was told to end before it was done.
enum class Interrupt {
  kNone,
  kCancelled,  ///< The caller went away.
  kDeadline,   ///< Its time is up.
  kDrain,      ///< The server drains, and the method's calls end then.
};

/// One call. An end that an interruption brought is told as that, whatever the method or a link
/// made of it; an exception is Internal, with a number under which the log tells more. Each end is
/// told to the probe, once. Thread safety: as each member says.
class CallState : public std::enable_shared_from_this<CallState> {
 public:
  CallState(CallHost& host, const CallOptions& options, Arrival arrival);

  using Body = std::function<Awaitable<Status>(CallContext&)>;
  using Finish = std::function<void(Status)>;
  /// Runs `body` behind the host's chain on the io thread, then `finish` there, exactly once. Of a
  /// call that was cancelled before nothing runs. Any thread.
  void Start(Body body, Finish finish);
  /// The caller went away. Any thread.
  void Cancel();
  // Thread-safe.
  Runtime& runtime() { return host_.runtime(); }
  /// What the caller may be told as its `traceparent`; not valid: nothing.
  const tracing::SpanContext& trace() const { return context_.span.context(); }

  // On the io thread, for links and protocols.
  CallHost& host() { return host_; }
  const CallOptions& options() const { return options_; }
  const Arrival& arrival() const { return arrival_; }
  const CallContext& context() const { return context_; }
  double seconds() const;  ///< Since it came.
  Interrupt interrupt() const { return interrupt_; }
  /// Cancels what the call waits for. The first reason counts; behind the end it does nothing.
  void InterruptWith(Interrupt reason);

 private:
  friend class CallHost;
  void Run(const Finish& finish);
  void End(const Finish& finish, const std::exception_ptr& error, Status status);
  /// Requires: it was interrupted.
  Status Interrupted() const;
  /// From this link of the chain on, and at its end the body.
  Awaitable<Status> RunFrom(size_t link);

  CallHost& host_;
  const CallOptions options_;
  const Arrival arrival_;
  CallContext context_;
  const std::chrono::steady_clock::time_point begin_;
  Body body_;  ///< Kept beside its coroutine: a lambda's captures live in the lambda.
  asio::cancellation_signal signal_;
  Interrupt interrupt_ = Interrupt::kNone;
};

}  // namespace graft::server::calls
