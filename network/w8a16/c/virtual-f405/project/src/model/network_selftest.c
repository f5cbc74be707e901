#include "../../model/network_selftest.c"
