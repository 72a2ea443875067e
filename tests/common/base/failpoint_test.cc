#include "common/base/failpoint.h"
