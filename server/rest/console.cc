#include "server/rest/console.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "common/base/utf8.h"
#include "embedded/console_pages.h"
#include "server/service/call_table.h"

namespace graft::server::rest {
namespace {

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const char* TypeOf(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "application/octet-stream";
}

Status SendPage(std::string_view name, http::Responder& out) {
  const auto pages = embedded::ConsolePages();
  const auto page = std::ranges::find(pages, name, &EmbeddedFile::name);
  if (page == pages.end())
    return NotFoundError("the console has no file " + Quoted(std::string(name), 100));
  out.Send({200,
            TypeOf(name),
            {{"Content-Security-Policy", kPolicy}, {"Referrer-Policy", "no-referrer"}}},
           std::string(page->bytes));
  return OkStatus();
}

calls::Awaitable<Status> Index(calls::CallContext&, const http::Request&, http::Responder& out) {
  co_return SendPage("index.html", out);
}

calls::Awaitable<Status> File(calls::CallContext&, const http::Request& request,
                              http::Responder& out) {
  co_return SendPage(request.arguments.at("file"), out);
}

}  // namespace

void AddConsoleRoutes(std::vector<http::Route>& routes) {
  const calls::CallOptions& read = service::OptionsOf("Http.Read");
  routes.push_back({"GET", "/", http::BodyForm::kNone, &read, Index});
  routes.push_back({"GET", "/console/{file}", http::BodyForm::kNone, &read, File});
}

}  // namespace graft::server::rest
