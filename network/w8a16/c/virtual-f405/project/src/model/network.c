#include "../../model/network.c"
