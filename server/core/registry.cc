#include "server/core/registry.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/ids.h"
#include "common/base/sha256.h"
#include "common/base/utf8.h"

namespace graft::server::core {
namespace {

constexpr size_t kMaxHistory = 50;

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
    return NotFoundError("adapter " + adapter.id +
                         " has no live version; promote one, or name a version like " + adapter.id +
                         "@" + std::to_string(std::max<int64_t>(1, adapter.latest_version)));
  }
  return NotFoundError("adapter " + adapter.id + " has no alias " + alias +
                       (known.empty() ? "" : "; there are " + known));
}

void Point(Adapter& adapter, const std::string& alias, int64_t number) {
  Alias& target = adapter.aliases[alias];
  if (target.version == number) return;
  if (target.version != 0) target.history.push_back(target.version);
  if (target.history.size() > kMaxHistory) target.history.erase(target.history.begin());
  target.version = number;
}

/// Not latest_version: that one may have been deleted, or be a checkpoint of a job under way.
StatusOr<Version> Latest(Transaction& tx, const Adapter& adapter) {
  constexpr size_t kAtOnce = 8;
  bool has_checkpoints = false;
  for (int64_t before = 0;;) {
    GRAFT_ASSIGN_OR_RETURN(std::vector<Version> versions,
                           tx.ListVersions(adapter.tenant, adapter.id, before, kAtOnce));
    for (Version& version : versions) {
      if (version.checkpoint_step == 0) return std::move(version);
      has_checkpoints = true;
      before = version.number;
    }
    if (versions.size() == kAtOnce) continue;
    return NotFoundError("adapter " + adapter.id + " has no version" +
                         (has_checkpoints ? " but kept checkpoints; name one by its number" : ""));
  }
}

}  // namespace

std::string VersionText(const Version& version) {
  return "adapters/" + version.adapter + "/versions/" + std::to_string(version.number);
}

StatusOr<VersionName> ParseVersionName(std::string_view name) {
  constexpr std::string_view kPrefix = "adapters/";
  constexpr std::string_view kMiddle = "/versions/";
  const size_t middle = name.find(kMiddle);
  if (name.starts_with(kPrefix) && middle != std::string_view::npos && middle > kPrefix.size()) {
    const std::string_view adapter = name.substr(kPrefix.size(), middle - kPrefix.size());
    const auto number = ParseNumber(name.substr(middle + kMiddle.size()));
    if (IsValidName(adapter) && number) return VersionName{std::string(adapter), *number};
  }
  return InvalidArgumentError(Quoted(name, 200) +
                              " isn't the name of a version: adapters/<id>/versions/<n>");
}

StatusOr<Version> ResolveVersion(Transaction& tx, const std::string& tenant,
                                 std::string_view name) {
  constexpr std::string_view kPrefix = "adapters/";
  if (name.starts_with(kPrefix)) {
    if (name.find('/', kPrefix.size()) != std::string_view::npos) {
      GRAFT_ASSIGN_OR_RETURN(const VersionName version, ParseVersionName(name));
      return tx.GetVersion(tenant, version.adapter, version.number);
    }
    name.remove_prefix(kPrefix.size());
  }
  const size_t at = name.find('@');
  const std::string id(name.substr(0, at));
  const std::string selector(at == std::string_view::npos ? kLive : name.substr(at + 1));
  GRAFT_RETURN_IF_ERROR(CheckName(id, "adapter", "adapter"));
  GRAFT_ASSIGN_OR_RETURN(const Adapter adapter, tx.GetAdapter(tenant, id));
  constexpr std::string_view kSha = "sha256:";
  if (std::string_view(selector).starts_with(kSha)) {
    const std::string sha256 = selector.substr(kSha.size());
    if (!IsSha256Hex(sha256)) {
      return InvalidArgumentError("sha256: is followed by 64 lower-case hex digits")
          .At("adapter", "BAD_NAME");
    }
    return tx.FindVersionByHash(tenant, id, sha256);
  }
  if (const auto number = ParseNumber(selector)) return tx.GetVersion(tenant, id, *number);
  if (selector == "latest") return Latest(tx, adapter);
  GRAFT_RETURN_IF_ERROR(CheckName(selector, "alias", "adapter"));
  const auto alias = adapter.aliases.find(selector);
  if (alias == adapter.aliases.end()) return NoAlias(adapter, selector);
  return tx.GetVersion(tenant, id, alias->second.version);
}

StatusOr<VersionPage> ListVersionPage(Transaction& tx, const Adapter& adapter,
                                      const std::string& job, int64_t before, size_t limit) {
  constexpr size_t kAtOnce = 100;
  const size_t at_once = job.empty() ? limit + 1 : kAtOnce;
  VersionPage page{.versions = {}, .next_before = before};
  for (size_t looked = 0; looked < kMaxLooked; looked += at_once) {
    GRAFT_ASSIGN_OR_RETURN(std::vector<Version> versions,
                           tx.ListVersions(adapter.tenant, adapter.id, page.next_before, at_once));
    for (Version& version : versions) {
      if (page.versions.size() == limit) return page;
      page.next_before = version.number;
      if (job.empty() || version.job_id == job) page.versions.push_back(std::move(version));
    }
    if (versions.size() < at_once) {
      page.next_before = 0;
      return page;
    }
  }
  return page;
}

