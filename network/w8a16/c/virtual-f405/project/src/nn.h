#include "../nn/nn.h"
