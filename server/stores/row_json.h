#pragma once
/// Rows as JSON documents, for stores that keep a document beside indexed columns. Every field is written; an absent one
/// reads as its default, so that rows of an older server stay readable.

#include <string>

#include "common/base/status.h"
#include "server/core/rows.h"

namespace graft::server::stores {

std::string ToJson(const core::Job& job);
std::string ToJson(const core::JobEvent& event);
std::string ToJson(const core::Adapter& adapter);
std::string ToJson(const core::Version& version);

/// Errors:    DataLoss if the text isn't such a document.
StatusOr<core::Job> JobFromJson(const std::string& text);
StatusOr<core::JobEvent> EventFromJson(const std::string& text);
StatusOr<core::Adapter> AdapterFromJson(const std::string& text);
StatusOr<core::Version> VersionFromJson(const std::string& text);

}  // namespace graft::server::stores
