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
#include "server/rest/route_forms.h"
#include "server/rest/texts.h"
#include "server/service/call_table.h"

namespace graft::server::rest {
namespace {

using http::Route;
using service::OptionsOf;
using service::Services;
using Routes = std::vector<Route>;

calls::Awaitable<Status> SayOk(calls::CallContext&, const http::Request&, http::Responder& out) {
  out.Send({200, "text/plain", {}}, "ok\n");
  co_return OkStatus();
}

void AddHealth(std::function<bool()> is_ready, Routes& routes) {
  auto ready = [is_ready = std::move(is_ready)](calls::CallContext& context,
                                                const http::Request& request,
                                                http::Responder& out) -> calls::Awaitable<Status> {
    if (!is_ready()) co_return UnavailableError("the server is starting or shutting down");
    co_return co_await SayOk(context, request, out);
  };
  Add({Get("/healthz", OptionsOf("Http.Health"), SayOk),
       Get("/readyz", OptionsOf("Http.Ready"), std::move(ready))},
      routes);
}

void AddDocument(Routes& routes) {
  const auto files = embedded::ApiDocument();
  const calls::CallOptions& read = OptionsOf("Http.Read");
  Add({Get("/openapi.json", read, EmbeddedFileHandler(files, "openapi.json")),
       Get("/openapi.yaml", read, EmbeddedFileHandler(files, "openapi.yaml"))},
      routes);
}

calls::Awaitable<Status> NameChat(calls::CallContext&, const http::Request&, http::Responder&) {
  co_return NotFoundError("there are no responses here; POST /v1/chat/completions answers chats")
      .AddDetail({"NOT_BUILT", {}, 0, {}, {}});
}

void AddOpenAi(Services& services, Routes& routes) {
  const calls::CallOptions& generate = OptionsOf("InferenceService.Generate");
  Add({Get("/v1/models", OptionsOf("Http.ListModels"), ListModelsHandler(services)),
       Get("/v1/models/{model}", OptionsOf("Http.GetModel"), GetModelHandler(services)),
       Delete("/v1/models/{model}", OptionsOf("AdapterService.DeleteVersion"),
              DeleteModelHandler(services)),
       Post("/v1/chat/completions", generate, ChatHandler(services)),
       Post("/v1/completions", generate, CompletionsHandler(services)),
       Post("/v1/embeddings", OptionsOf("InferenceService.Embed"), EmbeddingsHandler(services)),
       Post("/v1/responses", OptionsOf("Http.GetModel"), NameChat),
       Receive("/v1/files", OptionsOf("DatasetService.UploadDataset"), UploadFileHandler(services)),
       Get("/v1/files", OptionsOf("DatasetService.ListDatasets"), ListFilesHandler(services)),
       Get("/v1/files/{file}", OptionsOf("DatasetService.GetDataset"), GetFileHandler(services)),
       Get("/v1/files/{file}/content", OptionsOf("DatasetService.ReadDataset"),
           ReadFileHandler(services)),
       Delete("/v1/files/{file}", OptionsOf("DatasetService.DeleteDataset"),
              DeleteFileHandler(services))},
      routes);
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
