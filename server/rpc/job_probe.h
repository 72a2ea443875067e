#pragma once
/// Tells the metrics what became of a job; called after the transition is durable.

#include <string_view>

#include "server/core/rows.h"
#include "server/rpc/probe.h"

namespace graft::server::rpc {

/// `job` is as the transition left it; `reason` as in its event.
void NoteTransition(Probe& probe, const core::Job& job, std::string_view reason);

/// A transition that closed an attempt: the reason is the attempt's.
void NoteAttemptEnded(Probe& probe, const core::Job& job);

/// "lora": the method's name in a stored spec; "unknown" if it can't be read.
std::string MethodName(const std::string& spec_json);

}  // namespace graft::server::rpc
