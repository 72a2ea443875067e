#pragma once
/// Tells the metrics what became of a job; called after the transition is durable.

#include <string>

#include "server/core/rows.h"
#include "server/rpc/probe.h"

namespace graft::server::rpc {

/// `job` is as the transition left it.
void NoteTransition(Probe& probe, const core::Job& job);

/// "lora": the method's name in a stored spec; "unknown" if it can't be read.
std::string MethodName(const std::string& spec_json);

}  // namespace graft::server::rpc
