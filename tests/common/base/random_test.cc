#include "common/base/random.h"
