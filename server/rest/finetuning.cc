#include "server/rest/finetuning.h"

#include <fmt/format.h>

#include "common/base/fields.h"
#include "common/base/utf8.h"
#include "common/spec/default_learning_rate.h"
#include "server/core/filter.h"
#include "server/rest/finetuning_answer.h"
#include "server/rest/finetuning_request.h"
#include "server/rest/handler.h"
#include "server/rest/openai_page.h"
#include "server/rest/route_forms.h"
#include "server/rest/transcode.h"
#include "server/service/call_table.h"
#include "server/service/convert.h"

namespace graft::server::rest {
namespace {

namespace v1 = graft::v1;
using service::OptionsOf;
using service::Services;

constexpr size_t kMostListed = 1000;

/// Fills what depends on what the model is: base or version, task, learning rate.
calls::Awaitable<Status> Complete(Services& services, calls::CallContext& context,
                                  FinetuningRequest& request) {
  v1::JobSpec& spec = *request.create.mutable_spec();
  GRAFT_CO_ASSIGN_OR_RETURN(const service::Model model,
                            co_await services.models.Find(context, request.model));
  if (model.base.empty()) {
    GRAFT_CO_ASSIGN_OR_RETURN(const core::Version version,
                              co_await services.models.FindVersion(context, model.adapter));
    spec.set_base(version.base);
    spec.set_init_from(model.adapter);
  } else {
    spec.set_base(model.base);
  }
  if (!request.names_task) {
    GRAFT_CO_ASSIGN_OR_RETURN(const bool writes,
                              co_await services.models.IsLanguageModel(context, spec.base()));
    if (writes) spec.mutable_task()->mutable_causal_lm();
  }
  if (request.learning_rate_multiplier) {
    StatusOr<spec::JobSpec> read = service::FromProto(spec);
    if (!read.ok()) co_return read.status();
    spec.mutable_hyperparameters()->set_learning_rate(
        *request.learning_rate_multiplier * spec::DefaultLearningRate(read->task, *read->method));
  }
  co_return OkStatus();
}

calls::Awaitable<Status> Create(Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const Json body, BodyOf(request));
  GRAFT_CO_ASSIGN_OR_RETURN(FinetuningRequest asked, ReadFinetuningRequest(body));
  GRAFT_CO_RETURN_IF_ERROR(co_await Complete(services, context, asked));
  const StatusOr<v1::Job> job = co_await services.finetuning.CreateJob(context, asked.create);
  if (!job.ok()) co_return ByFinetuningNames(job.status());
  out.Send({}, Dump(ToFinetuningJob(*job)));
  co_return OkStatus();
}

std::string NameOf(const http::Request& request) { return FillIn("jobs/{job}", request); }

/// Get, cancel, pause, resume: by a job's name alone.
template <typename Request>
http::Handler OfOneJob(Services& services,
                       calls::Awaitable<StatusOr<v1::Job>> (service::FinetuningService::*method)(
                           calls::CallContext&, const Request&)) {
  return [&services, method](calls::CallContext& context, const http::Request& request,
                             http::Responder& out) -> calls::Awaitable<Status> {
    GRAFT_CO_ASSIGN_OR_RETURN(const Json body, BodyOf(request));
    GRAFT_CO_RETURN_IF_ERROR(Fields(body, "").Finish());
    Request message;
    message.set_name(NameOf(request));
    const StatusOr<v1::Job> job = co_await (services.finetuning.*method)(context, message);
    if (!job.ok()) co_return ByFinetuningNames(job.status());
    out.Send({}, Dump(ToFinetuningJob(*job)));
    co_return OkStatus();
  };
}

struct JobsQuery {
  PageQuery page;
  std::string filter;  ///< As ListJobs reads it.
};

/// "metadata[KEY]=VALUE" as a term of a filter.
StatusOr<std::string> LabelTerm(const std::string& name, const std::string& value) {
  constexpr std::string_view kBegin = "metadata[";
  if (!name.starts_with(kBegin) || !name.ends_with("]")) return NoSuchParameter(name);
  if (value.find('"') != std::string::npos)
    return InvalidArgumentError("metadata can't be looked for by a value with quotes in it")
        .At(Printable(name));
  const std::string key = name.substr(kBegin.size(), name.size() - kBegin.size() - 1);
  constexpr char kQuote = '"';  // Of a filter's text, as core/filter.h reads it.
  return "label." + key + "=" + kQuote + value + kQuote;
}

StatusOr<JobsQuery> ReadJobsQuery(const http::Request& request) {
  JobsQuery query;
  for (const auto& [name, value] : request.query) {
    GRAFT_ASSIGN_OR_RETURN(const bool is_pages,
                           ReadPageParameter(name, value, kMostListed, query.page));
    if (is_pages) continue;
    GRAFT_ASSIGN_OR_RETURN(const std::string term, LabelTerm(name, value));
    query.filter += (query.filter.empty() ? "" : " ") + term;
  }
  return query;
}

StatusOr<PageQuery> ReadPageQuery(const http::Request& request) {
  PageQuery query;
  for (const auto& [name, value] : request.query) {
    GRAFT_ASSIGN_OR_RETURN(const bool is_pages, ReadPageParameter(name, value, kMostListed, query));
    if (!is_pages) return NoSuchParameter(name);
  }
  return query;
}

calls::Awaitable<Status> List(Services& services, calls::CallContext& context,
                              const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const JobsQuery query, ReadJobsQuery(request));
  v1::ListJobsRequest list;
  list.set_page_size(static_cast<int32_t>(query.page.limit));
  list.set_filter(query.filter);
  if (!query.page.after.empty())
    list.set_page_token(core::MakePageToken(query.page.after, query.filter));
  GRAFT_CO_ASSIGN_OR_RETURN(const v1::ListJobsResponse page,
                            co_await services.finetuning.ListJobs(context, list));
  Json data = Json::array();
  for (const v1::Job& job : page.jobs()) data.push_back(ToFinetuningJob(job));
  out.Send({}, Dump(Page(std::move(data), !page.next_page_token().empty())));
  co_return OkStatus();
}