Status CheckUnchanged(Transaction& tx, const Version& version) {
  GRAFT_ASSIGN_OR_RETURN(const Version now,
                         tx.GetVersion(version.tenant, version.adapter, version.number));
  if (now.sha256 == version.sha256 && now.artifact_prefix == version.artifact_prefix)
    return OkStatus();
  return AbortedError("version " + std::to_string(version.number) + " of adapter " +
                      version.adapter + " was deleted and made anew meanwhile; try again")
      .AddDetail({"VERSION_REPLACED", {}, 0, {}, {}});
}

Status CheckEtag(const Adapter& adapter, const std::string& etag) {
  if (etag.empty() || etag == std::to_string(adapter.revision)) return OkStatus();
  return AbortedError("adapter " + adapter.id + " was changed since it was read; read it again")
      .At("etag", "ETAG_OLD");
}

StatusOr<Adapter> SetAlias(Transaction& tx, const std::string& tenant, const std::string& id,
                           const std::string& alias, int64_t number, const std::string& etag) {
  GRAFT_RETURN_IF_ERROR(CheckName(alias, "alias", "alias"));
  if (alias == "latest" || ParseNumber(alias)) {
    return InvalidArgumentError(Quoted(alias) +
                                " already has a meaning behind @; choose another alias")
        .At("alias", "BAD_NAME");
  }
  GRAFT_ASSIGN_OR_RETURN(Adapter adapter, tx.GetAdapter(tenant, id));
  GRAFT_RETURN_IF_ERROR(CheckEtag(adapter, etag));
  GRAFT_RETURN_IF_ERROR(tx.GetVersion(tenant, id, number).status());
  Point(adapter, alias, number);
  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
  return adapter;
}

StatusOr<int64_t> RollbackTarget(const Adapter& adapter, const std::string& alias) {
  const auto found = adapter.aliases.find(alias);
  if (found == adapter.aliases.end()) return NoAlias(adapter, alias);
  if (found->second.history.empty()) {
    return FailedPreconditionError(
               "there is nothing to go back to: no version is on record that the alias " + alias +
               " of adapter " + adapter.id + " pointed at before " +
               std::to_string(found->second.version) + "; promote the one that you want")
        .AddDetail({"NO_HISTORY", "alias", 0, {}, {}});
  }
  return found->second.history.back();
}

StatusOr<Adapter> Rollback(Transaction& tx, const std::string& tenant, const std::string& id,
                           const std::string& alias, const std::string& etag) {
  GRAFT_ASSIGN_OR_RETURN(Adapter adapter, tx.GetAdapter(tenant, id));
  GRAFT_RETURN_IF_ERROR(CheckEtag(adapter, etag));
  GRAFT_ASSIGN_OR_RETURN(const int64_t number, RollbackTarget(adapter, alias));
  GRAFT_RETURN_IF_ERROR(tx.GetVersion(tenant, id, number).status());
  Alias& target = adapter.aliases[alias];
  target.version = number;
  target.history.pop_back();
  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
  return adapter;
}

Status CheckBase(const Adapter& adapter, const std::string& base) {
  if (adapter.base == base) return OkStatus();
  return FailedPreconditionError("adapter " + adapter.id + " is one of base " + adapter.base +
                                 "; a version for " + base + " needs an adapter of its own")
      .At("adapter", "BASE_MISMATCH");
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
  GRAFT_RETURN_IF_ERROR(CheckBase(adapter, version.base));
  version.number = ++adapter.latest_version;
  version.create_time = tx.Now();
  if (promote) Point(adapter, std::string(kLive), version.number);
  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
  GRAFT_RETURN_IF_ERROR(tx.PutVersion(version));
  return version;
}

StatusOr<Version> ImportVersion(Transaction& tx, const Version& version, bool promote) {
  if (!version.request_id.empty()) {
    GRAFT_ASSIGN_OR_RETURN(std::optional<Version> first,
                           tx.FindVersionByRequest(version.tenant, version.request_id));
    if (first && first->adapter == version.adapter && first->sha256 == version.sha256)
      return *std::move(first);
    if (first) {
      return AlreadyExistsError("request_id " + version.request_id + " was used for version " +
                                std::to_string(first->number) + " of adapter " + first->adapter +
                                ", which is another one; use a new one")
          .At("header.request_id", "REQUEST_ID_REUSED");
    }
  }
  return AddVersion(tx, version, promote);
}

Status DeleteVersion(Transaction& tx, const std::string& tenant, const std::string& id,
                     int64_t number) {
  GRAFT_ASSIGN_OR_RETURN(Adapter adapter, tx.GetAdapter(tenant, id));
  GRAFT_RETURN_IF_ERROR(tx.GetVersion(tenant, id, number).status());
  for (auto& [alias, target] : adapter.aliases) {
    if (target.version == number) {
      return FailedPreconditionError("the alias " + alias + " points at version " +
                                     std::to_string(number) + "; move it first")
          .AddDetail({"VERSION_IN_USE", "name", 0, {}, {}});
    }
    std::erase(target.history, number);
    // What is left must still lead to another version than the one before it.
    target.history.push_back(target.version);
    target.history.erase(std::unique(target.history.begin(), target.history.end()),
                         target.history.end());
    target.history.pop_back();
  }
  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
  return tx.DeleteVersion(tenant, id, number);
}

Status DeleteAdapter(Transaction& tx, const std::string& tenant, const std::string& id) {
  GRAFT_RETURN_IF_ERROR(tx.GetAdapter(tenant, id).status());
  return tx.DeleteAdapter(tenant, id);
}

}  // namespace graft::server::core
