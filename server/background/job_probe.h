#pragma once
/// Tells the metrics what became of a job; called after the transition is durable.

#include <string>

#include "server/calls/probe.h"
#include "server/core/rows.h"

namespace graft::server::background {

/// `job` is as the transition left it.
void NoteTransition(calls::Probe& probe, const core::Job& job);

/// "lora": the method's name in a stored spec; "unknown" if it can't be read.
std::string MethodName(const std::string& spec_json);

}  // namespace graft::server::background
