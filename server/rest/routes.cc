#include "server/rest/routes.h"

#include <utility>

#include "embedded/api_document.h"
#include "server/rest/chat.h"
#include "server/rest/completions.h"
#include "server/rest/console.h"
#include "server/rest/embedded_files.h"
#include "server/rest/files.h"
#include "server/rest/finetuning.h"
#include "server/rest/models.h"
#include "server/rest/own_routes.h"
#include "server/rest/texts.h"
#include "server/service/call_table.h"

namespace graft::server::rest {
namespace {

using http::BodyForm;
using http::Route;
using service::OptionsOf;
using service::Services;
using Routes = std::vector<Route>;

calls::Awaitable<Status> SayOk(calls::CallContext&, const http::Request&, http::Responder& out) {
  out.Send({200, "text/plain", {}}, "ok\n");
  co_return OkStatus();
}

void AddHealth(std::function<bool()> is_ready, Routes& routes) {
  routes.push_back({"GET", "/healthz", BodyForm::kNone, &OptionsOf("Http.Health"), SayOk});
  auto ready = [is_ready = std::move(is_ready)](calls::CallContext& context,
                                                const http::Request& request,
                                                http::Responder& out) -> calls::Awaitable<Status> {
    if (!is_ready()) co_return UnavailableError("the server is starting or shutting down");
    co_return co_await SayOk(context, request, out);
  };
  routes.push_back({"GET", "/readyz", BodyForm::kNone, &OptionsOf("Http.Ready"), std::move(ready)});
}

void AddDocument(Routes& routes) {
  const auto files = embedded::ApiDocument();
  const calls::CallOptions* read = &OptionsOf("Http.Read");
  routes.push_back(
      {"GET", "/openapi.json", BodyForm::kNone, read, EmbeddedFileHandler(files, "openapi.json")});
  routes.push_back(
      {"GET", "/openapi.yaml", BodyForm::kNone, read, EmbeddedFileHandler(files, "openapi.yaml")});
}

calls::Awaitable<Status> NameChat(calls::CallContext&, const http::Request&, http::Responder&) {
  co_return NotFoundError("there are no responses here; POST /v1/chat/completions answers chats")
      .AddDetail({"NOT_BUILT", {}, 0, {}, {}});
}

void AddOpenAi(Services& services, Routes& routes) {
  const calls::CallOptions* generate = &OptionsOf("InferenceService.Generate");
  routes.insert(
      routes.end(),
      {{"GET", "/v1/models", BodyForm::kNone, &OptionsOf("Http.ListModels"),
        ListModelsHandler(services)},
       {"GET", "/v1/models/{model}", BodyForm::kNone, &OptionsOf("Http.GetModel"),
        GetModelHandler(services)},
       {"DELETE", "/v1/models/{model}", BodyForm::kNone, &OptionsOf("AdapterService.DeleteVersion"),
        DeleteModelHandler(services)},
       {"POST", "/v1/chat/completions", BodyForm::kJson, generate, ChatHandler(services)},
       {"POST", "/v1/completions", BodyForm::kJson, generate, CompletionsHandler(services)},
       {"POST", "/v1/embeddings", BodyForm::kJson, &OptionsOf("InferenceService.Embed"),
        EmbeddingsHandler(services)},
       {"POST", "/v1/responses", BodyForm::kJson, &OptionsOf("Http.GetModel"), NameChat},
       {"POST", "/v1/files", BodyForm::kStream, &OptionsOf("DatasetService.UploadDataset"),
        UploadFileHandler(services)},
       {"GET", "/v1/files", BodyForm::kNone, &OptionsOf("DatasetService.ListDatasets"),
        ListFilesHandler(services)},
       {"GET", "/v1/files/{file}", BodyForm::kNone, &OptionsOf("DatasetService.GetDataset"),
        GetFileHandler(services)},
       {"GET", "/v1/files/{file}/content", BodyForm::kNone,
        &OptionsOf("DatasetService.ReadDataset"), ReadFileHandler(services)},
       {"DELETE", "/v1/files/{file}", BodyForm::kNone, &OptionsOf("DatasetService.DeleteDataset"),
        DeleteFileHandler(services)}});
  AddFinetuningRoutes(services, routes);
}

}  // namespace

std::vector<Route> MakeRoutes(Services& services, std::function<bool()> is_ready) {
  Routes routes;
  AddHealth(std::move(is_ready), routes);
  AddConsoleRoutes(routes);
  AddDocument(routes);
  AddOpenAi(services, routes);
  AddOwnRoutes(services, routes);
  return routes;
}

}  // namespace graft::server::rest
