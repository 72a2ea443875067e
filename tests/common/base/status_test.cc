#include "common/base/status.h"
