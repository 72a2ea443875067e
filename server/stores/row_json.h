#pragma once
/// Rows as JSON documents, for stores that keep a document beside indexed columns. A field that is
/// zero or empty isn't written, and an absent one reads as its default, so that the rows of an
/// older server stay readable. Not-a-number and infinities are kept; bytes that aren't UTF-8 are
/// replaced.

#include <string>
#include <string_view>

#include "common/base/status.h"
#include "server/core/rows.h"

namespace graft::server::stores {

std::string ToJson(const core::Job& job);
std::string ToJson(const core::JobEvent& event);
std::string ToJson(const core::Adapter& adapter);
std::string ToJson(const core::Version& version);

/// Errors: DataLoss if the text isn't such a document.
StatusOr<core::Job> JobFromJson(std::string_view text);
StatusOr<core::JobEvent> EventFromJson(std::string_view text);
StatusOr<core::Adapter> AdapterFromJson(std::string_view text);
StatusOr<core::Version> VersionFromJson(std::string_view text);

}  // namespace graft::server::stores
