#pragma once
/// Adapters, their versions and aliases: names resolved, aliases moved, versions made, each inside one transaction.

#include <string>
#include <string_view>

#include "server/core/store.h"

namespace graft::server::core {

inline constexpr std::string_view kLive = "live";

/// "adapters/<id>/versions/<n>".
struct VersionName {
  std::string adapter;
  int64_t number = 0;
};
/// Errors:    InvalidArgument if `name` isn't of that form.
StatusOr<VersionName> ParseVersionName(std::string_view name);

/// Resolves "support" (alias live), "support@3", "support@latest", "support@canary", "support@sha256:<hex>".
/// Errors:    InvalidArgument if malformed; NotFound for an unknown adapter, version or alias, naming what there is.
StatusOr<Version> ResolveVersion(Transaction& tx, const std::string& tenant, std::string_view name);

/// Points `alias` at version `number`, remembering what it pointed at.
/// Errors:    NotFound; Aborted if `etag` (an adapter's revision, empty: any) is old; InvalidArgument for a bad alias.
StatusOr<Adapter> SetAlias(Transaction& tx, const std::string& tenant, const std::string& adapter, const std::string& alias,
                           int64_t number, const std::string& etag = {});

/// The version that Rollback would return to. Errors: FailedPrecondition if there is none.
StatusOr<int64_t> RollbackTarget(const Adapter& adapter, const std::string& alias);

/// Points `alias` back at what it pointed at before.
StatusOr<Adapter> Rollback(Transaction& tx, const std::string& tenant, const std::string& adapter, const std::string& alias);

/// Gives a version the adapter's next number and stores it, making the adapter if it is new; `promote` points live at it.
/// Errors:    FailedPrecondition if the adapter is one of another base.
StatusOr<Version> AddVersion(Transaction& tx, Version version, bool promote);

/// AddVersion for an imported one: a request_id used before returns that first version.
StatusOr<Version> ImportVersion(Transaction& tx, const Version& version, bool promote = false);

/// Errors:    FailedPrecondition while an alias points at it.
Status DeleteVersion(Transaction& tx, const std::string& tenant, const std::string& adapter, int64_t number);

/// Removes the adapter, its versions and aliases.
Status DeleteAdapter(Transaction& tx, const std::string& tenant, const std::string& adapter);

}  // namespace graft::server::core
