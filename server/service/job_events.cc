/// What FinetuningService tells of a job's events.

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "server/core/filter.h"
#include "server/service/convert.h"
#include "server/service/finetuning_service.h"
#include "server/service/paging.h"

namespace graft::server::service {

using core::Transaction;

namespace {

/// What a page token of this list belongs to.
std::string ListOf(const graft::v1::ListJobEventsRequest& request) {
  return request.name() + (request.newest_first() ? " newest first" : "");
}

/// The number of the last event of the page before; `first` where there is none.
StatusOr<int64_t> LastSeen(const graft::v1::ListJobEventsRequest& request, int64_t first) {
  GRAFT_ASSIGN_OR_RETURN(const std::string last,
                         core::ParsePageToken(request.page_token(), ListOf(request)));
  if (last.empty()) return first;
  int64_t number = 0;
  std::from_chars(last.data(), last.data() + last.size(), number);
  return number;
}

}  // namespace

calls::Awaitable<StatusOr<graft::v1::ListJobEventsResponse>> FinetuningService::ListJobEvents(
    calls::CallContext& context, const graft::v1::ListJobEventsRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const core::JobKey key, KeyOf(context, request.name()));
  GRAFT_CO_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  struct Page {
    std::vector<core::JobEvent> events;
    int64_t total = 0;
  };
  auto list = [key, page_size, request](Transaction& tx) -> StatusOr<Page> {
    GRAFT_ASSIGN_OR_RETURN(const core::Job job, tx.GetJob(key));
    Page page{.events = {}, .total = job.num_events};
    if (!request.newest_first()) {
      GRAFT_ASSIGN_OR_RETURN(const int64_t after, LastSeen(request, 0));
      GRAFT_ASSIGN_OR_RETURN(page.events, tx.ListEvents(key, after, page_size));
      return page;
    }
    // Events are numbered without gaps, so those in front of a number are a range.
    GRAFT_ASSIGN_OR_RETURN(const int64_t before, LastSeen(request, job.num_events + 1));
    const int64_t after = std::max<int64_t>(before - 1 - static_cast<int64_t>(page_size), 0);
    GRAFT_ASSIGN_OR_RETURN(page.events,
                           tx.ListEvents(key, after, static_cast<size_t>(before - 1 - after)));
    std::ranges::reverse(page.events);
    return page;
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const Page page,
                            co_await Read(backend_.runtime, backend_.store, std::move(list)));
  graft::v1::ListJobEventsResponse response;
  response.set_total_size(page.total);
  for (const core::JobEvent& event : page.events) *response.add_events() = ToProto(event);
  if (page.events.empty()) co_return response;
  const int64_t last = page.events.back().number;
  if (last != (request.newest_first() ? 1 : page.total))
    response.set_next_page_token(core::MakePageToken(std::to_string(last), ListOf(request)));
  co_return response;
}

calls::Awaitable<Status> FinetuningService::WatchJob(
    calls::CallContext& context, const graft::v1::WatchJobRequest& request,
    calls::StreamWriter<graft::v1::JobEvent>& writer) {
  constexpr size_t kBatch = 256;
  GRAFT_CO_ASSIGN_OR_RETURN(const core::JobKey key, KeyOf(context, request.name()));
  if (request.after_event() < 0)
    co_return InvalidArgumentError("after_event can't be negative").At("after_event");
  struct News {
    std::vector<core::JobEvent> events;
    bool over = false;  ///< The job has ended, and these are its last events.
  };
  background::JobChanges::Subscription changes(backend_.changes, key);
  int64_t after = request.after_event();
  while (true) {
    auto read = [key, after](Transaction& tx) -> StatusOr<News> {
      GRAFT_ASSIGN_OR_RETURN(const core::Job job, tx.GetJob(key));
      if (after > job.num_events) {
        return OutOfRangeError(
                   fmt::format("the job has {} events so far, so none follows number {}",
                               job.num_events, after))
            .At("after_event");
      }
      News news;
      GRAFT_ASSIGN_OR_RETURN(news.events, tx.ListEvents(key, after, kBatch));
      const int64_t last = news.events.empty() ? after : news.events.back().number;
      news.over = core::IsTerminal(job.state) && last == job.num_events;
      return news;
    };
    GRAFT_CO_ASSIGN_OR_RETURN(const News news,
                              co_await Read(backend_.runtime, backend_.store, read));
    for (const core::JobEvent& event : news.events) {
      if (!co_await writer.Write(ToProto(event))) co_return CancelledError("the watcher went away");
      after = event.number;
    }
    if (news.over) co_return OkStatus();
    if (news.events.empty()) co_await changes.Wait(backend_.limits.poll);
  }
}

}  // namespace graft::server::service
