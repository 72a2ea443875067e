#pragma once
/// Rows to messages of graft.v1, and what a worker reports to rows. A job's spec crosses as JSON,
/// so a new method or field needs no line here. Thread safety: free functions.

#include <string>

#include <google/protobuf/timestamp.pb.h>

#include "common/spec/job_spec.h"
#include "graft/v1/adapter.pb.h"
#include "graft/v1/dataset.pb.h"
#include "graft/v1/job.pb.h"
#include "server/core/rows.h"
#include "server/intake/uploads.h"

namespace graft::server::service {

/// A message's JSON with the proto's field names. Absent fields stay absent, so that the spec's
/// defaults apply. Errors: InvalidArgument if it has none.
StatusOr<Json> MessageToJson(const google::protobuf::Message& message);

google::protobuf::Timestamp ToTimestamp(TimeUs time);

graft::v1::JobState ToProto(core::JobState state);
/// As core::IsTerminal.
bool IsTerminal(graft::v1::JobState state);
graft::v1::ErrorInfo ToProto(const core::JobError& error);
graft::v1::Job ToProto(const core::Job& job);
graft::v1::JobEvent ToProto(const core::JobEvent& event);
graft::v1::Dataset ToProto(const intake::Upload& upload);
graft::v1::Adapter ToProto(const core::Adapter& adapter);
/// `adapter` gives the aliases that point at the version.
graft::v1::AdapterVersion ToProto(const core::Version& version, const core::Adapter& adapter);

Status ToStatus(const core::JobError& error);
/// The same fault, with its details, told as another code or in another sentence.
Status Retold(const Status& fault, StatusCode code, std::string message);
core::JobError FromProto(const graft::v1::ErrorInfo& error);
/// Errors: InvalidArgument if `event` is of no kind that a worker may report (state changes and
/// versions aren't).
StatusOr<core::JobEvent> FromProto(const graft::v1::JobEvent& event);

/// Errors: InvalidArgument, field paths inside the message ("hyperparameters.epochs").
StatusOr<spec::JobSpec> FromProto(const graft::v1::JobSpec& message);
StatusOr<spec::DatasetSpec> FromProto(const graft::v1::DatasetSpec& message,
                                      tasks::Kind kind = tasks::kDefaultKind);
/// The message of a stored spec. Fields that this build doesn't know are left out.
StatusOr<graft::v1::JobSpec> SpecToProto(const std::string& spec_json);

/// "jobs/<id>" and so on. Errors: InvalidArgument with field `field` unless `name` has that form;
/// the id's own form is checked, so it is safe as a key.
StatusOr<std::string> ParseName(const std::string& name, std::string_view collection,
                                std::string_view field);
std::string JobName(const std::string& id);
std::string AdapterName(const std::string& id);
std::string VersionName(const std::string& adapter, int64_t number);

}  // namespace graft::server::service
