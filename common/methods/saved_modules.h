#pragma once
/// Modules of the base that a LoRA trains whole: modules_to_save.

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/families/layout.h"

namespace graft::methods {

/// True if the tensor or module `path` lies in a module that `name` names by its path or the path's
/// end.
bool LiesInModule(const std::string& path, const std::string& name);

/// Errors: InvalidArgument at method.lora.modules_to_save if one of `names` names no module of the
/// base, or one that holds a layer of `adapted`.
Status CheckSavedModules(const std::vector<std::string>& names,
                         const std::vector<families::Linear>& adapted,
                         const families::Layout& layout);

/// `names` so that PEFT saves these modules and no others, sorted. PEFT compares the ends of paths
/// without regard to dots ("norm" is input_layernorm too) and can't load a module within a saved
/// one: where it would take a name otherwise, the modules' whole paths stand in its place.
/// Source: peft 0.21 utils/other.py, _set_trainable. Requires: CheckSavedModules was OK.
std::vector<std::string> PeftSavedNames(const std::vector<std::string>& names,
                                        const families::Layout& layout);

}  // namespace graft::methods
