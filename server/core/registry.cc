#include "server/core/registry.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/ids.h"
#include "common/base/sha256.h"

namespace graft::server::core {
namespace {

constexpr size_t kMaxHistory = 50;
/// How far back a repeated import is looked for.
constexpr size_t kImportWindow = 200;

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1) return {};
  return number;
}

Status NoAlias(const Adapter& adapter, const std::string& alias) {
  std::string known;
  for (const auto& [name, target] : adapter.aliases) known += (known.empty() ? "" : ", ") + name;
  if (alias == kLive) {
    return NotFoundError("adapter " + adapter.id + " has no live version; promote one, or name a version like " + adapter.id + "@" +
                         std::to_string(std::max<int64_t>(1, adapter.latest_version)));
  }
  return NotFoundError("adapter " + adapter.id + " has no alias " + alias + (known.empty() ? "" : "; there are " + known));
}

void Point(Adapter& adapter, const std::string& alias, int64_t number) {
  Alias& target = adapter.aliases[alias];
  if (target.version == number) return;
  if (target.version != 0) target.history.push_back(target.version);
  if (target.history.size() > kMaxHistory) target.history.erase(target.history.begin());
  target.version = number;
}

}  // namespace

StatusOr<VersionName> ParseVersionName(std::string_view name) {
  constexpr std::string_view kPrefix = "adapters/";
  constexpr std::string_view kMiddle = "/versions/";
  const size_t middle = name.find(kMiddle);
  if (name.starts_with(kPrefix) && middle != std::string_view::npos && middle > kPrefix.size()) {
    const std::string_view adapter = name.substr(kPrefix.size(), middle - kPrefix.size());
    const auto number = ParseNumber(name.substr(middle + kMiddle.size()));
    if (IsValidName(adapter) && number) return VersionName{std::string(adapter), *number};
  }
  return InvalidArgumentError("\"" + std::string(name.substr(0, 200)) + "\" isn't the name of a version: adapters/<id>/versions/<n>");
}

StatusOr<Version> ResolveVersion(Transaction& tx, const std::string& tenant, std::string_view name) {
  const size_t at = name.find('@');
  const std::string id(name.substr(0, at));
  const std::string selector(at == std::string_view::npos ? kLive : name.substr(at + 1));
  GRAFT_RETURN_IF_ERROR(CheckName(id, "n adapter", "adapter"));
  GRAFT_ASSIGN_OR_RETURN(const Adapter adapter, tx.GetAdapter(tenant, id));
  constexpr std::string_view kSha = "sha256:";
  if (std::string_view(selector).starts_with(kSha)) {
    const std::string sha256 = selector.substr(kSha.size());
    if (!IsSha256Hex(sha256)) return InvalidArgumentError("sha256: is followed by 64 lower-case hex digits");
    return tx.FindVersionByHash(tenant, id, sha256);
  }
  if (const auto number = ParseNumber(selector)) return tx.GetVersion(tenant, id, *number);
  if (selector == "latest") {
    if (adapter.latest_version == 0) return NotFoundError("adapter " + id + " has no version");
    return tx.GetVersion(tenant, id, adapter.latest_version);
  }
  GRAFT_RETURN_IF_ERROR(CheckName(selector, "n alias", "adapter"));
  const auto alias = adapter.aliases.find(selector);
  if (alias == adapter.aliases.end()) return NoAlias(adapter, selector);
  return tx.GetVersion(tenant, id, alias->second.version);
}

StatusOr<Adapter> SetAlias(Transaction& tx, const std::string& tenant, const std::string& id, const std::string& alias,
                           int64_t number, const std::string& etag) {
  GRAFT_RETURN_IF_ERROR(CheckName(alias, "n alias", "alias"));
  if (alias == "latest" || ParseNumber(alias)) {
    return InvalidArgumentError("\"" + alias + "\" already has a meaning behind @; choose another alias").At("alias", "BAD_NAME");
  }
  GRAFT_ASSIGN_OR_RETURN(Adapter adapter, tx.GetAdapter(tenant, id));
  if (!etag.empty() && etag != std::to_string(adapter.revision)) {
    return AbortedError("adapter " + id + " was changed since it was read; read it again").At("etag", "ETAG_OLD");
  }
  GRAFT_RETURN_IF_ERROR(tx.GetVersion(tenant, id, number).status());
  Point(adapter, alias, number);
  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
  return adapter;
}

