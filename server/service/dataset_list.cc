/// What DatasetService tells of a tenant's data sets.

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "server/core/filter.h"
#include "server/service/convert.h"
#include "server/service/dataset_service.h"
#include "server/service/paging.h"

namespace graft::server::service {
namespace {

using intake::UploadIndex;

/// What a page token of this list belongs to.
constexpr std::string_view kList = "datasets newest first";

/// Where a list goes on, and which server's index has looked since its first page.
struct PageToken {
  std::optional<UploadIndex::Place> after;  ///< Nothing: from the newest on.
  std::string index;
};

std::string Print(const PageToken& token) {
  return core::MakePageToken(
      fmt::format("{}:{}:{}", token.after->create_time, token.after->sha256, token.index), kList);
}

StatusOr<PageToken> Parse(const std::string& text) {
  GRAFT_ASSIGN_OR_RETURN(const std::string sealed, core::ParsePageToken(text, kList));
  if (sealed.empty()) return PageToken();
  const size_t hash = sealed.find(':'), index = sealed.rfind(':');
  if (hash == index) return InvalidArgumentError("page_token is damaged").At("page_token");
  UploadIndex::Place after;
  std::from_chars(sealed.data(), sealed.data() + hash, after.create_time);
  after.sha256 = sealed.substr(hash + 1, index - hash - 1);
  return PageToken{.after = std::move(after), .index = sealed.substr(index + 1)};
}

}  // namespace

calls::Awaitable<Status> DatasetService::Look(const calls::CallContext& context) {
  context.waiting_for = "the uploads to be looked through";
  const auto look = std::make_shared<UploadIndex::Look>(context.tenant);
  for (bool done = false; !done;) {
    auto go_on = [look, &index = index_] { return index.GoOn(*look); };
    GRAFT_CO_ASSIGN_OR_RETURN(done, co_await OnDisk(backend_.runtime, std::move(go_on)));
  }
  context.waiting_for.clear();
  co_return OkStatus();
}

calls::Awaitable<StatusOr<graft::v1::ListDatasetsResponse>> DatasetService::ListDatasets(
    calls::CallContext& context, const graft::v1::ListDatasetsRequest& request) {
  GRAFT_CO_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  GRAFT_CO_ASSIGN_OR_RETURN(const PageToken token, Parse(request.page_token()));
  std::shared_ptr<const UploadIndex::Order> order = index_.Last(context.tenant);
  // Once this server has looked for the list, what came since is newer than its further pages.
  if (order == nullptr || token.index != index_.id()) {
    GRAFT_CO_RETURN_IF_ERROR(co_await Look(context));
    order = index_.Last(context.tenant);
  }
  auto read = [order, token, page_size, tenant = context.tenant, &index = index_] {
    return index.ReadPage(tenant, *order, token.after, page_size);
  };
  GRAFT_CO_ASSIGN_OR_RETURN(const UploadIndex::Page page,
                            co_await OnDisk(backend_.runtime, std::move(read)));
  graft::v1::ListDatasetsResponse response;
  response.set_total_size(static_cast<int64_t>(order->size()));
  for (const intake::Upload& upload : page.uploads) *response.add_datasets() = ToProto(upload);
  if (page.last) response.set_next_page_token(Print({.after = page.last, .index = index_.id()}));
  co_return response;
}

}  // namespace graft::server::service
