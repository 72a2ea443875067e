#include "worker/agent/generate_call.h"

#include <algorithm>
#include <utility>

#include "common/base/guard.h"
#include "proto/grpc_status.h"
#include "worker/agent/convert.h"

namespace graft::worker::agent {
namespace {

/// Of a piece, roughly.
size_t BytesOf(const engine::GeneratedPiece& piece) {
  return 64 + piece.text.size() + 16 * piece.best.size();
}

}  // namespace

std::shared_ptr<GenerateCall> GenerateCall::Make(TaskThreads& writers, size_t most_waiting,
                                                 tracing::ActiveSpan span) {
  std::shared_ptr<GenerateCall> call(new GenerateCall(writers, most_waiting, std::move(span)));
  call->self_ = call;
  return call;
}

void GenerateCall::Push(engine::GeneratedPiece piece) {
  const std::lock_guard lock(mutex_);
  if (gone_ || slow_ || end_) return;
  Append(std::move(piece));
  slow_ = waiting_bytes_ > most_waiting_;
  if (slow_) waiting_.clear();
  Wake();
}

void GenerateCall::Append(engine::GeneratedPiece piece) {
  auto same = std::ranges::find_if(
      waiting_, [&](const Waiting& other) { return other.response.part().index() == piece.index; });
  if (same == waiting_.end()) same = waiting_.emplace(waiting_.end());
  const size_t bytes = BytesOf(piece);
  same->bytes += bytes;
  waiting_bytes_ += bytes;
  AppendTo(std::move(piece), same->response);
}

void GenerateCall::End(const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  if (end_) return;
  end_ = status;
  if (slow_) {
    end_ = proto::ToGrpcStatus(
        ResourceExhaustedError("the text was made much faster than its caller read it, and was "
                               "given up; read it as it comes")
            .AddDetail({"SLOW_READER", {}, 0, {}, {}}));
  }
  if (span_.is_recorded())
    static_cast<void>(Contained([&] { span_.EndWith(proto::FromGrpcStatus(*end_)); }));
  Wake();
}

bool GenerateCall::abandoned() const {
  const std::lock_guard lock(mutex_);
  return gone_ || slow_;
}

void GenerateCall::Wake() {
  if (writing_ || woken_ || finished_) return;
  woken_ = true;
  // Not here: gRPC may write to the socket on the thread that asks it to.
  writers_.Post([self = shared_from_this()] { self->Advance(); }, [](const Status&) {});
}

void GenerateCall::Advance() {
  bool write = false;
  {
    const std::lock_guard lock(mutex_);
    woken_ = false;
    if (writing_ || finished_) return;
    if (gone_) waiting_.clear();
    write = writing_ = !waiting_.empty();
    if (write) {
      current_ = std::move(waiting_.front().response);
      waiting_bytes_ -= waiting_.front().bytes;
      waiting_.pop_front();
    } else {
      finished_ = end_.has_value();
      if (!finished_) return;
    }
  }
  // Not under the lock: gRPC may call back from within.
  if (write) {
    StartWrite(&current_);
  } else {
    Finish(*end_);
  }
}

void GenerateCall::OnWriteDone(bool ok) {
  {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) gone_ = true;
  }
  Advance();
}

void GenerateCall::OnCancel() {
  const std::lock_guard lock(mutex_);
  gone_ = true;
}

void GenerateCall::OnDone() { self_.reset(); }

}  // namespace graft::worker::agent
