#pragma once
/// Adapters, their versions and aliases: names resolved, aliases moved, versions made, each inside
/// one transaction.

#include <string>
#include <string_view>
#include <vector>

#include "server/core/store.h"

namespace graft::server::core {

inline constexpr std::string_view kLive = "live";

/// "adapters/<id>/versions/<n>".
struct VersionName {
  std::string adapter;
  int64_t number = 0;
};
/// Errors: InvalidArgument if `name` isn't of that form.
StatusOr<VersionName> ParseVersionName(std::string_view name);

std::string VersionText(const Version& version);  ///< Its name as ParseVersionName reads it.

/// Resolves "support" (alias live), "support@3", "support@latest" (the newest that isn't a kept
/// checkpoint), "support@canary", "support@sha256:<hex>" (the newest version with that content).
/// The same behind "adapters/", and "adapters/support/versions/3".
/// Errors: InvalidArgument if malformed; NotFound for an unknown adapter, version or alias, naming
/// what there is.
StatusOr<Version> ResolveVersion(Transaction& tx, const std::string& tenant, std::string_view name);

struct VersionPage {
  std::vector<Version> versions;  ///< Newest first.
  int64_t next_before = 0;        ///< To go on with; 0: there are no more.
};
/// Up to `limit` versions of an adapter that `job` made (an id; empty: all), with numbers below
/// `before` (0: all). Looks at kMaxLooked only, so a page may be short and have a next one.
StatusOr<VersionPage> ListVersionPage(Transaction& tx, const Adapter& adapter,
                                      const std::string& job, int64_t before, size_t limit);
inline constexpr size_t kMaxLooked = 500;

/// OK while `version`, which was read in an earlier transaction, is still the one of its number:
/// its adapter may have been deleted and made anew meanwhile. Errors: NotFound if there is none of
/// that number any more; Aborted if it is another one.
Status CheckUnchanged(Transaction& tx, const Version& version);

/// Aborted if `etag` (an adapter's revision, empty: any) is old.
Status CheckEtag(const Adapter& adapter, const std::string& etag);

/// Points `alias` at version `number`, remembering what it pointed at.
/// Errors: NotFound; Aborted if `etag` (an adapter's revision, empty: any) is old; InvalidArgument
/// for a bad alias.
StatusOr<Adapter> SetAlias(Transaction& tx, const std::string& tenant, const std::string& adapter,
                           const std::string& alias, int64_t number, const std::string& etag = {});

/// The version that Rollback would return to. Errors: FailedPrecondition if there is none.
StatusOr<int64_t> RollbackTarget(const Adapter& adapter, const std::string& alias);

/// Points `alias` back at what it pointed at before. Errors: as RollbackTarget and CheckEtag.
StatusOr<Adapter> Rollback(Transaction& tx, const std::string& tenant, const std::string& adapter,
                           const std::string& alias, const std::string& etag = {});

/// FailedPrecondition if the adapter isn't one of `base`: its first version fixed that.
Status CheckBase(const Adapter& adapter, const std::string& base);

/// Gives a version the adapter's next number and stores it, making the adapter if it is new;
/// `promote` points live at it. Content that an earlier version has too gets a number of its own:
/// the number says which job or import made it, the hash what it computes. An adapter never gives a
/// number twice, also after its newest version was deleted.
/// Errors: FailedPrecondition if the adapter is one of another base.
StatusOr<Version> AddVersion(Transaction& tx, Version version, bool promote);

/// AddVersion for an imported one: a request_id used before with the same content returns that
/// first version.
/// Errors: AlreadyExists if the request_id was used with other content; as AddVersion.
StatusOr<Version> ImportVersion(Transaction& tx, const Version& version, bool promote = false);

/// Removes a version, also from what Rollback would return to.
/// Errors: FailedPrecondition while an alias points at it.
Status DeleteVersion(Transaction& tx, const std::string& tenant, const std::string& adapter,
                     int64_t number);

/// Removes the adapter, its versions and aliases.
Status DeleteAdapter(Transaction& tx, const std::string& tenant, const std::string& adapter);

}  // namespace graft::server::core
