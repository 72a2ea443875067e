#include "server/rest/job_event_stream.h"

#include <charconv>

#include <fmt/format.h>

#include "common/base/utf8.h"
#include "server/rest/handler.h"
#include "server/rest/transcode.h"
#include "server/service/convert.h"

namespace graft::server::rest {
namespace {

class EventWriter final : public calls::StreamWriter<graft::v1::JobEvent> {
 public:
  explicit EventWriter(http::Responder& out) : out_(out) {}
  calls::Awaitable<bool> Write(graft::v1::JobEvent event) override {
    const StatusOr<std::string> text = JsonText(event);
    if (!text.ok()) co_return false;
    if (!has_begun_) Begin();
    co_return co_await out_.Write(fmt::format("id: {}\ndata: {}\n\n", event.number(), *text));
  }
  /// Sends the head at once: what comes may be long in coming.
  calls::Awaitable<bool> Open() {
    Begin();
    co_return co_await out_.Write(": the job's events follow\n\n");
  }
  bool has_begun() const { return has_begun_; }

 private:
  void Begin() {
    has_begun_ = true;
    out_.Begin({200, http::kEventStream, {}});
  }
  http::Responder& out_;
  bool has_begun_ = false;
};

StatusOr<int64_t> EventNumber(const std::string& text, const char* name) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && end == text.data() + text.size() && number >= 0;
  if (is_number) return number;
  return InvalidArgumentError(std::string(name) + " must be an event's number").At("after_event");
}

/// Last-Event-ID is where a client that was here before goes on.
StatusOr<int64_t> AfterEvent(const http::Request& request) {
  int64_t after = 0;
  for (const auto& [name, value] : request.query) {
    if (name != "after_event")
      return InvalidArgumentError("the only parameter here is after_event").At(Printable(name));
    GRAFT_ASSIGN_OR_RETURN(after, EventNumber(value, "after_event"));
  }
  if (request.last_event_id.empty()) return after;
  return EventNumber(request.last_event_id, "Last-Event-ID");
}

calls::Awaitable<Status> Watch(service::Services& services, calls::CallContext& context,
                               const http::Request& request, http::Responder& out) {
  graft::v1::GetJobRequest get;
  get.set_name(FillIn("jobs/{job}", request));
  graft::v1::WatchJobRequest watch;
  watch.set_name(get.name());
  GRAFT_CO_ASSIGN_OR_RETURN(const int64_t after, AfterEvent(request));
  watch.set_after_event(after);
  GRAFT_CO_ASSIGN_OR_RETURN(const graft::v1::Job job,
                            co_await services.finetuning.GetJob(context, get));
  EventWriter writer(out);
  if (!service::IsTerminal(job.state())) {
    const bool is_open = co_await writer.Open();
    if (!is_open) co_return CancelledError("the watcher went away");
  }
  GRAFT_CO_RETURN_IF_ERROR(co_await services.finetuning.WatchJob(context, watch, writer));
  if (!writer.has_begun()) out.Send({204, "", {}}, "");
  co_return OkStatus();
}

}  // namespace

http::Handler JobEventsHandler(service::Services& services) { return HandlerOf(services, Watch); }

}  // namespace graft::server::rest
