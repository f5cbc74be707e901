#include "../model/network.h"