calls::Awaitable<Status> ListEvents(Services& services, calls::CallContext& context,
                                    const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const PageQuery query, ReadPageQuery(request));
  v1::ListJobEventsRequest list;
  list.set_name(NameOf(request));
  list.set_page_size(static_cast<int32_t>(query.limit));
  list.set_newest_first(true);
  if (!query.after.empty()) {
    const std::string number = query.after.substr(query.after.rfind('-') + 1);
    list.set_page_token(core::MakePageToken(number, list.name() + " newest first"));
  }
  const StatusOr<v1::ListJobEventsResponse> page =
      co_await services.finetuning.ListJobEvents(context, list);
  if (!page.ok()) co_return ByFinetuningNames(page.status());
  Json data = Json::array();
  for (const v1::JobEvent& event : page->events())
    data.push_back(ToFinetuningEvent(request.arguments.at("job"), event));
  out.Send({}, Dump(Page(std::move(data), !page->next_page_token().empty())));
  co_return OkStatus();
}

calls::Awaitable<Status> ListCheckpoints(Services& services, calls::CallContext& context,
                                         const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const PageQuery query, ReadPageQuery(request));
  v1::GetJobRequest get;
  get.set_name(NameOf(request));
  const StatusOr<v1::Job> job = co_await services.finetuning.GetJob(context, get);
  if (!job.ok()) co_return ByFinetuningNames(job.status());
  v1::ListVersionsRequest list;
  list.set_adapter("adapters/" + job->spec().adapter());
  list.set_filter("job=" + job->name());
  list.set_page_size(1000);
  Json data = Json::array();
  bool is_behind = query.after.empty(), has_more = false;
  while (!has_more) {
    const StatusOr<v1::ListVersionsResponse> page =
        co_await services.adapters.ListVersions(context, list);
    // A job that made nothing yet may be the first of its adapter.
    if (page.status().code() == StatusCode::kNotFound) break;
    GRAFT_CO_RETURN_IF_ERROR(page.status());
    for (const v1::AdapterVersion& version : page->versions()) {
      if (version.checkpoint_step() == 0) continue;
      Json checkpoint = ToCheckpoint(version);
      const bool is_last_seen = checkpoint["id"] == query.after;
      has_more = has_more || (is_behind && data.size() == query.limit);
      if (is_behind && !has_more) data.push_back(std::move(checkpoint));
      is_behind = is_behind || is_last_seen;
    }
    if (page->next_page_token().empty()) break;
    list.set_page_token(page->next_page_token());
  }
  out.Send({}, Dump(Page(std::move(data), has_more)));
  co_return OkStatus();
}

}  // namespace

void AddFinetuningRoutes(Services& services, std::vector<http::Route>& routes) {
  using Jobs = service::FinetuningService;
  const std::string_view jobs = "/v1/fine_tuning/jobs";
  const std::string_view job = "/v1/fine_tuning/jobs/{job}";
  Add({Post(jobs, OptionsOf("FinetuningService.CreateJob"), HandlerOf(services, Create)),
       Get(jobs, OptionsOf("FinetuningService.ListJobs"), HandlerOf(services, List)),
       Get(job, OptionsOf("FinetuningService.GetJob"), OfOneJob(services, &Jobs::GetJob)),
       Post("/v1/fine_tuning/jobs/{job}/cancel", OptionsOf("FinetuningService.CancelJob"),
            OfOneJob(services, &Jobs::CancelJob)),
       Post("/v1/fine_tuning/jobs/{job}/pause", OptionsOf("FinetuningService.PauseJob"),
            OfOneJob(services, &Jobs::PauseJob)),
       Post("/v1/fine_tuning/jobs/{job}/resume", OptionsOf("FinetuningService.ResumeJob"),
            OfOneJob(services, &Jobs::ResumeJob)),
       Get("/v1/fine_tuning/jobs/{job}/events", OptionsOf("FinetuningService.ListJobEvents"),
           HandlerOf(services, ListEvents)),
       Get("/v1/fine_tuning/jobs/{job}/checkpoints", OptionsOf("AdapterService.ListVersions"),
           HandlerOf(services, ListCheckpoints))},
      routes);
}

}  // namespace graft::server::rest
