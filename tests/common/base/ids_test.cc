#include "common/base/ids.h"