StatusOr<int64_t> RollbackTarget(const Adapter& adapter, const std::string& alias) {
  const auto found = adapter.aliases.find(alias);
  if (found == adapter.aliases.end()) return NoAlias(adapter, alias);
  if (found->second.history.empty()) {
    return FailedPreconditionError("the alias " + alias + " of adapter " + adapter.id + " never pointed at another version")
        .AddDetail({"NO_HISTORY", "alias", 0, {}, {}});
  }
  return found->second.history.back();
}

StatusOr<Adapter> Rollback(Transaction& tx, const std::string& tenant, const std::string& id, const std::string& alias) {
  GRAFT_ASSIGN_OR_RETURN(Adapter adapter, tx.GetAdapter(tenant, id));
  GRAFT_ASSIGN_OR_RETURN(const int64_t number, RollbackTarget(adapter, alias));
  GRAFT_RETURN_IF_ERROR(tx.GetVersion(tenant, id, number).status());
  Alias& target = adapter.aliases[alias];
  target.version = number;
  target.history.pop_back();
  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
  return adapter;
}

StatusOr<Version> AddVersion(Transaction& tx, Version version, bool promote) {
  StatusOr<Adapter> found = tx.GetAdapter(version.tenant, version.adapter);
  Adapter adapter;
  if (found.ok()) {
    adapter = *std::move(found);
  } else if (found.status().code() == StatusCode::kNotFound) {
    adapter.tenant = version.tenant;
    adapter.id = version.adapter;
    adapter.base = version.base;
    adapter.create_time = tx.Now();
  } else {
    return found.status();
  }
  if (adapter.base != version.base) {
    return FailedPreconditionError("adapter " + adapter.id + " is one of base " + adapter.base + "; a version for " + version.base +
                                   " needs an adapter of its own")
        .At("adapter", "BASE_MISMATCH");
  }
  version.number = ++adapter.latest_version;
  version.create_time = tx.Now();
  if (promote) Point(adapter, std::string(kLive), version.number);
  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
  GRAFT_RETURN_IF_ERROR(tx.PutVersion(version));
  return version;
}

StatusOr<Version> ImportVersion(Transaction& tx, const Version& version, bool promote) {
  if (!version.request_id.empty() && tx.GetAdapter(version.tenant, version.adapter).ok()) {
    GRAFT_ASSIGN_OR_RETURN(const auto recent, tx.ListVersions(version.tenant, version.adapter, 0, kImportWindow));
    for (const Version& earlier : recent) {
      if (earlier.request_id != version.request_id) continue;
      if (earlier.sha256 == version.sha256) return earlier;
      return AlreadyExistsError("request_id " + version.request_id + " was used for another import").At("header.request_id", "REQUEST_ID_REUSED");
    }
  }
  return AddVersion(tx, version, promote);
}

Status DeleteVersion(Transaction& tx, const std::string& tenant, const std::string& id, int64_t number) {
  GRAFT_ASSIGN_OR_RETURN(Adapter adapter, tx.GetAdapter(tenant, id));
  GRAFT_RETURN_IF_ERROR(tx.GetVersion(tenant, id, number).status());
  for (auto& [alias, target] : adapter.aliases) {
    if (target.version == number) {
      return FailedPreconditionError("the alias " + alias + " points at version " + std::to_string(number) + "; move it first")
          .AddDetail({"VERSION_IN_USE", "name", 0, {}, {}});
    }
    std::erase(target.history, number);
  }
  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
  return tx.DeleteVersion(tenant, id, number);
}

Status DeleteAdapter(Transaction& tx, const std::string& tenant, const std::string& id) {
  GRAFT_RETURN_IF_ERROR(tx.GetAdapter(tenant, id).status());
  return tx.DeleteAdapter(tenant, id);
}

}  // namespace graft::server::core
